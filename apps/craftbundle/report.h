// What export and bundle print when they are done.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/json/json.h"
#include "session.h"

namespace craftbundle::app {

std::string export_text(const ExportReport& report, const std::string& layout);

// Prints it, as JSON or for people.
void print_bundle(const BundleReport& report, bool json, Session& session);

// "  family  X" lines.
std::string summary_text(const std::vector<SummaryItem>& summary);

// The fit of a bundle as a table, or a line when nothing had to be compared.
std::string fit_text(const std::vector<FitCheck>& fit);

// The value of the summary item `name`, or "-".
std::string summary_value(const std::vector<SummaryItem>& summary, std::string_view name);

// The command that makes a bundle of a component that lies at, or is called, `given`.
std::string next_command(const ManifestComponent& component, const std::string& given);

// How to load a bundle, when an exporter says so (Component::load_with); else empty.
std::string loading_hint(const std::vector<ManifestComponent>& components, const Path& directory);

}  // namespace craftbundle::app

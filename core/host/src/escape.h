// What plugins say is text of others: it reaches terminals, logs, manifests, cards and pages
// escaped.
#pragma once

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/stage_kind.h"

namespace craftbundle {

// Names that mean something, of roles, tensors and files, stay as they are.
void escape(Component& component);
void escape(StageOutcome& outcome);
void escape(BundleFile& file);
Error escaped(const Error& error);

}  // namespace craftbundle

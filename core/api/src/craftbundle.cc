#include "craftbundle/craftbundle.h"

#include <utility>

#include "craftbundle/detail/bundle/embed.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/read.h"

namespace craftbundle {
namespace {

std::optional<std::string> if_any(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

// Of what bundle() and convert() are told alike.
template <typename Job>
BundleReport write(std::vector<PreparedComponent> components, const SourceOptions& lookup,
                   const Host& host, const Job& job) {
  const LayoutChoice layout = job.embed ? embedding(job.layout, host) : job.layout;
  if (job.embed || embeds(layout)) components = embed(std::move(components), lookup, host);
  BundleOptions options;
  static_cast<PublishOptions&>(options) = job.publish;
  options.allow_mismatch = job.allow_mismatch;
  return write_bundle(components, layout, host, job.output, options);
}

}  // namespace

PreparedComponent open(const Host& host, const ComponentChoice& choice) {
  return open_component({choice.source, choice.lookup, if_any(choice.role), if_any(choice.exporter),
                         choice.options, choice.lookup.directory},
                        host);
}

SourceInspection inspect(const Host& host, const std::string& source, const SourceOptions& lookup) {
  return inspect_source(resolve_source(source, lookup, host), host);
}

std::vector<PreparedComponent> open_bundle(const Host& host, const Path& directory) {
  return components_of(directory, host);
}

ExportReport export_component(const Host& host, const ExportJob& job) {
  host.layout(job.layout.name);  // before anything is opened
  return write_component(open(host, job.component), job.layout, host, job.output, job.publish);
}

BundleReport bundle(const Host& host, const BundleJob& job) {
  host.layout(job.layout.name);
  std::vector<PreparedComponent> components;
  for (const ComponentChoice& choice : job.components) components.push_back(open(host, choice));
  const SourceOptions lookup =
      job.components.empty() ? SourceOptions() : job.components.front().lookup;
  return write(std::move(components), lookup, host, job);
}

BundleReport convert(const Host& host, const ConvertJob& job) {
  host.layout(job.layout.name);
  return write(open_bundle(host, job.bundle), {}, host, job);
}

Verification verify(const Host& host, const VerifyJob& job) {
  VerifyOptions options;
  options.against = job.against;
  if (job.check == ContentCheck::structure) options.depth = VerifyOptions::Depth::structure;
  options.as_is = job.as_is;
  options.sink = job.sink;
  options.cancellation = job.cancellation;
  return verify(job.source, host, options);
}

}  // namespace craftbundle

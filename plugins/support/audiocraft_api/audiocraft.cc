#include "craftbundle/audiocraft.h"

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/transform.h"

namespace craftbundle {
namespace {

Host make_host(const AudiocraftExportOptions& options) {
  Host::Options host;
  host.search = options.search;
  host.sink = options.sink;
  host.cancellation = options.cancellation;
  return Host(std::move(host));
}

Path write(const Host& host, const ComponentRequest& request, const Path& out_file,
           const AudiocraftExportOptions& options) {
  PublishOptions publish;
  publish.force = true;
  publish.durability = options.durability;
  publish.sink = options.sink;
  publish.cancellation = options.cancellation;
  return write_component(prepare_component(request, host), {}, host, out_file, publish).target;
}

Path export_checkpoint(const Path& checkpoint, std::string_view role,
                       std::optional<std::string> exporter, const Path& out_file,
                       const AudiocraftExportOptions& options) {
  const Host host = make_host(options);
  const Source source = Source::of_checkpoint(checkpoint.string(), host.open(checkpoint));
  return write(host, {source, std::string(role), std::move(exporter), {}, {}}, out_file, options);
}

// A training checkpoint would be exported as well, but that is another function's job: whoever
// passes one here believes it is something else.
void require_exported(const Source& source) {
  if (source.kind() != AcceptedSource::Kind::checkpoint) return;
  const Object root = source.checkpoint().root();
  if (root.is(Kind::dict) && root.contains("exported")) return;
  throw Error(ErrorKind::input, "package.not_exported",
              path_text(source.checkpoint().file().path()) +
                  ": not an exported file: its dict has no key 'exported'",
              "pass a training checkpoint to export_encodec");
}

}  // namespace

Path export_lm(const Path& checkpoint, const Path& out_file,
               const AudiocraftExportOptions& options) {
  return export_checkpoint(checkpoint, kLanguageModelRole, std::nullopt, out_file, options);
}

Path export_encodec(const Path& checkpoint, const Path& out_file,
                    const AudiocraftExportOptions& options) {
  return export_checkpoint(checkpoint, kCompressionRole, "encodec", out_file, options);
}

Path export_pretrained_compression_model(const std::string& pretrained, const Path& out_file,
                                         const AudiocraftExportOptions& options) {
  const Host host = make_host(options);
  const Source source = resolve_source(pretrained, {}, host);
  require_exported(source);
  return write(host, {source, std::string(kCompressionRole), std::nullopt, {}, {}}, out_file,
               options);
}

}  // namespace craftbundle

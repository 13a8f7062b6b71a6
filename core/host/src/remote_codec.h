// A codec on the other side of the line.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "craftbundle/detail/host/plugin_call.h"
#include "craftbundle/detail/plugin/plugin.h"
#include "escape.h"

namespace craftbundle {

// Calls `body(object)`, which calls the object's `function`, "encode()". An Error that a plugin's
// code threw is about its inputs and stays as it is; everything else is about the plugin, and names
// the `culprit`.
template <typename T, typename Body>
auto call(const Guarded<T>& object, const std::string& culprit, std::string_view function,
          Body&& body) {
  const PluginCallMark mark(culprit, function);
  try {
    return object.call(body);
  } catch (const Error& thrown) {
    Error error = escaped(thrown);
    if (error.code().starts_with("plugin.")) error.add_context(culprit);
    throw error;
  }
}

// What the plugin returns is checked: whoever uses it may rely on sizes and codes. Throws
// Error(plugin, "plugin.codec") naming the culprit, also for a codec that is null.
class RemoteCodec final : public Codec {
 public:
  RemoteCodec(Guarded<Codec> codec, std::string culprit);

  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& audio) const override;
  Codes encode(const Audio& audio, std::int64_t codebooks) const override;
  Latent decode_latent(const Codes& codes) const override;
  Audio decode(const Codes& codes) const override;
  void save(OutputFile& file) const override;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void check_properties();
  void check(const Codes& codes) const;
  void check(const Latent& latent, std::int64_t batch, const std::string& function) const;

  Guarded<Codec> codec_;
  std::string culprit_;
  CodecProperties properties_;
  std::int64_t step_ = 1;  // frame_step()
};

}  // namespace craftbundle

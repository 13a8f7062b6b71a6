// A codec on the other side of the line.
#pragma once

#include <memory>
#include <string>

#include "craftbundle/plugin/plugin.h"

namespace craftbundle {

// Throws what `failure` describes. An Error that a plugin's code threw is about its inputs;
// everything else is about the plugin, and names the `culprit`. REQUIRES: failure.failed.
[[noreturn]] void raise_failure(const LineFailure& failure, const std::string& culprit);

// Failures become errors again, and what the plugin returns is checked: whoever uses it may rely on
// sizes and codes. Throws Error(plugin, "plugin.codec") naming the culprit.
class RemoteCodec final : public Codec {
 public:
  RemoteCodec(std::unique_ptr<const LineCodec> codec, std::string culprit);

  const CodecProperties& properties() const override { return properties_; }
  Latent encode_latent(const Audio& audio) const override;
  Codes encode(const Audio& audio, std::int64_t codebooks) const override;
  Latent decode_latent(const Codes& codes) const override;
  Audio decode(const Codes& codes) const override;
  void save(OutputFile& file) const override;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void check_properties() const;
  void check(const Latent& latent, std::int64_t batch, const std::string& function) const;

  std::unique_ptr<const LineCodec> codec_;
  std::string culprit_;
  CodecProperties properties_;
};

}  // namespace craftbundle

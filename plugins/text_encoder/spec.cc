#include "text_encoder/spec.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::text_encoder {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxLayers = 1'024;
constexpr std::int64_t kMaxVocabulary = 1 << 24;
constexpr std::array<std::string_view, 3> kFeedForward = {"relu", "gated-gelu", "gated-silu"};

Error bad_value(const std::string& message) {
  return Error(ErrorKind::input, "config.value", message);
}

// What T5Config of transformers fills in stands for what is not there.
std::int64_t integer_or(const Config& config, const std::string& key, std::int64_t otherwise,
                        std::int64_t max) {
  const std::int64_t value = config.get_int(key).value_or(otherwise);
  if (value < 1 || value > max) {
    throw bad_value(key + " is " + std::to_string(value) + ", expected 1 to " +
                    std::to_string(max));
  }
  return value;
}

std::string feed_forward(const Config& config) {
  std::string value = config.get_string("feed_forward_proj").value_or("relu");
  if (std::ranges::count(kFeedForward, value) == 0) {
    throw bad_value("feed_forward_proj is " + quoted(value, 60) +
                    ", expected relu, gated-gelu or gated-silu");
  }
  return value;
}

Settings read_settings(const Config& config) {
  Settings settings;
  settings.vocab_size = integer_or(config, "vocab_size", 32'128, kMaxVocabulary);
  settings.d_model = integer_or(config, "d_model", 512, kMaxWidth);
  settings.d_kv = integer_or(config, "d_kv", 64, kMaxWidth);
  settings.d_ff = integer_or(config, "d_ff", 2'048, kMaxWidth);
  settings.num_layers = integer_or(config, "num_layers", 6, kMaxLayers);
  settings.num_heads = integer_or(config, "num_heads", 8, kMaxWidth);
  settings.relative_attention_num_buckets =
      integer_or(config, "relative_attention_num_buckets", 32, kMaxWidth);
  settings.feed_forward_proj = feed_forward(config);
  return settings;
}

void add_weight(const std::string& name, std::int64_t out, std::int64_t in,
                audiocraft::ExpectedState& expected) {
  expected.add(name + ".weight", {out, in});
}

void add_attention(const std::string& layer, bool is_first, const Settings& settings,
                   audiocraft::ExpectedState& expected) {
  const std::string attention = layer + ".SelfAttention.";
  const std::int64_t inner = settings.num_heads * settings.d_kv;
  for (const char* part : {"q", "k", "v"}) {
    add_weight(attention + part, inner, settings.d_model, expected);
  }
  add_weight(attention + "o", settings.d_model, inner, expected);
  // All layers use that of the first.
  if (is_first) {
    add_weight(attention + "relative_attention_bias", settings.relative_attention_num_buckets,
               settings.num_heads, expected);
  }
  expected.add(layer + ".layer_norm.weight", {settings.d_model});
}

void add_feed_forward(const std::string& layer, const Settings& settings,
                      audiocraft::ExpectedState& expected) {
  const std::string dense = layer + ".DenseReluDense.";
  if (settings.is_gated()) {
    add_weight(dense + "wi_0", settings.d_ff, settings.d_model, expected);
    add_weight(dense + "wi_1", settings.d_ff, settings.d_model, expected);
  } else {
    add_weight(dense + "wi", settings.d_ff, settings.d_model, expected);
  }
  add_weight(dense + "wo", settings.d_model, settings.d_ff, expected);
  expected.add(layer + ".layer_norm.weight", {settings.d_model});
}

}  // namespace

Spec read_spec(const Config& config) {
  Spec spec{read_settings(config), {}};
  const Settings& settings = spec.settings;
  add_weight("shared", settings.vocab_size, settings.d_model, spec.expected);
  for (std::int64_t i = 0; i < settings.num_layers; ++i) {
    const std::string block = "encoder.block." + std::to_string(i) + ".layer.";
    add_attention(block + "0", i == 0, settings, spec.expected);
    add_feed_forward(block + "1", settings, spec.expected);
  }
  spec.expected.add("encoder.final_layer_norm.weight", {settings.d_model});
  return spec;
}

}  // namespace craftbundle::text_encoder

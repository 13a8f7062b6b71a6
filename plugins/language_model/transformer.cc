#include "language_model/transformer.h"

#include <array>
#include <string_view>

#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::language_model {
namespace {

using audiocraft::bad_value;
using audiocraft::ExpectedState;
using audiocraft::Range;
using audiocraft::Section;

constexpr Range kHeadRange = {1, 1'024};
constexpr Range kLayerRange = {1, 1'024};
constexpr double kMaxHiddenScale = 1'024;

constexpr std::array<std::string_view, 1> kNorms = {"layer_norm"};
constexpr std::array<std::string_view, 3> kPositions = {"sin", "rope", "sin_rope"};
constexpr std::array<std::string_view, 4> kCheckpointing = {"none", "torch", "xformers_default",
                                                            "xformers_mm"};

void require(bool condition, const std::string& message) {
  if (!condition) throw bad_value(message);
}

std::string number(std::int64_t value) { return std::to_string(value); }

void check(const Transformer& transformer, const Section& section) {
  const auto path = [&](std::string_view key) { return section.path(key); };
  require(transformer.dim % transformer.heads == 0,
          path("dim") + " is " + number(transformer.dim) + ", no multiple of the " +
              number(transformer.heads) + " of " + path("num_heads"));
  require(transformer.heads % transformer.kv_repeat == 0,
          path("num_heads") + " is " + number(transformer.heads) + ", no multiple of the " +
              number(transformer.kv_repeat) + " of " + path("kv_repeat"));
  const std::string needs_custom = ", which needs custom or memory_efficient attention";
  require(transformer.custom || transformer.kv_repeat == 1,
          path("kv_repeat") + " is " + number(transformer.kv_repeat) + needs_custom);
  require(transformer.custom || !transformer.qk_norm,
          path("qk_layer_norm") + " is true" + needs_custom);
  require(transformer.custom || !transformer.cross_attention || !transformer.qk_norm_cross,
          path("qk_layer_norm_cross") + " is true" + needs_custom);
  require(!transformer.qk_norm || transformer.kv_repeat == 1,
          path("qk_layer_norm") + " is true, which excludes " + path("kv_repeat"));
  require(transformer.custom || !transformer.rotary,
          path("positional_embedding") + " is rotary" + needs_custom);
  require(!transformer.rotary || transformer.dim / transformer.heads % 2 == 0,
          path("positional_embedding") + " is rotary, which needs heads of even width, not " +
              number(transformer.dim / transformer.heads));
}

std::int64_t feed_forward_width(const Section& section, std::int64_t dim) {
  const double scale = section.real("hidden_scale").value_or(4.0);
  if (!(scale > 0 && scale <= kMaxHiddenScale)) {
    throw bad_value(section.path("hidden_scale") + " is " + to_string(FactValue(scale)) +
                    ", expected more than 0 and at most 1024");
  }
  return static_cast<std::int64_t>(scale * static_cast<double>(dim));
}

class Layout {
 public:
  Layout(const Transformer& transformer, ExpectedState& expected)
      : transformer_(transformer), expected_(expected) {}

  void add(const std::string& prefix) {
    if (transformer_.rotary) rotary(prefix + ".rope.");
    for (std::int64_t i = 0; i < transformer_.layers; ++i) {
      layer(prefix + ".layers." + std::to_string(i) + ".");
    }
  }

 private:
  void layer(const std::string& name) {
    const std::int64_t dim = transformer_.dim;
    attention(name + "self_attn.", transformer_.kv_repeat, transformer_.qk_norm,
              transformer_.rotary);
    const bool bias = transformer_.bias_feed_forward;
    expected_.add_linear(name + "linear1", transformer_.feed_forward, dim, bias);
    expected_.add_linear(name + "linear2", dim, transformer_.feed_forward, bias);
    expected_.add_norm(name + "norm1", dim);
    expected_.add_norm(name + "norm2", dim);
    scale(name + "layer_scale_1");
    scale(name + "layer_scale_2");
    if (!transformer_.cross_attention) return;
    attention(name + "cross_attention.", 1, transformer_.qk_norm_cross, false);
    expected_.add_norm(name + "norm_cross", dim);
    scale(name + "layer_scale_cross");
  }

  void attention(const std::string& attention, std::int64_t kv_repeat, bool qk_norm,
                 bool rotating) {
    const std::int64_t dim = transformer_.dim;
    const bool bias = transformer_.bias_attention;
    const std::string name = transformer_.custom ? attention : attention + "mha.";
    // AudioCraft puts "mha." in where it is left out, for the weights of torch's own attention.
    const auto allow_plain = [&] {
      if (transformer_.custom) return;
      const std::string& last = expected_.tensors().back().name;
      expected_.allow_name(attention + last.substr(name.size()));
    };
    const std::int64_t kv_dim = dim / transformer_.heads * (transformer_.heads / kv_repeat);
    expected_.add(name + "in_proj_weight", {dim + 2 * kv_dim, dim});
    allow_plain();
    if (bias) {
      expected_.add(name + "in_proj_bias", {dim + 2 * kv_dim});
      allow_plain();
    }
    // The embedding has no weights, but every layer lists its table again.
    if (rotating) rotary(name + "rope.");
    expected_.add(name + "out_proj.weight", {dim, dim});
    allow_plain();
    if (bias) {
      expected_.add(name + "out_proj.bias", {dim});
      allow_plain();
    }
    if (!qk_norm) return;
    expected_.add_norm(name + "q_layer_norm", dim);
    expected_.add_norm(name + "k_layer_norm", dim);
  }

  void rotary(const std::string& name) {
    const std::int64_t half_head = transformer_.dim / transformer_.heads / 2;
    expected_.add(name + "frequencies", {half_head});
    if (transformer_.xpos) expected_.add(name + "xpos.decay_rates", {half_head});
  }

  void scale(const std::string& name) {
    if (transformer_.layer_scale) expected_.add(name + ".scale", {transformer_.dim});
  }

  const Transformer& transformer_;
  ExpectedState& expected_;
};

}  // namespace

Transformer read_transformer(const Section& section, bool cross_attention) {
  Transformer transformer;
  transformer.dim = section.integer("dim", kWidthRange);
  transformer.heads = section.integer("num_heads", kHeadRange);
  transformer.layers = section.integer("num_layers", kLayerRange);
  transformer.feed_forward = feed_forward_width(section, transformer.dim);
  transformer.custom =
      section.flag_or("custom", false) || section.flag_or("memory_efficient", false);
  transformer.bias_attention = section.flag_or("bias_attn", true);
  transformer.bias_feed_forward = section.flag_or("bias_ff", true);
  transformer.cross_attention = cross_attention || section.flag_or("cross_attention", false);
  transformer.norm_first = section.flag_or("norm_first", false);
  transformer.layer_scale = section.real("layer_scale").has_value();
  transformer.qk_norm = section.flag_or("qk_layer_norm", false);
  transformer.qk_norm_cross = section.flag_or("qk_layer_norm_cross", false);
  transformer.rotary = section.choice_or("positional_embedding", "sin", kPositions) != "sin";
  transformer.xpos = section.flag_or("xpos", false);
  transformer.kv_repeat = section.integer_or("kv_repeat", 1, kHeadRange);
  section.choice_or("norm", "layer_norm", kNorms);
  section.choice_or("checkpointing", "none", kCheckpointing);
  check(transformer, section);
  return transformer;
}

void add_transformer(const Transformer& transformer, const std::string& prefix,
                     ExpectedState& expected) {
  Layout(transformer, expected).add(prefix);
}

}  // namespace craftbundle::language_model

#include "dac/spec.h"

#include <algorithm>
#include <array>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::dac {
namespace {

using audiocraft::bad_value;
using audiocraft::ExpectedState;
using audiocraft::Range;
using audiocraft::Section;

constexpr Range kWidthRange = {1, 65'536};
constexpr Range kRateRange = {1, 4'096};
constexpr Range kCodebookRange = {1, 256};
constexpr Range kSizeRange = {1, 1 << 24};
constexpr Range kSampleRateRange = {1, 1'000'000};
constexpr std::size_t kMaxRates = 16;
constexpr std::int64_t kMaxHop = 1LL << 31;
constexpr std::size_t kMaxTextItems = 256;

// One number for all codebooks, or a list with one for each.
std::vector<std::int64_t> codebook_dims(const Config& config, const Section& section,
                                        std::int64_t codebooks) {
  if (config.contains("dac.codebook_dim[0]")) {
    std::vector<std::int64_t> dims = section.integers("codebook_dim", 256, kWidthRange);
    if (static_cast<std::int64_t>(dims.size()) != codebooks) {
      throw bad_value("dac.codebook_dim has " + std::to_string(dims.size()) + " items for " +
                      std::to_string(codebooks) + " codebooks");
    }
    return dims;
  }
  return std::vector<std::int64_t>(static_cast<std::size_t>(codebooks),
                                   section.integer("codebook_dim", kWidthRange));
}

Settings read_settings(const Config& config) {
  const Section section(config, "dac");
  Settings settings;
  settings.encoder_dim = section.integer("encoder_dim", kWidthRange);
  settings.encoder_rates = section.integers("encoder_rates", kMaxRates, kRateRange);
  // What the library computes for None.
  settings.latent_dim = section.integer_or(
      "latent_dim", settings.encoder_dim << settings.encoder_rates.size(), {1, 1LL << 32});
  settings.decoder_dim = section.integer("decoder_dim", kWidthRange);
  settings.decoder_rates = section.integers("decoder_rates", kMaxRates, kRateRange);
  settings.codebooks = section.integer("n_codebooks", kCodebookRange);
  settings.codebook_size = section.integer("codebook_size", kSizeRange);
  settings.codebook_dims = codebook_dims(config, section, settings.codebooks);
  settings.sample_rate = section.integer("sample_rate", kSampleRateRange);
  settings.weight_norm = config.get_bool(kWeightNormKey).value_or(true);
  if (settings.decoder_dim >> settings.decoder_rates.size() == 0) {
    throw bad_value("dac.decoder_dim " + std::to_string(settings.decoder_dim) +
                    " cannot be halved " + std::to_string(settings.decoder_rates.size()) +
                    " times, once for each of dac.decoder_rates");
  }
  return settings;
}

// The tensors of a DAC, in the order of its state dict.
class Expectation {
 public:
  Expectation(ExpectedState& expected, const Settings& settings)
      : expected_(expected), settings_(settings) {}

  void encoder() {
    std::int64_t width = settings_.encoder_dim;
    std::size_t index = 0;
    const auto next = [&] { return "encoder.block." + std::to_string(index++); };
    conv(next(), width, 1, 7);
    for (const std::int64_t rate : settings_.encoder_rates) {
      const std::string block = next() + ".block";
      residual_units(block, 0, width);
      snake(block + ".3", width);
      conv(block + ".4", 2 * width, width, 2 * rate);
      width *= 2;
    }
    snake(next(), width);
    conv(next(), settings_.latent_dim, width, 3);
  }

  void quantizers() {
    for (std::size_t i = 0; i < settings_.codebook_dims.size(); ++i) {
      const std::string name = "quantizer.quantizers." + std::to_string(i);
      const std::int64_t dim = settings_.codebook_dims[i];
      conv(name + ".in_proj", dim, settings_.latent_dim, 1);
      conv(name + ".out_proj", settings_.latent_dim, dim, 1);
      expected_.add(name + ".codebook.weight", {settings_.codebook_size, dim});
    }
  }

  void decoder() {
    std::int64_t width = settings_.decoder_dim;
    std::size_t index = 0;
    const auto next = [&] { return "decoder.model." + std::to_string(index++); };
    conv(next(), width, settings_.latent_dim, 7);
    for (std::size_t i = 0; i < settings_.decoder_rates.size(); ++i) {
      const std::int64_t half = settings_.decoder_dim >> (i + 1);
      const std::string block = next() + ".block";
      snake(block + ".0", width);
      weights(block + ".1", {width, half, 2 * settings_.decoder_rates[i]}, half);
      residual_units(block, 2, half);
      width = half;
    }
    snake(next(), width);
    conv(next(), 1, width, 7);
  }

 private:
  // Of a convolution with `out` output channels.
  void weights(const std::string& name, const std::vector<std::int64_t>& shape, std::int64_t out) {
    if (settings_.weight_norm) return expected_.add_weight_norm(name, shape, out);
    expected_.add(name + ".weight", shape);
    expected_.add(name + ".bias", {out});
  }

  void conv(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    weights(name, {out, in, kernel}, out);
  }

  void snake(const std::string& name, std::int64_t width) {
    expected_.add(name + ".alpha", {1, width, 1});
  }

  // Three, at the indices `first` and following of `block`.
  void residual_units(const std::string& block, int first, std::int64_t width) {
    for (int i = first; i < first + 3; ++i) {
      const std::string unit = block + "." + std::to_string(i) + ".block.";
      snake(unit + "0", width);
      conv(unit + "1", width, width, 7);
      snake(unit + "2", width);
      conv(unit + "3", width, width, 1);
    }
  }

  ExpectedState& expected_;
  const Settings& settings_;
};

Error bad_kwargs(const std::string& message) {
  return Error(ErrorKind::input, "config.type", "metadata['kwargs']" + message);
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string scalar_text(Object value, const std::string& where) {
  switch (value.kind()) {
    case Kind::none:
      return "null";
    case Kind::boolean:
      return value.as_bool() ? "true" : "false";
    case Kind::integer:
      return std::to_string(value.as_int());
    case Kind::real: {
      // YAML 1.1 takes a number without a point for an integer or for text.
      const std::string text = to_string(FactValue(value.as_real()));
      const bool plain = std::all_of(text.begin(), text.end(),
                                     [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
      if (plain) return text + ".0";
      if (text.find_first_not_of("0123456789.-") == std::string::npos) return text;
      break;
    }
    default:
      break;
  }
  throw bad_kwargs("[" + where + "] is " + describe(value) + ", expected a number, a bool or None");
}

}  // namespace

std::int64_t Settings::hop_length() const {
  std::int64_t hop = 1;
  for (const std::int64_t rate : encoder_rates) {
    hop *= rate;  // at most 2^31 * 2^12
    if (hop > kMaxHop) throw bad_value("the product of dac.encoder_rates is above 2^31");
  }
  return hop;
}

Spec read_spec(const Config& config) {
  audiocraft::require_key(config, "dac", "a DAC");
  Spec spec{read_settings(config), {}, {}};
  const Settings& settings = spec.settings;
  const std::int64_t hop = settings.hop_length();
  spec.figures.codebooks = settings.codebooks;
  spec.figures.cardinality = settings.codebook_size;
  spec.figures.sample_rate = settings.sample_rate;
  spec.figures.frame_rate = static_cast<double>(settings.sample_rate) / static_cast<double>(hop);
  spec.figures.channels = 1;
  spec.figures.latent_dimension = settings.latent_dim;
  spec.figures.codec_class = audiocraft::kDacClass;
  Expectation expectation(spec.expected, settings);
  expectation.encoder();
  expectation.quantizers();
  expectation.decoder();
  return spec;
}

std::string config_text(Object kwargs) {
  if (!kwargs.is(Kind::dict)) throw bad_kwargs(" is " + describe(kwargs) + ", expected a dict");
  std::string settings;
  std::string sample_rate;
  for (const DictView::Entry entry : kwargs.entries()) {
    if (!entry.key.is(Kind::string) || !is_word(entry.key.as_string())) {
      throw bad_kwargs(" has the key " + describe(entry.key) + ", expected names of arguments");
    }
    const std::string key(entry.key.as_string());
    const bool sequence = entry.value.is(Kind::list) || entry.value.is(Kind::tuple);
    if (!sequence) {
      const std::string text = scalar_text(entry.value, quoted(key));
      settings += "  " + key + ": " + text + "\n";
      if (key == "sample_rate") sample_rate = text;
      continue;
    }
    if (entry.value.size() == 0 || entry.value.size() > kMaxTextItems) {
      throw bad_kwargs("[" + quoted(key) + "] has " + std::to_string(entry.value.size()) +
                       " items, expected 1 to " + std::to_string(kMaxTextItems));
    }
    settings += "  " + key + ":\n";
    for (std::size_t i = 0; i < entry.value.size(); ++i) {
      settings += "  - " + scalar_text(entry.value[i], quoted(key)) + "\n";
    }
  }
  if (sample_rate.empty()) throw bad_kwargs(" has no 'sample_rate'");
  return "compression_model: dac\nsample_rate: " + sample_rate + "\nchannels: 1\ndac:\n" + settings;
}

}  // namespace craftbundle::dac

#include "layout.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <charconv>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "dac.h"
#include "encodec.h"
#include "language_model.h"
#include "read.h"
#include "text_encoder.h"
#include "write.h"

namespace craftbundle::transformers {
namespace {

constexpr const char* kConfigFile = "config.json";
constexpr const char* kShardOption = "shard-size";
constexpr const char* kLicenseOption = "license";

// "5GB", as transformers' max_shard_size: a number of bytes with a unit.
std::uint64_t read_size(const std::string& text) {
  struct Unit {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array<Unit, 7> kUnits = {{{"", 1},
                                           {"KB", 1'000},
                                           {"MB", 1'000'000},
                                           {"GB", 1'000'000'000},
                                           {"KiB", 1ULL << 10},
                                           {"MiB", 1ULL << 20},
                                           {"GiB", 1ULL << 30}}};
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto found = std::ranges::find(kUnits, unit, &Unit::name);
  if (failure != std::errc() || found == kUnits.end() || number == 0 ||
      number > UINT64_MAX / 2 / found->bytes) {
    throw Error(ErrorKind::usage, "option.value",
                "option 'shard-size' is " + craftbundle::quoted(text) + ", expected a size",
                "write it as 5GB, 500MB or 2GiB");
  }
  return number * found->bytes;
}

}  // namespace

LayoutInfo TransformersLayout::info() const {
  LayoutInfo info;
  info.name = "transformers";
  info.revision = 2;
  info.summary =
      "What Hugging Face's transformers loads: MusicGen, AudioGen, EnCodec and DAC in one folder";
  info.options = {{kShardOption,
                   OptionSpec::Type::text,
                   "5GB",
                   "largest size of a file of weights; more go into several with an index",
                   {}},
                  {kLicenseOption,
                   OptionSpec::Type::text,
                   "",
                   "license of the weights, for the card: cc-by-nc-4.0, mit",
                   {}}};
  info.families = {"language_model", "encodec", "dac", std::string(kTextFamily)};
  info.parts = {{std::string(kLanguageModelRole), kConfigFile},
                {std::string(kCompressionRole), kConfigFile},
                {std::string(kTextEncoderRole), kConfigFile}};
  return info;
}

std::vector<BundleFile> TransformersLayout::plan(const std::vector<Component>& components,
                                                 const std::vector<OptionValue>& options,
                                                 LayoutContext& /*context*/) const {
  return plan_folder(components, {read_size(option_value(options, kShardOption)),
                                  option_value(options, kLicenseOption)});
}

std::vector<TensorAlias> TransformersLayout::aliases(const Model& model) const {
  // Whole models hold three components, and an adapter may change each of them.
  const std::vector<std::string> of_language_model = {"decoder.model.", "decoder.lm_heads.",
                                                      "enc_to_dec_proj.", "audio_enc_to_dec_proj."};
  std::vector<TensorAlias> aliases;
  std::vector<std::string> others;
  if (model.family == "language_model") {
    aliases = language_model_aliases(model);
    others = {"text_encoder.", "audio_encoder."};
  } else if (model.family == "encodec") {
    aliases = encodec_aliases(model);
    others = of_language_model;
    others.emplace_back("text_encoder.");
  } else if (model.family == "dac") {
    aliases = dac_aliases(model);
  } else if (model.family == kTextFamily) {
    for (const NamedTensor& named : model.tensors) {
      aliases.push_back({named.name, named.name, 0, named.shape().empty() ? 0 : named.shape()[0]});
    }
    others = of_language_model;
    others.emplace_back("audio_encoder.");
  }
  if (aliases.empty()) return {};
  for (std::string& other : others) aliases.push_back({std::move(other), {}, 0, 0});
  return aliases;
}

Probe TransformersLayout::recognize(const std::vector<std::string>& files) const {
  const auto has = [&](const std::string& name) { return std::ranges::count(files, name) != 0; };
  if (!has(kConfigFile)) return {0, "holds no config.json"};
  if (!std::ranges::any_of(weight_files(), has)) return {0, "holds config.json and no weights"};
  // Below AudioCraft's own: folders of the hub hold both.
  return {80, "holds config.json and weights"};
}

std::vector<RoleSource> TransformersLayout::sources(const Path& place,
                                                    const std::vector<std::string>& roles,
                                                    LayoutContext& context) const {
  boost::system::error_code ignored;
  if (!boost::filesystem::is_directory(place, ignored)) {
    throw Error(ErrorKind::input, "layout.file",
                path_text(place) + ": is a file, and a model of transformers is a folder",
                "give the folder that holds it");
  }
  return read_folder(place, roles, context);
}

}  // namespace craftbundle::transformers

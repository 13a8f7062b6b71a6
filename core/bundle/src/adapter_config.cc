// What adapter_config.json says.
#include <algorithm>
#include <array>
#include <cmath>
#include <regex>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/adapter.h"
#include "craftbundle/detail/json/json.h"

namespace craftbundle {
namespace {

constexpr std::string_view kGroup = "adapter";

// Ways to begin that leave the base model as it is.
constexpr std::array<std::string_view, 4> kPlainStarts = {"gaussian", "eva", "orthogonal", "mica"};

struct Variant {
  const char* key;
  const char* hint;
};
constexpr const char* kMergeInPython =
    "merge it with PEFT where PEFT can (merge_and_unload), and export the result";
constexpr std::array<Variant, 9> kVariants = {{
    {"use_qalora", "its weights belong to a quantized base model, which is not changed by merging"},
    {"use_bdlora", kMergeInPython},
    {"kasa_config", kMergeInPython},
    {"monteclora_config", kMergeInPython},
    {"arrow_config", "it chooses between adapters for each token: there is nothing to merge"},
    {"alora_invocation_tokens", "it acts on some tokens only: there is nothing to merge"},
    {"layer_replication", kMergeInPython},
    {"megatron_config", kMergeInPython},
    {"trainable_token_indices", kMergeInPython},
}};

// Keys that are read, that the tensors of the adapter tell as well, and that count in training
// only.
constexpr std::array<std::string_view, 33> kKnown = {
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_bias",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "target_parameters",
    "task_type",
    "use_dora",
    "use_rslora",
    "velora_config",
};

// None, False and what is empty.
bool is_off(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         ((value.is_structured() || value.is_string()) && value.empty());
}

// A key that counts; older versions of PEFT write fewer.
bool is_set(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && !found->is_null();
}

bool flag(const JsonReader& reader, const Json& json, const char* key) {
  return is_set(json, key) && reader.boolean(key);
}

// As PEFT's files spell it, cut to what a message can hold.
std::string value_text(const Json& value) {
  if (value.is_string()) return craftbundle::quoted(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return printable(json_line(value));
}

Error bad_config(const std::string& what) {
  return Error(ErrorKind::input, "adapter.config", what);
}

std::int64_t rank_in(const Json& value, const std::string& where) {
  constexpr std::int64_t kLargest = 1'000'000;
  if (!value.is_number_integer() || value < 1 || value > kLargest) {
    throw bad_config(where + " is " + value_text(value) + ", no rank");
  }
  return value.get<std::int64_t>();
}

double alpha_in(const Json& value, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    throw bad_config(where + " is " + value_text(value) + ", no number");
  }
  return value.get<double>();
}

template <typename Read>
auto patterns_in(const JsonReader& reader, const Json& json, const char* key, Read read) {
  std::vector<std::pair<std::string, decltype(read(json, ""))>> patterns;
  if (!is_set(json, key)) return patterns;
  reader.object(key);  // throws for what is none
  for (const auto& [pattern, value] : json[key].items()) {
    matches_module(pattern, "");  // throws for one that cannot be read
    patterns.emplace_back(pattern,
                          read(value, std::string(key) + "[" + craftbundle::quoted(pattern) + "]"));
  }
  return patterns;
}

void refuse_other_types(const Json& json) {
  const auto found = json.find("peft_type");
  if (found == json.end()) {
    throw Error(ErrorKind::input, "adapter.type", "it has no 'peft_type'",
                "give an adapter that PEFT has saved (save_pretrained)");
  }
  if (*found == "LORA") return;
  throw Error(ErrorKind::input, "adapter.type",
              "it is an adapter of the type " + value_text(*found) + ", only 'LORA' can be merged",
              kMergeInPython);
}

void refuse_variants(const Json& json) {
  for (const Variant& variant : kVariants) {
    const auto found = json.find(variant.key);
    if (found == json.end() || is_off(*found)) continue;
    throw Error(ErrorKind::input, "adapter.unsupported",
                std::string(variant.key) + " is " + value_text(*found) + ": it cannot be merged",
                variant.hint);
  }
  const auto start = json.find("init_lora_weights");
  if (start == json.end() || start->is_boolean() || start->is_null()) return;
  if (start->is_string()) {
    const auto& word = start->get_ref<const std::string&>();
    if (std::ranges::count(kPlainStarts, word) != 0) return;
  }
  throw Error(ErrorKind::input, "adapter.unsupported",
              "init_lora_weights is " + value_text(*start) +
                  ": training began by changing the weights of the base model, which the adapter "
                  "does not hold",
              "save it once more with PEFT's "
              "save_pretrained(..., path_initial_model_for_weight_conversion=...), which makes an "
              "ordinary adapter of it");
}

// What PEFT of a later version may mean by keys that are not known here.
void warn_of_unknown(const Json& json, std::vector<std::string>& warnings) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : json.items()) {
    const bool is_known = std::ranges::count(kKnown, key) != 0 ||
                          std::ranges::count(kVariants, key, &Variant::key) != 0;
    if (!is_known && !is_off(value)) unknown.push_back(key);
  }
  if (unknown.empty()) return;
  warnings.push_back("adapter_config.json says " + list_text(unknown) +
                     ", of which nothing is known here: it is merged without");
}

// A name in which dots stand for any character, as in a regular expression.
bool is_plain(std::string_view pattern) {
  return std::ranges::all_of(pattern, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  });
}

std::regex expression_of(const std::string& pattern) {
  // Patterns are somebody else's: what could take long is not run.
  constexpr std::size_t kLongest = 256;
  if (pattern.size() > kLongest || pattern.find('{') != std::string::npos ||
      pattern.find("(?") != std::string::npos) {
    throw bad_config("the pattern " + craftbundle::quoted(pattern) +
                     " is too long, counts with braces or looks around");
  }
  auto flags = std::regex::ECMAScript | std::regex::nosubs;
#ifdef __GLIBCXX__
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    return std::regex("(.*\\.)?(" + pattern + ")", flags);
  } catch (const std::regex_error&) {
    throw bad_config("the pattern " + craftbundle::quoted(pattern) +
                     " is no regular expression that is known");
  }
}

}  // namespace

bool matches_module(const std::string& pattern, const std::string& module) {
  if (!is_plain(pattern)) return std::regex_match(module, expression_of(pattern));
  if (module.size() < pattern.size()) return false;
  const std::size_t start = module.size() - pattern.size();
  if (start > 0 && module[start - 1] != '.') return false;
  return std::equal(pattern.begin(), pattern.end(),
                    module.begin() + static_cast<std::ptrdiff_t>(start),
                    [](char expected, char c) { return expected == '.' || expected == c; });
}

AdapterConfig read_adapter_config(std::string_view text) {
  const Json json = parse_json(text, kGroup);
  const JsonReader reader(json, kGroup);
  refuse_other_types(json);
  refuse_variants(json);
  AdapterConfig config;
  if (is_set(json, "r")) config.rank = rank_in(json["r"], "r");
  if (is_set(json, "lora_alpha")) config.alpha = alpha_in(json["lora_alpha"], "lora_alpha");
  config.rank_pattern = patterns_in(reader, json, "rank_pattern", rank_in);
  config.alpha_pattern = patterns_in(reader, json, "alpha_pattern", alpha_in);
  config.rank_stabilized = flag(reader, json, "use_rslora");
  config.normalized = flag(reader, json, "use_dora");
  if (is_set(json, "target_parameters")) config.parameters = reader.texts("target_parameters");
  if (is_set(json, "base_model_name_or_path")) {
    config.base_model = reader.text("base_model_name_or_path");
  }
  if (flag(reader, json, "fan_in_fan_out")) {
    config.warnings.emplace_back(
        "fan_in_fan_out is true: it means layers that these models do not have, and is left out of "
        "account as PEFT does");
  }
  warn_of_unknown(json, config.warnings);
  return config;
}

}  // namespace craftbundle

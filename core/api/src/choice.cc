#include "craftbundle/detail/api/choice.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <utility>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/bundle/transform.h"

namespace craftbundle {
namespace {

// As a value of the option `average`.
std::string average_files(const SourceWords& words, const std::string& role, const Host& host) {
  std::vector<Path> files;
  for (const std::string& given : words.average) {
    const std::optional<Path> file = source_path(given, words.lookup(role), host);
    boost::system::error_code ignored;
    if (!file || !boost::filesystem::exists(*file, ignored)) {
      throw Error(ErrorKind::input, "source.not_found",
                  "--average: " + quoted(given) + " is no checkpoint that is there",
                  "give checkpoints of the same model, separated by commas");
    }
    files.push_back(*file);
  }
  return files_value(files);
}

// As a value of the option `merge`.
std::string merge_files(const SourceWords& words) {
  std::vector<Path> files;
  for (const std::string& given : words.merge) {
    boost::system::error_code ignored;
    if (!boost::filesystem::exists(Path(given), ignored)) {
      throw Error(ErrorKind::input, "source.not_found",
                  "--merge: " + quoted(given) + " is no adapter that is there",
                  "give directories with adapter_config.json and adapter_model.safetensors, "
                  "separated by commas");
    }
    files.emplace_back(given);
  }
  return files_value(files);
}

}  // namespace

SourceOptions SourceWords::lookup(const std::string& role) const {
  SourceOptions options;
  options.role = role;
  // There is no reference to a text encoder.
  options.local = role == kTextEncoderRole;
  if (!xps.empty()) options.xps = Path(xps);
  return options;
}

ComponentChoice choose(const std::string& source, const SourceWords& words, const std::string& role,
                       const std::string& exporter, std::vector<OptionValue> options,
                       const Host& host) {
  ComponentChoice choice{role, source, exporter, std::move(options), words.lookup(role)};
  // The name of a pretrained model has none.
  const bool has_weights = source_path(source, choice.lookup, host).has_value();
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty() || (words.several && !has_weights)) return;
    // Of several components, what one is told itself counts more than what all are told.
    if (words.several && std::ranges::count(choice.options, name, &OptionValue::name) != 0) return;
    choice.options.push_back({std::string(name), value});
  };
  // Trainings of text encoders are no sources.
  if (has_weights && role != kTextEncoderRole) add("state", words.state);
  add(kDtypeOption, words.dtype);
  add(kDtypeOfOption, words.dtype_of);
  add(kAverageOption, average_files(words, role, host));
  add(kMergeOption, merge_files(words));
  add(kConfigFromOption, words.config_from);
  add(kAsIsOption, words.as_is ? "true" : "");
  add(kFoldOption, words.fold_weight_norm ? "true" : "");
  return choice;
}

std::optional<Path> bundle_of(const std::string& source, const SourceOptions& lookup,
                              const Host& host) {
  Path path = source;
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(path, ignored)) {
    path = source_path(source, lookup, host).value_or(Path());
  }
  const bool is_bundle =
      boost::filesystem::is_directory(path, ignored) && !is_source_directory(path, host);
  return is_bundle ? std::optional(path) : std::nullopt;
}

}  // namespace craftbundle

// What a user says of an offer, against what it declares.
#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/tensor/dtype_words.h"
#include "offers.h"
#include "plugin_info.h"

namespace craftbundle {
namespace {

// Where element types are the choice, other words for them are taken too.
std::string choice_meant(const OptionSpec& spec, const std::string& value) {
  const std::optional<DType> dtype = dtype_from_word(value);
  if (!dtype || std::ranges::count(spec.choices, value) != 0) return value;
  const std::string usual(name(*dtype));
  return std::ranges::count(spec.choices, usual) != 0 ? usual : value;
}

}  // namespace

std::vector<OptionValue> check_options(const std::string& what,
                                       const std::vector<OptionSpec>& declared,
                                       const std::vector<OptionValue>& given) {
  std::vector<OptionValue> values;
  std::vector<std::string> names;
  for (const OptionSpec& spec : declared) {
    values.push_back({spec.name, spec.default_value});
    names.push_back(spec.name);
  }
  std::set<std::string> seen;
  for (const OptionValue& option : given) {
    const auto place = std::find(names.begin(), names.end(), option.name);
    if (place == names.end()) {
      throw Error(ErrorKind::usage, "option.unknown",
                  what + " has no option " + quoted(option.name) +
                      (names.empty() ? "; it has none" : "; it has " + list_text(names, 32)),
                  did_you_mean(option.name, names))
          .about("option:" + option.name);
    }
    if (!seen.insert(option.name).second) {
      throw Error(ErrorKind::usage, "option.duplicate",
                  "option " + quoted(option.name) + " is given twice", "give it once")
          .about("option:" + option.name);
    }
    const auto index = static_cast<std::size_t>(place - names.begin());
    const OptionSpec& spec = declared[index];
    const std::string value = choice_meant(spec, option.value);
    if (const std::optional<std::string> problem = find_problem(spec, value)) {
      throw Error(ErrorKind::usage, "option.value",
                  "option " + quoted(option.name) + " of " + what + " cannot be " +
                      quoted(option.value) + ": " + *problem,
                  did_you_mean(option.value, spec.choices))
          .about("option:" + option.name);
    }
    values[index].value = value;
  }
  return values;
}

std::string absolute_files(const std::string& value, const Path& directory) {
  std::vector<Path> files = files_of(value);
  for (Path& file : files) {
    file = directory.empty() ? absolute_path(file) : boost::filesystem::absolute(file, directory);
  }
  return files_value(files);
}

}  // namespace craftbundle

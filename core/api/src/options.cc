#include "options.h"

#include "craftbundle/detail/base/text.h"

namespace craftbundle {

Options::Options(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
  if (json_.is_object()) return;
  throw Error(ErrorKind::usage, "option.type",
              (place_.empty() ? "the options are" : place_ + " is") + " no JSON object");
}

const Json* Options::find(const char* name) {
  asked_.insert(name);
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void Options::refuse(const std::string& name, const std::string& expected) const {
  throw Error(ErrorKind::usage, "option.type",
              "option " + craftbundle::quoted(place_ + name) + " is not " + expected);
}

std::string Options::text_of(const Json& value, const std::string& name) const {
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  if (!value.is_string()) refuse(name, "text");
  auto text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) refuse(name, "text without zeros");
  return text;
}

bool Options::flag(const char* name) {
  const Json* const value = find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse(name, "true or false");
  return value->get<bool>();
}

std::string Options::text(const char* name) {
  const Json* const value = find(name);
  return value == nullptr ? std::string() : text_of(*value, name);
}

std::string Options::required(const char* name) {
  std::string value = text(name);
  if (!value.empty()) return value;
  throw Error(ErrorKind::usage, "option.missing",
              "option " + craftbundle::quoted(place_ + name) + " is missing");
}

std::string Options::one_of(const char* name, const std::vector<std::string>& choices) {
  const Json* const value = find(name);
  if (value == nullptr) return choices.front();
  for (const std::string& choice : choices) {
    if (*value == choice) return choice;
  }
  refuse(name, "one of " + list_text(choices));
}

int Options::number(const char* name, int least, int most, int otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  const bool fits = value->is_number_integer() && *value >= least && *value <= most;
  if (!fits) {
    refuse(name, "a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value->get<int>();
}

double Options::real(const char* name, double least, double most, double otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  const bool fits = value->is_number() && *value >= least && *value <= most;
  if (!fits) refuse(name, "a number from " + number_text(least) + " to " + number_text(most));
  return value->get<double>();
}

std::vector<std::string> Options::texts(const char* name) {
  const Json* const value = find(name);
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  if (!value->is_array()) return {text_of(*value, name)};
  for (const Json& item : *value) texts.push_back(text_of(item, name));
  return texts;
}

std::vector<OptionValue> Options::values(const char* name) {
  const Json* const value = find(name);
  std::vector<OptionValue> values;
  if (value == nullptr) return values;
  if (!value->is_object()) refuse(name, "an object");
  for (const auto& [key, item] : value->items()) values.push_back({key, text_of(item, name)});
  return values;
}

std::vector<Options> Options::objects(const char* name) {
  const Json* const value = find(name);
  std::vector<Options> objects;
  if (value == nullptr) return objects;
  if (!value->is_array()) refuse(name, "a list");
  for (std::size_t i = 0; i < value->size(); ++i) {
    objects.emplace_back((*value)[i], place_ + name + "[" + std::to_string(i) + "].");
  }
  return objects;
}

void Options::need(const char* name, const char* other) {
  if (find(name) == nullptr || flag(other)) return;
  throw Error(ErrorKind::usage, "option.needs",
              "option " + craftbundle::quoted(place_ + name) + " is for " +
                  craftbundle::quoted(place_ + other) + ", which is not given");
}

void Options::finish() const {
  for (const auto& [name, value] : json_.items()) {
    if (asked_.contains(name)) continue;
    const std::vector<std::string> known(asked_.begin(), asked_.end());
    const std::string near = did_you_mean(name, known);
    throw Error(ErrorKind::usage, "option.unknown",
                "there is no option " + craftbundle::quoted(place_ + name),
                near.empty() ? "there are " + list_text(known, 64) : near);
  }
}

}  // namespace craftbundle

#include "craftbundle/detail/json/json.h"

namespace craftbundle {

std::string json_document(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json error_json(const Error& error) {
  return {{"kind", to_string(error.kind())},
          {"code", error.code()},
          {"message", error.message()},
          {"hint", error.hint()}};
}

Json parse_json(std::string_view text, std::string_view group) {
  const std::string code = std::string(group) + ".syntax";
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorKind::input, code, "no JSON: byte " + std::to_string(error.byte));
  } catch (const Json::exception&) {
    // The only other thing the parser refuses.
    throw Error(ErrorKind::input, code, "holds a number that is too large");
  }
}

JsonReader::JsonReader(const Json& json, std::string_view group, std::string where)
    : json_(json), group_(group), where_(std::move(where)) {
  if (!json.is_object()) refuse("type", (where_.empty() ? "it" : where_) + " is no object");
}

std::string JsonReader::text(const char* key) const {
  return member(key, &Json::is_string, "text").get<std::string>();
}

bool JsonReader::boolean(const char* key) const {
  return member(key, &Json::is_boolean, "true or false").get<bool>();
}

std::uint64_t JsonReader::size(const char* key) const {
  return member(key, &Json::is_number_unsigned, "a size").get<std::uint64_t>();
}

std::int64_t JsonReader::integer(const char* key) const {
  const Json& value = member(key, &Json::is_number_integer, "a whole number");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) {
    refuse("type", place(key) + " is out of range");
  }
  return value.get<std::int64_t>();
}

int JsonReader::small_integer(const char* key) const {
  const std::uint64_t value = size(key);
  if (value > 1'000'000) refuse("type", place(key) + " is out of range");
  return static_cast<int>(value);
}

double JsonReader::real(const char* key) const {
  return member(key, &Json::is_number, "a number").get<double>();
}

std::vector<std::string> JsonReader::texts(const char* key) const {
  std::vector<std::string> items;
  for (const Json& item : member(key, &Json::is_array, "a list")) {
    if (!item.is_string()) refuse("type", place(key) + " holds something else than text");
    items.push_back(item.get<std::string>());
  }
  return items;
}

JsonReader JsonReader::object(const char* key) const {
  return {member(key, &Json::is_object, "an object"), group_, place(key)};
}

const Json& JsonReader::value(const char* key) const {
  const auto found = json_.find(key);
  if (found == json_.end()) refuse("missing", place(key) + " is missing");
  return *found;
}

void JsonReader::refuse(std::string_view check, std::string message) const {
  throw Error(ErrorKind::input, group_ + "." + std::string(check), std::move(message));
}

const Json& JsonReader::member(const char* key, bool (Json::*is)() const noexcept,
                               const char* what) const {
  const Json& value = this->value(key);
  if (!(value.*is)()) refuse("type", place(key) + " is not " + what);
  return value;
}

}  // namespace craftbundle

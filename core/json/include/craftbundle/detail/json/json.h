// JSON as it is written and read everywhere but in the headers of safetensors files. Not installed,
// as every json.h: users of the library get values and text.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// Keys keep the order in which they were added.
using Json = nlohmann::ordered_json;

// Text of a document: indented by two spaces, newline at the end; and on one line, without one.
// Bytes that are not UTF-8, which JSON must be, are replaced.
std::string json_document(const Json& json);
std::string json_line(const Json& json);

// {"kind", "code", "message", "hint"}
Json error_json(const Error& error);

// Reads untrusted text. Throws Error(input, "<group>.syntax") for what is no JSON and for numbers
// that no machine number can hold.
Json parse_json(std::string_view text, std::string_view group);

// An object whose members must be there and have the right type. Numbers must fit in what they are
// read as. Throws Error(input): "<group>.missing", "<group>.type". REQUIRES: the JSON outlives it.
class JsonReader {
 public:
  // `group` is that of the error codes, `where` the place in the document, for messages.
  JsonReader(const Json& json, std::string_view group, std::string where = {});

  bool has(const char* key) const { return json_.contains(key); }
  std::string text(const char* key) const;
  bool boolean(const char* key) const;
  std::uint64_t size(const char* key) const;
  std::int64_t integer(const char* key) const;
  int small_integer(const char* key) const;  // 0 to 1,000,000
  double real(const char* key) const;
  std::vector<std::string> texts(const char* key) const;
  JsonReader object(const char* key) const;
  // The value of a member of any type.
  const Json& value(const char* key) const;

  // `convert` of each object in a list.
  template <typename Convert>
  auto list(const char* key, Convert convert) const {
    const Json& array = member(key, &Json::is_array, "a list");
    std::vector<decltype(convert(std::declval<JsonReader>()))> items;
    for (std::size_t i = 0; i < array.size(); ++i) {
      items.push_back(
          convert(JsonReader(array[i], group_, place(key) + "[" + std::to_string(i) + "]")));
    }
    return items;
  }

  // "components[0].size"
  std::string place(const char* key) const { return where_.empty() ? key : where_ + "." + key; }
  // Throws Error(input, "<group>.<check>").
  [[noreturn]] void refuse(std::string_view check, std::string message) const;

 private:
  const Json& member(const char* key, bool (Json::*is)() const noexcept, const char* what) const;

  const Json& json_;
  std::string group_;
  std::string where_;
};

// A list of `convert` of each item.
template <typename Items, typename Convert>
Json json_list(const Items& items, Convert convert) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(convert(item));
  return array;
}

// {"name", "value"} of an option, a summary item, a part of a key.
template <typename Item>
Json named_json(const Item& item) {
  return {{"name", item.name}, {"value", item.value}};
}
template <typename Item>
Item named_from(const JsonReader& reader) {
  Item item;
  item.name = reader.text("name");
  item.value = reader.text("value");
  return item;
}

}  // namespace craftbundle

#include "json_fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "craftbundle/detail/base/text.h"

namespace craftbundle::transformers {
namespace {

// Sizes beyond these are no model's, and products of a few of them stay far below 2^63.
constexpr std::int64_t kMostSize = 1 << 24;
constexpr std::size_t kMostItems = 256;

}  // namespace

Fields::Fields(const Json& json, std::string what) : json_(json), what_(std::move(what)) {
  if (!json.is_object()) {
    throw Error(ErrorKind::input, "layout.config",
                "the configuration of the " + what_ + " is no object",
                "get config.json again from where the model was made");
  }
}

const Json* Fields::member(const char* key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

bool Fields::has(const char* key) const { return member(key) != nullptr; }

std::int64_t Fields::integer(const char* key) const {
  const Json* json = member(key);
  if (json == nullptr) throw refuse(key, "not there", "a number");
  if (!json->is_number_integer()) throw refuse(key, json->dump(), "an integer");
  const auto value = json->get<std::int64_t>();
  if (value < 0 || value > kMostSize) {
    throw refuse(key, json->dump(), "0 to " + std::to_string(kMostSize));
  }
  return value;
}

std::int64_t Fields::integer(const char* key, std::int64_t fallback) const {
  return has(key) ? integer(key) : fallback;
}

double Fields::real(const char* key, double fallback) const {
  const Json* json = member(key);
  if (json == nullptr) return fallback;
  if (!json->is_number()) throw refuse(key, json->dump(), "a number");
  return json->get<double>();
}

bool Fields::flag(const char* key, bool fallback) const {
  const Json* json = member(key);
  if (json == nullptr) return fallback;
  if (!json->is_boolean()) throw refuse(key, json->dump(), "true or false");
  return json->get<bool>();
}

std::string Fields::text(const char* key, const std::string& fallback) const {
  const Json* json = member(key);
  if (json == nullptr) return fallback;
  if (!json->is_string()) throw refuse(key, json->dump(), "text");
  return json->get<std::string>();
}

std::string Fields::word(const char* key, const std::string& fallback,
                         const std::vector<std::string>& words) const {
  std::string value = text(key, fallback);
  if (std::ranges::count(words, value) == 0)
    throw refuse(key, craftbundle::quoted(value), list_text(words));
  return value;
}

std::vector<std::int64_t> Fields::integers(const char* key,
                                           std::vector<std::int64_t> fallback) const {
  const Json* json = member(key);
  if (json == nullptr) return fallback;
  const bool fits =
      json->is_array() && !json->empty() && json->size() <= 16 &&
      std::ranges::all_of(*json, [](const Json& item) {
        return item.is_number_integer() && item.get<double>() >= 1 && item.get<double>() <= 4096;
      });
  if (!fits) throw refuse(key, json->dump(), "a list of integers");
  return json->get<std::vector<std::int64_t>>();
}

std::vector<double> Fields::reals(const char* key, std::vector<double> fallback) const {
  const Json* json = member(key);
  if (json == nullptr) return fallback;
  const bool fits = json->is_array() && !json->empty() && json->size() <= kMostItems &&
                    std::ranges::all_of(*json, [](const Json& item) { return item.is_number(); });
  if (!fits) throw refuse(key, json->dump(), "a list of numbers");
  return json->get<std::vector<double>>();
}

const Json& Fields::object(const char* key) const {
  const Json& json = *member(key);
  if (!json.is_object()) throw refuse(key, json.dump(), "an object");
  return json;
}

Error Fields::refuse(const char* key, const std::string& found, const std::string& expected) const {
  return Error(
      ErrorKind::input, "layout.config",
      "the " + what_ + " has " + key + ": " + printable(found, 80) + ", expected " + expected,
      "get config.json again from where the model was made");
}

std::string float_text(double value) { return Json(value).dump(); }

}  // namespace craftbundle::transformers

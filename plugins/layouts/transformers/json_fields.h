// Members of a configuration of transformers. What is left out has the default of its class.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "part.h"

namespace craftbundle::transformers {

// Throws Error(input, "layout.config") for members of another type, naming `what` and the member.
// REQUIRES: the JSON outlives it.
class Fields {
 public:
  Fields(const Json& json, std::string what);

  bool has(const char* key) const;  // and is not null
  std::int64_t integer(const char* key) const;
  std::int64_t integer(const char* key, std::int64_t fallback) const;
  double real(const char* key, double fallback) const;
  bool flag(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  std::string word(const char* key, const std::string& fallback,
                   const std::vector<std::string>& words) const;
  std::vector<std::int64_t> integers(const char* key, std::vector<std::int64_t> fallback) const;
  std::vector<double> reals(const char* key, std::vector<double> fallback) const;
  // REQUIRES: has(key).
  const Json& object(const char* key) const;

  // Error(input, "layout.config"): the member is `found`, expected is `expected`.
  Error refuse(const char* key, const std::string& found, const std::string& expected) const;

 private:
  const Json* member(const char* key) const;

  const Json& json_;
  std::string what_;
};

// As YAML and Python write a float: "1.0", "1e-05".
std::string float_text(double value);

}  // namespace craftbundle::transformers

// Options of an operation: a JSON object of which each member is asked for once.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle {

// Functions throw Error(usage), "option.type" for values of another type. A member that is null is
// not there. REQUIRES: the JSON outlives the object.
class Options {
 public:
  // `place`: in front of names, for messages.
  explicit Options(const Json& json, std::string place = {});

  bool flag(const char* name);
  // Empty when it is not there. Numbers and true or false are taken as their text.
  std::string text(const char* name);
  // Throws "option.missing".
  std::string required(const char* name);
  // One of `choices`, of which the first is meant when it is not there.
  std::string one_of(const char* name, const std::vector<std::string>& choices);
  int number(const char* name, int least, int most, int otherwise);
  double real(const char* name, double least, double most, double otherwise);
  // A list, or a single one.
  std::vector<std::string> texts(const char* name);
  // {"name": value, ...}
  std::vector<OptionValue> values(const char* name);
  // Objects in a list.
  std::vector<Options> objects(const char* name);

  // Throws "option.needs" when `name` is there without the flag `other`.
  void need(const char* name, const char* other);
  // Throws "option.unknown" for a member that nobody asked for.
  void finish() const;

 private:
  const Json* find(const char* name);
  std::string text_of(const Json& value, const std::string& name) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;

  const Json& json_;
  std::string place_;
  std::set<std::string> asked_;
};

}  // namespace craftbundle

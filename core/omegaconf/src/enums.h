// Names of enum members in a pickle.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/checkpoint/object.h"

namespace craftbundle::omegaconf {

struct ClassName {
  std::string module;
  std::string name;  // dotted for a nested class
  std::string dotted() const { return module + "." + name; }
};

// Name of a class: a global, or getattr(class, 'Nested') as protocol 2 writes it. nullopt for what
// is computed in another way.
std::optional<ClassName> class_name(Object callable);

// Finds the names of enum members. The forms in a pickle: getattr(Class, 'NAME'), Class(value), and
// for combined flags operator.or_(a, b).
//
// Class(value) does not hold the name; the tables that OmegaConf's EnumNodes carry do. They are
// looked for in `object` and, where that is not enough, in `whole`.
class EnumNames {
 public:
  EnumNames(Object object, std::optional<Object> whole) : object_(object), whole_(whole) {}

  // Name of the member; nullopt when `value` has none of the forms above or no table names it.
  std::optional<std::string> find(Object value);

  // Whether `value` could be an enum member by value, the table for which is not in the file.
  static bool is_by_value(Object value);

 private:
  using Table = std::vector<std::pair<std::string, Object>>;  // in order of definition

  const Table* table(const std::string& enum_class);
  void collect(Object root);
  std::optional<std::string> find_by_value(Object value);
  std::optional<std::string> find_combined(Object value);

  Object object_;
  std::optional<Object> whole_;
  int collected_ = 0;  // 0: nothing, 1: object_, 2: whole_ too
  std::map<std::string, Table> tables_;
};

}  // namespace craftbundle::omegaconf

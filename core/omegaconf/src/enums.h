// Names of enum members in a pickle.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/checkpoint/object.h"

namespace craftbundle::omegaconf {

// Calls `visit` for every object that can be reached from `root`, once each.
template <typename Visitor>
void visit_reachable(Object root, Visitor&& visit) {
  std::vector<bool> seen;
  std::vector<Object> pending = {root};
  while (!pending.empty()) {
    const Object object = pending.back();
    pending.pop_back();
    if (object.id() >= seen.size()) seen.resize(object.id() + std::size_t{1});
    if (seen[object.id()]) continue;
    seen[object.id()] = true;
    visit(object);
    switch (object.kind()) {
      case Kind::list:
      case Kind::tuple:
      case Kind::set:
        for (std::size_t i = 0; i < object.size(); ++i) pending.push_back(object[i]);
        break;
      case Kind::dict:
        for (const auto [key, value] : object.entries()) {
          pending.push_back(key);
          pending.push_back(value);
        }
        if (const auto state = object.state()) pending.push_back(*state);
        break;
      case Kind::call:
        pending.push_back(object.callee());
        pending.push_back(object.arguments());
        if (const auto state = object.state()) pending.push_back(*state);
        for (const Object& item : object.appended()) pending.push_back(item);
        for (const auto& [key, value] : object.assigned()) {
          pending.push_back(key);
          pending.push_back(value);
        }
        break;
      case Kind::persistent:
        pending.push_back(object.persistent_id());
        break;
      default:
        break;
    }
  }
}

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

#include "enums.h"

#include <algorithm>
#include <cstdint>

#include "craftbundle/detail/omegaconf/node.h"
#include "scalar.h"

namespace craftbundle::omegaconf {
namespace {

// Deepest tuple that is compared as the value of an enum member.
constexpr int kValueDepth = 8;
// Deepest nesting of classes.
constexpr std::size_t kNesting = 16;
// Most members of a combined flag.
constexpr std::size_t kFlagMembers = 64;

bool is_call_of(Object object, std::string_view name) {
  return object.is(Kind::call) && object.class_name() == name;
}

std::optional<Object> argument(Object call, std::size_t i, std::size_t count) {
  const Object arguments = call.arguments();
  if (!arguments.is(Kind::tuple) || arguments.size() != count) return std::nullopt;
  return arguments[i];
}

// The 'NAME' of getattr(x, 'NAME').
std::optional<std::string> attribute_name(Object object) {
  if (!is_call_of(object, "builtins.getattr")) return std::nullopt;
  const std::optional<Object> name = argument(object, 1, 2);
  if (!name || !name->is(Kind::string)) return std::nullopt;
  return std::string(name->as_string());
}

std::optional<ConfigKey> as_key(Object value) {
  switch (value.kind()) {
    case Kind::boolean:
      return value.as_bool();
    case Kind::integer:
      return value.as_int();
    case Kind::big_integer:
      return ConfigBigInteger{value.as_text()};
    case Kind::real:
      return value.as_real();
    case Kind::string:
      return std::string(value.as_string());
    case Kind::bytes:
      return ConfigBytes{std::string(value.as_bytes())};
    default:
      return std::nullopt;
  }
}

// Python's ==, for the values that enum members have.
bool equal(Object a, Object b, int depth = 0) {
  if (a == b) return true;
  const std::optional<ConfigKey> left = as_key(a);
  const std::optional<ConfigKey> right = as_key(b);
  if (left || right) return left && right && key_identity(*left) == key_identity(*right);
  if (a.is(Kind::none) || b.is(Kind::none)) return a.kind() == b.kind();
  if (!a.is(Kind::tuple) || !b.is(Kind::tuple)) return false;
  if (a.size() != b.size() || depth == kValueDepth) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(a[i], b[i], depth + 1)) return false;
  }
  return true;
}

}  // namespace

std::optional<ClassName> class_name(Object callable) {
  std::string suffix;
  std::size_t steps = 0;
  while (const auto name = attribute_name(callable)) {
    if (++steps > kNesting) return std::nullopt;
    suffix = "." + *name + suffix;
    callable = *argument(callable, 0, 2);
  }
  if (!callable.is(Kind::global)) return std::nullopt;
  return ClassName{std::string(callable.module()), std::string(callable.qualified_name()) + suffix};
}

bool EnumNames::is_by_value(Object value) {
  return value.is(Kind::call) && !value.state() && argument(value, 0, 1).has_value() &&
         class_name(value.callee()).has_value();
}

std::optional<std::string> EnumNames::find(Object value) {
  if (!value.is(Kind::call)) return std::nullopt;
  if (const auto name = attribute_name(value)) {
    return class_name(*argument(value, 0, 2)) ? name : std::nullopt;
  }
  if (is_call_of(value, "_operator.or_")) return find_combined(value);
  return find_by_value(value);
}

std::optional<std::string> EnumNames::find_by_value(Object value) {
  if (!is_by_value(value)) return std::nullopt;
  const Table* names = table(class_name(value.callee())->dotted());
  if (names == nullptr) return std::nullopt;
  const Object wanted = value.arguments()[0];
  for (const auto& [name, member] : *names) {
    if (equal(member, wanted)) return name;
  }
  if (!wanted.is(Kind::integer) || wanted.as_int() <= 0) return std::nullopt;

  // A combination of flags: the names of its bits in order of definition.
  auto missing = static_cast<std::uint64_t>(wanted.as_int());
  std::string combined;
  for (const auto& [name, member] : *names) {
    if (!member.is(Kind::integer) || member.as_int() <= 0) continue;
    const auto bit = static_cast<std::uint64_t>(member.as_int());
    if ((bit & (bit - 1)) != 0 || (missing & bit) == 0) continue;
    combined += (combined.empty() ? "" : "|") + name;
    missing &= ~bit;
  }
  return missing == 0 ? std::optional(combined) : std::nullopt;
}

// or_(or_(Class.C, Class.B), Class.A): the lowest bit is on the right.
std::optional<std::string> EnumNames::find_combined(Object value) {
  std::vector<std::string> names;
  std::optional<std::string> enum_class;
  bool more = true;
  while (more) {
    more = is_call_of(value, "_operator.or_");
    const std::optional<Object> member = more ? argument(value, 1, 2) : value;
    const std::optional<std::string> name = member ? attribute_name(*member) : std::nullopt;
    if (!name || names.size() == kFlagMembers) return std::nullopt;
    const std::optional<ClassName> member_class = class_name(*argument(*member, 0, 2));
    if (!member_class) return std::nullopt;
    if (enum_class && *enum_class != member_class->dotted()) return std::nullopt;
    enum_class = member_class->dotted();
    names.push_back(*name);
    if (more) value = *argument(value, 0, 2);
  }
  // Python joins the names in order of definition.
  const Table* order = table(*enum_class);
  if (order == nullptr) return std::nullopt;
  const auto place = [&](const std::string& name) {
    return std::find_if(order->begin(), order->end(),
                        [&](const auto& member) { return member.first == name; });
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::string combined = names.front();
  for (std::size_t i = 1; i < names.size(); ++i) combined += "|" + names[i];
  return combined;
}

const EnumNames::Table* EnumNames::table(const std::string& enum_class) {
  for (;; ++collected_) {
    if (const auto found = tables_.find(enum_class); found != tables_.end()) return &found->second;
    if (collected_ == 0) {
      collect(object_);
    } else if (collected_ == 1 && whole_) {
      collect(*whole_);
    } else {
      return nullptr;
    }
  }
}

void EnumNames::collect(Object root) {
  for_each_reachable(root, [&](Object object) {
    if (!is_call_of(object, "omegaconf.nodes.EnumNode")) return;
    const std::optional<Object> type = object.attribute("enum_type");
    const std::optional<Object> fields = object.attribute("fields");
    if (!type || !fields || !fields->is(Kind::dict)) return;
    const std::optional<ClassName> name = class_name(*type);
    if (!name || tables_.contains(name->dotted())) return;
    Table& table = tables_[name->dotted()];
    for (const auto [key, value] : fields->entries()) {
      if (key.is(Kind::string)) table.emplace_back(key.as_string(), value);
    }
  });
}

}  // namespace craftbundle::omegaconf

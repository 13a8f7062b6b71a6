#include "craftbundle/detail/checkpoint/object.h"

#include <array>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "object_tree.h"

namespace craftbundle {
namespace {

[[noreturn]] void throw_type(std::string_view expected, Object found) {
  throw Error(ErrorKind::input, "object.type",
              "expected " + std::string(expected) + ", found " + describe(found));
}

void expect(Object object, Kind kind) {
  if (!object.is(kind)) throw_type(python_name(kind), object);
}

// ('module', class, source file, source text): a class in the legacy layout.
Object without_source(Object callee) {
  if (!callee.is(Kind::persistent)) return callee;
  const Object id = callee.persistent_id();
  const bool is_class = id.is(Kind::tuple) && id.size() > 1 && id[0].is(Kind::string) &&
                        id[0].as_string() == "module";
  return is_class ? id[1] : callee;
}

std::string class_name_of_callee(Object callee) {
  const Object type = without_source(callee);
  return type.is(Kind::global) ? type.class_name() : "<dynamic>";
}

bool has_items(Kind kind) { return kind == Kind::list || kind == Kind::tuple || kind == Kind::set; }

}  // namespace

std::string_view python_name(Kind kind) {
  constexpr std::array<std::string_view, 14> kNames = {
      "None", "bool",  "int",  "int", "float",      "str",    "bytes",
      "list", "tuple", "dict", "set", "class name", "object", "storage reference"};
  return kNames[static_cast<std::size_t>(kind)];
}

Kind Object::kind() const { return tree_->node(id_).kind; }

bool Object::as_bool() const {
  expect(*this, Kind::boolean);
  return tree_->node(id_).integer != 0;
}

std::int64_t Object::as_int() const {
  expect(*this, Kind::integer);
  return tree_->node(id_).integer;
}

double Object::as_real() const {
  if (is(Kind::integer)) return static_cast<double>(tree_->node(id_).integer);
  expect(*this, Kind::real);
  return tree_->node(id_).real;
}

std::string_view Object::as_string() const {
  expect(*this, Kind::string);
  return tree_->text(tree_->node(id_));
}

std::string_view Object::as_bytes() const {
  expect(*this, Kind::bytes);
  return tree_->text(tree_->node(id_));
}

std::string Object::as_text() const {
  if (is(Kind::big_integer)) return std::string(tree_->text(tree_->node(id_)));
  return std::to_string(as_int());
}

std::size_t Object::size() const {
  const Node& node = tree_->node(id_);
  if (node.kind == Kind::dict) return node.run.count / 2;
  if (!has_items(node.kind)) throw_type("a list, tuple, set or dict", *this);
  return node.run.count;
}

Object Object::operator[](std::size_t i) const {
  const Node& node = tree_->node(id_);
  if (!has_items(node.kind)) throw_type("a list, tuple or set", *this);
  return tree_->object(tree_->run(node.run)[i]);
}

DictView Object::entries() const {
  expect(*this, Kind::dict);
  return DictView(*this);
}

std::optional<Object> Object::find(std::string_view key) const {
  expect(*this, Kind::dict);
  const std::span<const std::uint32_t> items = tree_->run(tree_->node(id_).run);
  for (std::size_t i = items.size(); i >= 2; i -= 2) {
    const Node& candidate = tree_->node(items[i - 2]);
    if (candidate.kind == Kind::string && candidate.run.count == key.size() &&
        tree_->text(candidate) == key) {
      return tree_->object(items[i - 1]);
    }
  }
  return std::nullopt;
}

Object Object::at(std::string_view key) const {
  if (std::optional<Object> value = find(key)) return *value;
  constexpr std::size_t kShown = 8;
  std::vector<std::string> keys;
  for (const DictView::Entry entry : entries()) {
    if (keys.size() > kShown) break;
    if (entry.key.is(Kind::string)) keys.emplace_back(entry.key.as_string());
  }
  const std::string there =
      keys.empty() ? "there are no keys" : "there are " + list_text(keys, kShown);
  throw Error(ErrorKind::input, "object.key", "no key " + quoted(key) + "; " + there);
}

std::string Object::class_name() const {
  const Node& node = tree_->node(id_);
  switch (node.kind) {
    case Kind::global:
      return dotted_name(tree_->name_of(node));
    case Kind::call:
      return class_name_of_callee(tree_->object(node.call.callee));
    case Kind::dict:
    case Kind::set:
      switch (node.flavor) {
        case Flavor::ordered_dict:
          return "collections.OrderedDict";
        case Flavor::default_dict:
          return "collections.defaultdict";
        case Flavor::counter:
          return "collections.Counter";
        case Flavor::frozen_set:
          return "frozenset";
        default:
          return std::string(python_name(node.kind));
      }
    default:
      throw_type("a dict, set, class name or object", *this);
  }
}

std::string_view Object::module() const {
  expect(*this, Kind::global);
  return tree_->name_of(tree_->node(id_)).module;
}

std::string_view Object::qualified_name() const {
  expect(*this, Kind::global);
  return tree_->name_of(tree_->node(id_)).name;
}

Object Object::callee() const {
  expect(*this, Kind::call);
  return tree_->object(tree_->node(id_).call.callee);
}

Object Object::arguments() const {
  expect(*this, Kind::call);
  return tree_->object(tree_->node(id_).call.arguments);
}

std::optional<Object> Object::state() const {
  if (!is(Kind::call)) expect(*this, Kind::dict);
  const Extra* extra = tree_->extra(tree_->node(id_));
  if (extra == nullptr || extra->state == kNoNode) return std::nullopt;
  return tree_->object(extra->state);
}

std::optional<Object> Object::attribute(std::string_view name) const {
  expect(*this, Kind::call);
  const std::optional<Object> held = state();
  if (!held) return std::nullopt;
  if (held->is(Kind::dict)) return held->find(name);
  // (__dict__ or None, {slot: value}): slots first, as they cannot be in __dict__ too.
  if (!held->is(Kind::tuple) || held->size() != 2) return std::nullopt;
  for (const std::size_t i : {1U, 0U}) {
    const Object part = (*held)[i];
    if (!part.is(Kind::dict)) continue;
    if (std::optional<Object> value = part.find(name)) return value;
  }
  return std::nullopt;
}

std::vector<Object> Object::appended() const {
  expect(*this, Kind::call);
  std::vector<Object> items;
  if (const Extra* extra = tree_->extra(tree_->node(id_))) {
    for (const NodeId item : tree_->run(extra->appended)) items.push_back(tree_->object(item));
  }
  return items;
}

std::vector<std::pair<Object, Object>> Object::assigned() const {
  expect(*this, Kind::call);
  std::vector<std::pair<Object, Object>> items;
  if (const Extra* extra = tree_->extra(tree_->node(id_))) {
    const std::span<const std::uint32_t> run = tree_->run(extra->assigned);
    for (std::size_t i = 0; i + 1 < run.size(); i += 2) {
      items.emplace_back(tree_->object(run[i]), tree_->object(run[i + 1]));
    }
  }
  return items;
}

Object Object::persistent_id() const {
  expect(*this, Kind::persistent);
  return tree_->object(tree_->node(id_).persistent_id);
}

std::size_t DictView::size() const { return dict_.size(); }

DictView::Entry DictView::entry(std::size_t i) const {
  const ObjectTree& tree = *dict_.tree_;
  const std::span<const std::uint32_t> items = tree.run(tree.node(dict_.id_).run);
  return {tree.object(items[2 * i]), tree.object(items[2 * i + 1])};
}

void append_held(Object object, std::vector<Object>& held) {
  switch (object.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
      for (std::size_t i = 0; i < object.size(); ++i) held.push_back(object[i]);
      break;
    case Kind::dict:
      for (const auto [key, value] : object.entries()) {
        held.push_back(key);
        held.push_back(value);
      }
      if (const auto state = object.state()) held.push_back(*state);
      break;
    case Kind::call:
      held.push_back(object.callee());
      held.push_back(object.arguments());
      if (const auto state = object.state()) held.push_back(*state);
      for (const Object& item : object.appended()) held.push_back(item);
      for (const auto& [key, value] : object.assigned()) {
        held.push_back(key);
        held.push_back(value);
      }
      break;
    case Kind::persistent:
      held.push_back(object.persistent_id());
      break;
    default:
      break;
  }
}

}  // namespace craftbundle

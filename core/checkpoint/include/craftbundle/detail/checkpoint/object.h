// The pickle of a checkpoint as inert data.
//
// A pickle is a program that builds objects. Craftbundle runs only its data part: what would import
// a name becomes a `global`, what would call something becomes a `call`, and neither is ever looked
// up. Meaning is given to a fixed table of names (facts: docs/checkpoint_safety.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,      // fits 64 bits, signed
  big_integer,  // any other integer: decimal text, see Object::as_text()
  real,
  string,  // UTF-8; lone surrogates as three bytes each, as Python's "surrogatepass" writes them
  bytes,   // bytes and bytearray
  list,
  tuple,
  dict,       // dict, OrderedDict, defaultdict, Counter: insertion order is kept
  set,        // set and frozenset
  global,     // a name the pickle refers to: "module.name"
  call,       // callable(args), then state and items given to the result; never run
  persistent  // a persistent id: in checkpoints, a reference to a storage
};

// "dict", "list", "str", "int", "float", "bool", "None", "tensor-like call" ...: Python's word for
// `kind`.
std::string_view python_name(Kind kind);

class ObjectTree;
class DictView;

// A node of an ObjectTree. A small value; valid as long as the tree (in practice: the Checkpoint)
// lives. Accessors that name a kind throw Error(input, "object.type") for any other kind, saying
// what was found.
//
// Thread: reading is safe from any number of threads.
class Object {
 public:
  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }

  bool as_bool() const;
  std::int64_t as_int() const;         // integer
  double as_real() const;              // real or integer
  std::string_view as_string() const;  // string
  std::string_view as_bytes() const;   // bytes
  // Decimal text of an integer or big_integer. A big_integer of more than limits::kIntegerDigits
  // digits reads "<integer of N bytes>".
  std::string as_text() const;

  // Number of elements of a list, tuple or set, or of entries of a dict. Entries with equal keys
  // count each, see DictView.
  std::size_t size() const;
  // Element of a list, tuple or set. REQUIRES: i < size().
  Object operator[](std::size_t i) const;

  // dict: entries in insertion order.
  DictView entries() const;
  // dict: the value under a string key. As in Python the last of several equal keys counts.
  std::optional<Object> find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key).has_value(); }
  // As find(), but throws Error(input, "object.key") naming the key and the keys there are.
  Object at(std::string_view key) const;

  // Class of a dict or set ("dict", "collections.OrderedDict", "frozenset", ...), dotted name of a
  // global, dotted name of what a call calls ("omegaconf.nodes.AnyNode"), "<dynamic>" when the
  // callee is itself computed. Python-2 names are mapped as pickle does (__builtin__ -> builtins).
  std::string class_name() const;

  // global: the two halves of the name, as written but for Python-2 names, which are mapped.
  std::string_view module() const;
  std::string_view qualified_name() const;

  // call: what is called, and its arguments (a tuple for every well-formed pickle).
  Object callee() const;
  Object arguments() const;
  // call or dict: the argument of the last BUILD applied to the object (its __setstate__ or
  // __dict__), if any. An OrderedDict from Module.state_dict() has {'_metadata': ...}.
  std::optional<Object> state() const;
  // call whose state is a dict, or a (dict, slots) pair: the attribute `name`.
  std::optional<Object> attribute(std::string_view name) const;
  // call: items given by APPEND(S), ADDITEMS and SETITEM(S); empty for most.
  std::vector<Object> appended() const;
  std::vector<std::pair<Object, Object>> assigned() const;

  // persistent: its id (a tuple in checkpoints).
  Object persistent_id() const;

  // Whether both are the same node, that is the same object in Python (`is`), not merely equal.
  friend bool operator==(const Object&, const Object&) = default;
  // Stable number of the node in its tree, for visited sets.
  std::uint32_t id() const { return id_; }

 private:
  friend class ObjectTree;
  friend class DictView;
  Object(const ObjectTree* tree, std::uint32_t id) : tree_(tree), id_(id) {}
  const ObjectTree* tree_;
  std::uint32_t id_;
};

// The entries of a dict, in insertion order; of equal string keys all are listed.
class DictView {
 public:
  struct Entry {
    Object key;
    Object value;
  };
  class Iterator {
   public:
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    Entry operator*() const { return view_->entry(i_); }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++i_;
      return old;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.i_ == b.i_; }

   private:
    friend class DictView;
    Iterator(const DictView* view, std::size_t i) : view_(view), i_(i) {}
    const DictView* view_;
    std::size_t i_;
  };
  std::size_t size() const;
  Entry entry(std::size_t i) const;  // REQUIRES: i < size()
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  friend class Object;
  explicit DictView(Object dict) : dict_(dict) {}
  Object dict_;
};

// A name that the pickle refers to (GLOBAL, STACK_GLOBAL, INST, EXT), recorded when the opcode is
// read, so that names in unreachable objects count too.
struct GlobalReference {
  enum class Verdict {
    known,    // given meaning, or harmless data classes every checkpoint has
    unknown,  // not in any table: opaque
    unsafe,   // known to run code, or computed at load time
  };
  std::string name;  // "module.qualified_name", "<dynamic>", or "<ext:N>"
  // As the file spells it, when that is a Python-2 spelling ("__builtin__.eval"); else empty.
  std::string written;
  Verdict verdict = Verdict::unknown;
  // Where it sits, as a Python expression from the root ("['optimizer']['state'][0]"), the first
  // place found; "not in the object" when nothing reachable holds it (popped or overwritten).
  std::string where;
  std::uint64_t count = 0;  // how many opcodes name it
};

// The names that "verdict" is about, for one name. Python-2 spellings are mapped first.
GlobalReference::Verdict judge_global(std::string_view module, std::string_view qualified_name);

// A short, single-line, printable description for people: "dict of 6", "Tensor float32 [33, 32]",
// "numpy.float64 1.5", "pathlib.PosixPath /a/b", "opaque my.module.Class".
std::string describe(Object object);

// Adds every object that `object` itself holds, in the order of the file: elements, keys and
// values, what is called and its arguments, state, items given later, persistent ids.
void append_held(Object object, std::vector<Object>& held);

// Calls `visit(Object)` for `root` and every object that can be reached from it: once each, an
// object before what it holds, in the order of the file. A `visit` that returns bool decides
// whether what the object holds is visited too. Use this instead of recursion: objects of a file
// may hold themselves, or be nested a million deep.
template <typename Visit>
void for_each_reachable(Object root, Visit&& visit) {
  std::unordered_set<std::uint32_t> seen;
  std::vector<Object> pending = {root};
  std::vector<Object> held;
  while (!pending.empty()) {
    const Object object = pending.back();
    pending.pop_back();
    if (!seen.insert(object.id()).second) continue;
    if constexpr (std::is_same_v<std::invoke_result_t<Visit&, Object>, bool>) {
      if (!visit(object)) continue;
    } else {
      visit(object);
    }
    held.clear();
    append_held(object, held);
    pending.insert(pending.end(), held.rbegin(), held.rend());
  }
}

}  // namespace craftbundle

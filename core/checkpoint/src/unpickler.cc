#include "unpickler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "globals.h"
#include "pickle_text.h"

namespace craftbundle {

PickleInput::PickleInput(std::string bytes) : bytes_(std::move(bytes)), total_(bytes_.size()) {}

PickleInput::PickleInput(const InputFile& file, std::uint64_t begin)
    : total_(file.size() - begin), file_(&file), begin_(begin) {}

void PickleInput::fetch(std::size_t count) {
  constexpr std::size_t kLeast = 64 << 10;
  const std::size_t needed = position_ + count;
  if (needed > limits::kPickleBytes) {
    throw Error(ErrorKind::input, "limit.pickle",
                "the pickle is larger than " + human_bytes(limits::kPickleBytes));
  }
  const std::size_t there = bytes_.size();
  const std::size_t wanted = std::max({needed, there * 2, kLeast});
  bytes_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(wanted, total_)));
  file_->read(begin_ + there, std::as_writable_bytes(std::span(bytes_).subspan(there)));
}

bool PickleInput::take_line(std::string_view& line) {
  std::size_t from = position_;
  for (;;) {
    const std::size_t end = bytes_.find('\n', from);
    if (end != std::string::npos) {
      line = std::string_view(bytes_).substr(position_, end - position_);
      position_ = end + 1;
      return true;
    }
    from = bytes_.size();
    if (bytes_.size() == total_) return false;
    fetch(bytes_.size() - position_ + 1);
  }
}

std::string PickleInput::release() {
  bytes_.resize(position_);
  bytes_.shrink_to_fit();
  return std::move(bytes_);
}

namespace {

// Pickle's opcodes, by the names Python gives them.
enum class Op : unsigned char {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  dup = '2',
  real_text = 'F',
  integer_text = 'I',
  bin_int = 'J',
  bin_int1 = 'K',
  long_text = 'L',
  bin_int2 = 'M',
  none = 'N',
  persistent_text = 'P',
  bin_persistent = 'Q',
  reduce = 'R',
  string_text = 'S',
  bin_string = 'T',
  short_bin_string = 'U',
  unicode_text = 'V',
  bin_unicode = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  dict = 'd',
  empty_dict = '}',
  appends = 'e',
  get = 'g',
  bin_get = 'h',
  inst = 'i',
  long_bin_get = 'j',
  list = 'l',
  empty_list = ']',
  obj = 'o',
  put = 'p',
  bin_put = 'q',
  long_bin_put = 'r',
  set_item = 's',
  tuple = 't',
  empty_tuple = ')',
  set_items = 'u',
  bin_real = 'G',
  // Protocol 2.
  proto = 0x80,
  new_obj = 0x81,
  ext1 = 0x82,
  ext2 = 0x83,
  ext4 = 0x84,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  new_true = 0x88,
  new_false = 0x89,
  long1 = 0x8a,
  long4 = 0x8b,
  // Protocol 3.
  bin_bytes = 'B',
  short_bin_bytes = 'C',
  // Protocol 4.
  short_bin_unicode = 0x8c,
  bin_unicode8 = 0x8d,
  bin_bytes8 = 0x8e,
  empty_set = 0x8f,
  add_items = 0x90,
  frozen_set = 0x91,
  new_obj_ex = 0x92,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  // Protocol 5.
  byte_array8 = 0x96,
  next_buffer = 0x97,
  readonly_buffer = 0x98,
};

// What calling a name means. Everything else stays a call.
enum class Meaning : std::uint8_t {
  opaque,
  dict,
  ordered_dict,
  default_dict,
  counter,
  set,
  frozen_set,
  bytes,
  byte_array,
  encode,
};

Meaning meaning_of(std::string_view module, std::string_view name) {
  struct Row {
    std::string_view module;
    std::string_view name;
    Meaning meaning;
  };
  constexpr std::array kRows = {
      Row{"builtins", "dict", Meaning::dict},
      Row{"builtins", "set", Meaning::set},
      Row{"builtins", "frozenset", Meaning::frozen_set},
      Row{"builtins", "bytes", Meaning::bytes},
      Row{"builtins", "bytearray", Meaning::byte_array},
      Row{"collections", "OrderedDict", Meaning::ordered_dict},
      Row{"collections", "defaultdict", Meaning::default_dict},
      Row{"collections", "Counter", Meaning::counter},
      Row{"_codecs", "encode", Meaning::encode},
  };
  for (const Row& row : kRows) {
    if (row.module == module && row.name == name) return row.meaning;
  }
  return Meaning::opaque;
}

// Objects by memo index. Picklers count from 0 or 1; anything far from that goes to a tree, so that
// memory follows the number of entries and never an index.
class Memo {
 public:
  std::size_t size() const { return size_; }

  void put(std::uint64_t index, NodeId id) {
    constexpr std::size_t kGap = 16;
    if (index < dense_.size() + kGap) {
      if (index >= dense_.size()) dense_.resize(static_cast<std::size_t>(index) + 1, kNoNode);
      NodeId& slot = dense_[static_cast<std::size_t>(index)];
      if (slot == kNoNode && !sparse_.contains(index)) ++size_;
      slot = id;
    } else if (sparse_.insert_or_assign(index, id).second) {
      ++size_;
    }
  }

  NodeId get(std::uint64_t index) const {
    if (index < dense_.size() && dense_[static_cast<std::size_t>(index)] != kNoNode) {
      return dense_[static_cast<std::size_t>(index)];
    }
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? kNoNode : found->second;
  }

 private:
  std::vector<NodeId> dense_;
  std::map<std::uint64_t, NodeId> sparse_;
  std::size_t size_ = 0;
};

class Machine {
 public:
  explicit Machine(PickleInput input) : input_(std::move(input)) {}

  Pickle run() {
    while (step()) {
    }
    flatten();
    Pickle pickle;
    pickle.size = input_.position();
    pickle.protocol = protocol_;
    tree_->pickle = input_.release();
    pickle.tree = std::move(tree_);
    return pickle;
  }

 private:
  [[noreturn]] void fail(std::string_view code, const std::string& text) const {
    throw Error(ErrorKind::input, "pickle." + std::string(code),
                "byte " + std::to_string(opcode_position_) + " of the pickle: " + text,
                "the file is damaged; get it again from where it came from");
  }

  [[noreturn]] void fail_limit(std::string_view code, const std::string& text) const {
    throw Error(ErrorKind::input, "limit." + std::string(code),
                "byte " + std::to_string(opcode_position_) + " of the pickle: " + text);
  }

  // ---- input ----

  std::string_view take(std::uint64_t count) {
    if (count > input_.left()) {
      fail("truncated", "needs " + std::to_string(count) + " bytes, but only " +
                            std::to_string(input_.left()) + " are left");
    }
    return input_.take(static_cast<std::size_t>(count));
  }

  template <typename Unsigned>
  Unsigned take_number() {
    return static_cast<Unsigned>(little_endian(take(sizeof(Unsigned))));
  }

  std::string_view take_line() {
    std::string_view line;
    if (!input_.take_line(line)) fail("truncated", "a line of text has no end");
    return line;
  }

  // ---- nodes ----

  NodeId add(Node node) {
    if (tree_->nodes.size() >= limits::kObjectNodes) {
      fail_limit("nodes", "more than " + std::to_string(limits::kObjectNodes) + " objects");
    }
    tree_->nodes.push_back(node);
    return static_cast<NodeId>(tree_->nodes.size() - 1);
  }

  NodeId add(Kind kind, Flavor flavor = Flavor::plain) {
    Node node;
    node.kind = kind;
    node.flavor = flavor;
    return add(node);
  }

  NodeId add_integer(std::int64_t value) {
    Node node;
    node.kind = Kind::integer;
    node.integer = value;
    return add(node);
  }

  NodeId add_boolean(bool value) {
    Node node;
    node.kind = Kind::boolean;
    node.integer = value ? 1 : 0;
    return add(node);
  }

  NodeId add_real(double value) {
    Node node;
    node.kind = Kind::real;
    node.real = value;
    return add(node);
  }

  // Text that was just taken, so that it ends at the input's position.
  NodeId add_taken_text(Kind kind, std::uint64_t length) {
    Node node;
    node.kind = kind;
    node.run.count = static_cast<std::uint32_t>(length);
    node.run.begin = static_cast<std::uint32_t>(input_.position() - length);
    return add(node);
  }

  NodeId add_own_text(Kind kind, std::string_view text) {
    constexpr std::size_t kMost = UINT32_MAX;
    if (text.size() > kMost - tree_->own_text.size()) fail_limit("memory", "too much text");
    Node node;
    node.kind = kind;
    node.flavor = Flavor::own_text;
    node.run.begin = static_cast<std::uint32_t>(tree_->own_text.size());
    node.run.count = static_cast<std::uint32_t>(text.size());
    tree_->own_text += text;
    return add(node);
  }

  NodeId add_tuple(std::span<const NodeId> items) {
    Node node;
    node.kind = Kind::tuple;
    node.run.begin = static_cast<std::uint32_t>(tree_->items.size());
    node.run.count = static_cast<std::uint32_t>(items.size());
    charge(items.size());
    tree_->items.insert(tree_->items.end(), items.begin(), items.end());
    return add(node);
  }

  NodeId add_call(NodeId callee, NodeId arguments) {
    Node node;
    node.kind = Kind::call;
    node.call = {callee, arguments};
    return add(node);
  }

  Node& node(NodeId id) { return tree_->nodes[id]; }
  std::string_view text(NodeId id) {
    const Node& of = node(id);
    if (of.flavor == Flavor::own_text) return tree_->text(of);
    return input_.taken(of.run.begin, of.run.count);
  }

  Extra& extra(NodeId id) {
    Node& of = node(id);
    if (of.link == 0) {
      tree_->extras.emplace_back();
      of.link = static_cast<std::uint32_t>(tree_->extras.size());
    }
    return tree_->extras[of.link - 1];
  }

  // Items are numbered with 32 bits. Every stack operation that adds items consumes as many from
  // the stack, so this holds for every real pickle.
  void charge(std::size_t items) {
    items_ += items;
    if (items_ > kMostItems) fail_limit("nodes", "too many items in lists, tuples and dicts");
  }

  // ---- growing containers ----
  //
  // While the machine runs, the Run of a list, set or dict is {first chunk, last chunk}; a chunk is
  // {next, count, item...} in chunks_. flatten() turns them into runs of items.

  void grow(Run& chain, std::span<const NodeId> items) {
    if (items.empty()) return;
    charge(items.size());
    if (chain.begin != 0) {
      const std::size_t end = chain.count + 2 + std::size_t{chunks_[chain.count + 1]};
      if (end == chunks_.size()) {
        chunks_[chain.count + 1] += static_cast<std::uint32_t>(items.size());
        chunks_.insert(chunks_.end(), items.begin(), items.end());
        return;
      }
    }
    if (chunks_.size() + items.size() + 2 > UINT32_MAX) fail_limit("nodes", "too many items");
    const auto chunk = static_cast<std::uint32_t>(chunks_.size());
    if (chain.begin == 0) {
      chain.begin = chunk;
    } else {
      chunks_[chain.count] = chunk;
    }
    chain.count = chunk;
    chunks_.push_back(0);
    chunks_.push_back(static_cast<std::uint32_t>(items.size()));
    chunks_.insert(chunks_.end(), items.begin(), items.end());
  }

  // A copy of what a list, tuple, set or dict holds so far.
  std::vector<NodeId> items_of(NodeId id) {
    const Node& of = node(id);
    std::vector<NodeId> items;
    if (of.kind == Kind::tuple) {
      charge_copy(of.run.count);
      const auto first = tree_->items.begin() + of.run.begin;
      items.assign(first, first + of.run.count);
      return items;
    }
    for (std::uint32_t chunk = of.run.begin; chunk != 0; chunk = chunks_[chunk]) {
      charge_copy(chunks_[chunk + 1]);
      const auto first = chunks_.begin() + chunk + 2;
      items.insert(items.end(), first, first + chunks_[chunk + 1]);
    }
    return items;
  }

  void flatten(Run& chain) {
    const std::size_t begin = tree_->items.size();
    for (std::uint32_t chunk = chain.begin; chunk != 0; chunk = chunks_[chunk]) {
      const auto first = chunks_.begin() + chunk + 2;
      tree_->items.insert(tree_->items.end(), first, first + chunks_[chunk + 1]);
    }
    chain = {static_cast<std::uint32_t>(begin),
             static_cast<std::uint32_t>(tree_->items.size() - begin)};
  }

  void flatten() {
    tree_->items.reserve(static_cast<std::size_t>(items_));
    for (Node& of : tree_->nodes) {
      if (of.kind == Kind::list || of.kind == Kind::set || of.kind == Kind::dict) flatten(of.run);
    }
    for (Extra& of : tree_->extras) {
      flatten(of.appended);
      flatten(of.assigned);
    }
  }

  // Copying what was read before could multiply a file; no real pickle copies more than it holds.
  void charge_copy(std::size_t amount) {
    copied_ += amount;
    if (copied_ > input_.position()) {
      fail_limit("expansion", "objects are copied more often than the pickle holds them");
    }
  }

  // ---- stack ----

  void push(NodeId id) {
    if (stack_.size() >= limits::kPickleStack) {
      fail_limit("stack",
                 "more than " + std::to_string(limits::kPickleStack) + " objects on the stack");
    }
    stack_.push_back(id);
  }

  // Operands never come from below the last mark.
  std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }

  void require(std::size_t count) const {
    if (stack_.size() - fence() < count) {
      fail("stack", "needs " + std::to_string(count) +
                        " objects on the stack above the last mark, " + "found " +
                        std::to_string(stack_.size() - fence()));
    }
  }

  NodeId top() const {
    require(1);
    return stack_.back();
  }

  NodeId pop() {
    const NodeId id = top();
    stack_.pop_back();
    return id;
  }

  // The objects above the last mark; both go.
  std::vector<NodeId>& pop_to_mark() {
    if (marks_.empty()) fail("mark", "needs a mark, but none is set");
    popped_.assign(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return popped_;
  }

  // ---- names ----

  NodeId add_global(std::string_view module, std::string_view name) {
    if (!is_utf8(module) || !is_utf8(name)) fail("utf8", "a name is not UTF-8");
    const NamePair mapped = map_python2_name(module, name);
    const auto [found, inserted] =
        name_index_.try_emplace({std::string(mapped.module), std::string(mapped.name)},
                                static_cast<std::uint32_t>(tree_->names.size()));
    if (inserted) {
      if (tree_->names.size() >= limits::kPickleNames) {
        fail_limit("names", "more than " + std::to_string(limits::kPickleNames) + " names");
      }
      tree_->names.push_back({found->first.first, found->first.second});
      meanings_.push_back(meaning_of(mapped.module, mapped.name));
    }
    GlobalName& global = tree_->names[found->second];
    if (mapped.module != module || mapped.name != name) {
      global.written = std::string(module) + "." + std::string(name);
    }
    ++global.count;
    Node node;
    node.kind = Kind::global;
    node.link = found->second;
    return add(node);
  }

  NodeId add_extension(std::uint32_t code) {
    if (code == 0 || code > INT32_MAX) fail("extension", "extension code out of range");
    return add_global("", "<ext:" + std::to_string(code) + ">");
  }

  void stack_global() {
    require(2);
    const NodeId name = pop();
    const NodeId module = pop();
    for (const NodeId id : {module, name}) {
      const Kind kind = node(id).kind;
      if (kind != Kind::string && kind != Kind::call) {
        fail("type", "a name must be a str, found " + std::string(python_name(kind)));
      }
    }
    if (node(module).kind == Kind::string && node(name).kind == Kind::string) {
      push(add_global(text(module), text(name)));
    } else {
      push(add_global("", "<dynamic>"));
    }
  }

  // ---- calls ----

  void require_callable(NodeId id) const {
    const Kind kind = tree_->nodes[id].kind;
    // A persistent id can be a class: the legacy layout keeps the source text of modules that way.
    if (kind != Kind::global && kind != Kind::call && kind != Kind::persistent) {
      fail("type", "calls " + std::string(python_name(kind)) + ", which is no callable");
    }
  }

  // A tuple, or an object that may turn out to be one.
  void require_arguments(NodeId id) const {
    const Kind kind = tree_->nodes[id].kind;
    if (kind != Kind::tuple && kind != Kind::call) {
      fail("type", "arguments must be a tuple, found " + std::string(python_name(kind)));
    }
  }

  void call(NodeId callee, NodeId arguments) {
    require_callable(callee);
    require_arguments(arguments);
    if (const std::optional<NodeId> known = interpret(callee, arguments)) {
      push(*known);
    } else {
      push(add_call(callee, arguments));
    }
  }

  std::optional<NodeId> interpret(NodeId callee, NodeId arguments) {
    if (node(callee).kind != Kind::global || node(arguments).kind != Kind::tuple) return {};
    const Meaning meaning = meanings_[node(callee).link];
    constexpr std::uint32_t kMostArguments = 2;
    const Run run = node(arguments).run;
    if (meaning == Meaning::opaque || run.count > kMostArguments) return {};
    const auto first = tree_->items.begin() + run.begin;
    const std::vector<NodeId> args(first, first + run.count);
    switch (meaning) {
      case Meaning::opaque:
        return {};
      case Meaning::dict:
        return make_dict(Flavor::plain, args);
      case Meaning::ordered_dict:
        return make_dict(Flavor::ordered_dict, args);
      case Meaning::counter:
        return make_dict(Flavor::counter, args);
      case Meaning::default_dict:  // (factory) or (factory, items); the factory is never called
        if (args.empty()) return add(Kind::dict, Flavor::default_dict);
        return make_dict(Flavor::default_dict, std::span(args).subspan(1));
      case Meaning::set:
        return make_set(Flavor::plain, args);
      case Meaning::frozen_set:
        return make_set(Flavor::frozen_set, args);
      case Meaning::bytes:
      case Meaning::byte_array:
        return make_bytes(args);
      case Meaning::encode:
        return args.size() == 2 ? encode_latin1(args[0], args[1]) : std::nullopt;
    }
    return {};
  }

  std::optional<NodeId> make_dict(Flavor flavor, std::span<const NodeId> args) {
    if (args.empty()) return add(Kind::dict, flavor);
    if (args.size() != 1) return {};
    std::vector<NodeId> items;
    if (node(args[0]).kind == Kind::dict) {
      items = items_of(args[0]);
    } else if (node(args[0]).kind == Kind::list || node(args[0]).kind == Kind::tuple) {
      for (const NodeId pair : items_of(args[0])) {  // Python 2: OrderedDict([[key, value], ...])
        const Kind kind = node(pair).kind;
        if (kind != Kind::list && kind != Kind::tuple) return {};
        const std::vector<NodeId> key_value = items_of(pair);
        if (key_value.size() != 2) return {};
        items.insert(items.end(), key_value.begin(), key_value.end());
      }
    } else {
      return {};
    }
    return copy_of(Kind::dict, flavor, items);
  }

  std::optional<NodeId> make_set(Flavor flavor, std::span<const NodeId> args) {
    if (args.empty()) return add(Kind::set, flavor);
    if (args.size() != 1) return {};
    const Kind kind = node(args[0]).kind;
    if (kind != Kind::list && kind != Kind::tuple && kind != Kind::set) return {};
    return copy_of(Kind::set, flavor, items_of(args[0]));
  }

  NodeId copy_of(Kind kind, Flavor flavor, const std::vector<NodeId>& items) {
    const NodeId id = add(kind, flavor);
    grow(node(id).run, items);
    return id;
  }

  std::optional<NodeId> make_bytes(std::span<const NodeId> args) {
    if (args.empty()) return add_own_text(Kind::bytes, {});
    if (args.size() == 2) return encode_latin1(args[0], args[1]);
    if (args.size() == 1 && node(args[0]).kind == Kind::bytes) {
      return add(Node(node(args[0])));  // text is shared, nothing is copied
    }
    return {};
  }

  std::optional<NodeId> encode_latin1(NodeId of, NodeId codec) {
    if (node(of).kind != Kind::string || node(codec).kind != Kind::string) return {};
    const std::string_view name = text(codec);
    if (name != "latin1" && name != "latin-1") return {};
    charge_copy(text(of).size());
    const std::optional<std::string> bytes = utf8_to_latin1(text(of));
    if (!bytes) return {};
    return add_own_text(Kind::bytes, *bytes);
  }

  // Keyword arguments stand behind the positional ones: cls(*args, **kwargs) has the arguments
  // (args, kwargs).
  void new_obj_ex() {
    require(3);
    const NodeId keywords = pop();
    const NodeId positional = pop();
    const NodeId callee = pop();
    if (node(keywords).kind != Kind::dict && node(keywords).kind != Kind::call) {
      fail("type", "keyword arguments must be a dict");
    }
    if (node(keywords).kind == Kind::dict && node(keywords).run.begin == 0) {
      call(callee, positional);
      return;
    }
    require_callable(callee);
    require_arguments(positional);
    push(add_call(callee, add_tuple(std::array{positional, keywords})));
  }

  void build() {
    require(2);
    const NodeId state = pop();
    const NodeId target = top();
    const Node& of = node(target);
    switch (of.kind) {
      case Kind::call:
      case Kind::persistent:
        break;
      case Kind::global:  // attributes set on a class: of no meaning here
        return;
      case Kind::dict:
        if (of.flavor != Flavor::plain) break;
        [[fallthrough]];
      default:
        fail("type", "sets the state of " + std::string(python_name(of.kind)));
    }
    extra(target).state = state;
  }

  // ---- filling ----

  // Whether a name may stand for a list or dict of a running Python ("sys.path", "os.environ"),
  // into which a pickle can write. What is written is of no meaning here; that the name is there
  // is.
  bool is_filled_elsewhere(NodeId target) const {
    const Node& of = tree_->nodes[target];
    if (of.kind != Kind::global) return false;
    const GlobalName& name = tree_->names[of.link];
    return judge_global(name.module, name.name) != GlobalReference::Verdict::known;
  }

  void append(NodeId target, std::span<const NodeId> items) {
    switch (node(target).kind) {
      case Kind::list:
        grow(node(target).run, items);
        return;
      case Kind::call:
        grow(extra(target).appended, items);
        return;
      default:
        if (is_filled_elsewhere(target)) return;
        fail("type", "appends to " + std::string(python_name(node(target).kind)));
    }
  }

  void assign(NodeId target, std::span<const NodeId> items) {
    if (items.size() % 2 != 0) fail("type", "a key has no value");
    switch (node(target).kind) {
      case Kind::dict:
        grow(node(target).run, items);
        return;
      case Kind::call:
        grow(extra(target).assigned, items);
        return;
      default:
        if (is_filled_elsewhere(target)) return;
        fail("type", "assigns items of " + std::string(python_name(node(target).kind)));
    }
  }

  void add_items(NodeId target, std::span<const NodeId> items) {
    const Node& of = node(target);
    if (of.kind == Kind::set && of.flavor == Flavor::plain) {
      grow(node(target).run, items);
    } else if (of.kind == Kind::call) {
      grow(extra(target).appended, items);
    } else if (!is_filled_elsewhere(target)) {
      fail("type", "adds items to " + std::string(python_name(of.kind)));
    }
  }

  void filled(Kind kind, Flavor flavor, std::span<const NodeId> items) {
    const NodeId id = add(kind, flavor);
    grow(node(id).run, items);
    push(id);
  }

  // ---- memo ----

  void put(std::uint64_t index) {
    memo_.put(index, top());
    if (memo_.size() > limits::kPickleMemo) {
      fail_limit("memo", "more than " + std::to_string(limits::kPickleMemo) + " memo entries");
    }
  }

  void get(std::uint64_t index) {
    const NodeId id = memo_.get(index);
    if (id == kNoNode) fail("memo", "memo entry " + std::to_string(index) + " was never set");
    push(id);
  }

  std::uint64_t take_index() {
    const std::string_view line = take_line();
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc() || end != line.data() + line.size()) {
      fail("memo", quoted(line, 40) + " is no memo index");
    }
    return index;
  }

  // ---- scalars ----

  void push_bytes(std::uint64_t length) {
    take(length);
    push(add_taken_text(Kind::bytes, length));
  }

  void push_unicode(std::uint64_t length) {
    if (!is_python_utf8(take(length))) fail("utf8", "a str is not UTF-8");
    push(add_taken_text(Kind::string, length));
  }

  // A str of Python 2: text where it is text, else bytes.
  void push_python2_string(std::uint64_t length) {
    const bool is_text = is_python_utf8(take(length));
    push(add_taken_text(is_text ? Kind::string : Kind::bytes, length));
  }

  void push_big_integer(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) {
      push(add_integer(value));
    } else {
      push(add_own_text(Kind::big_integer, text));
    }
  }

  void push_long_bytes(std::uint64_t length) {
    const std::string_view bytes = take(length);
    if (bytes.size() > 8) {
      push_big_integer(decimal_of_twos_complement(bytes));
      return;
    }
    std::uint64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? UINT64_MAX : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
      value = (value << 8U) | static_cast<unsigned char>(bytes[i]);
    }
    push(add_integer(static_cast<std::int64_t>(value)));
  }

  void push_integer_text(std::string_view line) {
    if (line == "00" || line == "01") {
      push(add_boolean(line == "01"));
      return;
    }
    push_decimal(line);
  }

  void push_decimal(std::string_view line) {
    const std::optional<std::string> digits = normal_decimal(line);
    if (!digits) fail("number", quoted(line, 40) + " is no integer");
    push_big_integer(*digits);
  }

  void push_real_text(std::string_view line) {
    std::string_view number = line;
    if (number.starts_with('+')) number.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error == std::errc::invalid_argument || end != number.data() + number.size()) {
      fail("number", quoted(line, 40) + " is no float");
    }
    push(add_real(value));
  }

  void push_real() {
    const std::string_view bytes = take(8);
    std::uint64_t bits = 0;
    for (const char byte : bytes) bits = (bits << 8U) | static_cast<unsigned char>(byte);
    push(add_real(std::bit_cast<double>(bits)));
  }

  void push_string_text(std::string_view line) {
    const std::optional<std::string> text = unescape_python2_string(line);
    if (!text) fail("string", "a str is not quoted as it must be");
    push(add_own_text(is_python_utf8(*text) ? Kind::string : Kind::bytes, *text));
  }

  void push_unicode_text(std::string_view line) {
    const std::optional<std::string> text = unescape_raw_unicode(line);
    if (!text) fail("utf8", "a str has a bad escape");
    push(add_own_text(Kind::string, *text));
  }

  // ---- protocol ----

  void proto() {
    const int version = take_number<std::uint8_t>();
    if (version > 5) {
      fail("protocol", "protocol " + std::to_string(version) + ", known are 0 to 5");
    }
    protocol_ = std::max(protocol_, version);
  }

  void frame() {
    const auto length = take_number<std::uint64_t>();
    if (frame_end_ != 0) fail("frame", "a frame begins within a frame");
    if (length > input_.left()) {
      fail("truncated", "a frame of " + std::to_string(length) + " bytes, but only " +
                            std::to_string(input_.left()) + " are left");
    }
    if (length != 0) frame_end_ = input_.position() + static_cast<std::size_t>(length);
  }

  void check_frame() {
    if (frame_end_ == 0 || input_.position() < frame_end_) return;
    if (input_.position() > frame_end_) fail("frame", "an opcode crosses the end of its frame");
    frame_end_ = 0;
  }

  // Runs one opcode; false after STOP.
  bool step();

  static constexpr std::uint64_t kMostItems = UINT32_MAX / 2;

  PickleInput input_;
  std::shared_ptr<ObjectTree> tree_ = std::make_shared<ObjectTree>();
  std::vector<NodeId> stack_;
  std::vector<std::size_t> marks_;           // heights of the stack
  std::vector<NodeId> popped_;               // reused by pop_to_mark
  std::vector<std::uint32_t> chunks_ = {0};  // 0 stands for "no chunk"
  Memo memo_;
  // A tree, not a hash table: the file chooses the keys.
  std::map<std::pair<std::string, std::string>, std::uint32_t> name_index_;
  std::vector<Meaning> meanings_;  // of tree_->names
  std::uint64_t opcodes_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t copied_ = 0;
  std::size_t opcode_position_ = 0;
  std::size_t frame_end_ = 0;  // 0: in no frame
  int protocol_ = 0;
};

bool Machine::step() {
  opcode_position_ = input_.position();
  if (++opcodes_ > limits::kPickleOpcodes) {
    fail_limit("opcodes", "more than " + std::to_string(limits::kPickleOpcodes) + " opcodes");
  }
  if (input_.left() == 0) fail("truncated", "the pickle ends without STOP");
  const auto op = static_cast<unsigned char>(input_.take(1)[0]);
  switch (static_cast<Op>(op)) {
    case Op::mark:
      if (marks_.size() >= limits::kPickleStack) fail_limit("stack", "too many marks");
      marks_.push_back(stack_.size());
      break;
    case Op::stop:
      tree_->root_id = pop();
      check_frame();
      return false;
    case Op::pop:
      // As in Python, POP takes a mark when nothing lies above it.
      if (!marks_.empty() && stack_.size() == marks_.back()) {
        marks_.pop_back();
      } else {
        pop();
      }
      break;
    case Op::pop_mark:
      pop_to_mark();
      break;
    case Op::dup:
      push(top());
      break;

    case Op::none:
      push(add(Kind::none));
      break;
    case Op::new_true:
      push(add_boolean(true));
      break;
    case Op::new_false:
      push(add_boolean(false));
      break;
    case Op::integer_text:
      push_integer_text(take_line());
      break;
    case Op::bin_int:
      push(add_integer(static_cast<std::int32_t>(take_number<std::uint32_t>())));
      break;
    case Op::bin_int1:
      push(add_integer(take_number<std::uint8_t>()));
      break;
    case Op::bin_int2:
      push(add_integer(take_number<std::uint16_t>()));
      break;
    case Op::long_text: {
      std::string_view line = take_line();
      if (line.ends_with('L')) line.remove_suffix(1);
      push_decimal(line);
      break;
    }
    case Op::long1:
      push_long_bytes(take_number<std::uint8_t>());
      break;
    case Op::long4: {
      const auto length = static_cast<std::int32_t>(take_number<std::uint32_t>());
      if (length < 0) fail("length", "an integer of negative length");
      push_long_bytes(static_cast<std::uint64_t>(length));
      break;
    }
    case Op::real_text:
      push_real_text(take_line());
      break;
    case Op::bin_real:
      push_real();
      break;

    case Op::string_text:
      push_string_text(take_line());
      break;
    case Op::bin_string: {
      const auto length = static_cast<std::int32_t>(take_number<std::uint32_t>());
      if (length < 0) fail("length", "a str of negative length");
      push_python2_string(static_cast<std::uint64_t>(length));
      break;
    }
    case Op::short_bin_string:
      push_python2_string(take_number<std::uint8_t>());
      break;
    case Op::unicode_text:
      push_unicode_text(take_line());
      break;
    case Op::short_bin_unicode:
      push_unicode(take_number<std::uint8_t>());
      break;
    case Op::bin_unicode:
      push_unicode(take_number<std::uint32_t>());
      break;
    case Op::bin_unicode8:
      push_unicode(take_number<std::uint64_t>());
      break;
    case Op::short_bin_bytes:
      push_bytes(take_number<std::uint8_t>());
      break;
    case Op::bin_bytes:
      push_bytes(take_number<std::uint32_t>());
      break;
    case Op::bin_bytes8:
    case Op::byte_array8:
      push_bytes(take_number<std::uint64_t>());
      break;

    case Op::empty_list:
      push(add(Kind::list));
      break;
    case Op::list:
      filled(Kind::list, Flavor::plain, pop_to_mark());
      break;
    case Op::append: {
      require(2);
      const NodeId item = pop();
      append(top(), std::array{item});
      break;
    }
    case Op::appends: {
      const std::vector<NodeId>& items = pop_to_mark();
      append(top(), items);
      break;
    }
    case Op::empty_tuple:
      push(add_tuple({}));
      break;
    case Op::tuple:
      push(add_tuple(pop_to_mark()));
      break;
    case Op::tuple1:
    case Op::tuple2:
    case Op::tuple3: {
      const std::size_t count = op - static_cast<unsigned char>(Op::tuple1) + 1U;
      require(count);
      const NodeId id = add_tuple(std::span(stack_).last(count));
      stack_.resize(stack_.size() - count);
      push(id);
      break;
    }
    case Op::empty_dict:
      push(add(Kind::dict));
      break;
    case Op::dict: {
      const std::vector<NodeId>& items = pop_to_mark();
      const NodeId id = add(Kind::dict);
      assign(id, items);
      push(id);
      break;
    }
    case Op::set_item: {
      require(3);
      const NodeId value = pop();
      const NodeId key = pop();
      assign(top(), std::array{key, value});
      break;
    }
    case Op::set_items: {
      const std::vector<NodeId>& items = pop_to_mark();
      assign(top(), items);
      break;
    }
    case Op::empty_set:
      push(add(Kind::set));
      break;
    case Op::add_items: {
      const std::vector<NodeId>& items = pop_to_mark();
      add_items(top(), items);
      break;
    }
    case Op::frozen_set:
      filled(Kind::set, Flavor::frozen_set, pop_to_mark());
      break;

    case Op::get:
      get(take_index());
      break;
    case Op::bin_get:
      get(take_number<std::uint8_t>());
      break;
    case Op::long_bin_get:
      get(take_number<std::uint32_t>());
      break;
    case Op::put:
      put(take_index());
      break;
    case Op::bin_put:
      put(take_number<std::uint8_t>());
      break;
    case Op::long_bin_put:
      put(take_number<std::uint32_t>());
      break;
    case Op::memoize:
      put(memo_.size());
      break;

    case Op::global: {
      const std::string module(take_line());
      push(add_global(module, take_line()));
      break;
    }
    case Op::stack_global:
      stack_global();
      break;
    case Op::ext1:
      push(add_extension(take_number<std::uint8_t>()));
      break;
    case Op::ext2:
      push(add_extension(take_number<std::uint16_t>()));
      break;
    case Op::ext4:
      push(add_extension(take_number<std::uint32_t>()));
      break;
    case Op::reduce:
    case Op::new_obj: {
      require(2);
      const NodeId arguments = pop();
      call(pop(), arguments);
      break;
    }
    case Op::new_obj_ex:
      new_obj_ex();
      break;
    case Op::inst: {
      const std::string module(take_line());
      const NodeId callee = add_global(module, take_line());
      call(callee, add_tuple(pop_to_mark()));
      break;
    }
    case Op::obj: {
      const std::vector<NodeId>& items = pop_to_mark();
      if (items.empty()) fail("stack", "a call without a class");
      const NodeId callee = items.front();
      call(callee, add_tuple(std::span(items).subspan(1)));
      break;
    }
    case Op::build:
      build();
      break;

    case Op::bin_persistent: {
      Node node;
      node.kind = Kind::persistent;
      node.persistent_id = pop();
      push(add(node));
      break;
    }
    case Op::persistent_text:
      fail("persid", "a persistent id that is text, which torch.save never writes");
    case Op::next_buffer:
    case Op::readonly_buffer:
      fail("opcode", "refers to a buffer outside of the file");

    case Op::proto:
      proto();
      break;
    case Op::frame:
      frame();
      return true;
    default: {
      const std::uint8_t byte[] = {op};
      fail("opcode", "unknown opcode 0x" + hex(byte));
    }
  }
  check_frame();
  return true;
}

}  // namespace

Pickle read_pickle(PickleInput input) { return Machine(std::move(input)).run(); }

}  // namespace craftbundle

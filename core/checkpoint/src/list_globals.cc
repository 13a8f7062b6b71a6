// Verdicts on the names of a pickle, and where they sit.
#include <deque>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "globals.h"
#include "object_tree.h"

namespace craftbundle {
namespace {

using Verdict = GlobalReference::Verdict;

constexpr std::string_view kNowhere = "not in the object";
constexpr std::string_view kState = ".__dict__";
constexpr std::size_t kLongestPlace = 400;

bool is_identifier(std::string_view text) {
  return !text.empty() && text.find_first_not_of(
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                              "0123456789_") == std::string_view::npos;
}

bool starts_upper(std::string_view text) {
  return !text.empty() && text.front() >= 'A' && text.front() <= 'Z';
}

// Judges the uses of names that are harmless or not depending on what they are applied to: enum
// members and nested classes are getattr(Class, 'NAME') in protocol 2, type hints are
// getitem(typing.List, int) and reduce(or_, (int, str)), NoneType is type(None).
//
// A name is known when every use of it is such a call, and unsafe otherwise.
class UseJudge {
 public:
  explicit UseJudge(const ObjectTree& tree) : tree_(tree) {}

  std::vector<Verdict> verdicts() {
    std::vector<Verdict> result;
    bool any_by_use = false;
    for (const GlobalName& name : tree_.names) {
      result.push_back(judge_global(name.module, name.name));
      by_use_.push_back(is_judged_by_use(name.module, name.name));
      any_by_use = any_by_use || by_use_.back();
    }
    if (!any_by_use) return result;
    uses_.resize(tree_.names.size());
    direct_ = &result;
    look_at_calls();
    look_at_values();
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!by_use_[i]) continue;
      result[i] = uses_[i].good && !uses_[i].bad ? Verdict::known : Verdict::unsafe;
    }
    return result;
  }

 private:
  struct Uses {
    bool good = false;
    bool bad = false;
  };
  enum class Member : std::uint8_t { none, value, type };  // of a class: what getattr gives

  const GlobalName* name(NodeId id) const {
    const Node& node = tree_.node(id);
    return node.kind == Kind::global ? &tree_.name_of(node) : nullptr;
  }

  bool is_global(NodeId id, std::string_view module, std::string_view called) const {
    const GlobalName* of = name(id);
    return of != nullptr && of->module == module && of->name == called;
  }

  // Callees and arguments are made before the call, so one pass in order sees them first.
  void look_at_calls() {
    members_.resize(tree_.nodes.size(), Member::none);
    for (NodeId id = 0; id < tree_.nodes.size(); ++id) {
      const Node& node = tree_.node(id);
      if (node.kind != Kind::call) continue;
      const Node& callee = tree_.node(node.call.callee);
      if (callee.kind == Kind::call && members_[node.call.callee] == Member::value) {
        mark_bad(callee.call.callee);  // getattr(Class, 'method')(...)
      }
      if (callee.kind != Kind::global || !by_use_[callee.link]) continue;
      (is_harmless(id) ? uses_[callee.link].good : uses_[callee.link].bad) = true;
    }
  }

  // A name that is handed on could be called by whoever gets it.
  void look_at_values() {
    for (const NodeId item : tree_.items) mark_bad(item);
    for (const Extra& extra : tree_.extras) {
      if (extra.state != kNoNode) mark_bad(extra.state);
    }
    for (const Node& node : tree_.nodes) {
      if (node.kind == Kind::persistent) mark_bad(node.persistent_id);
    }
    if (tree_.root_id != kNoNode) mark_bad(tree_.root_id);
  }

  void mark_bad(NodeId id) {
    const Node& node = tree_.node(id);
    if (node.kind == Kind::global && by_use_[node.link]) uses_[node.link].bad = true;
  }

  bool is_harmless(NodeId id) {
    const Node& node = tree_.node(id);
    const Node& arguments = tree_.node(node.call.arguments);
    if (arguments.kind != Kind::tuple) return false;
    const std::span<const std::uint32_t> args = tree_.run(arguments.run);
    const GlobalName& callee = *name(node.call.callee);
    if (callee.name == "type") return args.size() == 1;
    if (args.size() != 2) return false;
    if (callee.name == "reduce") {
      return is_global(args[0], "_operator", "or_") || is_global(args[0], "operator", "or_");
    }
    if (callee.name == "getitem") {
      const GlobalName* subscripted = name(args[0]);
      return subscripted != nullptr && judge_at(args[0]) != Verdict::unsafe;
    }
    members_[id] = judge_getattr(args[0], args[1]);
    return members_[id] != Member::none;
  }

  Verdict judge_at(NodeId global) const { return (*direct_)[tree_.node(global).link]; }

  Member judge_getattr(NodeId owner, NodeId attribute) const {
    const Node& attribute_node = tree_.node(attribute);
    if (attribute_node.kind != Kind::string) return Member::none;
    const std::string_view member = tree_.text(attribute_node);
    if (!is_identifier(member) || member.front() == '_') return Member::none;
    const Member kind = starts_upper(member) ? Member::type : Member::value;
    if (tree_.node(owner).kind == Kind::call) {
      return members_[owner] == Member::type ? kind : Member::none;
    }
    const GlobalName* of = name(owner);
    if (of == nullptr || judge_at(owner) == Verdict::unsafe) return Member::none;
    if (!starts_upper(of->name.substr(of->name.rfind('.') + 1))) return Member::none;
    // Members of an enum may have any name, but classes of libraries have methods.
    return kind == Member::value && is_library_module(of->module) ? Member::none : kind;
  }

  const ObjectTree& tree_;
  std::vector<bool> by_use_;     // of each name
  std::vector<Uses> uses_;       // of each name
  std::vector<Member> members_;  // of each node
  const std::vector<Verdict>* direct_ = nullptr;
};

// Finds the first place of every name, walking from the root in breadth, so that places are short.
class Places {
 public:
  explicit Places(const ObjectTree& tree)
      : tree_(tree),
        ways_(tree.nodes.size()),
        depths_(tree.nodes.size()),
        first_(tree.names.size(), kNoNode) {
    std::size_t missing = tree.names.size();
    std::deque<NodeId> queue = {tree.root_id};
    ways_[tree.root_id].parent = tree.root_id;
    while (!queue.empty() && missing > 0) {
      const NodeId id = queue.front();
      queue.pop_front();
      const Node& node = tree.node(id);
      const std::size_t name = name_of(node);
      if (name != kNoName && first_[name] == kNoNode) {
        first_[name] = id;
        --missing;
      }
      const std::size_t count = tree.child_count(id);
      for (std::size_t i = 0; i < count; ++i) {
        const NodeId child = tree.child(id, i);
        if (ways_[child].parent != kNoNode) continue;
        // What lies deeper than is shown shares the end of its way, so that no way is long.
        ways_[child] = depths_[id] > limits::kPrintedDepth ? ways_[id]
                                                           : Way{id, static_cast<std::uint32_t>(i)};
        depths_[child] = static_cast<std::uint8_t>(depths_[ways_[child].parent] + 1);
        queue.push_back(child);
      }
    }
  }

  std::string of(std::size_t name) const {
    if (first_[name] == kNoNode) return std::string(kNowhere);
    std::vector<NodeId> path;
    for (NodeId id = first_[name]; id != tree_.root_id; id = ways_[id].parent) path.push_back(id);
    if (path.empty()) return "the object itself";
    std::string text;
    std::size_t shown = 0;
    for (auto id = path.rbegin(); id != path.rend(); ++id) {
      if (++shown > limits::kPrintedDepth || text.size() > kLongestPlace) return text + "...";
      const std::string next = step(*id);
      const auto after = id + 1;
      const std::string attribute =
          next == kState && after != path.rend() ? attribute_step(*after) : std::string();
      if (attribute.empty()) {
        text += next;
      } else {
        text += attribute;
        id = after;
      }
    }
    return text.empty() ? "the object itself" : text;
  }

 private:
  static constexpr std::size_t kNoName = SIZE_MAX;

  // The name that a global is, or that made a dict or set.
  std::size_t name_of(const Node& node) const {
    if (node.kind == Kind::global) return node.link;
    switch (node.flavor) {
      case Flavor::ordered_dict:
        return ordered_dict_;
      case Flavor::default_dict:
        return default_dict_;
      case Flavor::counter:
        return counter_;
      case Flavor::frozen_set:
        return frozen_set_;
      default:
        return kNoName;
    }
  }

  std::size_t find_name(std::string_view module, std::string_view name) const {
    for (std::size_t i = 0; i < tree_.names.size(); ++i) {
      if (tree_.names[i].module == module && tree_.names[i].name == name) return i;
    }
    return kNoName;
  }

  struct Way {
    NodeId parent = kNoNode;
    std::uint32_t index = 0;  // among the parent's children
  };

  std::string subscript(NodeId key) const {
    constexpr std::size_t kShown = 64;
    const Object object = tree_.object(key);
    if (object.is(Kind::string)) return "[" + quoted(object.as_string(), kShown) + "]";
    if (object.is(Kind::integer)) return "[" + object.as_text() + "]";
    return "[" + describe(object) + "]";
  }

  // ".name" for a value in a state; empty when its key is no name.
  std::string attribute_step(NodeId id) const {
    const Node& state = tree_.node(ways_[id].parent);
    const std::size_t i = ways_[id].index;
    if (state.kind != Kind::dict || i >= state.run.count || i % 2 == 0) return {};
    const Object key = tree_.object(tree_.run(state.run)[i - 1]);
    constexpr std::size_t kLongest = 64;
    if (!key.is(Kind::string) || key.as_string().size() > kLongest ||
        !is_identifier(key.as_string())) {
      return {};
    }
    return "." + std::string(key.as_string());
  }

  std::string item_step(std::span<const std::uint32_t> entries, std::size_t i) const {
    if (i % 2 == 1) return subscript(entries[i - 1]);
    return ".keys()[" + std::to_string(i / 2) + "]";
  }

  std::string step(NodeId id) const {
    const Node& parent = tree_.node(ways_[id].parent);
    std::size_t i = ways_[id].index;
    const Extra* extra = tree_.extra(parent);
    switch (parent.kind) {
      case Kind::list:
      case Kind::tuple:
        return "[" + std::to_string(i) + "]";
      case Kind::set:
        return ".elements[" + std::to_string(i) + "]";
      case Kind::dict:
        if (i < parent.run.count) return item_step(tree_.run(parent.run), i);
        return std::string(kState);
      case Kind::persistent:
        return i == 0 ? ".id" : std::string(kState);
      case Kind::call:
        if (i == 0) return "";  // the object's own class
        if (i == 1) return ".args";
        i -= 2;
        if (extra->state != kNoNode && i-- == 0) return std::string(kState);
        if (i < extra->appended.count) return "[" + std::to_string(i) + "]";
        return item_step(tree_.run(extra->assigned), i - extra->appended.count);
      default:
        return "";
    }
  }

  const ObjectTree& tree_;
  const std::size_t ordered_dict_ = find_name("collections", "OrderedDict");
  const std::size_t default_dict_ = find_name("collections", "defaultdict");
  const std::size_t counter_ = find_name("collections", "Counter");
  const std::size_t frozen_set_ = find_name("builtins", "frozenset");
  std::vector<Way> ways_;
  std::vector<std::uint8_t> depths_;  // of each node below the root, or one more than is shown
  std::vector<NodeId> first_;         // node of each name
};

}  // namespace

std::string dotted_name(const GlobalName& name) {
  return name.module.empty() ? name.name : name.module + "." + name.name;
}

std::size_t ObjectTree::child_count(NodeId id) const {
  const Node& of = node(id);
  const Extra* more = extra(of);
  std::size_t count = 0;
  switch (of.kind) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::dict:
      count = of.run.count;
      break;
    case Kind::persistent:
      count = 1;
      break;
    case Kind::call:
      count = 2;
      break;
    default:
      return 0;
  }
  if (more == nullptr) return count;
  return count + (more->state == kNoNode ? 0 : 1) + more->appended.count + more->assigned.count;
}

NodeId ObjectTree::child(NodeId id, std::size_t i) const {
  const Node& of = node(id);
  if (of.kind == Kind::call) {
    if (i == 0) return of.call.callee;
    if (i == 1) return of.call.arguments;
    i -= 2;
  } else if (of.kind == Kind::persistent) {
    if (i == 0) return of.persistent_id;
    i -= 1;
  } else {
    if (i < of.run.count) return items[of.run.begin + i];
    i -= of.run.count;
  }
  const Extra& more = *extra(of);
  if (more.state != kNoNode && i-- == 0) return more.state;
  if (i < more.appended.count) return items[more.appended.begin + i];
  return items[more.assigned.begin + (i - more.appended.count)];
}

std::vector<GlobalReference> list_globals(const ObjectTree& tree) {
  const std::vector<Verdict> verdicts = UseJudge(tree).verdicts();
  const Places places(tree);
  std::vector<GlobalReference> references;
  references.reserve(tree.names.size());
  for (std::size_t i = 0; i < tree.names.size(); ++i) {
    const GlobalName& name = tree.names[i];
    references.push_back({dotted_name(name), name.written, verdicts[i], places.of(i), name.count});
  }
  return references;
}

}  // namespace craftbundle

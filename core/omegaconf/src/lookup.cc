#include "lookup.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "scalar.h"

namespace craftbundle::omegaconf {
namespace {

// References that one look-up may follow; references to references multiply.
constexpr std::size_t kSteps = 10'000;

constexpr std::string_view kOpen = "${";

[[noreturn]] void refuse(std::string_view text, const std::string& problem) {
  throw Error(ErrorKind::input, "config.interpolation",
              "the interpolation " + quoted(text) + " " + problem);
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Characters that end a key inside ${...}.
bool ends_key(char c) {
  return std::string_view("\\{}()[]:. \t'\"").find(c) != std::string_view::npos;
}

// What str() gives in Python for a value in the middle of a text; null for a container.
std::optional<std::string> python_text(const ConfigNode& node) {
  if (node.is_null()) return "None";
  if (const auto* flag = node.get_if<bool>()) return *flag ? "True" : "False";
  if (const auto* number = node.get_if<std::int64_t>()) return std::to_string(*number);
  if (const auto* big = node.get_if<ConfigBigInteger>()) return big->digits;
  if (const auto* real = node.get_if<double>()) return python_repr(*real);
  if (const auto* text = node.get_if<std::string>()) return *text;
  return std::nullopt;
}

}  // namespace

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  std::size_t i = 0;
  while (i <= key.size()) {
    if (i < key.size() && key[i] == '[') {
      const std::size_t close = std::min(key.find(']', i), key.size());
      parts.emplace_back(key.substr(i + 1, close - i - 1));
      i = close + 1;
      if (i >= key.size()) break;
      if (key[i] == '.') ++i;
      continue;
    }
    const std::size_t end = std::min(key.find_first_of(".[", i), key.size());
    parts.emplace_back(key.substr(i, end - i));
    if (end == key.size()) break;
    i = key[end] == '.' ? end + 1 : end;
  }
  return parts;
}

const ConfigNode* child(const ConfigNode& container, std::string_view key) {
  if (const auto* list = container.get_if<ConfigNode::List>()) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    const bool sound = error == std::errc{} && end == key.data() + key.size();
    return sound && index < list->size() ? &(*list)[index] : nullptr;
  }
  const auto* mapping = container.get_if<ConfigNode::Mapping>();
  if (mapping == nullptr) return nullptr;
  // A key that is no string answers to its text where no string key has it.
  const ConfigNode* other = nullptr;
  for (const ConfigEntry& entry : *mapping) {
    if (const auto* text = std::get_if<std::string>(&entry.key)) {
      if (*text == key) return &entry.value;
    } else if (other == nullptr && key_text(entry.key) == key) {
      other = &entry.value;
    }
  }
  return other;
}

bool is_interpolation(const ConfigNode& node) {
  const auto* text = node.get_if<std::string>();
  return text != nullptr && text->find(kOpen) != std::string::npos;
}

bool is_missing(const ConfigNode& node) {
  const auto* text = node.get_if<std::string>();
  return text != nullptr && *text == "???";
}

// Reads the text of an interpolated value: "a ${b.c} d".
class Lookup::Parser {
 public:
  Parser(Lookup& lookup, const Trail& container, std::string_view text)
      : lookup_(lookup), container_(container), text_(text) {}

  Trail value() {
    if (text_.starts_with(kOpen)) {
      i_ = kOpen.size();
      Trail trail = reference();
      if (i_ == text_.size()) return trail;
      i_ = 0;
    }
    lookup_.made_.push_back({mixed_text()});
    Trail trail = container_;
    trail.push_back(&lookup_.made_.back());
    return trail;
  }

 private:
  // Text with references in it. Backslashes before "${" come in pairs that stand for one; an odd
  // one makes the "${" text.
  std::string mixed_text() {
    std::string result;
    while (i_ < text_.size()) {
      const std::size_t open = std::min(text_.find(kOpen, i_), text_.size());
      std::size_t slashes = 0;
      while (open < text_.size() && slashes < open - i_ && text_[open - slashes - 1] == '\\') {
        ++slashes;
      }
      result += text_.substr(i_, open - i_ - slashes);
      result.append(slashes / 2, '\\');
      i_ = open;
      if (open == text_.size()) break;
      i_ += kOpen.size();
      if (slashes % 2 == 1) {
        result += kOpen;
      } else {
        const std::size_t begin = i_;
        const Trail trail = reference();
        result += lookup_.text_of(trail, text_.substr(begin, i_ - begin - 1));
      }
      if (result.size() > limits::kConfigTextBytes) refuse(text_, "makes too long a text");
    }
    return result;
  }

  // What follows "${", up to and with the "}".
  Trail reference() {
    if (++nesting_ > limits::kConfigDepth) refuse(text_, "nests too deep");
    skip_blanks();
    std::string key;
    while (peek() == '.') key += take();
    bool expects_key = true;
    while (true) {
      if (expects_key && peek() == '[') {
        key += take();
        key += key_part();
        if (peek() != ']') malformed();
        key += take();
      } else if (expects_key) {
        key += key_part();
      }
      expects_key = peek() == '.' || peek() == '[';
      if (!expects_key) break;
      if (peek() == '.') key += take();
    }
    skip_blanks();
    if (peek() == ':' && lookup_.resolver_ != nullptr) return call(key);
    if (peek() == ':') {
      throw Error(ErrorKind::input, "config.resolver",
                  "the interpolation " + quoted(text_) + " calls the resolver " + quoted(key) +
                      ", which is not run",
                  "write the value into the configuration");
    }
    if (peek() != '}') malformed();
    ++i_;
    --nesting_;
    return lookup_.refer(container_, key);
  }

  // The call of a resolver, from the ":" up to and with the "}".
  Trail call(const std::string& name) {
    std::vector<std::string> arguments;
    do {
      ++i_;
      arguments.push_back(argument());
    } while (peek() == ',');
    if (arguments == std::vector<std::string>{""}) arguments.clear();
    if (peek() != '}') malformed();
    ++i_;
    --nesting_;
    lookup_.made_.push_back({(*lookup_.resolver_)(name, arguments)});
    Trail trail = container_;
    trail.push_back(&lookup_.made_.back());
    return trail;
  }

  // Text up to a comma or the end of the call, without the blanks around it; quotes protect.
  std::string argument() {
    skip_blanks();
    std::string result;
    if (peek() == '\'' || peek() == '"') {
      const char quote = take();
      const std::size_t close = text_.find(quote, i_);
      if (close == std::string_view::npos) malformed();
      result = text_.substr(i_, close - i_);
      i_ = close + 1;
      skip_blanks();
      return result;
    }
    while (i_ < text_.size() && peek() != ',' && peek() != '}') {
      if (text_.substr(i_).starts_with(kOpen)) {
        const std::size_t begin = i_ += kOpen.size();
        const Trail trail = reference();
        result += lookup_.text_of(trail, text_.substr(begin, i_ - begin - 1));
      } else {
        result += take();
      }
    }
    while (!result.empty() && is_blank(result.back())) result.pop_back();
    return result;
  }

  std::string key_part() {
    if (text_.substr(i_).starts_with(kOpen)) {
      i_ += kOpen.size();
      const Trail trail = reference();
      const auto* text = trail.back()->get_if<std::string>();
      if (text == nullptr) {
        refuse(text_, "uses a value of type " + std::string(type_name(*trail.back())) +
                          " as a key; expected a string");
      }
      return *text;
    }
    const std::size_t begin = i_;
    while (i_ < text_.size() && !ends_key(text_[i_]) && !text_.substr(i_).starts_with(kOpen)) ++i_;
    // A resolver needs no name: "${:x}".
    if (i_ == begin && peek() != ':') malformed();
    return std::string(text_.substr(begin, i_ - begin));
  }

  void skip_blanks() {
    while (is_blank(peek())) ++i_;
  }
  char peek() const { return i_ < text_.size() ? text_[i_] : '\0'; }
  char take() { return text_[i_++]; }
  [[noreturn]] void malformed() const { refuse(text_, "is malformed"); }

  Lookup& lookup_;
  const Trail& container_;
  std::string_view text_;
  std::size_t i_ = 0;
  std::size_t nesting_ = 0;
};

Trail Lookup::resolve(Trail trail) {
  const ConfigNode* node = trail.back();
  if (!is_interpolation(*node)) return trail;
  const std::string& text = *node->get_if<std::string>();
  // Text that an interpolation made is final, whatever it looks like.
  const bool is_made = std::any_of(made_.begin(), made_.end(),
                                   [&](const ConfigNode& made) { return &made == node; });
  if (is_made) return trail;
  if (++steps_ > kSteps) refuse(text, "leads to too many others");
  if (std::find(active_.begin(), active_.end(), node) != active_.end()) {
    refuse(text, "refers to itself");
  }
  if (active_.size() == limits::kConfigDepth) refuse(text, "leads too far");

  trail.pop_back();
  active_.push_back(node);
  Trail result = Parser(*this, trail, text).value();
  active_.pop_back();
  return result;
}

Trail Lookup::evaluate(std::string_view text) {
  const Trail root = {&root_};
  made_.push_back({std::string(text)});
  const ConfigNode& node = made_.back();
  if (is_interpolation(node)) return Parser(*this, root, *node.get_if<std::string>()).value();
  return {&root_, &node};
}

ConfigNode Lookup::resolved_copy(const Trail& trail) {
  const Trail target = resolve(trail);
  if (++steps_ > kSteps) refuse("", "leads to too many others");
  const auto below = [&](const ConfigNode& child) {
    Trail longer = target;
    longer.push_back(&child);
    return resolved_copy(longer);
  };
  ConfigNode copy;
  if (const auto* list = target.back()->get_if<ConfigNode::List>()) {
    ConfigNode::List items;
    for (const ConfigNode& item : *list) items.push_back(below(item));
    copy.value = std::move(items);
  } else if (const auto* mapping = target.back()->get_if<ConfigNode::Mapping>()) {
    ConfigNode::Mapping entries;
    for (const ConfigEntry& entry : *mapping) entries.push_back({entry.key, below(entry.value)});
    copy.value = std::move(entries);
  } else {
    copy = *target.back();
  }
  return copy;
}

Trail Lookup::find(Trail trail, std::string_view key) {
  if (key.empty()) return trail;
  const std::vector<std::string> parts = split_key(key);
  for (const std::string& part : parts) {
    trail = resolve(std::move(trail));
    const ConfigNode* next = child(*trail.back(), part);
    if (next == nullptr) return {};
    trail.push_back(next);
  }
  return trail;
}

Trail Lookup::refer(const Trail& container, std::string_view key) {
  const std::string_view written = key;
  Trail base = {&root_};
  if (key.starts_with('.')) {
    base = container;
    key.remove_prefix(1);
    for (; key.starts_with('.'); key.remove_prefix(1)) {
      base.pop_back();
      if (base.empty()) refuse(written, "goes above the root of the configuration");
    }
  }
  Trail target = find(std::move(base), key);
  if (target.empty()) {
    throw Error(ErrorKind::input, "config.interpolation",
                "the interpolation " + quoted(written) + " refers to a key that does not exist")
        .about("key:" + std::string(written));
  }
  if (is_missing(*target.back())) refuse(written, "refers to a value that is missing (\?\?\?)");
  target = resolve(std::move(target));
  if (std::find(container.begin(), container.end(), target.back()) != container.end()) {
    refuse(written, "refers to a container that holds it");
  }
  return target;
}

std::string Lookup::text_of(const Trail& resolved, std::string_view key) const {
  if (auto text = python_text(*resolved.back())) return *std::move(text);
  refuse(key, "puts a value of type " + std::string(type_name(*resolved.back())) +
                  " into text; expected a scalar");
}

}  // namespace craftbundle::omegaconf

namespace craftbundle {

bool has_interpolation(std::string_view text) { return text.find("${") != std::string_view::npos; }

ConfigNode interpolate(const ConfigNode& root, std::string_view text, const Resolver& resolver) {
  omegaconf::Lookup lookup(root, &resolver);
  return lookup.resolved_copy(lookup.evaluate(text));
}

}  // namespace craftbundle

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/yaml/yaml.h"
#include "fuzz_target.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// Every place is one in a text of this many bytes.
void check_place(const YamlMark& mark, std::size_t bytes) {
  require(mark.source == 7 && mark.line >= 1 && mark.column >= 1);
  require(static_cast<std::size_t>(mark.line) <= bytes + 1);
  require(static_cast<std::size_t>(mark.column) <= bytes + 1);
}

void check(const YamlNode& node, std::size_t bytes) {
  check_place(node.mark, bytes);
  require(node.type == YamlNode::Type::list || node.items.empty());
  require(node.type == YamlNode::Type::map || node.entries.empty());
  for (const YamlNode& item : node.items) check(item, bytes);
  std::vector<std::string> keys;
  for (const YamlNode::Entry& entry : node.entries) {
    require(entry.key.type == YamlNode::Type::text);
    check(entry.key, bytes);
    check(entry.value, bytes);
    keys.push_back(entry.key.text);
  }
  std::ranges::sort(keys);
  require(std::ranges::adjacent_find(keys) == keys.end());
}

}  // namespace

// Text with and without aliases: a tree, or a problem, whose places lie in the text.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool aliases : {false, true}) {
    YamlOptions options;
    options.source = 7;
    options.aliases = aliases;
    options.max_nodes = 10'000;
    options.error = [&](const YamlMark& mark, const std::string& what) {
      check_place(mark, size);
      require(!what.empty());
      return Error(ErrorKind::usage, "fuzz.yaml", what);
    };
    try {
      check(parse_yaml({reinterpret_cast<const char*>(data), size}, options), size);
    } catch (const Error& error) {
      require(error.code() == "fuzz.yaml");
    }
  }
  return 0;
}

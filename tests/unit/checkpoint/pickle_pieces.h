// Pieces of pickles, written as Python's pickle module names them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace craftbundle::testing::pickles {

using namespace std::string_literals;

inline std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

inline std::string str(std::string_view text) {
  return "X" + little(text.size(), 4) + std::string(text);
}

inline std::string integer(std::int64_t value) {
  return "\x8a\x08" + little(static_cast<std::uint64_t>(value), 8);
}

inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}

inline std::string tuple(std::string_view items) { return "(" + std::string(items) + "t"; }

inline std::string call(std::string_view module, std::string_view name,
                        std::string_view arguments) {
  return global(module, name) + tuple(arguments) + "R";
}

inline std::string protocol2(std::string_view body) { return "\x80\x02" + std::string(body) + "."; }

inline std::string storage(std::string_view type, std::string_view key, std::int64_t elements) {
  return tuple(str("storage") + global("torch", type) + str(key) + str("cpu") + integer(elements)) +
         "Q";
}

inline std::string no_hooks() { return call("collections", "OrderedDict", ""); }

// A contiguous vector over a whole storage of its own.
inline std::string tensor(std::string_view type, std::string_view key, std::int64_t elements) {
  return call("torch._utils", "_rebuild_tensor_v2",
              storage(type, key, elements) + integer(0) + tuple(integer(elements)) +
                  tuple(integer(1)) + "\x89" + no_hooks());
}

}  // namespace craftbundle::testing::pickles

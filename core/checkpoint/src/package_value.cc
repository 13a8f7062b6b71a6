#include <array>
#include <unordered_set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/checkpoint/package.h"

namespace craftbundle {
namespace {

// Objects that are shared in the pickle are not in a value, so a small pickle could ask for a huge
// one. Real packages hold some thousand values and some ten kilobytes of text.
constexpr std::uint64_t kValues = 200'000;
constexpr std::uint64_t kTextBytes = 16 << 20;

class Converter {
 public:
  Converter(const Checkpoint& checkpoint, std::string_view where)
      : checkpoint_(checkpoint), where_(where) {}

  Value convert(Object object) {
    if (++values_ > kValues) {
      fail("package.size", "holds more than " + std::to_string(kValues) + " values");
    }
    if (Checkpoint::is_tensor(object)) {
      return with_context([&] { return where_; }, [&] { return checkpoint_.tensor(object); });
    }
    switch (object.kind()) {
      case Kind::none:
        return {};
      case Kind::boolean:
        return object.as_bool();
      case Kind::integer:
        return object.as_int();
      case Kind::real:
        return object.as_real();
      case Kind::string:
        return text(object);
      case Kind::list:
      case Kind::tuple:
        return nested(object, [&] { return list(object); });
      case Kind::dict:
        return nested(object, [&] { return dict(object); });
      default:
        fail("package.type",
             "is " + describe(object) +
                 ", expected None, bool, int, float, str, list, tuple, dict or tensor");
    }
  }

 private:
  std::string text(Object object) {
    const std::string_view text = object.as_string();
    text_bytes_ += text.size();
    if (text_bytes_ > kTextBytes) {
      fail("package.size", "holds more than " + human_bytes(kTextBytes) + " of text");
    }
    return std::string(text);
  }

  Value list(Object object) {
    Value::List result;
    for (std::size_t i = 0; i < object.size(); ++i) {
      result.push_back(at("[" + std::to_string(i) + "]", object[i]));
    }
    return result;
  }

  Value dict(Object object) {
    Value::Dict result;
    std::unordered_set<std::string_view> keys;
    for (const auto& [key, value] : object.entries()) {
      if (!key.is(Kind::string)) {
        fail("package.key", "has the key " + describe(key) + ", expected only str");
      }
      if (!keys.insert(key.as_string()).second) {
        fail("package.duplicate_key", "has the key " + quoted(key.as_string()) + " twice");
      }
      std::string name = text(key);
      Value item = at("[" + quoted(name) + "]", value);
      result.emplace_back(std::move(name), std::move(item));
    }
    return result;
  }

  // Goes into `object`, which contains others, unless it is too deep or inside itself.
  template <typename Convert>
  Value nested(Object object, Convert&& convert) {
    for (std::size_t i = 0; i < depth_; ++i) {
      if (path_[i] == object.id()) fail("package.cycle", "contains itself");
    }
    if (depth_ == path_.size()) {
      fail("package.depth", "nests deeper than " + std::to_string(path_.size()) + " levels");
    }
    path_[depth_++] = object.id();
    Value result = convert();
    --depth_;
    return result;
  }

  Value at(const std::string& place, Object object) {
    const std::size_t length = where_.size();
    where_ += place;
    Value result = convert(object);
    where_.resize(length);
    return result;
  }

  [[noreturn]] void fail(std::string_view code, const std::string& what) const {
    throw Error(ErrorKind::input, code, where_ + ": " + what);
  }

  const Checkpoint& checkpoint_;
  std::string where_;
  std::array<std::uint32_t, limits::kExportedDepth> path_{};  // ids of the containers around
  std::size_t depth_ = 0;
  std::uint64_t values_ = 0;
  std::uint64_t text_bytes_ = 0;
};

}  // namespace

Value to_value(Object object, const Checkpoint& checkpoint, std::string_view where) {
  return Converter(checkpoint, where).convert(object);
}

}  // namespace craftbundle

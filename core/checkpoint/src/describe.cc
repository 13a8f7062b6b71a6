// One line about an object, for people.
#include <bit>
#include <charconv>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/object.h"
#include "tensor_description.h"

namespace craftbundle {
namespace {

constexpr std::size_t kShownText = 60;

std::string tensor_text(Object object) {
  try {
    const TensorDescription tensor = read_tensor_description(object);
    return (tensor.is_parameter ? "Parameter " : "Tensor ") + std::string(name(tensor.dtype)) +
           " " + shape_text(tensor.layout.shape);
  } catch (const Error& error) {
    return error.code() == "tensor.args" || error.code() == "tensor.storage"
               ? "malformed tensor"
               : "unsupported tensor: " + error.message();
  }
}

// The scalar that numpy stores as its little-endian bytes; empty when it is of another type.
std::string numpy_scalar(std::string_view type, std::string_view bytes) {
  if (type.size() < 2 || bytes.empty() || bytes.size() > 8) return {};
  const std::uint64_t bits = little_endian(bytes);
  const std::string width = std::to_string(bytes.size() * 8);
  if (type.substr(1) != std::to_string(bytes.size())) return {};
  switch (type[0]) {
    case 'f':
      if (bytes.size() == 8) return "numpy.float64 " + number_text(std::bit_cast<double>(bits));
      if (bytes.size() == 4) {
        const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        return "numpy.float32 " + number_text(static_cast<double>(value));
      }
      return {};
    case 'i': {
      const auto unused = static_cast<unsigned>(64 - bytes.size() * 8);
      const auto value = static_cast<std::int64_t>(bits << unused) >> unused;
      return "numpy.int" + width + " " + std::to_string(value);
    }
    case 'u':
      return "numpy.uint" + width + " " + std::to_string(bits);
    case 'b':
      return std::string("numpy.bool ") + (bits != 0 ? "True" : "False");
    default:
      return {};
  }
}

bool is_big_endian(Object dtype) {
  const std::optional<Object> state = dtype.state();
  return state && state->is(Kind::tuple) && state->size() > 1 && (*state)[1].is(Kind::string) &&
         (*state)[1].as_string() == ">";
}

// numpy.core.multiarray.scalar(dtype('f8'), bytes)
std::string numpy_text(Object args) {
  if (args.size() != 2 || !args[0].is(Kind::call) || !args[1].is(Kind::bytes)) return {};
  const Object dtype_args = args[0].arguments();
  if (!dtype_args.is(Kind::tuple) || dtype_args.size() == 0 || !dtype_args[0].is(Kind::string)) {
    return {};
  }
  std::string bytes(args[1].as_bytes());
  if (is_big_endian(args[0])) bytes.assign(bytes.rbegin(), bytes.rend());
  return numpy_scalar(dtype_args[0].as_string(), bytes);
}

std::string pathlib_text(const std::string& type, Object args) {
  std::string path;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!args[i].is(Kind::string)) return {};
    if (!path.empty() && path.back() != '/') path += '/';
    path += args[i].as_string();
    if (path.size() > kShownText) break;
  }
  return type + " " + printable(path.empty() ? "." : path, kShownText);
}

// "1, 2, 'a'" of simple arguments; empty when there are others.
std::string scalars_text(Object args) {
  constexpr std::size_t kMost = 8;
  std::string text;
  if (args.size() > kMost) return {};
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (i > 0) text += ", ";
    if (args[i].is(Kind::string)) {
      text += quoted(args[i].as_string(), kShownText);
    } else if (args[i].is(Kind::integer)) {
      text += args[i].as_text();
    } else if (args[i].is(Kind::real)) {
      text += number_text(args[i].as_real());
    } else if (args[i].is(Kind::global)) {
      text += printable(args[i].class_name(), kShownText);
    } else if (!args[i].is(Kind::tuple) || args[i].size() > kMost) {
      return {};
    } else {
      text += "(";
      for (std::size_t j = 0; j < args[i].size(); ++j) {
        if (!args[i][j].is(Kind::integer)) return {};
        text += (j > 0 ? ", " : "") + args[i][j].as_text();
      }
      text += ")";
    }
  }
  return text;
}

std::string call_text(Object object) {
  if (is_tensor_call(object)) return tensor_text(object);
  const std::string type = object.class_name();
  const Object args = object.arguments();
  if (args.is(Kind::tuple)) {
    std::string text;
    if (type.ends_with(".multiarray.scalar")) text = numpy_text(args);
    if (type.starts_with("pathlib.")) text = pathlib_text(type, args);
    if (type == "torch.Size" || type == "torch.device" || type == "builtins.getattr" ||
        type == "builtins.complex" || type == "datetime.timedelta") {
      text = scalars_text(args);
      if (!text.empty()) text = type + "(" + text + ")";
    }
    if (!text.empty()) return text;
  }
  return "opaque " + printable(type);
}

}  // namespace

std::string describe(Object object) {
  const auto of = [&](std::string_view type) {
    return std::string(type) + " of " + std::to_string(object.size());
  };
  switch (object.kind()) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return object.as_bool() ? "True" : "False";
    case Kind::integer:
      return "int " + object.as_text();
    case Kind::big_integer: {
      const std::string digits = object.as_text();
      return "int " + printable(digits, kShownText);
    }
    case Kind::real:
      return "float " + number_text(object.as_real());
    case Kind::string:
      return "str " + quoted(object.as_string(), kShownText);
    case Kind::bytes:
      return "bytes of " + std::to_string(object.as_bytes().size());
    case Kind::list:
      return of("list");
    case Kind::tuple:
      return of("tuple");
    case Kind::dict:
    case Kind::set: {
      const std::string type = object.class_name();
      return of(type.substr(type.rfind('.') + 1));
    }
    case Kind::global:
      return "class name " + printable(object.class_name());
    case Kind::call:
      return call_text(object);
    case Kind::persistent:
      return "storage reference";
  }
  return "object";
}

}  // namespace craftbundle

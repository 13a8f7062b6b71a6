#include "pickled.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "budget.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "enums.h"

namespace craftbundle::omegaconf {
namespace {

constexpr std::array<std::string_view, 7> kScalarNodes = {
    "omegaconf.nodes.AnyNode",   "omegaconf.nodes.StringNode",  "omegaconf.nodes.IntegerNode",
    "omegaconf.nodes.FloatNode", "omegaconf.nodes.BooleanNode", "omegaconf.nodes.BytesNode",
    "omegaconf.nodes.PathNode"};

constexpr std::array<std::string_view, 6> kPathClasses = {
    "Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"};

// What enums and type hints are pickled with. They are unsafe elsewhere; here only their forms for
// enums are given meaning, and everything they are applied to is judged on its own.
constexpr std::array<std::string_view, 5> kHelpers = {"builtins.getattr", "_operator.getitem",
                                                      "_operator.or_", "functools.reduce",
                                                      "types.GenericAlias"};

template <std::size_t N>
bool is_in(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_path_class(std::string_view name) {
  for (const std::string_view module : {"pathlib.", "pathlib._local."}) {
    if (name.starts_with(module) && is_in(kPathClasses, name.substr(module.size()))) return true;
  }
  return false;
}

bool is_unsafe(std::string_view module, std::string_view name) {
  return judge_global(module, name) == GlobalReference::Verdict::unsafe;
}

// What loading `object` in Python could run, itself aside from its parts; nullopt when nothing.
std::optional<std::string> unsafe_name(Object object) {
  if (object.is(Kind::global)) {
    const std::string name = object.class_name();
    const bool unsafe = is_unsafe(object.module(), object.qualified_name());
    return unsafe && !is_in(kHelpers, name) ? std::optional(name) : std::nullopt;
  }
  if (!object.is(Kind::call) || object.callee().is(Kind::global)) return std::nullopt;
  const std::optional<ClassName> nested = class_name(object.callee());
  if (!nested) return "<dynamic>";
  return is_unsafe(nested->module, nested->name) ? std::optional(nested->dotted()) : std::nullopt;
}

// Also what is not shown in the text (flags, caches, parents) has to be sound.
void refuse_unsafe(Object root) {
  for_each_reachable(root, [](Object object) {
    const std::optional<std::string> name = unsafe_name(object);
    if (!name) return;
    throw Error(ErrorKind::input, "config.unsafe",
                "the configuration refers to " + quoted(*name) + ", which can run code when loaded",
                "do not load this file with Python unless you trust where it comes from");
  });
}

class PickledReader {
 public:
  PickledReader(Object root, std::optional<Object> whole) : enums_(root, whole) {}

  ConfigNode read_root(Object object) {
    if (!is_container(object)) {
      throw Error(ErrorKind::input, "config.type",
                  "the configuration is " + describe(object) +
                      "; expected an OmegaConf DictConfig or ListConfig, a dict or a list");
    }
    return read(object, 0);
  }

 private:
  static bool is_container(Object object) {
    return is_omegaconf(object) || object.is(Kind::list) || object.is(Kind::tuple) ||
           (object.is(Kind::dict) && object.class_name() == "dict");
  }

  ConfigNode read(Object object, std::size_t depth) {
    if (object.is(Kind::list) || object.is(Kind::tuple)) return read_list(object, depth);
    if (object.is(Kind::dict) && object.class_name() == "dict") return read_dict(object, depth);
    if (!object.is(Kind::call)) return read_scalar(object, depth);

    const std::string name = object.class_name();
    if (name == "omegaconf.dictconfig.DictConfig") return read_container(object, Kind::dict, depth);
    if (name == "omegaconf.listconfig.ListConfig") return read_container(object, Kind::list, depth);
    if (name == "omegaconf.base.UnionNode") {
      const Object content = attribute(object, "_content");
      // A union holds a typed value, or stands for itself when it is null, missing or a reference.
      return content.is(Kind::call) ? read(content, depth + 1) : read_scalar(content, depth);
    }
    if (is_in(kScalarNodes, name) || name == "omegaconf.nodes.EnumNode") {
      return read_scalar(attribute(object, "_val"), depth);
    }
    return read_scalar(object, depth);
  }

  ConfigNode read_container(Object object, Kind kind, std::size_t depth) {
    const Object content = attribute(object, "_content");
    if (content.is(Kind::none) || content.is(Kind::string)) return read_scalar(content, depth);
    if (!content.is(kind)) refuse(content);
    return kind == Kind::dict ? read_dict(content, depth) : read_list(content, depth);
  }

  ConfigNode read_list(Object list, std::size_t depth) {
    budget_.spend(depth, 0);
    ConfigNode::List items;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Place place(place_, "[" + std::to_string(i) + "]");
      items.push_back(read(list[i], depth + 1));
    }
    return {std::move(items)};
  }

  ConfigNode read_dict(Object dict, std::size_t depth) {
    budget_.spend(depth, 0);
    MappingBuilder mapping;
    for (const auto [key_object, value] : dict.entries()) {
      ConfigKey key = read_key(key_object);
      budget_.spend_key(text_size(key));
      const Place place(place_, key_text(key));
      mapping.set(std::move(key), read(value, depth + 1));
    }
    return {mapping.take()};
  }

  ConfigKey read_key(Object object) {
    switch (object.kind()) {
      case Kind::boolean:
        return object.as_bool();
      case Kind::integer:
        return object.as_int();
      case Kind::big_integer:
        return ConfigBigInteger{big_integer(object)};
      case Kind::real:
        return object.as_real();
      case Kind::string:
        return std::string(object.as_string());
      case Kind::bytes:
        return ConfigBytes{std::string(object.as_bytes())};
      case Kind::call:
        return enum_name(object);
      default:
        refuse(object, "a key");
    }
  }

  ConfigNode read_scalar(Object object, std::size_t depth) {
    ConfigNode node = scalar(object);
    budget_.spend(depth, text_size(node));
    return node;
  }

  ConfigNode scalar(Object object) {
    switch (object.kind()) {
      case Kind::none:
        return {};
      case Kind::boolean:
        return {object.as_bool()};
      case Kind::integer:
        return {object.as_int()};
      case Kind::big_integer:
        return {ConfigBigInteger{big_integer(object)}};
      case Kind::real:
        return {object.as_real()};
      case Kind::string:
        return {std::string(object.as_string())};
      case Kind::bytes:
        return {ConfigBytes{std::string(object.as_bytes())}};
      case Kind::call:
        if (is_path_class(object.class_name())) return {path(object)};
        return {enum_name(object)};
      default:
        refuse(object);
    }
  }

  std::string big_integer(Object object) {
    std::string digits = object.as_text();
    if (digits.starts_with('<')) refuse(object);
    return digits;
  }

  ConfigPath path(Object object) {
    const Object arguments = object.arguments();
    if (!arguments.is(Kind::tuple)) refuse(object);
    // Object numbers begin at 0, which means "not shared" in a tree.
    ConfigPath result{object.class_name(), {}, object.id() + 1};
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!arguments[i].is(Kind::string)) refuse(object);
      result.arguments.emplace_back(arguments[i].as_string());
    }
    return result;
  }

  std::string enum_name(Object object) {
    if (auto name = enums_.find(object)) return *std::move(name);
    const bool combined = object.class_name() == "_operator.or_";
    const bool by_value = EnumNames::is_by_value(object) && !is_known_class(object);
    if (!combined && !by_value) refuse(object);
    throw Error(ErrorKind::input, "config.enum",
                where() + "the name of the enum member " + describe(object) + " is not in the file",
                "convert the configuration to text in Python: OmegaConf.to_yaml(cfg)");
  }

  Object attribute(Object object, std::string_view name) {
    if (const auto value = object.attribute(name)) return *value;
    throw Error(ErrorKind::input, "config.type",
                where() + describe(object) + " has no attribute " + quoted(name));
  }

  // Whether the object is of a class that checkpoints commonly hold, which is no user's enum.
  static bool is_known_class(Object object) {
    const std::optional<ClassName> name = class_name(object.callee());
    return judge_global(name->module, name->name) == GlobalReference::Verdict::known;
  }

  [[noreturn]] void refuse(Object object, std::string_view role = "a value") {
    throw Error(
        ErrorKind::input, "config.type",
        where() + describe(object) + " cannot be " + std::string(role) + " of a configuration");
  }

  // The key path so far, for messages.
  std::string where() const {
    if (place_.empty()) return {};
    std::string path;
    for (const std::string& part : place_) {
      if (!path.empty() && !part.starts_with('[')) path += '.';
      path += part;
    }
    return "config key " + quoted(path) + ": ";
  }

  class Place {
   public:
    Place(std::vector<std::string>& places, std::string part) : places_(places) {
      places_.push_back(std::move(part));
    }
    ~Place() { places_.pop_back(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::vector<std::string>& places_;
  };

  EnumNames enums_;
  Budget budget_;
  std::vector<std::string> place_;
};

}  // namespace

bool is_omegaconf(Object object) {
  if (!object.is(Kind::call)) return false;
  const std::string name = object.class_name();
  return name == "omegaconf.dictconfig.DictConfig" || name == "omegaconf.listconfig.ListConfig";
}

ConfigNode read_pickled(Object object, std::optional<Object> whole) {
  refuse_unsafe(object);
  return PickledReader(object, whole).read_root(object);
}

}  // namespace craftbundle::omegaconf

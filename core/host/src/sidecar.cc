#include "craftbundle/detail/host/sidecar.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/yaml/yaml.h"
#include "plugin_info.h"

namespace craftbundle {
namespace {

// Raised when the meaning of a sidecar changes. Readers take only their own.
constexpr int kFormat = 1;

// The file as it is written and read, by its fields (offer.h).
struct Sidecar {
  int format = kFormat;
  PluginInfo plugin;

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"format"}, self.format);
    field({"name"}, self.plugin.name);
    field({"version"}, self.plugin.version);
    field({"interface"}, self.plugin.interface_id);
    std::apply([&](auto&... infos) { (visit_offers(infos, field), ...); }, self.plugin.all);
  }

 private:
  template <typename Infos, typename Visit>
  static void visit_offers(Infos& infos, Visit&& field) {
    field({plural<typename Infos::value_type>()}, infos);
  }
};

template <typename T>
constexpr bool kIsList = false;
template <typename T>
constexpr bool kIsList<std::vector<T>> = true;

// Writing ---------------------------------------------------------------------------------------

template <typename T>
void emit(YAML::Emitter& out, const T& value);

template <typename T>
void emit_field(YAML::Emitter& out, const Field& field, const T& value) {
  if constexpr (requires { value.empty(); }) {
    if (value.empty() && (kIsList<T> || field.optional)) return;
  }
  out << YAML::Key << std::string(field.key) << YAML::Value;
  emit(out, value);
}

template <typename T>
void emit(YAML::Emitter& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    out << YAML::DoubleQuoted << value;
  } else if constexpr (std::is_same_v<T, int>) {
    out << value;
  } else if constexpr (std::is_enum_v<T>) {
    out << YAML::DoubleQuoted << std::string(to_string(value));
  } else if constexpr (kIsList<T>) {
    if (std::is_same_v<T, std::vector<std::string>>) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else {
    out << YAML::BeginMap;
    visit_fields(value,
                 [&](const Field& field, const auto& member) { emit_field(out, field, member); });
    out << YAML::EndMap;
  }
}

// Reading ---------------------------------------------------------------------------------------

constexpr auto values_of(OptionSpec::Type /*type*/) {
  using Type = OptionSpec::Type;
  return std::array{Type::boolean, Type::integer, Type::real, Type::text, Type::files};
}

constexpr auto values_of(AcceptedSource::Kind /*type*/) {
  using Kind = AcceptedSource::Kind;
  return std::array{Kind::checkpoint, Kind::pretrained, Kind::model, Kind::directory};
}

constexpr auto values_of(StageKindInfo::Output /*type*/) {
  using Output = StageKindInfo::Output;
  return std::array{Output::none, Output::file, Output::directory};
}

// Reads the values of one file. Each function throws when the node is no such value.
class Reader {
 public:
  explicit Reader(const Path& file) : file_(file) {}

  // "FILE:LINE:COLUMN: WHAT".
  Error error(const YamlMark& mark, const std::string& what) const {
    return Error(ErrorKind::plugin, "plugin.sidecar",
                 path_text(file_) + ":" + std::to_string(mark.line) + ":" +
                     std::to_string(mark.column) + ": " + what,
                 "write it again with craftbundle-scan, or remove it");
  }

  void read(const YamlNode& node, std::string& text) const {
    require(node, YamlNode::Type::text);
    text = node.text;
  }

  void read(const YamlNode& node, int& number) const {
    require(node, YamlNode::Type::text);
    const char* const end = node.text.data() + node.text.size();
    const auto result = std::from_chars(node.text.data(), end, number);
    if (result.ec != std::errc() || result.ptr != end) {
      throw error(node.mark, quoted(node.text) + " is no number");
    }
  }

  template <typename T>
  void read(const YamlNode& node, std::vector<T>& list) const {
    require(node, YamlNode::Type::list);
    list.clear();
    for (const YamlNode& item : node.items) read(item, list.emplace_back());
  }

  template <typename T>
  void read(const YamlNode& node, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      read_word(node, value);
    } else {
      read_fields(node, value);
    }
  }

 private:
  void require(const YamlNode& node, YamlNode::Type type) const {
    if (node.type == type) return;
    throw error(node.mark, "found " + std::string(to_string(node.type)) + ", expected " +
                               std::string(to_string(type)));
  }

  template <typename T>
  void read_word(const YamlNode& node, T& word) const {
    require(node, YamlNode::Type::text);
    std::vector<std::string> words;
    for (const T value : values_of(word)) {
      words.emplace_back(to_string(value));
      if (words.back() != node.text) continue;
      word = value;
      return;
    }
    throw error(node.mark, quoted(node.text) + " is none of " + list_text(words));
  }

  template <typename T>
  void read_fields(const YamlNode& node, T& value) const {
    require(node, YamlNode::Type::map);
    refuse_unknown_keys(node, value);
    visit_fields(value, [&]<typename Member>(const Field& field, Member& member) {
      if (const YamlNode* found = node.find(field.key)) {
        read(*found, member);
      } else if (!field.optional && !kIsList<Member>) {
        throw error(node.mark, "key " + quoted(field.key) + " is missing");
      }
    });
  }

  template <typename T>
  void refuse_unknown_keys(const YamlNode& node, T& value) const {
    std::vector<std::string> known;
    visit_fields(value, [&](const Field& field, const auto&) { known.emplace_back(field.key); });
    for (const YamlNode::Entry& entry : node.entries) {
      const std::string& key = entry.key.text;
      if (std::ranges::count(known, key) != 0) continue;
      const std::optional<std::string> near = nearest(key, known);
      throw error(entry.key.mark, "unknown key " + quoted(key) +
                                      (near ? ", did you mean " + quoted(*near) + "?"
                                            : ", expected one of " + list_text(known)));
    }
  }

  const Path& file_;
};

}  // namespace

Path sidecar_path(const Path& library) {
  Path result = library;
  return result.replace_extension(".plugin.yaml");
}

std::string to_sidecar(const PluginInfo& info) {
  YAML::Emitter out;
  out << YAML::Comment("Written by craftbundle-scan from the library beside it.");
  emit(out, Sidecar{kFormat, info});
  out << YAML::Newline;
  return out.c_str();
}

PluginInfo parse_sidecar(std::string_view text, const Path& file) {
  const Reader reader(file);
  YamlOptions options;
  options.error = [&](const YamlMark& mark, const std::string& what) {
    return reader.error(mark, what);
  };
  const YamlNode root = parse_yaml(text, options);
  Sidecar sidecar;
  if (const YamlNode* format = root.find("format")) {
    reader.read(*format, sidecar.format);
    if (sidecar.format != kFormat) {
      throw reader.error(format->mark, "has format " + std::to_string(sidecar.format) +
                                           ", expected " + std::to_string(kFormat));
    }
  }
  reader.read(root, sidecar);
  if (const std::optional<std::string> problem = find_problem(sidecar.plugin)) {
    throw reader.error(root.mark, "the plugin " + *problem);
  }
  return std::move(sidecar.plugin);
}

}  // namespace craftbundle

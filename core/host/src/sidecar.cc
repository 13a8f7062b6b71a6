#include "craftbundle/host/sidecar.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "craftbundle/base/text.h"
#include "craftbundle/yaml/yaml.h"
#include "plugin_info.h"

namespace craftbundle {
namespace {

// Raised when the meaning of a sidecar changes. Readers take only their own.
constexpr int kFormat = 1;

// "FILE:LINE:COLUMN: WHAT".
Error sidecar_error(const Path& file, const YamlMark& mark, const std::string& what) {
  return Error(ErrorKind::plugin, "plugin.sidecar",
               path_text(file) + ":" + std::to_string(mark.line) + ":" +
                   std::to_string(mark.column) + ": " + what,
               "write it again with craftbundle-scan, or remove it");
}

// Writing ---------------------------------------------------------------------------------------

void emit(YAML::Emitter& out, std::string_view key, const std::string& value) {
  out << YAML::Key << std::string(key) << YAML::Value << YAML::DoubleQuoted << value;
}

void emit(YAML::Emitter& out, std::string_view key, const std::vector<std::string>& values) {
  if (values.empty()) return;
  out << YAML::Key << std::string(key) << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const std::string& value : values) out << YAML::DoubleQuoted << value;
  out << YAML::EndSeq;
}

void emit(YAML::Emitter& out, const AcceptedSource& source) {
  out << YAML::BeginMap;
  emit(out, "kind", std::string(to_string(source.kind)));
  emit(out, "what", source.what);
  emit(out, "names", source.names);
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const OptionSpec& option) {
  out << YAML::BeginMap;
  emit(out, "name", option.name);
  emit(out, "type", std::string(to_string(option.type)));
  if (!option.default_value.empty()) emit(out, "default", option.default_value);
  emit(out, "doc", option.doc);
  emit(out, "choices", option.choices);
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const ExporterInfo& info);
void emit(YAML::Emitter& out, const StageKindInfo& info);
void emit(YAML::Emitter& out, const CodecLoaderInfo& info);

template <typename T>
void emit_all(YAML::Emitter& out, std::string_view key, const std::vector<T>& values) {
  if (values.empty()) return;
  out << YAML::Key << std::string(key) << YAML::Value << YAML::BeginSeq;
  for (const T& value : values) emit(out, value);
  out << YAML::EndSeq;
}

void emit(YAML::Emitter& out, const ExporterInfo& info) {
  out << YAML::BeginMap;
  emit(out, "name", info.name);
  emit(out, "summary", info.summary);
  out << YAML::Key << "revision" << YAML::Value << info.revision;
  emit(out, "component", info.component);
  emit_all(out, "accepts", info.accepts);
  emit_all(out, "options", info.options);
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const StageKindInfo& info) {
  out << YAML::BeginMap;
  emit(out, "name", info.name);
  emit(out, "summary", info.summary);
  out << YAML::Key << "revision" << YAML::Value << info.revision;
  emit(out, "inputs", info.inputs);
  emit(out, "output", std::string(to_string(info.output)));
  emit_all(out, "options", info.options);
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const CodecLoaderInfo& info) {
  out << YAML::BeginMap;
  emit(out, "name", info.name);
  emit(out, "summary", info.summary);
  emit(out, "exporters", info.exporters);
  out << YAML::EndMap;
}

// Reading ---------------------------------------------------------------------------------------

// Takes the fields of one map; every key must be taken.
class Fields {
 public:
  Fields(const YamlNode& map, const Path& file, std::vector<std::string> allowed)
      : map_(map), file_(file) {
    require(map, YamlNode::Type::map);
    for (const YamlNode::Entry& entry : map.entries) {
      const std::string& key = entry.key.text;
      if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
      const std::optional<std::string> near = nearest(key, allowed);
      fail(entry.key, "unknown key " + quoted(key) +
                          (near ? ", did you mean " + quoted(*near) + "?"
                                : ", expected one of " + list_text(allowed)));
    }
  }

  [[noreturn]] void fail(const YamlNode& node, const std::string& what) const {
    throw sidecar_error(file_, node.mark, what);
  }

  const YamlNode* find(std::string_view key, YamlNode::Type type) const {
    const YamlNode* node = map_.find(key);
    if (node != nullptr) require(*node, type);
    return node;
  }

  const YamlNode& at(std::string_view key, YamlNode::Type type) const {
    if (const YamlNode* node = find(key, type)) return *node;
    fail(map_, "key " + quoted(key) + " is missing");
  }

  const std::string& text(std::string_view key) const { return at(key, YamlNode::Type::text).text; }

  std::string optional_text(std::string_view key) const {
    const YamlNode* node = find(key, YamlNode::Type::text);
    return node == nullptr ? std::string() : node->text;
  }

  int number(std::string_view key) const {
    const YamlNode& node = at(key, YamlNode::Type::text);
    int value = 0;
    const char* const end = node.text.data() + node.text.size();
    const auto result = std::from_chars(node.text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) {
      fail(node, quoted(node.text) + " is no number");
    }
    return value;
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> result;
    for (const YamlNode& item : items(key)) {
      require(item, YamlNode::Type::text);
      result.push_back(item.text);
    }
    return result;
  }

  // Elements of the list under `key`; a list that is not there is empty.
  const std::vector<YamlNode>& items(std::string_view key) const {
    static const std::vector<YamlNode> kNone;
    const YamlNode* node = find(key, YamlNode::Type::list);
    return node == nullptr ? kNone : node->items;
  }

  // The value in `values` whose name is the text under `key`.
  template <typename T, std::size_t N>
  T word(std::string_view key, const std::array<T, N>& values) const {
    const YamlNode& node = at(key, YamlNode::Type::text);
    std::vector<std::string> words;
    for (const T value : values) {
      if (node.text == to_string(value)) return value;
      words.emplace_back(to_string(value));
    }
    fail(node, quoted(node.text) + " is none of " + list_text(words));
  }

 private:
  void require(const YamlNode& node, YamlNode::Type type) const {
    if (node.type == type) return;
    fail(node, "found " + std::string(to_string(node.type)) + ", expected " +
                   std::string(to_string(type)));
  }

  const YamlNode& map_;
  const Path& file_;
};

AcceptedSource read_source(const YamlNode& node, const Path& file) {
  constexpr std::array kKinds = {AcceptedSource::Kind::checkpoint,
                                 AcceptedSource::Kind::pretrained};
  const Fields fields(node, file, {"kind", "what", "names"});
  return {fields.word("kind", kKinds), fields.text("what"), fields.texts("names")};
}

OptionSpec read_option(const YamlNode& node, const Path& file) {
  constexpr std::array kTypes = {OptionSpec::Type::boolean, OptionSpec::Type::integer,
                                 OptionSpec::Type::real, OptionSpec::Type::text,
                                 OptionSpec::Type::files};
  const Fields fields(node, file, {"name", "type", "default", "doc", "choices"});
  return {fields.text("name"), fields.word("type", kTypes), fields.optional_text("default"),
          fields.text("doc"), fields.texts("choices")};
}

ExporterInfo read_exporter(const YamlNode& node, const Path& file) {
  const Fields fields(node, file,
                      {"name", "summary", "revision", "component", "accepts", "options"});
  ExporterInfo info;
  info.name = fields.text("name");
  info.summary = fields.text("summary");
  info.revision = fields.number("revision");
  info.component = fields.text("component");
  for (const YamlNode& item : fields.items("accepts"))
    info.accepts.push_back(read_source(item, file));
  for (const YamlNode& item : fields.items("options"))
    info.options.push_back(read_option(item, file));
  return info;
}

StageKindInfo read_stage(const YamlNode& node, const Path& file) {
  using Output = StageKindInfo::Output;
  constexpr std::array kOutputs = {Output::none, Output::file, Output::directory};
  const Fields fields(node, file, {"name", "summary", "revision", "inputs", "output", "options"});
  StageKindInfo info;
  info.name = fields.text("name");
  info.summary = fields.text("summary");
  info.revision = fields.number("revision");
  info.inputs = fields.text("inputs");
  info.output = fields.word("output", kOutputs);
  for (const YamlNode& item : fields.items("options"))
    info.options.push_back(read_option(item, file));
  return info;
}

CodecLoaderInfo read_codec(const YamlNode& node, const Path& file) {
  const Fields fields(node, file, {"name", "summary", "exporters"});
  return {fields.text("name"), fields.text("summary"), fields.texts("exporters")};
}

}  // namespace

Path sidecar_path(const Path& library) {
  Path result = library;
  return result.replace_extension(".plugin.yaml");
}

std::string to_sidecar(const PluginInfo& info) {
  YAML::Emitter out;
  out << YAML::Comment("Written by craftbundle-scan from the library beside it.");
  out << YAML::BeginMap;
  out << YAML::Key << "format" << YAML::Value << kFormat;
  emit(out, "name", info.name);
  emit(out, "version", info.version);
  emit(out, "interface", info.interface_id);
  emit_all(out, "exporters", info.exporters);
  emit_all(out, "stages", info.stages);
  emit_all(out, "codecs", info.codecs);
  out << YAML::EndMap << YAML::Newline;
  return out.c_str();
}

PluginInfo parse_sidecar(std::string_view text, const Path& file) {
  YamlOptions options;
  options.error = [&](const YamlMark& mark, const std::string& what) {
    return sidecar_error(file, mark, what);
  };
  const YamlNode root = parse_yaml(text, options);
  const Fields fields(root, file,
                      {"format", "name", "version", "interface", "exporters", "stages", "codecs"});
  if (const int format = fields.number("format"); format != kFormat) {
    fields.fail(fields.at("format", YamlNode::Type::text),
                "has format " + std::to_string(format) + ", expected " + std::to_string(kFormat));
  }
  PluginInfo info;
  info.name = fields.text("name");
  info.version = fields.text("version");
  info.interface_id = fields.text("interface");
  for (const YamlNode& item : fields.items("exporters")) {
    info.exporters.push_back(read_exporter(item, file));
  }
  for (const YamlNode& item : fields.items("stages")) {
    info.stages.push_back(read_stage(item, file));
  }
  for (const YamlNode& item : fields.items("codecs")) info.codecs.push_back(read_codec(item, file));
  if (const std::optional<std::string> problem = find_problem(info)) {
    fields.fail(root, "the plugin " + *problem);
  }
  return info;
}

}  // namespace craftbundle

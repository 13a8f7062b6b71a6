#include "plugin_info.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "craftbundle/base/text.h"
#include "craftbundle/plugin/interface_id.h"

namespace craftbundle {
namespace {

using Problem = std::optional<std::string>;

constexpr std::size_t kMaxExporters = 64;
constexpr std::size_t kMaxListItems = 1'000;
constexpr std::size_t kMaxTextBytes = 1'000;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all_of(std::string_view text, bool (*accepts)(char)) {
  return std::all_of(text.begin(), text.end(), accepts);
}

bool is_option_name(std::string_view text) {
  return is_name(text) && text.back() != '-' && text.find('_') == std::string_view::npos &&
         text.find("--") == std::string_view::npos;
}

// Text that may be shown as it is.
bool is_clean(std::string_view text) {
  return text.size() <= kMaxTextBytes && printable(text, kMaxTextBytes) == text;
}

bool is_pattern(std::string_view text) {
  return !text.empty() && text.find('*') >= text.size() - 1 && is_clean(text) &&
         text.find(' ') == std::string_view::npos;
}

template <typename T>
bool is_number(const std::string& text, T& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

Problem problem_of_text(const std::string& text, const std::string& what) {
  if (text.empty()) return "gives no " + what;
  if (!is_clean(text)) {
    return "gives " + quoted(text) + " as " + what + ", expected at most " +
           std::to_string(kMaxTextBytes) + " bytes of printable UTF-8";
  }
  return std::nullopt;
}

Problem problem_of(const AcceptedSource& source) {
  if (Problem problem = problem_of_text(source.what, "description of a source")) return problem;
  const bool by_name = source.kind == AcceptedSource::Kind::pretrained;
  if (by_name && source.names.empty()) return "takes pretrained names but lists none";
  if (!by_name && !source.names.empty()) return "lists names for sources that are files";
  if (source.names.size() > kMaxListItems) return "lists too many names";
  for (const std::string& name : source.names) {
    if (!is_pattern(name)) {
      return "takes the pretrained name " + quoted(name) +
             ", expected a name, or the beginning of one and '*'";
    }
  }
  return std::nullopt;
}

Problem problem_of(const OptionSpec& option) {
  const std::string culprit = "declares option " + quoted(option.name) + ", ";
  if (!is_option_name(option.name)) return culprit + "expected lower-case words joined by '-'";
  if (Problem problem = problem_of_text(option.doc, "description")) {
    return culprit + "which " + *problem;
  }
  if (option.choices.size() > kMaxListItems) return culprit + "with too many choices";
  OptionSpec any = option;
  any.choices.clear();
  for (const std::string& choice : option.choices) {
    if (choice.empty() || !is_clean(choice)) return culprit + "with the choice " + quoted(choice);
    if (Problem problem = find_problem(any, choice)) {
      return culprit + "with the choice " + quoted(choice) + ": " + *problem;
    }
  }
  if (option.default_value.empty()) return std::nullopt;
  if (Problem problem = find_problem(option, option.default_value)) {
    return culprit + "with the default " + quoted(option.default_value) + ": " + *problem;
  }
  return std::nullopt;
}

Problem problem_of(const std::vector<OptionSpec>& options) {
  if (options.size() > kMaxListItems) return "declares too many options";
  std::set<std::string_view> names;
  for (const OptionSpec& option : options) {
    if (Problem problem = problem_of(option)) return problem;
    if (!names.insert(option.name).second)
      return "declares option " + quoted(option.name) + " twice";
  }
  return std::nullopt;
}

Problem problem_of(const ExporterInfo& info) {
  if (!is_name(info.component)) {
    return "makes a component " + quoted(info.component) + ", expected a lower-case name";
  }
  if (Problem problem = problem_of_text(info.summary, "summary")) return problem;
  if (info.revision < 1)
    return "has revision " + std::to_string(info.revision) + ", expected 1 or more";
  if (info.accepts.empty()) return "accepts no source";
  if (info.accepts.size() > kMaxListItems) return "accepts too many kinds of source";
  for (const AcceptedSource& source : info.accepts) {
    if (Problem problem = problem_of(source)) return problem;
  }
  return problem_of(info.options);
}

Problem problem_of(const StageKindInfo& info) {
  if (Problem problem = problem_of_text(info.summary, "summary")) return problem;
  if (Problem problem = problem_of_text(info.inputs, "description of its inputs")) return problem;
  if (info.revision < 1)
    return "has revision " + std::to_string(info.revision) + ", expected 1 or more";
  return problem_of(info.options);
}

Problem problem_of(const CodecLoaderInfo& info) {
  if (Problem problem = problem_of_text(info.summary, "summary")) return problem;
  if (info.exporters.empty()) return "names no exporter whose components it runs";
  if (info.exporters.size() > kMaxExporters) return "names too many exporters";
  for (const std::string& exporter : info.exporters) {
    if (!is_name(exporter)) {
      return "names the exporter " + quoted(exporter) + ", expected a lower-case name";
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes && is_lower(text.front()) &&
         all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; });
}

bool is_version(std::string_view text) {
  return !text.empty() && text.size() <= kMaxVersionBytes && is_digit(text.front()) &&
         all_of(text, [](char c) {
           return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '+' ||
                  c == '-' || c == '~';
         });
}

Problem find_problem(const PluginInfo& info) {
  if (!is_name(info.name)) {
    return "is named " + quoted(info.name) +
           ", expected a letter and then letters, digits, '_' or '-', in lower case, at most " +
           std::to_string(kMaxNameBytes);
  }
  if (!is_version(info.version)) {
    return "has the version " + quoted(info.version) + ", expected one like '1.2.3'";
  }
  if (info.interface_id.empty() || info.interface_id.size() > kMaxInterfaceIdBytes ||
      !is_clean(info.interface_id)) {
    return "has the interface id " + quoted(info.interface_id);
  }
  if (info.exporters.empty() && info.stages.empty() && info.codecs.empty()) {
    return "offers no exporter";
  }
  if (info.exporters.size() > kMaxExporters) {
    return "offers " + std::to_string(info.exporters.size()) + " exporters, expected at most " +
           std::to_string(kMaxExporters);
  }
  std::set<std::string_view> names;
  for (const ExporterInfo& exporter : info.exporters) {
    if (!is_name(exporter.name)) {
      return "offers an exporter " + quoted(exporter.name) + ", expected a lower-case name";
    }
    if (!names.insert(exporter.name).second) {
      return "offers two exporters " + quoted(exporter.name);
    }
    if (Problem problem = problem_of(exporter)) {
      return "offers exporter " + quoted(exporter.name) + ", which " + *problem;
    }
  }
  if (info.stages.size() > kMaxExporters) {
    return "offers " + std::to_string(info.stages.size()) + " kinds of stage, expected at most " +
           std::to_string(kMaxExporters);
  }
  names.clear();
  for (const StageKindInfo& stage : info.stages) {
    if (!is_name(stage.name)) {
      return "offers a kind of stage " + quoted(stage.name) + ", expected a lower-case name";
    }
    if (std::ranges::count(kReservedStageNames, stage.name) != 0) {
      return "offers a kind of stage " + quoted(stage.name) + ", a name that scripts have already";
    }
    if (!names.insert(stage.name).second) {
      return "offers two kinds of stage " + quoted(stage.name);
    }
    if (Problem problem = problem_of(stage)) {
      return "offers the kind of stage " + quoted(stage.name) + ", which " + *problem;
    }
  }
  if (info.codecs.size() > kMaxExporters) {
    return "offers " + std::to_string(info.codecs.size()) +
           " loaders of codecs, expected at most " + std::to_string(kMaxExporters);
  }
  names.clear();
  for (const CodecLoaderInfo& codec : info.codecs) {
    if (!is_name(codec.name)) {
      return "offers a loader of codecs " + quoted(codec.name) + ", expected a lower-case name";
    }
    if (!names.insert(codec.name).second) {
      return "offers two loaders of codecs " + quoted(codec.name);
    }
    if (Problem problem = problem_of(codec)) {
      return "offers the loader of codecs " + quoted(codec.name) + ", which " + *problem;
    }
  }
  return std::nullopt;
}

Error interface_error(const Path& library, const std::string& found) {
  return Error(ErrorKind::plugin, "plugin.interface",
               "was built with interface " + quoted(found) + ", this Craftbundle has " +
                   quoted(kInterfaceId),
               "build the plugin again with the Craftbundle that is installed here")
      .add_context(path_text(library));
}

Problem find_problem(const OptionSpec& option, const std::string& value) {
  if (!option.choices.empty() &&
      std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end()) {
    return "expected one of " + list_text(option.choices, option.choices.size());
  }
  switch (option.type) {
    case OptionSpec::Type::boolean:
      if (value != "true" && value != "false") return "expected 'true' or 'false'";
      break;
    case OptionSpec::Type::integer:
      if (std::int64_t number = 0; !is_number(value, number)) return "expected an integer";
      break;
    case OptionSpec::Type::real:
      if (double number = 0; !is_number(value, number) || !std::isfinite(number)) {
        return "expected a number";
      }
      break;
    case OptionSpec::Type::text:
    case OptionSpec::Type::files:
      if (!is_utf8(value)) return "expected UTF-8";
      break;
  }
  return std::nullopt;
}

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return name == pattern;
  pattern.remove_suffix(1);
  return name.starts_with(pattern);
}

}  // namespace craftbundle

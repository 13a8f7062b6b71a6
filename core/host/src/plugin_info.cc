#include "plugin_info.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/plugin/interface_id.h"
#include "hub_cache.h"

namespace craftbundle {
namespace {

using Problem = std::optional<std::string>;

constexpr std::size_t kMaxOffers = 64;  // of a kind
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

Problem problem_of_name(const std::string& name) {
  if (is_pattern(name)) return std::nullopt;
  return "takes the pretrained name " + quoted(name) +
         ", expected a name, or the beginning of one and '*'";
}

// A plain file name in which '*' stands for anything. Something of it must be told: "*" would take
// every directory.
Problem problem_of_file(const std::string& name) {
  if (!name.empty() && name.front() != '.' && is_clean(name) &&
      name.find_first_of("/?[]\\") == std::string::npos &&
      name.find_first_not_of('*') != std::string::npos) {
    return std::nullopt;
  }
  return "takes directories with the file " + quoted(name) +
         ", expected a file name, in which '*' stands for anything";
}

Problem problem_of(const AcceptedSource& source) {
  if (Problem problem = problem_of_text(source.what, "description of a source")) return problem;
  const bool is_directory = source.kind == AcceptedSource::Kind::directory;
  const bool is_model = source.kind == AcceptedSource::Kind::model;
  if (source.kind == AcceptedSource::Kind::checkpoint) {
    if (source.names.empty()) return std::nullopt;
    return "lists names for sources that are files";
  }
  if (source.names.empty() && !is_model) {
    return is_directory ? "takes directories but names no file in them"
                        : "takes pretrained names but lists none";
  }
  if (source.names.size() > kMaxListItems) return "lists too many names";
  for (const std::string& name : source.names) {
    if (is_model && !(is_model_name(name) && name.find('/') != std::string::npos)) {
      return "lists " + quoted(name) + " as a model of a hub, expected ORG/NAME";
    }
    if (is_model) continue;
    if (Problem problem = is_directory ? problem_of_file(name) : problem_of_name(name)) {
      return problem;
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

// The rules of each kind.

Problem own_problem(const ExporterInfo& info) {
  if (!is_name(info.component)) {
    return "makes a component " + quoted(info.component) + ", expected a lower-case name";
  }
  if (info.accepts.empty()) return "accepts no source";
  if (info.accepts.size() > kMaxListItems) return "accepts too many kinds of source";
  for (const AcceptedSource& source : info.accepts) {
    if (Problem problem = problem_of(source)) return problem;
  }
  return std::nullopt;
}

Problem own_problem(const StageKindInfo& info) {
  if (std::ranges::count(kReservedStageNames, info.name) != 0) {
    return "has a name that scripts have already";
  }
  return problem_of_text(info.inputs, "description of its inputs");
}

Problem own_problem(const CodecLoaderInfo& info) {
  if (info.exporters.empty()) return "names no exporter whose components it runs";
  if (info.exporters.size() > kMaxOffers) return "names too many exporters";
  for (const std::string& exporter : info.exporters) {
    if (!is_name(exporter)) {
      return "names the exporter " + quoted(exporter) + ", expected a lower-case name";
    }
  }
  return std::nullopt;
}

Problem own_problem(const LayoutInfo& info) {
  if (info.families.empty()) return "takes models of no family";
  if (info.parts.empty()) return "names no file";
  if (info.parts.size() > kMaxOffers || info.families.size() > kMaxOffers) {
    return "names too many files or families";
  }
  for (const LayoutInfo::Part& part : info.parts) {
    if (part.role != "*" && !is_name(part.role)) {
      return "has a file for the role " + quoted(part.role) + ", expected a lower-case name or '*'";
    }
    const bool has_place = part.file.find('*') != std::string::npos;
    if (!is_relative_name(part.file) || !is_clean(part.file) || has_place != (part.role == "*")) {
      return "names the file " + quoted(part.file) + " for the role " + quoted(part.role);
    }
  }
  for (const std::string& role : info.leaves_out) {
    if (!is_name(role)) return "leaves out the role " + quoted(role);
  }
  for (const std::string& family : info.families) {
    if (family != "*" && !is_name(family)) return "takes the family " + quoted(family);
  }
  return std::nullopt;
}

// The rules of all kinds.

Problem problem_of(const OfferInfo& info) {
  if (!is_name(info.name)) return "has no lower-case name";
  if (Problem problem = problem_of_text(info.summary, "summary")) return problem;
  if (info.revision < 1) {
    return "has revision " + std::to_string(info.revision) + ", expected 1 or more";
  }
  return problem_of(info.options);
}

template <typename Info>
Problem problem_of_offers(const std::vector<Info>& offers) {
  if (offers.size() > kMaxOffers) {
    return "offers " + std::to_string(offers.size()) + " " + plural<Info>() +
           ", expected at most " + std::to_string(kMaxOffers);
  }
  std::set<std::string_view> names;
  for (const Info& info : offers) {
    Problem problem = problem_of(static_cast<const OfferInfo&>(info));
    if (!problem) problem = own_problem(info);
    if (problem) {
      return "offers the " + std::string(Info::kKind) + " " + quoted(info.name) + ", which " +
             *problem;
    }
    if (!names.insert(info.name).second) {
      return "offers two " + plural<Info>() + " " + quoted(info.name);
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
  if (info.all == OfferInfos()) return "offers nothing";
  Problem problem;
  info.for_each_kind([&](const auto& offers) {
    if (!problem) problem = problem_of_offers(offers);
  });
  return problem;
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

bool fits(const AcceptedSource& accepted, const std::vector<std::string>& files) {
  return std::ranges::all_of(accepted.names, [&](const std::string& pattern) {
    return std::ranges::any_of(files, [&](const std::string& file) {
      return ::fnmatch(pattern.c_str(), file.c_str(), 0) == 0;
    });
  });
}

}  // namespace craftbundle

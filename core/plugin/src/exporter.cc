#include "craftbundle/detail/plugin/exporter.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/plugin/codec.h"

namespace craftbundle {
namespace {

constexpr double kRelativeTolerance = 1e-9;

// The value as a number, when it is one.
std::optional<double> number(const FactValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(OptionSpec::Type type) {
  switch (type) {
    case OptionSpec::Type::boolean:
      return "boolean";
    case OptionSpec::Type::integer:
      return "integer";
    case OptionSpec::Type::real:
      return "real";
    case OptionSpec::Type::text:
      return "text";
    case OptionSpec::Type::files:
      return "files";
  }
  return "text";
}

std::string_view to_string(AcceptedSource::Kind kind) {
  switch (kind) {
    case AcceptedSource::Kind::checkpoint:
      return "checkpoint";
    case AcceptedSource::Kind::pretrained:
      return "pretrained";
    case AcceptedSource::Kind::model:
      return "model";
    case AcceptedSource::Kind::directory:
      return "directory";
  }
  return "checkpoint";
}

Source Source::of_checkpoint(std::string given, std::shared_ptr<const Checkpoint> checkpoint) {
  Source source(AcceptedSource::Kind::checkpoint, std::move(given));
  source.checkpoint_ = std::move(checkpoint);
  return source;
}

Source Source::of_pretrained(std::string given, std::string name) {
  Source source(AcceptedSource::Kind::pretrained, std::move(given));
  source.name_ = std::move(name);
  return source;
}

Source Source::of_model(std::string given, Model model) {
  Source source(AcceptedSource::Kind::model, std::move(given));
  source.name_ = model.family;
  source.model_ = std::make_shared<const Model>(std::move(model));
  return source;
}

Source Source::of_directory(std::string given, std::shared_ptr<const SourceDirectory> directory) {
  Source source(AcceptedSource::Kind::directory, std::move(given));
  source.directory_ = std::move(directory);
  return source;
}

Source Source::found_in(std::string given, SourcePlace place) const {
  Source source = *this;
  source.given_ = std::move(given);
  source.place_ = std::make_shared<const SourcePlace>(std::move(place));
  return source;
}

std::string to_string(const FactValue& value) {
  struct Visitor {
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return number_text(number); }
    std::string operator()(const std::string& text) const { return text; }
  };
  return std::visit(Visitor{}, value);
}

bool same_value(const FactValue& a, const FactValue& b) {
  // Integers beyond 2^53 would be rounded as doubles.
  if (std::holds_alternative<std::int64_t>(a) && std::holds_alternative<std::int64_t>(b)) {
    return a == b;
  }
  const std::optional<double> x = number(a);
  const std::optional<double> y = number(b);
  if (x && y) {
    return std::abs(*x - *y) <= kRelativeTolerance * std::max(std::abs(*x), std::abs(*y));
  }
  return !x && !y && a == b;
}

std::optional<std::string> find_problem(const FitFact& fact) {
  if (fact.name.empty()) return "a fact has no name";
  const std::optional<double> value = number(fact.value);
  const std::string stated = "the fact " + quoted(fact.name) + " is ";
  const std::string found =
      value ? to_string(fact.value) : "the text " + quoted(std::get<std::string>(fact.value));
  if (value && !std::isfinite(*value)) return stated + found + ", expected a number";
  const std::vector<CodecFigure> figures = figures_of({});
  const auto known = std::ranges::find(figures, fact.name, &CodecFigure::name);
  if (known == figures.end()) return std::nullopt;
  const bool is_whole = std::holds_alternative<std::int64_t>(known->value);
  const bool sound = value && *value > 0 && (!is_whole || *value == std::floor(*value));
  if (sound) return std::nullopt;
  return stated + found + ", expected a " + (is_whole ? "whole " : "") + "number above 0";
}

std::optional<std::string> find_problem(const Component& component) {
  for (const std::vector<FitFact>* facts : {&component.provides, &component.requires_}) {
    for (const FitFact& fact : *facts) {
      if (auto problem = find_problem(fact)) return problem;
    }
  }
  return std::nullopt;
}

std::vector<Path> files_of(std::string_view value) {
  std::vector<Path> files;
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view file = value.substr(0, comma);
    if (!file.empty()) files.emplace_back(std::string(file));
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
  }
  return files;
}

std::string files_value(const std::vector<Path>& files) {
  std::string value;
  for (const Path& file : files) {
    if (file.string().find(',') != std::string::npos) {
      throw Error(ErrorKind::usage, "option.value",
                  path_text(file) + " has a comma in its path, which separates files in options",
                  "give it another name, for example with a symbolic link");
    }
    value += (value.empty() ? "" : ",") + file.string();
  }
  return value;
}

const std::string& option_value(const std::vector<OptionValue>& options, std::string_view name) {
  for (const OptionValue& option : options) {
    if (option.name == name) return option.value;
  }
  throw Error(ErrorKind::internal, "option.undeclared",
              "option " + quoted(name) + " was asked for but never declared");
}

const std::string& ExportRequest::option(std::string_view name) const {
  return option_value(options, name);
}

}  // namespace craftbundle

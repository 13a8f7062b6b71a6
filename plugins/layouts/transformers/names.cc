#include "names.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::transformers {
namespace {

constexpr std::string_view kNumber = "<n>";
constexpr std::string_view kWord = "<word>";
constexpr std::size_t kShownNames = 8;

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t dot = name.find('.');
    words.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    name.remove_prefix(dot + 1);
  }
}

bool is_number(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

Error strangers(ErrorKind kind, const std::vector<std::string>& names, const std::string& where) {
  const bool is_written = kind == ErrorKind::mismatch;
  return Error(kind, "layout.tensors",
               std::to_string(names.size()) + " tensors have no place " + where + ": " +
                   list_text(names, kShownNames),
               is_written ? "--layout audiocraft or safetensors takes the model as it is"
                          : "get the folder again from where the model was made, with the "
                            "config.json that belongs to it");
}

}  // namespace

void NameTable::rename(std::string ours, std::string theirs) {
  lines_.push_back({words_of(ours), {words_of(theirs)}, {}});
}

void NameTable::split(std::string ours, std::vector<std::string> theirs) {
  Line line{words_of(ours), {}, {}};
  for (const std::string& part : theirs) line.theirs.push_back(words_of(part));
  lines_.push_back(std::move(line));
}

void NameTable::ours_only(std::string name, TensorContent made) {
  lines_.push_back({words_of(name), {}, std::move(made)});
}

void NameTable::theirs_only(std::string pattern, std::optional<TensorContent> made) {
  lines_.push_back({{}, {words_of(pattern)}, std::move(made)});
}

std::optional<NameTable::Captures> NameTable::match(const Pattern& pattern, std::string_view name) {
  Captures captures;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::size_t dot = name.find('.');
    const bool is_last = i + 1 == pattern.size();
    if (is_last != (dot == std::string_view::npos)) return std::nullopt;
    const std::string_view word = name.substr(0, dot);
    if (pattern[i] == kWord || (pattern[i] == kNumber && is_number(word))) {
      captures.emplace_back(word);
    } else if (pattern[i] != word) {
      return std::nullopt;
    }
    if (!is_last) name.remove_prefix(dot + 1);
  }
  return captures;
}

std::string NameTable::fill(const Pattern& pattern, const Captures& captures) {
  std::string name;
  std::size_t next = 0;
  for (const std::string& word : pattern) {
    if (!name.empty()) name += '.';
    name += word == kWord || word == kNumber ? captures[next++] : word;
  }
  return name;
}

std::optional<NameTable::Found> NameTable::find_ours(std::string_view name) const {
  for (const Line& line : lines_) {
    if (line.ours.empty()) continue;
    if (auto captures = match(line.ours, name)) return Found{&line, 0, *std::move(captures)};
  }
  return std::nullopt;
}

std::optional<NameTable::Found> NameTable::find_theirs(std::string_view name) const {
  for (const Line& line : lines_) {
    for (std::size_t part = 0; part < line.theirs.size(); ++part) {
      if (auto captures = match(line.theirs[part], name)) {
        return Found{&line, part, *std::move(captures)};
      }
    }
  }
  return std::nullopt;
}

std::vector<NamedTensor> NameTable::to_theirs(const std::vector<NamedTensor>& ours) const {
  std::vector<NamedTensor> result;
  std::vector<std::string> unknown;
  for (const NamedTensor& named : ours) {
    const std::optional<Found> found = find_ours(named.name);
    if (!found) {
      unknown.push_back(named.name);
      continue;
    }
    const std::vector<Pattern>& theirs = found->line->theirs;
    const auto parts = static_cast<std::int64_t>(theirs.size());
    const std::int64_t rows =
        parts > 1 && !named.shape().empty() ? named.shape().front() / parts : 0;
    for (std::int64_t part = 0; part < parts; ++part) {
      result.push_back({fill(theirs[static_cast<std::size_t>(part)], found->captures),
                        parts == 1 ? named.tensor : row_range(named.tensor, part * rows, rows)});
    }
  }
  if (!unknown.empty()) {
    throw strangers(ErrorKind::mismatch, unknown, "in transformers' form of the model");
  }
  for (const Line& line : lines_) {
    if (line.ours.empty() && line.made)
      result.push_back({fill(line.theirs.front(), {}), *line.made});
  }
  return result;
}

std::vector<NamedTensor> NameTable::to_ours(const std::vector<NamedTensor>& theirs) const {
  // Parts of what was split come in any order.
  std::map<std::string, std::vector<std::optional<TensorContent>>> joined;
  std::vector<NamedTensor> result;
  std::vector<std::string> unknown;
  for (const NamedTensor& named : theirs) {
    const std::optional<Found> found = find_theirs(named.name);
    if (!found) {
      unknown.push_back(named.name);
    } else if (!found->line->ours.empty()) {
      const std::string name = fill(found->line->ours, found->captures);
      const std::size_t parts = found->line->theirs.size();
      if (parts == 1) {
        result.push_back({name, named.tensor});
      } else {
        auto& place = joined[name];
        place.resize(parts);
        place[found->part] = named.tensor;
      }
    }
  }
  if (!unknown.empty())
    throw strangers(ErrorKind::input, unknown, "in AudioCraft's form of the model");
  for (const auto& [name, places] : joined) {
    std::vector<TensorContent> parts;
    for (const auto& part : places) {
      if (part) parts.push_back(*part);
    }
    if (parts.size() < places.size()) {
      throw Error(ErrorKind::input, "layout.tensors",
                  std::to_string(places.size() - parts.size()) + " of the " +
                      std::to_string(places.size()) + " parts of " + craftbundle::quoted(name) +
                      " are missing",
                  "get the file again from where the model was made");
    }
    result.push_back({name, concatenate(parts)});
  }
  for (const Line& line : lines_) {
    if (line.theirs.empty() && line.made) result.push_back({fill(line.ours, {}), *line.made});
  }
  return result;
}

std::vector<TensorAlias> NameTable::aliases(const std::vector<NamedTensor>& ours) const {
  std::vector<TensorAlias> aliases;
  for (const NamedTensor& named : ours) {
    const std::optional<Found> found = find_ours(named.name);
    if (!found || found->line->theirs.empty() || named.shape().empty()) continue;
    const auto parts = static_cast<std::int64_t>(found->line->theirs.size());
    const std::int64_t rows = named.shape().front() / parts;
    for (std::int64_t part = 0; part < parts; ++part) {
      const Pattern& theirs = found->line->theirs[static_cast<std::size_t>(part)];
      aliases.push_back({fill(theirs, found->captures), named.name, part * rows, rows});
    }
  }
  return aliases;
}

std::vector<NamedTensor> under(std::string_view prefix, const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> result;
  for (const NamedTensor& named : tensors) {
    if (named.name.starts_with(prefix)) {
      result.push_back({named.name.substr(prefix.size()), named.tensor});
    }
  }
  return result;
}

std::vector<NamedTensor> prefixed(const std::string& prefix, std::vector<NamedTensor> tensors) {
  for (NamedTensor& named : tensors) named.name = prefix + named.name;
  return tensors;
}

void order_by(const std::vector<std::string>& names, std::vector<NamedTensor>& tensors) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (const std::string& name : names) places.emplace(name, places.size());
  const auto place = [&](const NamedTensor& named) {
    const auto found = places.find(named.name);
    return found == places.end() ? places.size() : found->second;
  };
  std::ranges::stable_sort(tensors, {}, place);
}

}  // namespace craftbundle::transformers

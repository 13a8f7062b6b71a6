#include "tensors.h"

#include <algorithm>
#include <set>

#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "table.h"

namespace craftbundle::app {
namespace {

std::string shape_of_text(const TensorContent& tensor) { return shape_text(shape_of(tensor)); }

std::string type_text(const std::optional<TensorContent>& tensor) {
  if (!tensor) return "-";
  return std::string(name(dtype_of(*tensor))) + " " + shape_of_text(*tensor);
}

// Those that are meant, by their numbers.
std::vector<std::size_t> chosen(const TensorGroup& group, const std::string& pattern) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < group.tensors.size(); ++i) {
    if (is_meant(group.tensors[i].name, pattern)) numbers.push_back(i);
  }
  return numbers;
}

// Nothing of a tensor that has a storage of its own.
std::string storage_text(const TensorGroup& group, std::size_t i,
                         const std::optional<StorageUse>& use) {
  if (!use) return "in parts";
  std::vector<std::string> clauses;
  if (!use->shared.empty()) {
    const std::size_t more = use->shared.size() - 1;
    clauses.push_back("shared with " + printable(group.tensors[use->shared.front()].name) +
                      (more > 0 ? " and " + std::to_string(more) + " more" : std::string()));
  }
  const std::uint64_t own = element_count(shape_of(group.tensors[i].tensor)).value_or(0);
  if (own != use->elements) {
    clauses.push_back("from " + grouped(use->offset) + " of " + grouped(use->elements));
  }
  if (!use->contiguous) clauses.emplace_back("with strides");
  return join(clauses, ", ");
}

std::string group_text(const TensorGroup& group, const std::string& pattern) {
  const std::vector<std::size_t> numbers = chosen(group, pattern);
  const std::vector<std::optional<StorageUse>> uses = storages_of(group);
  Table table({"tensor", "type", "shape", "size", "storage"});
  std::uint64_t bytes = 0;
  for (const std::size_t i : numbers) {
    const ListedTensor& tensor = group.tensors[i];
    bytes += bytes_of(tensor.tensor);
    table.add({printable(tensor.name, 1000), std::string(name(dtype_of(tensor.tensor))),
               shape_of_text(tensor.tensor), human_bytes(bytes_of(tensor.tensor)),
               storage_text(group, i, uses[i])});
  }
  std::string text = group.name.empty() ? "" : group.name + ": ";
  text += pattern.empty()
              ? counted(numbers.size(), "tensor")
              : std::to_string(numbers.size()) + " of " + counted(group.tensors.size(), "tensor");
  text += ", " + human_bytes(bytes) + "\n";
  if (!numbers.empty()) text += table.text();
  for (const std::string& refused : group.refused) text += "  not readable: " + refused + "\n";
  return text;
}

std::string side_text(const std::optional<std::string>& value) {
  return value ? printable(*value) : "-";
}

std::string values_text(const SourceDiff::Group& group) {
  std::string text;
  if (!group.values.empty()) {
    Table table({"tensor", "type", "largest difference", "relative (RMS)"});
    for (const TensorDifference& difference : group.values) {
      table.add({printable(difference.name, 1000), difference.what, error_text(difference.absolute),
                 error_text(difference.relative)});
    }
    text += table.text();
  }
  text += "  " + counted(group.equal_values, "tensor") + " with equal elements\n";
  if (!group.not_compared.empty()) {
    text += "  elements not compared, they are no numbers: " + list_text(group.not_compared) + "\n";
  }
  return text;
}

std::string group_text(const SourceDiff::Group& group, const std::string& first,
                       const std::string& second, bool values) {
  std::string text = group.name.empty() ? "" : group.name + "\n";
  if (!group.in_first || !group.in_second) {
    return text + "  only in " + (group.in_first ? first : second) + "\n";
  }
  if (!group.tensors.empty()) {
    Table table({"tensor", first, second});
    for (const SourceDiff::Tensor& tensor : group.tensors) {
      table.add({printable(tensor.name, 1000), type_text(tensor.first), type_text(tensor.second)});
    }
    text += table.text();
  }
  text += "  " + counted(group.equal, "tensor") + " with equal name, type and shape\n";
  if (!group.settings.empty()) {
    Table table({"configuration", first, second});
    for (const SourceDiff::Setting& setting : group.settings) {
      table.add({printable(setting.key), side_text(setting.first), side_text(setting.second)});
    }
    text += table.text();
  }
  return values ? text + values_text(group) : text;
}

Json group_json(const SourceDiff::Group& group, bool values) {
  Json json;
  json["component"] = group.name.empty() ? Json() : Json(group.name);
  json["in_first"] = group.in_first;
  json["in_second"] = group.in_second;
  const auto side = [](const std::optional<TensorContent>& tensor) {
    return tensor ? tensor_json(*tensor) : Json();
  };
  json["tensors"] = json_list(group.tensors, [&](const SourceDiff::Tensor& tensor) -> Json {
    return {{"name", tensor.name}, {"first", side(tensor.first)}, {"second", side(tensor.second)}};
  });
  json["equal_tensors"] = group.equal;
  const auto text = [](const std::optional<std::string>& value) {
    return value ? Json(*value) : Json();
  };
  json["configuration"] = json_list(group.settings, [&](const SourceDiff::Setting& one) -> Json {
    return {{"key", one.key}, {"first", text(one.first)}, {"second", text(one.second)}};
  });
  if (!values) return json;
  json["values"] = json_list(group.values, [](const TensorDifference& difference) -> Json {
    return {{"tensor", difference.name},
            {"type", difference.what},
            {"elements", difference.elements},
            {"largest", difference.absolute},
            {"relative", difference.relative}};
  });
  json["equal_values"] = group.equal_values;
  json["not_compared"] = group.not_compared;
  return json;
}

}  // namespace

void print_tensors(const std::string& given, const std::string& pattern,
                   const SourceOptions& lookup, bool json, Session& session) {
  const std::vector<TensorGroup> groups = list_tensors(given, lookup, session.host());
  const bool any = std::ranges::any_of(
      groups, [&](const TensorGroup& group) { return !chosen(group, pattern).empty(); });
  if (!pattern.empty() && !any) {
    throw Error(ErrorKind::input, "tensors.pattern",
                "no tensor in " + craftbundle::quoted(given) + " has a name like " +
                    craftbundle::quoted(pattern),
                "a word is found anywhere in a name; with * and ? it is a pattern");
  }
  if (json) {
    session.print(json_document(tensors_json(given, groups, pattern)));
    return;
  }
  std::string text = printable(given) + "\n";
  for (const TensorGroup& group : groups) text += group_text(group, pattern);
  session.print(text);
}

int print_diff(const std::string& first, const std::string& second, const SourceOptions& lookup,
               bool values, bool json, Session& session) {
  const SourceDiff diff =
      diff_sources(first, second, lookup, values, session.host(), session.cancellation());
  if (json) {
    Json document = {{"first", first}, {"second", second}, {"equal", diff.is_empty()}};
    if (!diff.as_files.empty()) document["as_files"] = diff.as_files;
    document["groups"] = json_list(
        diff.groups, [&](const SourceDiff::Group& group) { return group_json(group, values); });
    session.print(json_document(document));
  } else {
    std::string text =
        diff.as_files.empty()
            ? ""
            : "compared as files, configurations are left out: " + diff.as_files + "\n";
    for (const SourceDiff::Group& group : diff.groups) {
      text += group_text(group, printable(first), printable(second), values);
    }
    text += diff.is_empty() ? "no difference" : "they differ";
    session.print(text + (values ? "\n" : "; elements were not compared, see --values\n"));
  }
  return diff.is_empty() ? kExitDone : kExitMismatch;
}

}  // namespace craftbundle::app

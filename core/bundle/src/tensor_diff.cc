#include "craftbundle/detail/bundle/tensor_diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/bundle/transform.h"

namespace craftbundle {
namespace {

// Bytes, or as many elements as fit, that are looked at in one go.
constexpr std::size_t kPiece = 1 << 20;

// Tensors among the further data of a file.
void collect_tensors(const Value& value, const std::string& name, std::vector<NamedTensor>& out) {
  if (const auto* tensor = value.get_if<Tensor>()) {
    out.push_back({name, *tensor});
  } else if (const auto* list = value.get_if<Value::List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      collect_tensors((*list)[i], name + "[" + std::to_string(i) + "]", out);
    }
  } else if (const auto* dict = value.get_if<Value::Dict>()) {
    for (const auto& [key, item] : *dict) collect_tensors(item, name + "." + key, out);
  }
}

// Calls `read(first, piece)` for pieces of at most kPiece bytes that cover `count` items.
template <typename Item, typename Read>
void in_pieces(std::uint64_t count, const Cancellation& cancellation, Read&& read) {
  std::vector<Item> piece;
  for (std::uint64_t done = 0; done < count; done += piece.size()) {
    cancellation.check();
    piece.resize(std::min<std::uint64_t>(kPiece / sizeof(Item), count - done));
    read(done, piece);
  }
}

void measure(const Elements& found, const Elements& original, const Cancellation& cancellation,
             TensorDifference& difference) {
  std::vector<double> before;
  double squares = 0;
  double errors = 0;
  difference.elements = found.size();
  in_pieces<double>(found.size(), cancellation, [&](std::uint64_t done, std::vector<double>& now) {
    before.resize(now.size());
    found.read(done, now);
    original.read(done, before);
    for (std::size_t i = 0; i < now.size(); ++i) {
      const double a = now[i];
      const double b = before[i];
      const double error = std::abs(a - b);
      // The same infinity, or no number on both sides.
      if (std::isnan(error) && std::isnan(a) == std::isnan(b)) continue;
      squares += b * b;
      if (a == b) continue;
      const double distance = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
      difference.absolute = std::max(difference.absolute, distance);
      errors += distance * distance;
    }
  });
  if (errors > 0) {
    difference.relative = std::isfinite(errors) ? std::sqrt(errors / squares)
                                                : std::numeric_limits<double>::infinity();
  }
}

// The tensors of an original, also as they are once weight norms are folded.
class Originals {
 public:
  explicit Originals(const Component& component) {
    add(tensors_of(component), plain_);
    if (component.model() == nullptr) return;
    try {
      Model folded = *component.model();
      fold_weight_norm(folded);
      add(folded.tensors, folded_);
    } catch (const Error&) {
      // Nothing to fold, which is no fault of an original.
    }
  }

  // nullptr when there is none. `how` is what was done to it, for people.
  ElementsPtr find(const std::string& name, std::string& how) const {
    if (const auto found = plain_.find(name); found != plain_.end()) {
      return elements_of(found->second);
    }
    const auto found = folded_.find(name);
    if (found == folded_.end()) return nullptr;
    how = "folded, ";
    return elements_of(found->second);
  }

 private:
  using ByName = std::unordered_map<std::string, NamedTensor>;
  static void add(const std::vector<NamedTensor>& tensors, ByName& by_name) {
    for (const NamedTensor& named : tensors) by_name.emplace(named.name, named);
  }

  ByName plain_;
  ByName folded_;
};

}  // namespace

std::vector<NamedTensor> tensors_of(const Component& component) {
  const Model* model = component.model();
  std::vector<NamedTensor> tensors;
  if (model != nullptr) tensors = model->tensors;
  const Value::Dict& extra =
      model != nullptr ? model->extra : std::get<Reference>(component.content).extra;
  for (const auto& [key, value] : extra) collect_tensors(value, key, tensors);
  return tensors;
}

ValueCounts count_values(const Tensor& tensor, const Cancellation& cancellation) {
  ValueCounts counts;
  if (is_contiguous(tensor.layout)) {
    const std::size_t size = item_size(tensor.dtype);
    const std::uint64_t first = static_cast<std::uint64_t>(tensor.layout.offset) * size;
    in_pieces<std::byte>(element_count(tensor.layout.shape).value_or(0) * size, cancellation,
                         [&](std::uint64_t done, std::vector<std::byte>& bytes) {
                           tensor.storage.owner->read(tensor.storage, first + done, bytes);
                           count_values(tensor.dtype, bytes, counts);
                         });
    return counts;
  }
  const ElementsPtr elements = elements_of(tensor);
  in_pieces<double>(elements->size(), cancellation,
                    [&](std::uint64_t done, std::vector<double>& numbers) {
                      elements->read(done, numbers);
                      count_values(DType::float64, std::as_bytes(std::span(numbers)), counts);
                    });
  return counts;
}

TensorComparison compare_tensors(const Component& found, const Component& original,
                                 const Cancellation& cancellation) {
  const Originals originals(original);
  TensorComparison comparison;
  for (const NamedTensor& named : tensors_of(found)) {
    TensorDifference difference;
    difference.name = named.name;
    const ElementsPtr before = originals.find(named.name, difference.what);
    const ElementsPtr after = elements_of(named);
    if (!before || before->shape() != after->shape()) {
      comparison.strangers.push_back(named.name);
      continue;
    }
    difference.what += name(before->dtype());
    if (before->dtype() != after->dtype())
      difference.what += " to " + std::string(name(after->dtype()));
    measure(*after, *before, cancellation, difference);
    comparison.differences.push_back(std::move(difference));
  }
  return comparison;
}

}  // namespace craftbundle

// How tensors of AudioCraft are called in transformers, and back.
//
// One table for each family writes, reads and checks: nothing says a second time how a name comes
// back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::transformers {

// Names are patterns: of the words between their dots "<n>" stands for a number and "<word>" for
// any one. Both names of a line have the same ones in the same order. The first line that fits
// counts.
class NameTable {
 public:
  // The same tensor under another name.
  void rename(std::string ours, std::string theirs);
  // Its rows are shared out evenly.
  void split(std::string ours, std::vector<std::string> theirs);
  // AudioCraft keeps what can be computed: left out there, and made again on the way back.
  void ours_only(std::string name, TensorContent made);
  // The reverse. Without `made` it is not written, but may be there.
  void theirs_only(std::string pattern, std::optional<TensorContent> made = std::nullopt);

  // Throw Error(mismatch or input, "layout.tensors") that lists the names that no line has, of what
  // is written or read; the way back also what is missing of a tensor that was split.
  std::vector<NamedTensor> to_theirs(const std::vector<NamedTensor>& ours) const;
  std::vector<NamedTensor> to_ours(const std::vector<NamedTensor>& theirs) const;

  // Their names for the tensors of ours that have some.
  std::vector<TensorAlias> aliases(const std::vector<NamedTensor>& ours) const;

 private:
  using Pattern = std::vector<std::string>;  // the words between the dots
  struct Line {
    Pattern ours;                 // empty: theirs only
    std::vector<Pattern> theirs;  // empty: ours only
    std::optional<TensorContent> made;
  };
  using Captures = std::vector<std::string>;

  static std::optional<Captures> match(const Pattern& pattern, std::string_view name);
  static std::string fill(const Pattern& pattern, const Captures& captures);
  // The line for one of our names, with what its pattern stands for.
  struct Found {
    const Line* line = nullptr;
    std::size_t part = 0;  // which of `theirs`
    Captures captures;
  };
  std::optional<Found> find_ours(std::string_view name) const;
  std::optional<Found> find_theirs(std::string_view name) const;

  std::vector<Line> lines_;
};

// `tensors` of which the names begin with `prefix`, without it; and with it.
std::vector<NamedTensor> under(std::string_view prefix, const std::vector<NamedTensor>& tensors);
std::vector<NamedTensor> prefixed(const std::string& prefix, std::vector<NamedTensor> tensors);

// Into the order of `names`; tensors of other names come last.
void order_by(const std::vector<std::string>& names, std::vector<NamedTensor>& tensors);

}  // namespace craftbundle::transformers

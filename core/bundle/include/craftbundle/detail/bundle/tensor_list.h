// Every tensor in a source by its name, whoever wrote it, and how two sources differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/bundle/tensor_diff.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace CRAFTBUNDLE_API craftbundle {

struct ListedTensor {
  // Keys and numbers of elements that lead to it, joined by dots: "best_state.model.encoder.bias".
  // Distinct in its group unless keys have dots in them.
  std::string name;
  TensorContent tensor;
};

// The tensors of a file, or of a component of a bundle.
struct TensorGroup {
  std::string name;  // the role; of anything else empty
  std::vector<ListedTensor> tensors;
  // Objects that are tensors and cannot be described, with the reason.
  std::vector<std::string> refused;
};

// The tensors of a bundle, by component, or of anything else at `given`: a checkpoint, safetensors
// (a file, an index, a directory), a directory with one of these. Of a checkpoint all that dicts,
// lists and tuples lead to. Reads no element. Throws as resolve_source(), list_bundle() and
// find_source(), and Error(input, "weights.*").
std::vector<TensorGroup> list_tensors(const std::string& given, const SourceOptions& lookup,
                                      const Host& host);

// Whether `name` is meant by `pattern`: by fnmatch, also without some of the parts in front
// ("*.bias", "encoder.*"); text without wildcards is found anywhere in it.
bool is_meant(const std::string& name, const std::string& pattern);

// Bytes of the elements as they would be written: 0 when the number does not fit.
std::uint64_t bytes_of(const TensorContent& tensor);

// Where the elements of a tensor lie, and who else has the storage.
struct StorageUse {
  std::string key;           // in its file
  std::uint64_t offset = 0;  // of the first element
  std::uint64_t elements = 0;
  bool contiguous = true;
  std::vector<std::size_t> shared;  // numbers of the other tensors of the group
};
// One for each tensor of the group; nullopt for those that are computed or joined.
std::vector<std::optional<StorageUse>> storages_of(const TensorGroup& group);

// What two sources have in common and what not.
struct SourceDiff {
  struct Tensor {
    std::string name;
    std::optional<TensorContent> first;   // nullopt: only the second one has it
    std::optional<TensorContent> second;  // nullopt: only the first one has it
  };
  struct Setting {
    std::string key;                    // "transformer_lm.n_q"
    std::optional<std::string> first;   // as YAML writes it; nullopt: only the second one has it
    std::optional<std::string> second;  // nullopt: only the first one has it
  };
  struct Group {
    std::string name;  // role; empty when both are compared as files
    bool in_first = true;
    bool in_second = true;
    std::vector<Tensor> tensors;            // that differ in name, type or shape
    std::uint64_t equal = 0;                // tensors with the same name, type and shape
    std::vector<Setting> settings;          // that differ
    std::vector<TensorDifference> values;   // that differ, with `values`
    std::uint64_t equal_values = 0;         // tensors whose elements are equal
    std::vector<std::string> not_compared;  // tensors of types that are no numbers
  };
  std::vector<Group> groups;
  // Why components were not compared, but the files as they are; empty otherwise.
  std::string as_files;

  bool is_empty() const;
};

// Compares the components of two sources by their roles, or, where exporters refuse one of them,
// their tensors under all names in the files. With `values` elements are read too, of tensors of
// the same shape. Throws as list_tensors() and compare_tensors(), and Error(input, "diff.roles")
// when the two have no component in common.
SourceDiff diff_sources(const std::string& first, const std::string& second,
                        const SourceOptions& lookup, bool values, const Host& host,
                        const Cancellation& cancellation);

}  // namespace craftbundle

// From a source to a component that is ready to be laid out: an exporter makes the model, then
// transforms change its weights. Nothing is computed here; the model says what is to be written,
// and the writer asks for it piece by piece.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

inline constexpr std::string_view kDtypeOption = "dtype";
inline constexpr std::string_view kDtypeOfOption = "dtype-of";
inline constexpr std::string_view kAverageOption = "average";
inline constexpr std::string_view kMergeOption = "merge";
inline constexpr std::string_view kFoldOption = "fold-weight-norm";

// The options that every component takes beside those of its exporter. An exporter that declares
// one of them itself is given it, and nothing is done here. One of them is config-from (open.h),
// which prepare_component() only records.
std::vector<OptionSpec> transform_options();

// Whether a component with these options is taken without being checked (kAsIsOption).
bool is_as_is(const std::vector<OptionValue>& options);

// As Host::prepare(), with the options of transform_options() applied to the model, in this order:
//
// average           Each tensor of floating point becomes the mean of it and those of the same name
// in
//                   further checkpoints, which the same exporter reads with the same options;
//                   counters stay. A file that is named twice, or is the source itself, counts
//                   once.
// merge             LoRA adapters are added to the weights, one after the other (adapter.h). A
// weight
//                   that several adapters change has its type again after each of them. A cast to
//                   float32 comes before.
// fold-weight-norm  Pairs "<x>.weight_g", "<x>.weight_v" (torch.nn.utils.weight_norm) become
//                   "<x>.weight", and the configuration Model::folded.
// dtype, dtype-of   Tensors of floating point are rounded. Integers keep their type, and so does
//                   Model::keep_dtype unless dtype-of names it.
//
// What was done is added to the component's checks; parameters, types, number and origin of the
// tensors to its summary. Throws as Host::prepare(), and Error: usage "option.value" for a
// reference, which has no weights, for a rule that cannot be read or names no tensor, and for
// fold-weight-norm of a model that is taken as it is; input "average.tensors" when names or shapes
// differ, "fold.none", "fold.duplicate", "tensor.shape"; and as read_adapter() and merge().
PreparedComponent prepare_component(const ComponentRequest& request, const Host& host);

// The transforms themselves. Each returns what was done, one clause each.
std::vector<std::string> average(Model& model, const std::vector<Model>& others);
std::vector<std::string> fold_weight_norm(Model& model);
std::vector<std::string> cast(Model& model, const std::string& dtype, std::string_view dtype_of);

}  // namespace craftbundle

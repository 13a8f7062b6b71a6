// Options of exporters that compute: averages of checkpoints, folded weight norm, casts. Nothing is
// computed here; a state dict says what is to be written, and the writer asks for it piece by
// piece.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/plugin/exporter.h"
#include "support/audiocraft/state.h"

namespace craftbundle::audiocraft {

inline constexpr std::string_view kDtypeOption = "dtype";
inline constexpr std::string_view kDtypeOfOption = "dtype-of";
inline constexpr std::string_view kAverageOption = "average";
inline constexpr std::string_view kFoldOption = "fold-weight-norm";
OptionSpec dtype_option();
OptionSpec dtype_of_option();
OptionSpec average_option();
OptionSpec fold_option();

// Whether the options ask for anything to be computed.
bool computes(const ExportRequest& request);

// Throws Error(usage, "option.value") when they do: for a component that holds no weights, as
// `what` says ("a reference to a pretrained model").
void require_nothing_computed(const ExportRequest& request, std::string_view what);

// Each tensor of floating point becomes the mean of it and those of the same name in `others`;
// counters stay as they are. Throws Error(input, "average.tensors") when names or shapes differ.
void average(State& state, const std::vector<State>& others);

// Pairs "<x>.weight_g" and "<x>.weight_v" (torch.nn.utils.weight_norm) become "<x>.weight", in the
// place of the former. Throws Error(input): "fold.none" when there is no pair, "fold.duplicate"
// when the weight is there as well, "tensor.shape".
void fold_weight_norm(State& state);

// Brings the tensors into the order of `expected`. REQUIRES: check_state() passes.
void reorder(State& state, const ExpectedState& expected);

// What options dtype and dtype-of ask for. Integers keep their type, and so do the counters of
// codebooks, unless dtype-of names them. Throws Error(usage, "option.value") for a rule that cannot
// be read or names no tensor.
void cast(State& state, const ExportRequest& request);

}  // namespace craftbundle::audiocraft

// A kind of stage for run scripts: the tensors of a checkpoint as a CSV table, with name, dtype,
// shape and bytes.
//
//   stages:
//     table: {tensor-table: models/state_dict.bin, to: tensors.csv, options: {separator: ";"}}
#pragma once

#include "bundlecraft/plugin/stage_kind.h"

namespace mulaw {

class TensorTable final : public bundlecraft::StageKind {
 public:
  bundlecraft::StageKindInfo info() const override;
  bundlecraft::StageOutcome run(const bundlecraft::StageRequest& request,
                                bundlecraft::StageContext& context) const override;
};

}  // namespace mulaw

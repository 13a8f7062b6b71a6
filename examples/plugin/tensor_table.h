// A kind of stage for run scripts: the tensors of a checkpoint as a CSV table, with name, dtype,
// shape and bytes.
//
//   stages:
//     table: {tensor-table: models/state_dict.bin, to: tensors.csv, options: {separator: ";"}}
#pragma once

#include "craftbundle/plugin.h"

namespace mulaw {

class TensorTable final : public craftbundle::StageKind {
 public:
  craftbundle::StageKindInfo info() const override;
  craftbundle::StageOutcome run(const craftbundle::StageRequest& request,
                                craftbundle::StageContext& context) const override;
};

}  // namespace mulaw

// Exporter for a small codec of our own: 8-bit mu-law companding with a learned table.
//
// Its training script saves
//   torch.save({'mulaw': {'levels': FloatTensor[N]}, 'sample_rate': 16000, 'channels': 1},
//   'mulaw.pt')
// and its exported file, which is taken as well, has the keys AudioCraft's packages have. So the
// rules of those (craftbundle/audiocraft_rules.h) do most of the work.
#pragma once

#include "craftbundle/plugin.h"

namespace mulaw {

class MulawExporter final : public craftbundle::Exporter {
 public:
  craftbundle::ExporterInfo info() const override;
  craftbundle::Probe probe(const craftbundle::Source& source) const override;
  craftbundle::Component prepare(const craftbundle::ExportRequest& request,
                                 craftbundle::ExportContext& context) const override;
};

}  // namespace mulaw

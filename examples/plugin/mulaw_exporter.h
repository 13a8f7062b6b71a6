// Exporter for a small codec of our own: 8-bit mu-law companding with a learned table.
//
// Its training script saves
//   torch.save({'mulaw': {'levels': FloatTensor[N]}, 'sample_rate': 16000, 'channels': 1},
//   'mulaw.pt')
// and its exported file, which is taken as well, has the keys AudioCraft's packages have.
#pragma once

#include "bundlecraft/plugin/exporter.h"

namespace mulaw {

class MulawExporter final : public bundlecraft::Exporter {
 public:
  bundlecraft::ExporterInfo info() const override;
  bundlecraft::Probe probe(const bundlecraft::Source& source) const override;
  bundlecraft::Component prepare(const bundlecraft::ExportRequest& request,
                                 bundlecraft::ExportContext& context) const override;
};

}  // namespace mulaw

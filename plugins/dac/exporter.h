// Exports DAC models (descript-audio-codec), and references to the pretrained ones that AudioCraft
// knows.
#pragma once

#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::dac {

class DacExporter final : public Exporter {
 public:
  ExporterInfo info() const override;
  Probe probe(const Source& source) const override;
  Component prepare(const ExportRequest& request, ExportContext& context) const override;
};

}  // namespace craftbundle::dac

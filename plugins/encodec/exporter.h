// Exports EnCodec models trained with AudioCraft, and references to pretrained ones.
#pragma once

#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::encodec {

class EncodecExporter final : public Exporter {
 public:
  ExporterInfo info() const override;
  Probe probe(const Source& source) const override;
  Component prepare(const ExportRequest& request, ExportContext& context) const override;
};

}  // namespace craftbundle::encodec

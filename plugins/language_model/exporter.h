// Exports language models trained with AudioCraft: MusicGen, AudioGen, MAGNeT and JASCO.
#pragma once

#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::language_model {

class LanguageModelExporter final : public Exporter {
 public:
  ExporterInfo info() const override;
  Probe probe(const Source& source) const override;
  Component prepare(const ExportRequest& request, ExportContext& context) const override;
};

}  // namespace craftbundle::language_model

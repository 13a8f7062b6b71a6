// Takes the encoder of a T5, which turns text into what language models are conditioned on, with
// the files of its tokenizer.
#pragma once

#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::text_encoder {

class T5Exporter final : public Exporter {
 public:
  ExporterInfo info() const override;
  Probe probe(const Source& source) const override;
  Component prepare(const ExportRequest& request, ExportContext& context) const override;
};

}  // namespace craftbundle::text_encoder

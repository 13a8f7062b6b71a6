#include "craftbundle/detail/plugin/plugin.h"
#include "text_encoder/exporter.h"

CRAFTBUNDLE_PLUGIN("text_encoder", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::text_encoder::T5Exporter>());
}

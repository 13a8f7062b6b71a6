#include "craftbundle/detail/plugin/plugin.h"
#include "encodec/exporter.h"

CRAFTBUNDLE_PLUGIN("encodec", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::encodec::EncodecExporter>());
}

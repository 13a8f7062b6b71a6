#include "craftbundle/detail/plugin/plugin.h"
#include "dac/exporter.h"

CRAFTBUNDLE_PLUGIN("dac", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::dac::DacExporter>());
}

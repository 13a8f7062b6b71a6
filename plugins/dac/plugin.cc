#include "bundlecraft/plugin/plugin.h"
#include "dac/exporter.h"

BUNDLECRAFT_PLUGIN("dac", "1.0.0", registrar) {
  registrar.add(std::make_unique<bundlecraft::dac::DacExporter>());
}

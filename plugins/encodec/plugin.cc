#include "bundlecraft/plugin/plugin.h"
#include "encodec/exporter.h"

BUNDLECRAFT_PLUGIN("encodec", "1.0.0", registrar) {
  registrar.add(std::make_unique<bundlecraft::encodec::EncodecExporter>());
}

#include "bundlecraft/plugin/plugin.h"

#include "dac/network.h"
#include "encodec/network.h"

BUNDLECRAFT_PLUGIN("codecs", "1.0.0", registrar) {
  registrar.add(std::make_unique<bundlecraft::encodec::EncodecLoader>());
  registrar.add(std::make_unique<bundlecraft::dac::DacLoader>());
}

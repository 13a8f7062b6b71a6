#include "craftbundle/detail/plugin/plugin.h"

#include "dac/network.h"
#include "encodec/network.h"

CRAFTBUNDLE_PLUGIN("codecs", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::encodec::EncodecLoader>());
  registrar.add(std::make_unique<craftbundle::dac::DacLoader>());
}

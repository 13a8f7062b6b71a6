#include "craftbundle/detail/plugin/plugin.h"

#include "layouts/audiocraft/layout.h"

CRAFTBUNDLE_PLUGIN("audiocraft", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::audiocraft::AudiocraftLayout>());
}

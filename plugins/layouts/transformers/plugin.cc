#include "craftbundle/detail/plugin/plugin.h"

#include "layout.h"

CRAFTBUNDLE_PLUGIN("transformers", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::transformers::TransformersLayout>());
}

#include "craftbundle/detail/plugin/plugin.h"
#include "language_model/exporter.h"

CRAFTBUNDLE_PLUGIN("language_model", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::language_model::LanguageModelExporter>());
}

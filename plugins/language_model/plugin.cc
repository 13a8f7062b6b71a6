#include "bundlecraft/plugin/plugin.h"
#include "language_model/exporter.h"

BUNDLECRAFT_PLUGIN("language_model", "1.0.0", registrar) {
  registrar.add(std::make_unique<bundlecraft::language_model::LanguageModelExporter>());
}

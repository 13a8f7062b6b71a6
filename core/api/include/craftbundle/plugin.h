// What a plugin is made of: exporters, layouts, codecs and kinds of stage, and what they are made
// with (docs/writing_an_exporter.md).
//
//   class MyExporter final : public craftbundle::Exporter { ... };
//
//   CRAFTBUNDLE_PLUGIN("my_codec", "1.0.0", registrar) {
//     registrar.add(std::make_unique<MyExporter>());
//   }
#pragma once

#include "craftbundle/checkpoint.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/plugin.h"
#include "craftbundle/detail/plugin/stage_kind.h"
#include "craftbundle/error.h"

#include <memory>

#include "craftbundle/plugin.h"
#include "mulaw_codec.h"
#include "mulaw_exporter.h"
#include "plain_layout.h"
#include "tensor_table.h"

CRAFTBUNDLE_PLUGIN("mulaw", "1.0.0", registrar) {
  registrar.add(std::make_unique<mulaw::MulawExporter>());
  registrar.add(std::make_unique<mulaw::MulawLoader>());
  registrar.add(std::make_unique<mulaw::PlainLayout>());
  registrar.add(std::make_unique<mulaw::TensorTable>());
}

// A codec of two rates in LibTorch: the mean of 16 samples, then of what that leaves of each 8.
#include "craftbundle/plugin.h"
#include "craftbundle/torch_network.h"

namespace {

using craftbundle::Error;
using craftbundle::ErrorKind;
namespace network = craftbundle::network;

constexpr const char* kEncoder = R"(
def forward(self, x: Tensor) -> Tensor:
    rest = x.size(2) % 16
    if rest > 0:
        x = torch.constant_pad_nd(x, [0, 16 - rest])
    return torch.avg_pool1d(x, [8], [8])
)";
constexpr const char* kQuantizer = R"(
def nearest(self, x: Tensor) -> Tensor:
    return torch.argmin((x.transpose(1, 2) - self.levels).abs(), dim=2)

def encode(self, x: Tensor, codebooks: int) -> Tensor:
    slow = self.nearest(torch.avg_pool1d(x, [2], [2])).repeat_interleave(2, 1)
    codes = [slow]
    if codebooks > 1:
        codes.append(self.nearest(x - self.levels[slow].unsqueeze(1)))
    return torch.stack(codes, 1)

def decode(self, codes: Tensor) -> Tensor:
    return self.levels[codes].sum(1, True)
)";
constexpr const char* kDecoder = R"(
def forward(self, x: Tensor) -> Tensor:
    return x.repeat_interleave(8, 2)
)";

class PoolExporter final : public craftbundle::Exporter {
 public:
  craftbundle::ExporterInfo info() const override {
    craftbundle::ExporterInfo info;
    info.name = "pool";
    info.summary = "Codecs that pool";
    info.component = "compression";
    info.accepts = {{craftbundle::AcceptedSource::Kind::checkpoint, "table of levels", {}}};
    return info;
  }
  craftbundle::Probe probe(const craftbundle::Source& source) const override {
    const auto root = source.checkpoint().root();
    const bool mine = root.is(craftbundle::Kind::dict) && root.find("mulaw");
    return mine ? craftbundle::Probe{100, "has the key 'mulaw'"}
                : craftbundle::Probe{0, "has no levels"};
  }
  craftbundle::Component prepare(const craftbundle::ExportRequest& request,
                                 craftbundle::ExportContext& /*context*/) const override {
    const auto& checkpoint = request.source.checkpoint();
    const auto table = checkpoint.root().find("mulaw");
    if (!table || !table->is(craftbundle::Kind::dict) || !table->find("levels")) {
      throw Error(ErrorKind::input, "pool.levels", "there are no levels");
    }
    craftbundle::Model model;
    model.tensors = {{"levels", checkpoint.tensor(*table->find("levels"))}};
    craftbundle::Component component;
    component.role = "compression";
    component.content = std::move(model);
    component.provides = {{"codebooks", std::int64_t{2}, "the plugin"}};
    return component;
  }
};

class PoolLoader final : public craftbundle::CodecLoader {
 public:
  craftbundle::CodecLoaderInfo info() const override {
    return {{"pool", "Runs codecs that pool with LibTorch"}, {"pool"}};
  }
  std::unique_ptr<craftbundle::Codec> load(
      const craftbundle::Model& model, const craftbundle::CodecOptions& options) const override {
    if (model.tensors.size() != 1 || model.tensors.front().name != "levels") {
      throw Error(ErrorKind::input, "codec.unsupported", "the model has no levels");
    }
    return network::guarded_load([&] {
      const craftbundle::ElementsPtr levels = elements_of(model.tensors.front());
      craftbundle::CodecProperties properties;
      properties.sample_rate = 16'000;
      properties.codebooks = 2;
      properties.cardinality = static_cast<std::int64_t>(levels->size());
      properties.latent_dimension = 1;
      properties.frame_rate = 2'000;
      properties.hop_length = 8;
      properties.frames_per_code = {2, 1};
      const network::CodecParts parts{network::script(kEncoder, {}),
                                      network::script(kQuantizer, {{"levels", levels}}),
                                      network::script(kDecoder, {})};
      return network::make_codec(parts, std::move(properties), options);
    });
  }
};

}  // namespace

CRAFTBUNDLE_PLUGIN("pool", "1.0.0", registrar) {
  registrar.add(std::make_unique<PoolExporter>());
  registrar.add(std::make_unique<PoolLoader>());
}

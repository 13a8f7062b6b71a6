// inspect: what is in a checkpoint or bundle, as JSON in a file.
#include <boost/filesystem.hpp>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/inspection.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"

namespace craftbundle {
namespace {

class InspectStage final : public Stage {
 public:
  InspectStage(StageInput input, Path to) : input_(std::move(input)), to_(std::move(to)) {
    input_.whole = false;
  }

  std::vector<StageInput> inputs() const override { return {input_}; }
  std::vector<StageOutput> outputs() const override { return {{"file", to_}}; }
  std::string what() const override {
    return "inspect " + printable(input_.path.filename().string());
  }
  std::vector<KeyPart> key() const override { return {}; }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    StageResult result;
    result.bytes = publish_text(found(run.host), to_, run);
    return result;
  }

 private:
  std::string found(const Host& host) const {
    boost::system::error_code ignored;
    if (boost::filesystem::is_directory(input_.path, ignored) &&
        !is_source_directory(input_.path, host)) {
      return bundle_json(input_.path, inspect_bundle(input_.path, host));
    }
    return to_json(inspect_source(source_at(input_.path.string(), input_.path, host), host));
  }

  StageInput input_;
  Path to_;
};

class InspectKind final : public StageReader {
 public:
  std::string name() const override { return "inspect"; }
  std::string summary() const override {
    return "Writes what is in a checkpoint or bundle as JSON";
  }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {{"inspect", Type::text, true, "Stage, checkpoint or bundle directory.", {}},
            {"to", Type::text, true, "File to write (JSON).", {}}};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("inspect"));
    const std::optional<Path> to = fields.path("to");
    if (inputs.size() != 1 || !to) return nullptr;
    return std::make_unique<InspectStage>(std::move(inputs.front()), *to);
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_inspect_kind() { return std::make_unique<InspectKind>(); }

}  // namespace craftbundle

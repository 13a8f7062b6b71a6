// verify: whether bundles and exported files are what they say they are.
#include "bundlecraft/base/error.h"
#include "bundlecraft/base/text.h"
#include "bundlecraft/bundle/verify.h"
#include "kinds.h"

namespace bundlecraft {
namespace {

class VerifyStage final : public Stage {
 public:
  explicit VerifyStage(std::vector<StageInput> inputs) : inputs_(std::move(inputs)) {
    for (StageInput& input : inputs_) input.whole = false;
  }

  std::vector<StageInput> inputs() const override { return inputs_; }
  std::vector<StageOutput> outputs() const override { return {}; }
  std::string what() const override {
    std::vector<std::string> names;
    for (const StageInput& input : inputs_) names.push_back(input.path.filename().string());
    return "verify " + list_text(names, 3);
  }
  std::vector<KeyPart> key() const override { return {}; }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    StageResult result;
    std::vector<std::string> problems;
    for (const StageInput& input : inputs_) {
      Verification found = verify(input.path, run.host, run.sink, run.cancellation);
      const std::string where =
          inputs_.size() > 1 ? printable(input.path.filename().string()) + ": " : std::string();
      for (const std::string& check : found.checks) result.checks.push_back(where + check);
      for (const std::string& warning : found.warnings) result.warnings.push_back(where + warning);
      for (const std::string& problem : found.problems) problems.push_back(where + problem);
      if (inputs_.size() == 1) result.manifest = std::move(found.manifest);
    }
    if (!problems.empty()) {
      std::string text;
      for (const std::string& problem : problems) text += (text.empty() ? "" : "; ") + problem;
      throw Error(ErrorKind::mismatch, "verify.failed", text);
    }
    result.summary.push_back({"checks that hold", std::to_string(result.checks.size())});
    return result;
  }

 private:
  std::vector<StageInput> inputs_;
};

class VerifyKind final : public StageReader {
 public:
  std::string name() const override { return "verify"; }
  std::string summary() const override {
    return "Checks that bundles and exported files are complete, undamaged and fit";
  }
  std::vector<StageKey> keys() const override {
    return {{"verify",
             StageKey::Type::text_or_list,
             true,
             "Stages, bundle directories or exported files.",
             {}}};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("verify"));
    if (inputs.empty()) return nullptr;
    return std::make_unique<VerifyStage>(std::move(inputs));
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_verify_kind() { return std::make_unique<VerifyKind>(); }

}  // namespace bundlecraft

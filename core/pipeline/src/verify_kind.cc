// verify: whether bundles and exported files are what they say they are.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "components.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/codec_trial.h"
#include "craftbundle/detail/bundle/verify.h"
#include "kinds.h"

namespace craftbundle {
namespace {

// Of the test signal: enough for a figure, over in a moment.
constexpr int kSeconds = 5;

// Encodes and decodes a test signal with each codec among the components of `found`, and adds what
// that shows to its findings. Throws Error(input, "codec.none") when there is none, and what the
// codec throws.
void run_codecs(Verification& found, const StageRun& run) {
  bool any = false;
  for (const VerifiedComponent& verified : found.components) {
    if (!verified.prepared) continue;
    const PreparedComponent& component = *verified.prepared;
    if (!run.host.can_run(component.exporter.name)) continue;
    any = true;
    CodecTrialOptions options;
    options.seconds = kSeconds;
    options.pieces.cancellation = &run.cancellation;
    options.sink = &run.sink;
    CodecTrial trial = try_codec(component, verified.file, run.host, options);
    if (trial.run) {
      const CodecRun& coded = *trial.run;
      found.findings.push_back(
          {Finding::Outcome::holds,
           component.component.role,
           {},
           "codes and decodes a test signal of " + std::to_string(kSeconds) + " s in " +
               std::to_string(coded.frames) + " frames of " + std::to_string(coded.codebooks) +
               ", SI-SNR " +
               (std::isfinite(coded.si_snr) ? fixed_text(coded.si_snr, 2) + " dB"
                                            : "none: silence"),
           {}});
    }
    std::ranges::move(trial.findings, std::back_inserter(found.findings));
  }
  if (!any) {
    throw Error(ErrorKind::input, "codec.none", "there is no codec in it that a plugin can run",
                "leave 'run' out");
  }
}

class VerifyStage final : public Stage {
 public:
  VerifyStage(std::vector<StageInput> inputs, bool run_codec, bool strict, ContentCheck check)
      : inputs_(std::move(inputs)), run_codec_(run_codec), strict_(strict), check_(check) {
    for (StageInput& input : inputs_) input.whole = false;
  }

  std::vector<StageInput> inputs() const override { return inputs_; }
  std::vector<StageOutput> outputs() const override { return {}; }
  std::string what() const override {
    std::vector<std::string> names;
    for (const StageInput& input : inputs_) names.push_back(input.path.filename().string());
    return "verify " + list_text(names, 3);
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    if (run_codec_) key.push_back({"run", "yes"});
    if (strict_) key.push_back({"strict", "yes"});
    add_key(check_, key);
    return key;
  }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    StageResult result;
    std::vector<std::string> problems;
    for (const StageInput& input : inputs_) {
      VerifyOptions options;
      options.sink = &run.sink;
      options.cancellation = &run.cancellation;
      if (check_ == ContentCheck::structure) options.depth = VerifyOptions::Depth::structure;
      Verification found = verify(input.path, run.host, options);
      const std::string where =
          inputs_.size() > 1 ? printable(input.path.filename().string()) + ": " : std::string();
      using Outcome = Finding::Outcome;
      const auto append = [&](Outcome outcome, std::vector<std::string>& to) {
        for (const std::string& text : found.texts(outcome)) to.push_back(where + text);
      };
      // Weights that are not what they should be are not computed with.
      if (run_codec_ && found.is_sound()) {
        with_context([&] { return path_text(input.path.filename()); },
                     [&] { run_codecs(found, run); });
      }
      append(Outcome::holds, result.checks);
      append(Outcome::warns, strict_ ? problems : result.warnings);
      append(Outcome::fails, problems);
      if (inputs_.size() == 1) result.manifest = std::move(found.described);
    }
    if (!problems.empty()) {
      throw Error(ErrorKind::mismatch, "verify.failed", join(problems, "; "));
    }
    if (check_ == ContentCheck::structure) {
      result.warnings.emplace_back("check: structure: the contents were not checked");
    }
    result.summary.push_back({"checks that hold", std::to_string(result.checks.size())});
    return result;
  }

 private:
  std::vector<StageInput> inputs_;
  bool run_codec_;
  bool strict_;
  ContentCheck check_;
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
             {}},
            {"run",
             StageKey::Type::boolean,
             false,
             "Encode and decode a test signal with the codec too.",
             {}},
            {"strict", StageKey::Type::boolean, false, "Whether a warning is a failure.", {}},
            check_key("What is checked: every byte, or the structure alone, for which no tensor is "
                      "read.")};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("verify"));
    if (inputs.empty()) return nullptr;
    return std::make_unique<VerifyStage>(std::move(inputs), fields.flag("run", false),
                                         fields.flag("strict", false), read_check(fields));
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_verify_kind() { return std::make_unique<VerifyKind>(); }

}  // namespace craftbundle

#include "craftbundle/detail/bundle/codec_trial.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/heartbeat.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/tensor_diff.h"
#include "craftbundle/detail/host/codec_check.h"

namespace craftbundle {
namespace {

using Outcome = Finding::Outcome;

// Codecs that are trained for perception alone do not follow the waveform and may lie below 0 dB.
// At this figure, what was decoded has a thousandth of its energy in common with the input.
constexpr double kLowestSiSnr = -30;
// Of the level of the input.
constexpr double kSilence = 1e-5;
// Of a codebook: fewer codes than these may well be the same.
constexpr std::int64_t kLeastCodes = 8;

constexpr const char* kSilent = "codec.silence";
constexpr const char* kTellAuthor =
    "the fault is in the plugin that runs the codec, or in the exporter that described it: tell "
    "their author";
constexpr const char* kOtherWeights =
    "export another checkpoint of the training, or its weights in float32";

std::uint64_t bytes_of(const Component& component) {
  std::uint64_t bytes = 0;
  for (const NamedTensor& named : tensors_of(component)) {
    if (const auto* tensor = std::get_if<Tensor>(&named.tensor)) {
      bytes += element_count(tensor->layout.shape).value_or(0) * item_size(tensor->dtype);
    }
  }
  return bytes;
}

std::uint64_t bytes_of(std::int64_t samples, std::int64_t channels) {
  return static_cast<std::uint64_t>(samples * channels) * sizeof(float);
}

Finding warning(std::string code, std::string text) {
  return {Outcome::warns, {}, std::move(code), std::move(text), {}};
}

Finding finding_of(const CodecFault& fault) {
  if (fault.code == kSilent) return warning(fault.code, fault.text);
  const bool of_weights = fault.code == "codec.not_finite";
  return {Outcome::fails, {}, fault.code, fault.text, of_weights ? kOtherWeights : kTellAuthor};
}

bool is_silent(const CodecRun& run) { return run.decoded_level < kSilence * run.level; }

}  // namespace

std::vector<Finding> find_oddities(const CodecRun& run, const CodecProperties& properties) {
  std::vector<Finding> odd;
  if (!(run.level > 0)) return odd;  // of silence nothing can be said
  if (is_silent(run)) {
    odd.push_back(warning(kSilent, "the codec makes silence of sound"));
  } else if (run.si_snr < kLowestSiSnr) {
    const std::string found =
        std::isfinite(run.si_snr) ? "is " + fixed_text(run.si_snr, 2) + " dB" : "is none";
    odd.push_back(
        warning("codec.si_snr", "SI-SNR " + found + ", far below what any trained codec gives"));
  }
  std::vector<std::string> collapsed;
  for (std::size_t book = 0; book < run.use.size(); ++book) {
    const std::vector<std::int64_t>& rates = properties.frames_per_code;
    const std::int64_t codes = run.frames / (book < rates.size() ? rates[book] : 1);
    if (run.use[book].used != 1 || properties.cardinality < 2 || codes < kLeastCodes) continue;
    collapsed.push_back(std::to_string(book));
  }
  if (!collapsed.empty()) {
    odd.push_back(warning("codec.collapsed",
                          (collapsed.size() == 1 ? "codebook " : "codebooks ") +
                              join(collapsed, ", ") + (collapsed.size() == 1 ? " has" : " have") +
                              " collapsed: one entry of " + std::to_string(properties.cardinality) +
                              " is used"));
  }
  return odd;
}

const VerifiedComponent& codec_of(const Verification& found, const Host& host) {
  for (const VerifiedComponent& component : found.components) {
    if (component.prepared && host.can_run(component.prepared->exporter.name)) return component;
  }
  throw Error(ErrorKind::input, "codec.none", "there is no codec in it that a plugin can run",
              "'craftbundle plugins list' shows what can be run");
}

CodecTrial try_codec(const PreparedComponent& component, const std::string& file, const Host& host,
                     const CodecTrialOptions& options) {
  CodecTrial trial;
  std::unique_ptr<Codec> codec;
  {
    const Heartbeat beat(*options.sink, "loading the codec of " + file,
                         bytes_of(component.component));
    codec = host.load_codec(component, options.codec);
  }
  const CodecProperties& properties = trial.properties = codec->properties();
  const std::unique_ptr<AudioReader> input =
      options.input ? options.input(properties)
                    : test_signal(properties.sample_rate, properties.channels, options.seconds);
  const auto add = [&](Finding finding) {
    finding.where = file;
    trial.findings.push_back(std::move(finding));
  };
  {
    // This sets the network up, too, which is not what people want measured.
    const Heartbeat beat(*options.sink, "trying the codec of " + file,
                         bytes_of(properties.sample_rate, properties.channels));
    for (const CodecFault& fault :
         check_codec(*codec, component.component.provides, *options.pieces.cancellation)) {
      add(finding_of(fault));
    }
  }
  const bool computes = std::ranges::none_of(trial.findings, [](const Finding& finding) {
    return finding.code == "codec.not_finite" || finding.code == "codec.frames" ||
           finding.code == "codec.length";
  });
  if (!computes) return trial;
  Heartbeat beat(*options.sink, "running the codec of " + file,
                 bytes_of(input->samples(), properties.channels));
  std::int64_t done = 0;
  try {
    trial.run = run_codec(*codec, *input, options.pieces, [&](const Audio& audio) {
      done += audio.samples;
      beat.at(bytes_of(done, properties.channels));
      if (options.write) options.write(audio);
    });
  } catch (const Error& error) {
    if (error.code() != "codec.not_finite") throw;
    add({Outcome::fails, {}, error.code(), error.message(), error.hint()});
    return trial;
  }
  for (Finding& odd : find_oddities(*trial.run, properties)) {
    const bool known = std::ranges::any_of(
        trial.findings, [&](const Finding& finding) { return finding.code == odd.code; });
    if (!known) add(std::move(odd));
  }
  return trial;
}

}  // namespace craftbundle

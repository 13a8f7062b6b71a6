// Whether the codec of a component really codes audio.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/bundle/verify.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

struct CodecTrialOptions {
  CodecOptions codec = {};
  PieceOptions pieces = {};
  double seconds = 10;  // of the test signal
  // Makes the audio that goes through; empty: test_signal(). Called before anything is computed.
  std::function<std::unique_ptr<AudioReader>(const CodecProperties&)> input = {};
  std::function<void(const Audio&)> write = {};  // as of run_codec()
  Sink* sink = &Sink::none();
};

struct CodecTrial {
  CodecProperties properties;
  std::optional<CodecRun> run;  // nullopt: the codec is so wrong that there is nothing to measure
  // Failures: what check_codec() finds. Warnings: "codec.silence", "codec.collapsed" (codebooks of
  // which one entry is used), "codec.si_snr" (far below what any trained codec gives).
  std::vector<Finding> findings;
};

// The component of `found` whose codec a plugin can run. Throws Error(input, "codec.none").
const VerifiedComponent& codec_of(const Verification& found, const Host& host);

// Loads the codec, holds it against what it states, and runs it. `file`: where the component lies,
// for findings and progress. Throws as Host::load_codec() and run_codec(), and what the codec
// throws.
CodecTrial try_codec(const PreparedComponent& component, const std::string& file, const Host& host,
                     const CodecTrialOptions& options);

// What a run shows that no trained codec does, as warnings.
std::vector<Finding> find_oddities(const CodecRun& run, const CodecProperties& properties);

}  // namespace craftbundle

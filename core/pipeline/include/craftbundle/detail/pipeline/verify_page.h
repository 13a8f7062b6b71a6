// What verify found, as a page to look at.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/bundle/verify.h"

namespace CRAFTBUNDLE_API craftbundle {

// The beginning of audio that passes by, as much as a page can hold.
class Recording {
 public:
  static constexpr double kSeconds = 20;

  Recording() = default;
  Recording(std::int64_t sample_rate, std::int64_t channels)
      : sample_rate_(sample_rate), channels_(static_cast<std::size_t>(channels)) {}
  // REQUIRES: as many channels, batch 1.
  void add(const Audio& audio);

  std::int64_t sample_rate() const { return sample_rate_; }
  const std::vector<std::vector<float>>& channels() const { return channels_; }
  std::size_t samples() const { return channels_.empty() ? 0 : channels_.front().size(); }

 private:
  std::int64_t sample_rate_ = 1;
  std::vector<std::vector<float>> channels_;
};

// Gives what another reader gives, and records it.
class RecordingReader final : public AudioReader {
 public:
  // `recording` must outlive the object.
  RecordingReader(std::unique_ptr<AudioReader> reader, Recording& recording)
      : reader_(std::move(reader)), recording_(recording) {}
  std::int64_t sample_rate() const override { return reader_->sample_rate(); }
  std::int64_t channels() const override { return reader_->channels(); }
  std::int64_t samples() const override { return reader_->samples(); }
  Audio read(std::int64_t count) override {
    Audio audio = reader_->read(count);
    recording_.add(audio);
    return audio;
  }

 private:
  std::unique_ptr<AudioReader> reader_;
  Recording& recording_;
};

// A codec that was run.
struct CodecPage {
  std::string input;  // what was coded
  const CodecProperties& properties;
  const CodecRun& run;
  const Recording& original;
  const Recording& decoded;
};

// One page of XHTML for `found` at `path`: what was checked, how large each part is, the error of
// each layer against an original, and original and decoded audio side by side. `codec`: null when
// none was run.
std::string verify_page(const Path& path, const Verification& found, const CodecPage* codec);

}  // namespace craftbundle

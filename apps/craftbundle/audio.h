// Audio files, through libsndfile.
#pragma once

#include <memory>

#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace craftbundle::app {

// A file in any format that libsndfile reads (WAV, FLAC, OGG, ...). Throws Error(input,
// "audio.file") with libsndfile's words.
std::unique_ptr<AudioReader> open_audio(std::shared_ptr<const InputFile> file);

// A WAV file of 32-bit floating numbers, published whole by finish(). Throws Error(system), and
// Error(usage, "target.exists") unless `force`.
class AudioWriter {
 public:
  AudioWriter(const Path& path, std::int64_t sample_rate, std::int64_t channels, bool force);
  ~AudioWriter();
  void write(const Audio& audio);
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace craftbundle::app

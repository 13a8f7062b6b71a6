#include "audio.h"

#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cstdio>
#include <exception>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle::app {
namespace {

struct Close {
  void operator()(SNDFILE* file) const { ::sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, Close>;

class FileReader final : public AudioReader {
 public:
  explicit FileReader(std::shared_ptr<const InputFile> input) : input_(std::move(input)) {
    SF_VIRTUAL_IO functions = {&length, &seek, &read_bytes, nullptr, &tell};
    file_.reset(::sf_open_virtual(&functions, SFM_READ, &info_, this));
    if (!file_) {
      throw Error(ErrorKind::input, "audio.file",
                  path_text(input_->path()) +
                      ": no audio that can be read: " + printable(::sf_strerror(nullptr)),
                  "give a WAV, FLAC or OGG file");
    }
  }

  std::int64_t sample_rate() const override { return info_.samplerate; }
  std::int64_t channels() const override { return info_.channels; }
  std::int64_t samples() const override { return info_.frames; }

  Audio read(std::int64_t count) override {
    std::vector<float> interleaved(static_cast<std::size_t>(count * channels()));
    Audio audio{1, channels(), ::sf_readf_float(file_.get(), interleaved.data(), count), {}};
    if (failure_) std::rethrow_exception(failure_);
    audio.data.reserve(static_cast<std::size_t>(audio.samples * audio.channels));
    for (std::int64_t channel = 0; channel < audio.channels; ++channel) {
      for (std::int64_t i = 0; i < audio.samples; ++i) {
        audio.data.push_back(interleaved[static_cast<std::size_t>(i * audio.channels + channel)]);
      }
    }
    return audio;
  }

 private:
  static FileReader& self(void* user) { return *static_cast<FileReader*>(user); }
  static sf_count_t length(void* user) {
    return static_cast<sf_count_t>(self(user).input_->size());
  }
  static sf_count_t tell(void* user) { return self(user).at_; }
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    const sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? tell(user) : length(user);
    self(user).at_ = std::clamp<sf_count_t>(from + offset, 0, length(user));
    return tell(user);
  }
  // No exception passes through libsndfile.
  static sf_count_t read_bytes(void* to, sf_count_t count, void* user) {
    FileReader& reader = self(user);
    count = std::clamp<sf_count_t>(count, 0, length(user) - reader.at_);
    try {
      reader.input_->read(static_cast<std::uint64_t>(reader.at_),
                          {static_cast<std::byte*>(to), static_cast<std::size_t>(count)});
    } catch (...) {
      reader.failure_ = std::current_exception();
      return 0;
    }
    reader.at_ += count;
    return count;
  }

  std::shared_ptr<const InputFile> input_;
  sf_count_t at_ = 0;
  std::exception_ptr failure_;  // of reading
  SF_INFO info_{};
  File file_;
};

}  // namespace

std::unique_ptr<AudioReader> open_audio(std::shared_ptr<const InputFile> file) {
  return std::make_unique<FileReader>(std::move(file));
}

// libsndfile writes to a name; the file takes its own once it is complete.
struct AudioWriter::Impl {
  Path target;
  Path temporary;
  bool force = false;
  File file;

  ~Impl() {
    file.reset();
    if (!temporary.empty()) ::unlink(temporary.c_str());
  }
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::system, "audio.write",
                path_text(target) + ": " + printable(::sf_strerror(file.get())));
  }
};

AudioWriter::AudioWriter(const Path& path, std::int64_t sample_rate, std::int64_t channels,
                         bool force)
    : impl_(std::make_unique<Impl>()) {
  boost::system::error_code ignored;
  if (!force && boost::filesystem::exists(path, ignored)) {
    throw Error(ErrorKind::usage, "target.exists", path_text(path) + " is there already",
                "pass --force to replace it");
  }
  impl_->target = path;
  impl_->force = force;
  impl_->temporary = temporary_name(path.parent_path().empty() ? Path(".") : path.parent_path());
  SF_INFO info{};
  info.samplerate = static_cast<int>(sample_rate);
  info.channels = static_cast<int>(channels);
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  impl_->file.reset(::sf_open(impl_->temporary.c_str(), SFM_WRITE, &info));
  if (!impl_->file) impl_->fail();
}

AudioWriter::~AudioWriter() = default;

void AudioWriter::write(const Audio& audio) {
  std::vector<float> interleaved;
  interleaved.reserve(audio.data.size());
  for (std::int64_t i = 0; i < audio.samples; ++i) {
    for (std::int64_t channel = 0; channel < audio.channels; ++channel) {
      interleaved.push_back(audio.data[static_cast<std::size_t>(channel * audio.samples + i)]);
    }
  }
  const sf_count_t written =
      ::sf_writef_float(impl_->file.get(), interleaved.data(), audio.samples);
  if (written != audio.samples) impl_->fail();
}

void AudioWriter::finish() {
  impl_->file.reset();
  boost::system::error_code failure;
  boost::filesystem::rename(impl_->temporary, impl_->target, failure);
  if (failure) throw system_error(failure.value(), path_text(impl_->target));
  impl_->temporary.clear();
}

}  // namespace craftbundle::app

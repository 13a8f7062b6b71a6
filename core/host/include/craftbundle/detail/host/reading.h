// Opening files for plugins, and remembering which.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/plugin/context.h"

namespace CRAFTBUNDLE_API craftbundle {

// A file that a plugin has read beside the source or the inputs that it was given.
struct ReadFile {
  std::string name;  // relative to where relative paths start when it is below, else its last part
  bool is_below = true;  // whether it is
  std::shared_ptr<const InputFile> file;
};

// Thread: all functions may be called concurrently.
class FileReader {
 public:
  using OpenCheckpoint = std::function<std::shared_ptr<const Checkpoint>(const Path&)>;

  // Relative paths start in `directory`, empty: in the current one; nullopt: nowhere.
  FileReader(std::optional<Path> directory, OpenCheckpoint open_checkpoint);

  // As HostContext has them.
  std::shared_ptr<const Checkpoint> open(const Path& path);
  SafetensorsModel open_safetensors(const Path& path);
  std::shared_ptr<const InputFile> open_file(const Path& path);

  // Remembers a file that was opened otherwise.
  void add(std::shared_ptr<const InputFile> file);

  // Each file once, by their paths.
  std::vector<ReadFile> read() const;

 private:
  Path place_of(const Path& path) const;

  std::optional<Path> directory_;
  OpenCheckpoint open_checkpoint_;
  mutable std::mutex mutex_;
  std::map<std::string, ReadFile> read_;  // by absolute path
};

// Hands on what a plugin says, escaped: it reaches terminals, logs and pages.
class EscapingSink final : public Sink {
 public:
  explicit EscapingSink(Sink& to) : to_(to) {}
  void log(LogLevel level, std::string_view message) noexcept override;
  void progress(const Progress& progress) noexcept override;

 private:
  Sink& to_;
};

// A context for a plugin that opens files with a FileReader.
template <typename Context>
class ReadingContext : public Context {
 public:
  ReadingContext(std::optional<Path> directory, FileReader::OpenCheckpoint open_checkpoint,
                 Sink& sink, const Cancellation& cancellation)
      : reader_(std::move(directory), std::move(open_checkpoint)),
        sink_(sink),
        cancellation_(cancellation) {}

  FileReader& reader() { return reader_; }

  Sink& sink() override { return sink_; }
  const Cancellation& cancellation() const override { return cancellation_; }
  std::shared_ptr<const Checkpoint> open(const Path& path) override { return reader_.open(path); }
  SafetensorsModel open_safetensors(const Path& path) override {
    return reader_.open_safetensors(path);
  }
  std::shared_ptr<const InputFile> open_file(const Path& path) override {
    return reader_.open_file(path);
  }

 private:
  FileReader reader_;
  EscapingSink sink_;
  const Cancellation& cancellation_;
};

}  // namespace craftbundle

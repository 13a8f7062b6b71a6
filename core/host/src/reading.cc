#include "craftbundle/detail/host/reading.h"

#include <new>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

constexpr std::size_t kMostOfAMessage = 10'000;

Path absolute_of(const Path& path) { return absolute_path(path).lexically_normal(); }

// The file of `owner`, which keeps it open.
template <typename Owner>
std::shared_ptr<const InputFile> file_of(const std::shared_ptr<const Owner>& owner) {
  return {owner, &owner->file()};
}

}  // namespace

void EscapingSink::log(LogLevel level, std::string_view message) noexcept try {
  to_.log(level, printable(message, kMostOfAMessage));
} catch (const std::bad_alloc&) {
  // The line is lost, the work goes on.
}

void EscapingSink::progress(const Progress& progress) noexcept try {
  const std::string task = printable(progress.task);
  to_.progress({task, progress.done, progress.total});
} catch (const std::bad_alloc&) {
  // As above.
}

FileReader::FileReader(std::optional<Path> directory, OpenCheckpoint open_checkpoint)
    : directory_(std::move(directory)), open_checkpoint_(std::move(open_checkpoint)) {}

Path FileReader::place_of(const Path& path) const {
  if (path.is_absolute()) return path;
  if (!directory_) {
    throw Error(ErrorKind::plugin, "read.relative",
                "asks for the file " + quoted(path.string()) +
                    " beside a source that lies in no directory");
  }
  return *directory_ / path;
}

std::shared_ptr<const Checkpoint> FileReader::open(const Path& path) {
  std::shared_ptr<const Checkpoint> checkpoint = open_checkpoint_(place_of(path));
  // It may be shared with whoever has opened it by another name.
  add(checkpoint->file().path() == place_of(path)
          ? file_of(checkpoint)
          : std::make_shared<const InputFile>(place_of(path)));
  return checkpoint;
}

SafetensorsModel FileReader::open_safetensors(const Path& path) {
  const Path place = place_of(path);
  SafetensorsModel model;
  if (place.extension() == ".json") {
    const auto index = std::make_shared<const InputFile>(place);
    model = open_safetensors_index(place);
    add(index);
  } else {
    model.files = {Safetensors::open(place)};
    model.tensors = model.files.front()->tensors();
  }
  for (const auto& file : model.files) add(file_of(file));
  return model;
}

std::shared_ptr<const InputFile> FileReader::open_file(const Path& path) {
  auto file = std::make_shared<const InputFile>(place_of(path));
  add(file);
  return file;
}

void FileReader::add(std::shared_ptr<const InputFile> file) {
  const Path path = absolute_of(file->path());
  ReadFile read{path.filename().string(), false, std::move(file)};
  if (directory_) {
    const Path below = path.lexically_relative(absolute_of(*directory_ / "x").parent_path());
    if (is_relative_name(below.string())) {
      read.name = below.string();
      read.is_below = true;
    }
  }
  const std::lock_guard lock(mutex_);
  read_.emplace(path.string(), std::move(read));
}

std::vector<ReadFile> FileReader::read() const {
  const std::lock_guard lock(mutex_);
  std::vector<ReadFile> files;
  for (const auto& [path, file] : read_) files.push_back(file);
  return files;
}

}  // namespace craftbundle

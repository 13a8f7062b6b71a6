#include "craftbundle/detail/pipeline/place.h"

#include <boost/filesystem.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {

void create_parents(const Path& path) {
  boost::system::error_code failure;
  boost::filesystem::create_directories(path.parent_path(), failure);
  if (failure) throw system_error(failure.value(), path_text(path.parent_path()));
}

std::uint64_t publish_file(const Path& path, const StageRun& run,
                           const std::function<void(OutputFile&)>& write) {
  create_parents(path);
  OutputFile file(path.parent_path(), run.durability);
  file.set_extents(run.extents);
  write(file);
  run.cancellation.check();
  file.publish(path, run.replace);
  return file.size();
}

void publish_directory(OutputDirectory& directory, const StageRun& run) {
  run.cancellation.check();
  const Path path = directory.place().path();
  boost::system::error_code ignored;
  const bool there = boost::filesystem::exists(boost::filesystem::symlink_status(path, ignored));
  if (there && !run.replace) {
    throw Error(ErrorKind::usage, "target.exists", path_text(path) + " is there already",
                "pass --force to replace it");
  }
  directory.publish(there);
}

std::uint64_t publish_text(std::string_view text, const Path& path, const StageRun& run) {
  return publish_file(path, run, [&](OutputFile& file) { file.write(text); });
}

void note_shared(std::uint64_t bytes, StageResult& result) {
  if (bytes > 0) result.summary.push_back({"shared on the disk", human_bytes(bytes)});
}

namespace {

// What may go of a directory that was replaced: of a bundle, what its manifest lists.
std::vector<std::string> replaced_files(const Path& directory) {
  const std::optional<Manifest> manifest = read_manifest(directory);
  if (!manifest) return contents_of(directory);
  std::vector<std::string> names = {std::string(kManifestFile)};
  for (const ManifestFile& file : manifest->files) names.push_back(file.name);
  return names;
}

// Whether a writer of `target`, dead or alive, has hidden names beside it.
bool has_hidden_names(const Path& target) {
  const std::string own = "." + target.filename().string() + ".craftbundle-";
  boost::system::error_code failure;
  boost::filesystem::directory_iterator entry(target.parent_path(), failure);
  for (; !failure && entry != boost::filesystem::directory_iterator(); entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(own) || name.starts_with(kTemporaryPrefix)) return true;
  }
  return false;
}

void remove_beside(const Path& target) {
  if (!has_hidden_names(target)) return;
  try {
    // Whoever begins to write at a place removes them.
    const OutputDirectory directory(place_of(target), Durability::no_sync, Sink::none(),
                                    replaced_files);
    const OutputFile file(target.parent_path(), Durability::no_sync);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
  }
}

}  // namespace

void remove_left_overs(const Path& output) {
  remove_beside(output);
  // A bundle's outputs are the files in it.
  remove_beside(output.parent_path());
}

}  // namespace craftbundle

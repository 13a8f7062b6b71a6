#include "craftbundle/detail/bundle/read.h"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <memory>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

// What a training leaves; people give its directory where they mean a bundle.
constexpr const char* kTrainingFile = "checkpoint.th";

bool is_there(const Path& path) {
  boost::system::error_code ignored;
  return fs::exists(path, ignored);
}

Error no_bundle(const Path& directory, const Host& host) {
  if (is_there(directory / kTrainingFile)) {
    return Error(ErrorKind::input, "bundle.none",
                 path_text(directory) + ": holds " + kTrainingFile + ", which is no bundle yet",
                 "make one of it with 'craftbundle bundle', or name the file");
  }
  if (auto known = unusable_directory(directory)) return *std::move(known);
  boost::system::error_code failure;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (!fs::is_symlink(entry->path(), failure) || is_there(entry->path())) continue;
    return Error(ErrorKind::input, "bundle.none",
                 path_text(directory) + ": " + quoted(entry->path().filename().string()) +
                     " is a link to " + quoted(fs::read_symlink(entry->path(), failure).string()) +
                     ", which does not exist",
                 "copy what it links to as well");
  }
  std::string names;
  for (const LayoutInfo& layout : host.layouts()) {
    if (layout.name != kDefaultLayout) continue;
    for (const LayoutInfo::Part& part : layout.parts) {
      if (part.role != "*") names += " nor " + part.file;
    }
  }
  return Error(ErrorKind::input, "bundle.none",
               path_text(directory) + ": no bundle: neither " + std::string(kManifestFile) + names +
                   " nor " + kTrainingFile + " is there",
               "name the directory of a bundle, or a checkpoint file");
}

}  // namespace

namespace {

// Components that a bundle of the layout need not have, if they are there all the same. They have
// no file by which they could be known, so the layout has to look.
void add_left_out(BundleListing& bundle, const Host& host) {
  std::vector<std::string> roles;
  for (const std::string& role : bundle.layout.leaves_out) {
    if (!bundle.has(role)) roles.push_back(role);
  }
  if (roles.empty()) return;
  try {
    for (const RoleSource& found : host.sources_in(bundle.layout.name, bundle.directory, roles)) {
      bundle.entries.push_back({found.role, found.files.front(), false});
    }
  } catch (const Error& error) {
    // What is wrong with the files that it looks into is found where they are checked.
    if (error.kind() != ErrorKind::input && error.kind() != ErrorKind::mismatch) throw;
  }
}

}  // namespace

bool BundleListing::has(const std::string& role) const {
  return std::ranges::count(entries, role, &Entry::role) != 0;
}

namespace {

// Whether the file is one of a component that the manifest names.
bool is_stated(const std::string& file, const BundleListing& bundle) {
  if (!bundle.manifest) return false;
  for (const ManifestFile& one : bundle.manifest->files) {
    if (one.name != file) continue;
    return std::ranges::any_of(one.roles,
                               [&](const std::string& role) { return bundle.has(role); });
  }
  return false;
}

}  // namespace

BundleListing list_bundle(const Path& directory, std::optional<Manifest> manifest,
                          const Host& host) {
  BundleListing bundle{directory, std::move(manifest), {}, {}};
  if (bundle.manifest) {
    bundle.layout = host.layout(bundle.manifest->layout);
    for (const ManifestComponent& component : bundle.manifest->components) {
      const ManifestFile* file = file_of(*bundle.manifest, component.role);
      const std::string usual = bundle.layout.file_for(component.role).value_or("");
      bundle.entries.push_back({component.role, file == nullptr ? usual : file->name, true});
    }
  } else if (const auto layout = host.layout_of(directory)) {
    bundle.layout = host.layout(*layout);
  }
  bool is_shared = false;
  for (const LayoutInfo::Part& part : bundle.layout.parts) {
    if (part.role == "*" || bundle.has(part.role) || !is_there(directory / part.file)) continue;
    if (is_stated(part.file, bundle)) continue;
    // Where several components have one file, only what is in it tells which are there.
    if (std::ranges::count(bundle.layout.parts, part.file, &LayoutInfo::Part::file) > 1) {
      is_shared = true;
    } else {
      bundle.entries.push_back({part.role, part.file, false});
    }
  }
  if (is_shared && bundle.entries.empty()) {
    for (const RoleSource& source : host.sources_in(bundle.layout.name, directory, {})) {
      bundle.entries.push_back({source.role, source.files.front(), false});
    }
  }
  if (bundle.entries.empty() && !bundle.manifest) throw no_bundle(directory, host);
  add_left_out(bundle, host);
  return bundle;
}

RoleSource find_source(const BundleListing& bundle, const std::string& role, const Host& host) {
  std::vector<RoleSource> found = host.sources_in(bundle.layout.name, bundle.directory, {role});
  for (RoleSource& source : found) {
    if (source.role == role) return std::move(source);
  }
  throw Error(ErrorKind::input, "manifest.missing",
              path_text(bundle.directory) + " has no component " + quoted(role),
              "get the bundle again from where it was made");
}

bool is_source_directory(const Path& path, const Host& host) {
  boost::system::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  if (is_there(path / kTrainingFile)) return true;
  return !is_there(path / std::string(kManifestFile)) &&
         host.takes_directory(std::make_shared<const SourceDirectory>(path));
}

std::vector<PreparedComponent> components_of(const Path& directory, const Host& host) {
  const BundleListing bundle = list_bundle(directory, read_manifest(directory), host);
  std::vector<PreparedComponent> components;
  for (const BundleListing::Entry& entry : bundle.entries) {
    const RoleSource source = find_source(bundle, entry.role, host);
    components.push_back(prepare_component(
        {source.source, entry.role, {}, reading_options(bundle.manifest, entry.role), {}}, host));
  }
  return components;
}

}  // namespace craftbundle

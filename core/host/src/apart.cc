// Plugins that are not part of the installation.
#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <utility>
#include <vector>

#include "child.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/host.h"
#include "offers.h"
#include "own_plugins.h"
#include "place.h"

namespace craftbundle {
namespace {

thread_local const StageScope* scope = nullptr;

// Where plugins of this installation lie, without links.
std::vector<Path> own_plugin_directories() {
  std::vector<Path> directories = {installed_plugin_directory(),
                                   program_directory() / "../lib/craftbundle/plugins"};
  if (const auto wheel = wheel_plugin_directory()) directories.push_back(*wheel);
  for (Path& directory : directories) {
    boost::system::error_code failure;
    const Path real = boost::filesystem::canonical(directory, failure);
    directory = failure ? Path() : real;
  }
  return directories;
}

}  // namespace

StageScope::StageScope(const Cancellation* cancellation,
                       std::optional<std::chrono::milliseconds> limit)
    : before_(std::exchange(scope, this)), cancellation_(cancellation), limit_(limit) {}

StageScope::~StageScope() { scope = before_; }

const Cancellation& Host::cancellation() const {
  const bool is_of_stage = scope != nullptr && scope->cancellation_ != nullptr;
  return is_of_stage ? *scope->cancellation_ : *options_.cancellation;
}

bool is_own(const Path& library) {
  if (std::ranges::count(kOwnPlugins, library.stem().string()) == 0) return false;
  static const std::vector<Path> directories = own_plugin_directories();
  return std::ranges::count(directories, library.parent_path()) != 0;
}

std::vector<std::string> Host::run_apart(
    const FoundPlugin& plugin, const std::string& culprit, const std::string& function,
    std::chrono::milliseconds time_limit,
    const std::function<std::vector<std::string>()>& body) const {
  const bool could_be_loaded = [&] {
    const std::lock_guard lock(mutex_);
    return loaded_apart_.contains(plugin.library.string());
  }();
  // Once for all copies to come.
  if (could_be_loaded) load(plugin);
  if (scope != nullptr && scope->limit_) time_limit = std::min(time_limit, *scope->limit_);
  const CopyCall call{culprit, function, time_limit, cancellation()};
  const auto answer = ask_copy(call, mutex_, [&] { return ::craftbundle::Answer{"done", body()}; });
  const std::lock_guard lock(mutex_);
  loaded_apart_.insert(plugin.library.string());
  return answer.text;
}

void Host::rehearse(const FoundPlugin& plugin, const std::string& culprit,
                    const std::string& function, const std::function<void()>& body) const {
  if (is_own(plugin.library)) return;
  run_apart(plugin, culprit, function, options_.call_limit, [&]() -> std::vector<std::string> {
    try {
      body();
    } catch (const Error&) {
    }
    return {};
  });
}

}  // namespace craftbundle

// Fixture plugins (tests/fixtures/plugins) and what tests of the host share.
#pragma once

#include <boost/filesystem.hpp>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/host/host.h"
#include "support/temporary_directory.h"

namespace craftbundle::testing {

// A file of the fixtures, by "good/x.so" or "bad/x.so". A missing fixture must fail.
inline Path fixture(std::string_view name) {
  const Path path = Path(CRAFTBUNDLE_FIXTURES) / std::string(name);
  if (!boost::filesystem::exists(path)) throw std::runtime_error("no fixture " + path.string());
  return path;
}

inline Path bad(std::string_view name) { return fixture("bad/" + std::string(name) + ".so"); }

// Copies a good plugin and its sidecar; where the copy lies.
inline Path copy_plugin(std::string_view name, const Path& directory) {
  const Path library = fixture("good/" + std::string(name) + ".so");
  const Path copy = directory / library.filename();
  boost::filesystem::copy_file(library, copy);
  boost::filesystem::copy_file(sidecar_path(library), sidecar_path(copy));
  return copy;
}

inline Path copy_bad(std::string_view name, const Path& directory) {
  const Path copy = directory / (std::string(name) + ".so");
  boost::filesystem::copy_file(bad(name), copy);
  return copy;
}

// Remembers what was logged.
class RecordingSink final : public Sink {
 public:
  void log(LogLevel level, std::string_view message) noexcept override {
    const std::lock_guard lock(mutex_);
    if (level == LogLevel::warning) warnings_.emplace_back(message);
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

// Looks in these directories and nowhere else.
inline Host::Options only(std::vector<Path> directories) {
  Host::Options options;
  options.search = {std::move(directories), false, false, false};
  return options;
}

inline Host::Options only_good() { return only({fixture("good")}); }

// A checkpoint that holds `entries`.
inline Path write_checkpoint(const Path& path, Value::Dict entries) {
  OutputFile file(path.parent_path(), Durability::no_sync);
  write_package(Value(std::move(entries)), file, {});
  file.publish(path, true);
  return path;
}

// Whether a file is mapped into this process.
inline bool is_mapped(const Path& path) {
  return read_file("/proc/self/maps").find(path.string()) != std::string::npos;
}

// An environment variable for the length of a test.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace craftbundle::testing

// A directory for one test, removed at its end.
#pragma once

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/path.h"

namespace craftbundle::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(boost::filesystem::temp_directory_path() /
              boost::filesystem::unique_path("craftbundle-test-%%%%-%%%%-%%%%")) {
    boost::filesystem::create_directories(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    boost::system::error_code ignored;
    boost::filesystem::remove_all(path_, ignored);
  }

  const Path& path() const { return path_; }
  Path operator/(std::string_view name) const { return path_ / std::string(name); }

  // Names of everything in the directory, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : boost::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  Path path_;
};

inline void write_file(const Path& path, std::string_view content) {
  std::ofstream file(path.string(), std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

// Throws when the file is not there: a missing fixture must fail.
inline std::string read_file(const Path& path) {
  std::ifstream file(path.string(), std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  // By blocks: tests are not optimised. Files of /proc say that they are empty.
  std::string content;
  std::array<char, 1 << 16> block{};
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    content.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  return content;
}

}  // namespace craftbundle::testing

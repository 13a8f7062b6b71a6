#include "requirements.h"

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "trust.h"

namespace craftbundle {
namespace {

constexpr std::uint64_t kMaxBytes = 1 << 16;

// Version of the package in a directory of Python's, as its tools record it; nullopt: it is not
// there.
std::optional<std::string> installed_version(const Path& packages, const std::string& name) {
  constexpr std::string_view kSuffix = ".dist-info";
  boost::system::error_code failure;
  boost::filesystem::directory_iterator entry(packages, failure);
  while (!failure && entry != boost::filesystem::directory_iterator()) {
    const std::string found = entry->path().filename().string();
    if (found.starts_with(name + "-") && found.ends_with(kSuffix)) {
      return found.substr(name.size() + 1, found.size() - name.size() - 1 - kSuffix.size());
    }
    entry.increment(failure);
  }
  if (failure) throw system_error(failure.value(), path_text(packages));
  return std::nullopt;
}

}  // namespace

void check_requirements(const Path& library) {
  Path file = library;
  file.replace_extension(".requires");
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(boost::filesystem::symlink_status(file, ignored))) return;

  const InputFile input = TrustedFile(file).open();
  std::istringstream lines(input.read_text(0, std::min(input.size(), kMaxBytes)));
  const Path packages = library.parent_path().parent_path();
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find("==");
    if (equals == 0 || equals == std::string::npos || !line.ends_with(".*")) {
      throw Error(ErrorKind::plugin, "plugin.requires",
                  "has the line " + quoted(line) + ", expected one like 'torch==2.13.*'")
          .add_context(path_text(file));
    }
    const std::string name = line.substr(0, equals);
    const std::string version = line.substr(equals + 2, line.size() - equals - 3);
    const std::optional<std::string> found = installed_version(packages, name);
    if (found && found->starts_with(version)) continue;
    throw Error(ErrorKind::plugin, "plugin.requirement",
                "needs the Python package " + name + " " + version + "*, and in " +
                    path_text(packages) + " is " + (found ? printable(*found, 100) : "none"),
                "pip install '" + line + "'")
        .add_context(path_text(library));
  }
}

}  // namespace craftbundle

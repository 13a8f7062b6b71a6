#include "sidecar_file.h"

#include <boost/filesystem/operations.hpp>
#include <sstream>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "trust.h"

namespace craftbundle {
namespace {

constexpr std::uint64_t kMaxSidecarBytes = 1 << 20;

std::string read_text(const Path& file) {
  const TrustedFile trusted(file);
  const InputFile input = trusted.open();
  if (input.size() > kMaxSidecarBytes) {
    throw Error(
        ErrorKind::plugin, "plugin.sidecar",
        "has " + human_bytes(input.size()) + ", expected at most " + human_bytes(kMaxSidecarBytes))
        .add_context(path_text(file));
  }
  return input.read_text(0, input.size());
}

// The first line in which two texts differ, from both.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream first(a);
  std::istringstream second(b);
  std::string line_a;
  std::string line_b;
  do {
    line_a = line_b = "nothing more";
    std::getline(first, line_a);
    std::getline(second, line_b);
  } while (line_a == line_b && first && second);
  const auto trimmed = [](const std::string& line) {
    const std::size_t begin = line.find_first_not_of(" -");
    return begin == std::string::npos ? std::string("nothing") : line.substr(begin);
  };
  return {trimmed(line_a), trimmed(line_b)};
}

}  // namespace

std::optional<PluginInfo> read_sidecar(const Path& library) {
  const Path file = sidecar_path(library);
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(boost::filesystem::symlink_status(file, ignored))) {
    return std::nullopt;
  }
  return parse_sidecar(read_text(file), file);
}

void check_same(const Path& library, const PluginInfo& described, const PluginInfo& loaded) {
  if (described == loaded) return;
  const auto [in_sidecar, in_library] = first_difference(to_sidecar(described), to_sidecar(loaded));
  throw Error(ErrorKind::plugin, "plugin.sidecar_mismatch",
              "is not what " + path_text(sidecar_path(library).filename()) +
                  " describes: it says " + quoted(in_library) + ", its description " +
                  quoted(in_sidecar),
              "write the description again: craftbundle-scan " + path_text(library) + " -o " +
                  path_text(sidecar_path(library)))
      .add_context(path_text(library));
}

}  // namespace craftbundle

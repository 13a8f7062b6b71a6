#include "bundlecraft/bundle/verify.h"

#include <algorithm>
#include <boost/filesystem.hpp>

#include "bundlecraft/base/error.h"
#include "bundlecraft/base/text.h"
#include "bundlecraft/bundle/bundle.h"
#include "bundlecraft/bundle/layout.h"
#include "bundlecraft/checkpoint/container.h"
#include "bundlecraft/io/sha256.h"

namespace bundlecraft {
namespace {

namespace fs = boost::filesystem;

class Verifier {
 public:
  Verifier(const Host& host, Sink& sink, const Cancellation& cancellation)
      : host_(host), sink_(sink), cancellation_(cancellation) {}

  Verification bundle(const Path& directory) {
    std::optional<Manifest> manifest;
    try {
      manifest = read_manifest(directory);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input) throw;
      problem(error.message());
    }
    if (!manifest) result_.warnings.push_back("there is no manifest to compare with");
    for (const ComponentFile& file : component_files(directory, manifest)) {
      const ManifestComponent* stated = nullptr;
      if (manifest) {
        for (const ManifestComponent& component : manifest->components) {
          if (component.file == file.file) stated = &component;
        }
      }
      check_file(directory / file.file, file.role, stated);
    }
    describe();
    return std::move(result_);
  }

  Verification file(const Path& path) {
    check_file(path, std::nullopt, nullptr);
    describe();
    return std::move(result_);
  }

 private:
  // A file that is cut off is found so by each check.
  void problem(std::string text) {
    if (std::ranges::count(result_.problems, text) == 0) {
      result_.problems.push_back(std::move(text));
    }
  }

  // What can be wrong with contents becomes a problem.
  template <typename Check>
  bool attempt(Check&& check) {
    try {
      check();
      return true;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::internal) throw;
      problem(error.message());
      return false;
    }
  }

  void check_file(const Path& path, const std::optional<std::string>& role,
                  const ManifestComponent* stated) {
    const std::string name = path.filename().string();
    boost::system::error_code ignored;
    if (!fs::exists(path, ignored)) return problem(name + " is missing");
    attempt([&] {
      const InputFile input(path);
      result_.bytes += input.size();
      const auto progress = [&](std::uint64_t done) { sink_.progress({name, done, input.size()}); };
      if (stated != nullptr) compare(input, *stated, progress);
      attempt([&] {
        const std::uint64_t records = check_records(input, cancellation_, progress);
        result_.checks.push_back(name + ": the CRC-32 of " + std::to_string(records) +
                                 " records holds");
      });
      const std::string given = path.string();
      prepared_.push_back(
          host_.prepare({Source::of_checkpoint(given, host_.open(path)), role, std::nullopt, {}}));
    });
  }

  template <typename Report>
  void compare(const InputFile& input, const ManifestComponent& stated, const Report& progress) {
    if (input.size() != stated.size) {
      return problem(stated.file + " has " + std::to_string(input.size()) +
                     " bytes, the manifest says " + std::to_string(stated.size));
    }
    const std::string found = sha256_of_file(input, cancellation_, progress);
    if (found != stated.sha256) {
      problem(stated.file + " has the SHA-256 " + found + ", the manifest says " +
              printable(stated.sha256));
    } else {
      result_.checks.push_back(stated.file + ": size and SHA-256 are those of the manifest");
    }
  }

  void describe() {
    Manifest described = describe_bundle(prepared_);
    for (const ManifestComponent& component : described.components) {
      for (const std::string& check : component.checks) {
        result_.checks.push_back(component.role + ": " + check);
      }
      for (const std::string& warning : component.warnings) {
        result_.warnings.push_back(component.role + ": " + warning);
      }
    }
    for (const FitCheck& check : described.fit) {
      if (check.outcome == FitCheck::Outcome::differs) {
        problem("does not fit: " + to_string(check));
      } else if (check.outcome == FitCheck::Outcome::agrees) {
        result_.checks.push_back("fits: " + to_string(check));
      }
    }
    result_.manifest = std::move(described);
  }

  const Host& host_;
  Sink& sink_;
  const Cancellation& cancellation_;
  Verification result_;
  std::vector<PreparedComponent> prepared_;
};

}  // namespace

std::vector<ComponentFile> component_files(const Path& directory,
                                           const std::optional<Manifest>& manifest) {
  std::vector<ComponentFile> files;
  if (manifest) {
    for (const ManifestComponent& component : manifest->components) {
      files.push_back({component.role, component.file});
    }
    return files;
  }
  const std::vector<Layout::File>& known = audiocraft_layout().files;
  std::string names;
  boost::system::error_code ignored;
  for (const Layout::File& file : known) {
    if (fs::exists(directory / file.file, ignored)) files.push_back({file.role, file.file});
    names += " nor " + file.file;
  }
  if (files.empty()) {
    throw Error(ErrorKind::input, "bundle.none",
                path_text(directory) + ": no bundle: neither " + std::string(kManifestFile) +
                    names + " nor checkpoint.th is there",
                "name the directory of a bundle, or a checkpoint file");
  }
  return files;
}

Verification verify(const Path& path, const Host& host, Sink& sink,
                    const Cancellation& cancellation) {
  boost::system::error_code ignored;
  Verifier verifier(host, sink, cancellation);
  return fs::is_directory(path, ignored) ? verifier.bundle(path) : verifier.file(path);
}

}  // namespace bundlecraft

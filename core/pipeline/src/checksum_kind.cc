// checksum: SHA-256 of files, in the format of sha256sum.
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/pipeline/place.h"
#include "file_list.h"
#include "kinds.h"

namespace craftbundle {
namespace {

// As coreutils write it: names with a backslash or newline are escaped, and the line begins with a
// backslash.
std::string sum_line(const std::string& sum, const std::string& name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\r') {
      escaped += "\\r";
    } else {
      escaped += c;
    }
  }
  return (escaped == name ? "" : "\\") + sum + "  " + escaped + "\n";
}

class ChecksumStage final : public Stage {
 public:
  ChecksumStage(std::vector<StageInput> inputs, Path to)
      : inputs_(std::move(inputs)), to_(std::move(to)) {}

  std::vector<StageInput> inputs() const override { return inputs_; }
  std::vector<StageOutput> outputs() const override { return {{"file", to_}}; }
  std::string what() const override {
    std::vector<std::string> names;
    for (const StageInput& input : inputs_) names.push_back(input.path.filename().string());
    return "checksum " + list_text(names, 3);
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    for (const StageInput& input : inputs_) {
      key.push_back({"place of " + input.name, input.path.string()});
    }
    return key;
  }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    std::string text;
    std::uint64_t count = 0;
    std::uint64_t read = 0;
    std::set<std::string> seen;
    for (const StageInput& input : inputs_) {
      for (const ListedFile& listed : list_files(input.path, {to_})) {
        if (!seen.insert(listed.path.string()).second) continue;
        const InputFile file(listed.path);
        const std::string sum = sha256_of_file(file, run.cancellation, [&](std::uint64_t done) {
          run.sink.progress({listed.name, done, file.size()});
        });
        text += sum_line(sum, listed.path.lexically_relative(to_.parent_path()).string());
        read += file.size();
        ++count;
      }
    }
    StageResult result;
    result.bytes = publish_text(text, to_, run);
    result.summary = {{"files", std::to_string(count)}, {"read", human_bytes(read)}};
    return result;
  }

 private:
  std::vector<StageInput> inputs_;
  Path to_;
};

class ChecksumKind final : public StageReader {
 public:
  std::string name() const override { return "checksum"; }
  std::string summary() const override { return "Writes SHA-256 sums that sha256sum -c checks"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {
        {"checksum",
         Type::text_or_list,
         true,
         "Stages, files or directories, of which all files are taken.",
         {}},
        {"to", Type::text, true, "File to write; names in it are relative to its directory.", {}}};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("checksum"));
    const std::optional<Path> to = fields.path("to");
    if (inputs.empty() || !to) return nullptr;
    return std::make_unique<ChecksumStage>(std::move(inputs), *to);
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_checksum_kind() { return std::make_unique<ChecksumKind>(); }

}  // namespace craftbundle

// copy: files and directories as they are.
#include <boost/filesystem.hpp>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/place.h"
#include "file_list.h"
#include "kinds.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

// Returns how many bytes are shared.
std::uint64_t copy_file(const ListedFile& listed, OutputFile& file, const StageRun& run) {
  constexpr std::uint64_t kPiece = 64 << 20;
  const InputFile source(listed.path);
  const std::vector<OutputFile::Copied> whole = {{&source, 0, 0, source.size()}};
  file.reserve(source.size(), whole);
  for (std::uint64_t done = 0; done < source.size();) {
    run.cancellation.check();
    const std::uint64_t length = std::min(kPiece, source.size() - done);
    file.copy(source, done, length);
    done += length;
    run.sink.progress({listed.name, done, source.size()});
  }
  source.check_unchanged();
  return file.shared_bytes();
}

class CopyStage final : public Stage {
 public:
  CopyStage(StageInput input, Path to) : input_(std::move(input)), to_(std::move(to)) {}

  std::vector<StageInput> inputs() const override { return {input_}; }
  std::vector<StageOutput> outputs() const override { return {{"copy", to_}}; }
  std::string what() const override { return "copy " + printable(input_.path.filename().string()); }
  std::vector<KeyPart> key() const override { return {}; }
  Forecast forecast(const Host& /*host*/) const override {
    Forecast forecast;
    for (const ListedFile& file : list_files(input_.path)) forecast.bytes += file.size;
    return forecast;
  }

  StageResult run(StageRun& run) const override {
    const std::vector<ListedFile> files = list_files(input_.path, {to_});
    boost::system::error_code failure;
    std::uint64_t shared = 0;
    if (fs::is_directory(input_.path, failure)) {
      shared = copy_tree(files, run);
    } else {
      publish_file(to_, run,
                   [&](OutputFile& file) { shared = copy_file(files.front(), file, run); });
    }
    StageResult result;
    for (const ListedFile& file : files) result.bytes += file.size;
    result.summary = {{"files", std::to_string(files.size())}};
    note_shared(shared, result);
    return result;
  }

 private:
  std::uint64_t copy_tree(const std::vector<ListedFile>& files, const StageRun& run) const {
    OutputDirectory copies(place_of(to_), run.durability, run.sink, contents_of);
    std::uint64_t shared = 0;
    for (const ListedFile& listed : files) {
      const std::string name = listed.path.lexically_relative(input_.path).string();
      OutputFile& copy = copies.create(name, OutputDirectory::Names::any);
      copy.set_extents(run.extents);
      shared += copy_file(listed, copy, run);
      copies.complete();
    }
    publish_directory(copies, run);
    return shared;
  }

  StageInput input_;
  Path to_;
};

class CopyKind final : public StageReader {
 public:
  std::string name() const override { return "copy"; }
  std::string summary() const override { return "Copies a file or directory"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {{"copy", Type::text, true, "Stage, file or directory.", {}},
            {"to", Type::text, true, "Place of the copy.", {}}};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("copy"));
    const std::optional<Path> to = fields.path("to");
    if (inputs.size() > 1) {
      fields.problem(*fields.find("copy"), "script.value",
                     "'copy' takes one stage, and this names " + std::to_string(inputs.size()));
    }
    if (inputs.size() != 1 || !to) return nullptr;
    return std::make_unique<CopyStage>(std::move(inputs.front()), *to);
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_copy_kind() { return std::make_unique<CopyKind>(); }

}  // namespace craftbundle

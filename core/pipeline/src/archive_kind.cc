// archive: files and directories as one file, the same bytes for the same contents.
#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <charconv>
#include <exception>
#include <map>
#include <memory>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/place.h"
#include "file_list.h"
#include "kinds.h"

namespace craftbundle {
namespace {

struct Format {
  std::string_view suffix;
  int (*set_format)(archive*);
  int (*add_filter)(archive*);  // nullptr: none
  const char* module;           // that takes the option compression-level; nullptr: none
};

constexpr std::array kFormats = {
    Format{".tar", archive_write_set_format_pax_restricted, nullptr, nullptr},
    Format{".tar.gz", archive_write_set_format_pax_restricted, archive_write_add_filter_gzip,
           "gzip"},
    Format{".tgz", archive_write_set_format_pax_restricted, archive_write_add_filter_gzip, "gzip"},
    Format{".tar.zst", archive_write_set_format_pax_restricted, archive_write_add_filter_zstd,
           "zstd"},
    Format{".zip", archive_write_set_format_zip, nullptr, "zip"},
};

const Format* format_of(const Path& path) {
  const std::string name = path.filename().string();
  for (const Format& format : kFormats) {
    if (name.size() > format.suffix.size() && name.ends_with(format.suffix)) return &format;
  }
  return nullptr;
}

// Every file has this time (1980-01-01, the first that zip can hold), owner 0 and mode, so that the
// archive depends on nothing but names and contents.
constexpr std::time_t kTime = 315532800;
constexpr mode_t kMode = 0644;

class Writer {
 public:
  Writer(OutputFile& file, const Format& format, const std::string& level)
      : file_(file), archive_(archive_write_new(), &archive_write_free) {
    if (!archive_) throw std::bad_alloc();
    require(format.set_format(archive_.get()));
    if (format.add_filter != nullptr) require(format.add_filter(archive_.get()));
    if (format.module != nullptr && std::string_view(format.module) == "gzip") {
      // The time of packing would be part of the bytes.
      require(archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr));
    }
    if (!level.empty() && format.module != nullptr) {
      require(archive_write_set_option(archive_.get(), format.module, "compression-level",
                                       level.c_str()));
    }
    require(archive_write_set_bytes_in_last_block(archive_.get(), 1));
    require(archive_write_open(archive_.get(), this, nullptr, &Writer::write, nullptr));
  }

  void add(const ListedFile& listed, const StageRun& run) {
    constexpr std::uint64_t kPiece = 1 << 20;
    const InputFile source(listed.path);
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                              &archive_entry_free);
    archive_entry_set_pathname_utf8(entry.get(), listed.name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), kMode);
    archive_entry_set_mtime(entry.get(), kTime, 0);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(source.size()));
    require(archive_write_header(archive_.get(), entry.get()));
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kPiece, source.size())));
    for (std::uint64_t done = 0; done < source.size();) {
      run.cancellation.check();
      const auto length = static_cast<std::size_t>(std::min(kPiece, source.size() - done));
      source.read(done, std::span(buffer.data(), length));
      const la_ssize_t written = archive_write_data(archive_.get(), buffer.data(), length);
      require(written == static_cast<la_ssize_t>(length) ? ARCHIVE_OK : ARCHIVE_FATAL);
      done += length;
      run.sink.progress({listed.name, done, source.size()});
    }
    source.check_unchanged();
  }

  void finish() { require(archive_write_close(archive_.get())); }

 private:
  void require(int outcome) {
    if (failure_) std::rethrow_exception(failure_);
    if (outcome == ARCHIVE_OK || outcome == ARCHIVE_WARN) return;
    const char* message = archive_error_string(archive_.get());
    throw Error(ErrorKind::system, "archive.write",
                "the archive cannot be written: " +
                    printable(message == nullptr ? "unknown failure" : message));
  }

  // Called by C, which knows no exceptions.
  static la_ssize_t write(archive* target, void* self, const void* bytes, std::size_t length) {
    auto& writer = *static_cast<Writer*>(self);
    try {
      writer.file_.write(std::span(static_cast<const std::byte*>(bytes), length));
      return static_cast<la_ssize_t>(length);
    } catch (...) {
      writer.failure_ = std::current_exception();
      archive_set_error(target, EIO, "writing failed");
      return -1;
    }
  }

  OutputFile& file_;
  std::exception_ptr failure_;
  std::unique_ptr<archive, decltype(&archive_write_free)> archive_;
};

class ArchiveStage final : public Stage {
 public:
  ArchiveStage(std::vector<StageInput> inputs, Path to, std::string level)
      : inputs_(std::move(inputs)), to_(std::move(to)), level_(std::move(level)) {}

  std::vector<StageInput> inputs() const override { return inputs_; }
  std::vector<StageOutput> outputs() const override { return {{"file", to_}}; }
  std::string what() const override {
    std::vector<std::string> names;
    for (const StageInput& input : inputs_) names.push_back(input.path.filename().string());
    return "archive " + list_text(names, 3);
  }
  std::vector<KeyPart> key() const override { return {{"level", level_}}; }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    std::map<std::string, ListedFile> files;  // by name, so that the order of inputs is no matter
    for (const StageInput& input : inputs_) {
      for (ListedFile& file : list_files(input.path, {to_})) {
        const auto [same, fresh] = files.emplace(file.name, file);
        if (!fresh && same->second.path != file.path) {
          throw Error(ErrorKind::usage, "archive.name",
                      "two files would have the name " + quoted(file.name) + " in the archive: " +
                          path_text(same->second.path) + " and " + path_text(file.path),
                      "give the directories different names");
        }
      }
    }
    StageResult result;
    result.bytes = publish_file(to_, run, [&](OutputFile& file) {
      Writer writer(file, *format_of(to_), level_);
      for (const auto& [name, listed] : files) writer.add(listed, run);
      writer.finish();
    });
    result.summary = {{"files", std::to_string(files.size())}};
    return result;
  }

 private:
  std::vector<StageInput> inputs_;
  Path to_;
  std::string level_;  // empty: the format's default
};

class ArchiveKind final : public StageReader {
 public:
  std::string name() const override { return "archive"; }
  std::string summary() const override { return "Packs files and directories into one file"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {{"archive", Type::text_or_list, true, "Stages, files or directories.", {}},
            {"to",
             Type::text,
             true,
             "File to write; the name says how: .tar, .tar.gz, .tgz, .tar.zst or .zip.",
             {}},
            {"level", Type::text, false, "Compression level, 0 to 9 (.tar.zst: to 22).", {}}};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find("archive"));
    const std::optional<Path> to = fields.path("to");
    if (to && format_of(*to) == nullptr) {
      std::vector<std::string> known;
      for (const Format& format : kFormats) known.emplace_back(format.suffix);
      fields.problem(*fields.find("to"), "script.value",
                     quoted(to->filename().string()) + " does not say what kind of archive it is",
                     "end the name in one of " + list_text(known));
      return nullptr;
    }
    const std::string level = fields.text("level");
    int number = 0;
    const auto parsed = std::from_chars(level.data(), level.data() + level.size(), number);
    if (!level.empty() && (parsed.ec != std::errc() || parsed.ptr != level.data() + level.size() ||
                           number < 0 || number > (to && to->extension() == ".zst" ? 22 : 9))) {
      fields.problem(*fields.find("level"), "script.value",
                     "'level' is " + quoted(level) + ", expected a compression level",
                     "0 is fast and 9 small; .tar.zst takes up to 22");
      return nullptr;
    }
    if (inputs.empty() || !to) return nullptr;
    return std::make_unique<ArchiveStage>(std::move(inputs), *to, level);
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_archive_kind() { return std::make_unique<ArchiveKind>(); }

}  // namespace craftbundle

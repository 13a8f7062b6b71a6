#include "craftbundle/detail/checkpoint/checkpoint.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <mutex>
#include <utility>

#include "archive.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "legacy.h"
#include "object_tree.h"
#include "recognize.h"
#include "swap.h"
#include "tensor_description.h"
#include "unpickler.h"

namespace craftbundle {
namespace {

[[noreturn]] void fail(std::string_view code, const std::string& message,
                       const std::string& hint = {}) {
  throw Error(ErrorKind::input, code, message, hint);
}

constexpr bool kBigEndianMachine = std::endian::native == std::endian::big;

// Keys that the pickle gives to storages of different class or size: no two readers need to agree
// on what they are. Sorted.
std::vector<std::string> find_conflicts(const ObjectTree& tree) {
  struct Use {
    std::string_view key;
    std::uint32_t storage_class;
    std::int64_t elements;
  };
  std::vector<Use> uses;
  for (const Node& node : tree.nodes) {
    if (node.kind != Kind::persistent) continue;
    const Node& id = tree.node(node.persistent_id);
    if (id.kind != Kind::tuple || id.run.count < 5) continue;
    const std::span<const std::uint32_t> fields = tree.run(id.run);
    const Node& type = tree.node(fields[1]);
    const Node& key = tree.node(fields[2]);
    const Node& elements = tree.node(fields[4]);
    if (type.kind != Kind::global || key.kind != Kind::string || elements.kind != Kind::integer)
      continue;
    uses.push_back({tree.text(key), type.link, elements.integer});
  }
  std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) { return a.key < b.key; });
  std::vector<std::string> conflicts;
  for (std::size_t i = 1; i < uses.size(); ++i) {
    const Use& before = uses[i - 1];
    const Use& use = uses[i];
    const bool differs =
        use.storage_class != before.storage_class || use.elements != before.elements;
    if (use.key == before.key && differs) conflicts.emplace_back(use.key);
  }
  return conflicts;
}

// What the two containers share.
class OpenedCheckpoint : public Checkpoint {
 public:
  explicit OpenedCheckpoint(std::unique_ptr<const InputFile> file) : file_(std::move(file)) {}

  const InputFile& file() const override { return *file_; }
  const CheckpointFormat& format() const override { return format_; }
  Object root() const override { return tree_->root(); }
  const std::vector<GlobalReference>& globals() const override { return globals_; }
  const std::vector<RecordInfo>& records() const override { return records_; }

  Tensor tensor(Object object) const override {
    const TensorDescription description = read_tensor_description(object);
    const StorageReference& reference = description.storage;
    if (std::binary_search(conflicts_.begin(), conflicts_.end(), reference.key)) {
      fail("tensor.storage_conflict",
           "storage " + quoted(reference.key) + " has different classes or sizes in one file");
    }
    Tensor tensor;
    tensor.dtype = description.dtype;
    tensor.layout = description.layout;
    tensor.requires_grad = description.requires_grad;
    tensor.is_parameter = description.is_parameter;
    tensor.storage.owner = shared_from_this();
    tensor.storage.key = reference.key;
    tensor.storage.dtype = reference.dtype;
    tensor.storage.elements = reference.elements;
    tensor.storage.bytes = reference.bytes;
    tensor.storage.swapped = format_.big_endian != kBigEndianMachine;
    if (tensor.storage.swapped && reference.untyped && swap_size(tensor.dtype) > 1) {
      // PyTorch does not swap these; whether the bytes are big-endian cannot be known.
      fail("tensor.byteorder", "a tensor of type " + std::string(name(tensor.dtype)) +
                                   " in the byte order of another machine is not supported");
    }
    locate(tensor.storage);
    return tensor;
  }

  void read(const Storage& storage, std::uint64_t offset,
            std::span<std::byte> buffer) const override {
    read_raw(storage, offset, buffer);
    if (storage.swapped) swap_bytes(buffer, swap_size(storage.dtype));
  }

 protected:
  // Finds the storage's bytes in the file and checks that they are as many as the pickle says.
  virtual void locate(Storage& storage) const = 0;

  virtual void read_raw(const Storage& storage, std::uint64_t offset,
                        std::span<std::byte> buffer) const {
    file_->read(storage.file_offset + offset, buffer);
  }

  void set_object(std::shared_ptr<const ObjectTree> tree) {
    tree_ = std::move(tree);
    globals_ = list_globals(*tree_);
    conflicts_ = find_conflicts(*tree_);
  }

  static void check_size(const Storage& storage, std::uint64_t found) {
    if (found == storage.bytes) return;
    fail("tensor.record_size",
         "storage " + quoted(storage.key) + " of " + std::to_string(storage.elements) + " x " +
             std::string(name(storage.dtype)) + " needs " + std::to_string(storage.bytes) +
             " bytes, the file has " + std::to_string(found),
         "the file is damaged; get it again from where it came from");
  }

  [[noreturn]] static void fail_missing(const Storage& storage) {
    fail("tensor.missing_record", "the file has no data for storage " + quoted(storage.key),
         "the file is damaged; get it again from where it came from");
  }

  std::unique_ptr<const InputFile> file_;
  CheckpointFormat format_;
  std::vector<RecordInfo> records_;

 private:
  std::shared_ptr<const ObjectTree> tree_;
  std::vector<GlobalReference> globals_;
  std::vector<std::string> conflicts_;
};

class ZipCheckpoint final : public OpenedCheckpoint {
 public:
  explicit ZipCheckpoint(std::unique_ptr<const InputFile> file)
      : OpenedCheckpoint(std::move(file)), archive_(*file_) {
    format_.container = CheckpointFormat::Container::zip;
    format_.archive_name = archive_.name();
    format_.records = archive_.records().size();
    format_.notes = archive_.notes();
    for (const ArchiveRecord& record : archive_.records())
      records_.push_back({record.name, record.size});
    note_strangers();
    refuse_torchscript();
    const ArchiveRecord& pickle_record = required("data.pkl");
    check_version();
    format_.big_endian = read_byte_order();
    read_object(pickle_record);
  }

 protected:
  void locate(Storage& storage) const override {
    const ArchiveRecord* record = archive_.find("data/" + storage.key);
    if (record == nullptr) fail_missing(storage);
    check_size(storage, record->size);
    storage.file_offset = record->data_offset;
    storage.deflated = record->deflated;
    if (record->has_crc()) storage.crc = record->crc;
    if (record->deflated && storage.swapped) {
      fail("tensor.byteorder",
           "storage " + quoted(storage.key) +
               " is compressed and in the byte order of another machine, which is not supported",
           "repack the file without compression (zip -0)");
    }
    if (record->deflated && record->size > limits::kInflatedStorage) {
      fail("limit.inflated",
           "storage " + quoted(storage.key) + " of " + human_bytes(record->size) +
               " is compressed; at most " + human_bytes(limits::kInflatedStorage) +
               " are supported",
           "repack the file without compression (zip -0), or save it again with torch.save");
    }
  }

  void read_raw(const Storage& storage, std::uint64_t offset,
                std::span<std::byte> buffer) const override {
    if (!storage.deflated) return OpenedCheckpoint::read_raw(storage, offset, buffer);
    const std::shared_ptr<const std::string> bytes = inflated(storage.key);
    const std::span whole = std::as_bytes(std::span(*bytes));
    std::ranges::copy(whole.subspan(static_cast<std::size_t>(offset), buffer.size()),
                      buffer.begin());
  }

 private:
  const ArchiveRecord& required(std::string_view name) const {
    if (const ArchiveRecord* record = archive_.find(name)) return *record;
    if (archive_.find(".data/extern_modules") != nullptr) {
      fail("zip.package", "is a torch.package, which holds code beside the weights",
           "give the weights that were saved beside it, or save the state dict of what it holds");
    }
    std::vector<std::string> inside;
    for (const ArchiveRecord& record : archive_.records()) {
      const std::string ending = Path(record.name).extension().string();
      if (ending == ".th" || ending == ".bin" || ending == ".pt" || ending == ".pth" ||
          ending == ".ckpt" || ending == ".safetensors") {
        inside.push_back(archive_.name() + "/" + record.name);
      }
    }
    if (!inside.empty()) {
      fail("zip.layout", "is a zip that holds " + list_text(inside),
           "unpack it and give the file inside");
    }
    fail("zip.layout",
         "is a zip archive without the record " + quoted(name) + " that torch.save writes",
         "give a checkpoint that torch.save wrote");
  }

  // Records that torch.save never writes are not looked at, but worth knowing of.
  void note_strangers() {
    constexpr std::size_t kMost = 3;
    std::size_t count = 0;
    for (const ArchiveRecord& record : archive_.records()) {
      if (is_expected(record.name) || ++count > kMost) continue;
      format_.notes.push_back("record " + quoted(record.name) +
                              " is not part of a checkpoint, not read");
    }
    if (count > kMost)
      format_.notes.push_back(std::to_string(count - kMost) + " more such records");
  }

  static bool is_expected(std::string_view name) {
    return name == "data.pkl" || name == "version" || name == "byteorder" ||
           name == ".format_version" || name == ".storage_alignment" ||
           name.starts_with(".data/") || name.starts_with("data/");
  }

  void refuse_torchscript() const {
    if (archive_.find("constants.pkl") == nullptr) return;
    fail("format.torchscript", "is a TorchScript program, which holds code instead of a checkpoint",
         "give the checkpoint that the program was made from");
  }

  // A record that holds a word or a number.
  std::string read_small(const ArchiveRecord& record, std::string_view code) const {
    constexpr std::uint64_t kMost = 64;
    if (record.size > kMost || record.stored_size > kMost) {
      fail(code, "record " + quoted(record.name) + " is unreasonably long");
    }
    return archive_.read(record);
  }

  void check_version() const {
    constexpr int kMostKnown = 10;
    const ArchiveRecord* record = archive_.find("version");
    if (record == nullptr) record = archive_.find(".data/version");
    if (record == nullptr) fail("format.version", "the record 'version' is missing");
    const std::string text = read_small(*record, "format.version");
    std::string_view digits = text;
    if (digits.ends_with('\n')) digits.remove_suffix(1);
    int version = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (error != std::errc() || end != digits.data() + digits.size() || version < 1 ||
        version > kMostKnown) {
      fail("format.version", "the format version is " + quoted(text) + ", known are 1 to 10");
    }
  }

  bool read_byte_order() const {
    const ArchiveRecord* record = archive_.find("byteorder");
    if (record == nullptr) return false;  // before PyTorch 2.1
    const std::string text = read_small(*record, "format.byteorder");
    if (text == "little" || text == "big") return text == "big";
    fail("format.byteorder", "the byte order is " + quoted(text) + ", expected 'little' or 'big'");
  }

  void read_object(const ArchiveRecord& record) {
    if (record.size > limits::kPickleBytes) {
      fail("limit.pickle", "data.pkl has " + human_bytes(record.size) + ", at most " +
                               human_bytes(limits::kPickleBytes) + " are supported");
    }
    std::string bytes = archive_.read(record);
    const Pickle pickle =
        with_context("data.pkl", [&] { return read_pickle(PickleInput(std::move(bytes))); });
    format_.pickle_protocol = pickle.protocol;
    if (pickle.size < record.size) {
      format_.notes.push_back(std::to_string(record.size - pickle.size) +
                              " bytes after the end of the pickle, not read");
    }
    set_object(pickle.tree);
  }

  // A deflated record cannot be read in parts; the last one is kept for the parts that follow.
  std::shared_ptr<const std::string> inflated(const std::string& key) const {
    const std::lock_guard lock(inflated_mutex_);
    if (!inflated_ || inflated_key_ != key) {
      inflated_ = nullptr;
      inflated_ = std::make_shared<const std::string>(archive_.read(*archive_.find("data/" + key)));
      inflated_key_ = key;
    }
    return inflated_;
  }

  Archive archive_;
  mutable std::mutex inflated_mutex_;
  mutable std::string inflated_key_;
  mutable std::shared_ptr<const std::string> inflated_;
};

class LegacyCheckpoint final : public OpenedCheckpoint {
 public:
  explicit LegacyCheckpoint(std::unique_ptr<const InputFile> file)
      : OpenedCheckpoint(std::move(file)) {
    LegacyFile legacy = read_legacy(*file_);
    storages_ = std::move(legacy.storages);
    format_.container = CheckpointFormat::Container::legacy;
    format_.pickle_protocol = legacy.protocol;
    format_.big_endian = legacy.big_endian;
    format_.notes = std::move(legacy.notes);
    for (const LegacyStorage& storage : storages_)
      records_.push_back({"data/" + storage.key, storage.bytes});
    set_object(std::move(legacy.tree));
  }

 protected:
  void locate(Storage& storage) const override {
    const auto found = std::lower_bound(
        storages_.begin(), storages_.end(), storage.key,
        [](const LegacyStorage& candidate, const std::string& key) { return candidate.key < key; });
    if (found == storages_.end() || found->key != storage.key) fail_missing(storage);
    check_size(storage, found->bytes);
    storage.file_offset = found->offset;
  }

 private:
  std::vector<LegacyStorage> storages_;
};

}  // namespace

std::shared_ptr<const Checkpoint> Checkpoint::open(const Path& path) {
  auto file = std::make_unique<const InputFile>(path);
  try {
    switch (recognize(*file)) {
      case FileFormat::legacy:
        return std::make_shared<const LegacyCheckpoint>(std::move(file));
      case FileFormat::zip:
        break;
    }
    return std::make_shared<const ZipCheckpoint>(std::move(file));
  } catch (Error& error) {
    // Errors of reading the file name it already.
    if (!error.code().starts_with("io.")) error.add_context(path_text(path));
    throw;
  }
}

bool Checkpoint::is_tensor(Object object) { return is_tensor_call(object); }

}  // namespace craftbundle

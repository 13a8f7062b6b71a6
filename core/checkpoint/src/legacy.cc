#include "legacy.h"

#include <algorithm>
#include <map>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "tensor_description.h"
#include "unpickler.h"

namespace craftbundle {
namespace {

constexpr char kMagicNumber[] = "119547037146038801333356";
constexpr std::int64_t kProtocolVersion = 1001;

[[noreturn]] void fail(std::string_view check, const std::string& message) {
  throw Error(ErrorKind::input, "legacy." + std::string(check), message,
              "the file is damaged; get it again from where it came from");
}

// Elements are counted in the type of the storage class, which only the pickle knows.
std::map<std::string, StorageReference> storage_references(const ObjectTree& tree) {
  std::map<std::string, StorageReference> references;
  for (NodeId id = 0; id < tree.nodes.size(); ++id) {
    if (tree.node(id).kind != Kind::persistent) continue;
    const Object object = tree.object(id);
    const Object persistent_id = object.persistent_id();
    const bool is_module = persistent_id.is(Kind::tuple) && persistent_id.size() > 0 &&
                           persistent_id[0].is(Kind::string) &&
                           persistent_id[0].as_string() == "module";
    if (is_module) continue;  // the source text of a pickled module
    StorageReference reference = read_storage_reference(object);
    references.try_emplace(reference.key, std::move(reference));
  }
  return references;
}

class Reader {
 public:
  explicit Reader(const InputFile& file) : file_(file) {}

  LegacyFile read() {
    next();  // the magic number
    const Pickle version = next();
    const Object version_object = version.tree->root();
    if (!version_object.is(Kind::integer) || version_object.as_int() != kProtocolVersion) {
      fail("version", "the protocol version is " + describe(version_object) + ", expected 1001");
    }
    LegacyFile result;
    result.big_endian = read_system(next());
    Pickle object = next();
    result.tree = std::move(object.tree);
    result.protocol = object.protocol;
    read_storages(next(), result);
    if (position_ < file_.size()) {
      result.notes.push_back(std::to_string(file_.size() - position_) +
                             " bytes after the last storage");
    }
    return result;
  }

 private:
  Pickle next() {
    if (position_ >= file_.size()) fail("truncated", "the file ends before its object");
    Pickle pickle = read_pickle(PickleInput(file_, position_));
    position_ += pickle.size;
    return pickle;
  }

  static bool read_system(const Pickle& pickle) {
    const Object system = pickle.tree->root();
    if (system.is(Kind::dict)) {
      const std::optional<Object> little = system.find("little_endian");
      if (little && little->is(Kind::boolean)) return !little->as_bool();
    }
    fail("system", "the byte order is missing; found " + describe(system));
  }

  void read_storages(const Pickle& pickle, LegacyFile& result) {
    const Object keys = pickle.tree->root();
    if (!keys.is(Kind::list)) fail("keys", "the list of storages is " + describe(keys));
    const std::map<std::string, StorageReference> references = storage_references(*result.tree);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!keys[i].is(Kind::string)) fail("keys", "the key of a storage is " + describe(keys[i]));
      const auto reference = references.find(std::string(keys[i].as_string()));
      if (reference == references.end()) {
        fail("keys", "storage " + quoted(keys[i].as_string()) + " is not in the object");
      }
      result.storages.push_back(read_storage(reference->second));
    }
    const auto by_key = [](const LegacyStorage& a, const LegacyStorage& b) {
      return a.key < b.key;
    };
    std::sort(result.storages.begin(), result.storages.end(), by_key);
    const auto same_key = [](const LegacyStorage& a, const LegacyStorage& b) {
      return a.key == b.key;
    };
    const auto twice = std::adjacent_find(result.storages.begin(), result.storages.end(), same_key);
    if (twice != result.storages.end())
      fail("keys", "storage " + quoted(twice->key) + " stands twice");
  }

  LegacyStorage read_storage(const StorageReference& reference) {
    constexpr std::size_t kCountSize = 8;
    if (!in_range(position_, kCountSize, file_.size())) truncated(reference.key);
    const std::string bytes = file_.read_text(position_, kCountSize);
    position_ += kCountSize;
    LegacyStorage storage;
    storage.key = reference.key;
    storage.elements = little_endian(bytes);
    const auto size = checked_mul(storage.elements, item_size(reference.dtype));
    if (!size || !in_range(position_, *size, file_.size())) truncated(reference.key);
    storage.offset = position_;
    storage.bytes = *size;
    position_ += *size;
    return storage;
  }

  [[noreturn]] static void truncated(const std::string& key) {
    fail("truncated", "storage " + quoted(key) + " reaches beyond the end of the file");
  }

  const InputFile& file_;
  std::uint64_t position_ = 0;
};

}  // namespace

bool looks_like_pickle(std::string_view head) {
  // PROTO, or the LONG that begins a legacy file of protocol 0 or 1.
  return head.starts_with("\x80") || head.starts_with("L1195");
}

bool is_legacy(const InputFile& file) {
  // Enough for the magic number in every protocol; the rest of a large file is not looked at.
  constexpr std::uint64_t kMost = 64;
  const std::string head =
      file.read_text(0, static_cast<std::size_t>(std::min(file.size(), kMost)));
  try {
    const Pickle first = read_pickle(PickleInput(head));
    const Object magic = first.tree->root();
    return magic.is(Kind::big_integer) && magic.as_text() == kMagicNumber;
  } catch (const Error&) {
    return false;
  }
}

LegacyFile read_legacy(const InputFile& file) { return Reader(file).read(); }

}  // namespace craftbundle

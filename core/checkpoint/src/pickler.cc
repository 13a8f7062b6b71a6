#include "pickler.h"

#include <bit>
#include <limits>
#include <map>
#include <string_view>
#include <type_traits>

#include "craftbundle/detail/base/error.h"

namespace craftbundle {
namespace {

constexpr char kProto = '\x80';
constexpr char kStop = '.';
constexpr char kMark = '(';
constexpr char kNone = 'N';
constexpr char kTrue = '\x88';
constexpr char kFalse = '\x89';
constexpr char kInt1 = 'K';
constexpr char kInt2 = 'M';
constexpr char kInt4 = 'J';
constexpr char kLong1 = '\x8a';
constexpr char kFloat = 'G';
constexpr char kUnicode = 'X';
constexpr char kEmptyTuple = ')';
constexpr char kTuple1 = '\x85';
constexpr char kTuple2 = '\x86';
constexpr char kTuple3 = '\x87';
constexpr char kTuple = 't';
constexpr char kEmptyList = ']';
constexpr char kAppends = 'e';
constexpr char kEmptyDict = '}';
constexpr char kSetItems = 'u';
constexpr char kGlobal = 'c';
constexpr char kReduce = 'R';
constexpr char kPersistent = 'Q';
constexpr char kPut = 'q';
constexpr char kGet = 'h';

class Pickler {
 public:
  explicit Pickler(const PackagePlan& plan) : plan_(plan) {}

  std::string pickle(const Value& root) {
    op(kProto);
    op('\x02');
    value(root);
    op(kStop);
    return std::move(out_);
  }

 private:
  void value(const Value& value) {
    value.visit([this](const auto& held) { put(held); });
  }

  void put(std::monostate) { op(kNone); }
  void put(bool value) { op(value ? kTrue : kFalse); }
  void put(double value) {
    op(kFloat);
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) op(static_cast<char>((bits >> shift) & 0xFFu));
  }

  void put(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0 && value <= 0xFF) {
      op(kInt1);
      little_endian(bits, 1);
    } else if (value >= 0 && value <= 0xFFFF) {
      op(kInt2);
      little_endian(bits, 2);
    } else if (value >= std::numeric_limits<std::int32_t>::min() &&
               value <= std::numeric_limits<std::int32_t>::max()) {
      op(kInt4);
      little_endian(bits, 4);
    } else {
      // LibTorch reads no other length.
      op(kLong1);
      little_endian(8, 1);
      little_endian(bits, 8);
    }
  }

  void put(const std::string& text) {
    if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
      throw Error(ErrorKind::internal, "package.text",
                  "a text of " + std::to_string(text.size()) + " bytes does not fit a package");
    }
    op(kUnicode);
    little_endian(text.size(), 4);
    out_ += text;
  }

  void put(const Value::List& list) {
    op(kEmptyList);
    if (list.empty()) return;
    op(kMark);
    for (const Value& item : list) value(item);
    op(kAppends);
  }

  void put(const Value::Dict& dict) {
    op(kEmptyDict);
    if (dict.empty()) return;
    op(kMark);
    for (const auto& [key, item] : dict) {
      put(key);
      value(item);
    }
    op(kSetItems);
  }

  void put(const Tensor& tensor) {
    put_tensor(plan_.storage_of(tensor), plan_.offset_of(tensor), tensor.layout.shape,
               tensor.layout.strides, tensor.dtype, tensor.requires_grad);
  }

  void put(const ComputedTensor& tensor) {
    put_contiguous(plan_.storage_of(tensor), tensor.elements->shape(), tensor.dtype);
  }

  void put(const JoinedTensor& tensor) {
    put_contiguous(plan_.storage_of(tensor), tensor.shape, tensor.dtype);
  }

  void put_contiguous(std::size_t number, const std::vector<std::int64_t>& shape, DType dtype) {
    put_tensor(number, 0, shape, contiguous_strides(shape), dtype, false);
  }

  void put_tensor(std::size_t number, std::uint64_t offset, const std::vector<std::int64_t>& shape,
                  const std::vector<std::int64_t>& strides, DType dtype, bool requires_grad) {
    const bool untyped = !plan_.storages()[number].dtype;
    global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    op(kMark);
    storage(number);
    put(static_cast<std::int64_t>(offset));
    tuple(shape);
    tuple(strides);
    put(requires_grad);
    global("collections", "OrderedDict");  // the backward hooks: none
    op(kEmptyTuple);
    op(kReduce);
    if (untyped) global("torch", name(dtype));
    op(kTuple);
    op(kReduce);
  }

  void storage(std::size_t number) {
    const PlannedStorage& storage = plan_.storages()[number];
    op(kMark);
    shared_text("storage");
    if (storage.dtype) {
      global("torch", storage_class(*storage.dtype));
    } else {
      global("torch.storage", "UntypedStorage");
    }
    put(std::to_string(number));
    shared_text("cpu");
    put(static_cast<std::int64_t>(storage.bytes / (storage.dtype ? item_size(*storage.dtype) : 1)));
    op(kTuple);
    op(kPersistent);
  }

  void tuple(const std::vector<std::int64_t>& numbers) {
    if (numbers.size() > 3) op(kMark);
    for (const std::int64_t number : numbers) put(number);
    switch (numbers.size()) {
      case 0:
        return op(kEmptyTuple);
      case 1:
        return op(kTuple1);
      case 2:
        return op(kTuple2);
      case 3:
        return op(kTuple3);
      default:
        return op(kTuple);
    }
  }

  void global(std::string_view module, std::string_view name) {
    std::string code(1, kGlobal);
    code.append(module).append("\n").append(name).append("\n");
    shared(code, [&] { out_ += code; });
  }

  void shared_text(const std::string& text) {
    shared(text, [&] { put(text); });
  }

  // Writes the object the first time and a reference to it from then on. There are few of these, so
  // that the short opcodes suffice: storage classes, dtypes and a handful of fixed names.
  template <typename Write>
  void shared(const std::string& key, Write&& write) {
    const auto [place, is_new] = memo_.try_emplace(key, memo_.size());
    if (is_new) write();
    op(is_new ? kPut : kGet);
    little_endian(place->second, 1);
  }

  void op(char code) { out_ += code; }

  void little_endian(std::uint64_t number, int size) {
    for (int i = 0; i < size; ++i) op(static_cast<char>((number >> (8 * i)) & 0xFFu));
  }

  const PackagePlan& plan_;
  std::string out_;
  std::map<std::string, std::size_t> memo_;
};

}  // namespace

std::string pickle_package(const Value& root, const PackagePlan& plan) {
  return Pickler(plan).pickle(root);
}

}  // namespace craftbundle

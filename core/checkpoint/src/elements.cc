#include "craftbundle/detail/checkpoint/elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/page_buffer.h"
#include "craftbundle/detail/tensor/arithmetic.h"
#include "craftbundle/detail/tensor/convert.h"
#include "walk.h"

namespace craftbundle {
namespace {

// Numbers that are computed at a time: 128 KiB of them stay in the second-level cache.
constexpr std::size_t kPiece = 16 << 10;

// Memory for `count` items, with whatever values. A thread keeps what it gave back for its next:
// giving pages back to the system and asking for them anew, piece by piece, took longer than
// computing.
template <typename T>
class Scratch {
 public:
  explicit Scratch(std::uint64_t count) {
    if (!kept().empty()) {
      bytes_ = std::move(kept().back());
      kept().pop_back();
    }
    const auto size = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes_.size() < size) bytes_.resize(size);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (kept().size() < kept().capacity()) kept().push_back(std::move(bytes_));
  }

  std::span<T> first(std::uint64_t count) {
    return {reinterpret_cast<T*>(bytes_.data()), static_cast<std::size_t>(count)};
  }

 private:
  // As many as are in use at a time where computations are made of one another.
  static constexpr std::size_t kMostKept = 8;

  static std::vector<PageBuffer>& kept() {
    thread_local std::vector<PageBuffer> buffers = [] {
      std::vector<PageBuffer> none;
      none.reserve(kMostKept);
      return none;
    }();
    return buffers;
  }

  PageBuffer bytes_;
};

// Calls `use(done, count)` for pieces of at most kPiece elements that cover `size`.
template <typename Use>
void in_pieces(std::uint64_t size, Use&& use) {
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t count = std::min<std::uint64_t>(kPiece, size - done);
    use(done, count);
    done += count;
  }
}

// Calls `use(row, part)` for each part of `numbers`, elements from `first` on, that lies in one row
// of `length` elements.
template <typename Use>
void for_each_row(std::uint64_t first, std::uint64_t length, std::span<double> numbers, Use&& use) {
  while (!numbers.empty()) {
    const auto part =
        numbers.first(std::min<std::uint64_t>(numbers.size(), length - first % length));
    use(static_cast<std::size_t>(first / length), part);
    first += part.size();
    numbers = numbers.subspan(part.size());
  }
}

std::vector<Storage> sources_of(const std::vector<ElementsPtr>& parts) {
  std::vector<Storage> all;
  for (const ElementsPtr& part : parts) {
    const std::vector<Storage> more = part->sources();
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

class Stored final : public Elements {
 public:
  explicit Stored(Tensor tensor) : tensor_(std::move(tensor)) {
    if (!is_convertible(tensor_.dtype)) {
      throw Error(
          ErrorKind::input, "tensor.elements",
          "elements of type " + std::string(name(tensor_.dtype)) + " cannot be computed with");
    }
  }

  const std::vector<std::int64_t>& shape() const override { return tensor_.layout.shape; }
  DType dtype() const override { return tensor_.dtype; }
  std::vector<Storage> sources() const override { return {tensor_.storage}; }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    if (out.empty()) return;
    if (!is_contiguous(tensor_.layout)) return gather(first, out, from);
    Scratch<std::byte> bytes(std::min(out.size(), kPiece) * size_);
    in_pieces(out.size(), [&](std::uint64_t done, std::uint64_t count) {
      decode(tensor_.dtype, load(first + done, count, bytes, from), out.subspan(done, count));
    });
  }

  void read_as(DType dtype, std::uint64_t first, std::span<std::byte> out,
               StorageReader& from) const override {
    if (!is_contiguous(tensor_.layout)) return Elements::read_as(dtype, first, out, from);
    const std::size_t size = item_size(dtype);
    const std::uint64_t all = out.size() / size;
    Scratch<std::byte> bytes(std::min<std::uint64_t>(all, kPiece) * size_);
    in_pieces(all, [&](std::uint64_t done, std::uint64_t count) {
      recode(tensor_.dtype, load(first + done, count, bytes, from), dtype,
             out.subspan(done * size, count * size));
    });
  }

 private:
  // Elements of a contiguous tensor.
  std::span<const std::byte> load(std::uint64_t first, std::uint64_t count,
                                  Scratch<std::byte>& bytes, StorageReader& from) const {
    const auto loaded = bytes.first(count * size_);
    const auto offset = static_cast<std::uint64_t>(tensor_.layout.offset);
    from.read(tensor_.storage, (offset + first) * size_, loaded);
    return loaded;
  }

  using Bytes = std::shared_ptr<const std::vector<std::byte>>;

  // The part of the storage that the tensor lies in. Pieces of a transposed tensor come from all
  // over it, so it is read once for all of them, and given up with the last.
  Bytes whole_range(bool is_last, StorageReader& from) const {
    const std::lock_guard lock(mutex_);
    Bytes bytes = held_;
    if (!bytes) {
      const ElementRange range = used_range(tensor_.layout).value_or(ElementRange{});
      auto loaded = std::make_shared<std::vector<std::byte>>(range.size() * size_);
      from.read(tensor_.storage, range.begin * size_, *loaded);
      bytes = std::move(loaded);
    }
    held_ = is_last ? nullptr : bytes;
    return bytes;
  }

  void gather(std::uint64_t first, std::span<double> out, StorageReader& from) const {
    const Bytes bytes = whole_range(first + out.size() == this->size(), from);
    Walk walk(tensor_.layout, first);
    Scratch<std::byte> piece(std::min(out.size(), kPiece) * size_);
    in_pieces(out.size(), [&](std::uint64_t done, std::uint64_t count) {
      const auto gathered = piece.first(count * size_);
      for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(gathered.data() + i * size_, bytes->data() + walk.place() * size_, size_);
        walk.next();
      }
      decode(tensor_.dtype, gathered, out.subspan(done, count));
    });
  }

  Tensor tensor_;
  std::size_t size_ = item_size(tensor_.dtype);  // of an element
  mutable std::mutex mutex_;
  mutable Bytes held_;
};

// Calls `use` with all elements of `elements`, piece by piece, in order.
template <typename Use>
void for_each_piece(const Elements& elements, StorageReader& from, Use&& use) {
  Scratch<double> piece(std::min<std::uint64_t>(elements.size(), kPiece));
  in_pieces(elements.size(), [&](std::uint64_t done, std::uint64_t count) {
    elements.read(done, piece.first(count), from);
    use(done, piece.first(count));
  });
}

std::vector<double> all_of(const Elements& elements, StorageReader& from) {
  std::vector<double> numbers(static_cast<std::size_t>(elements.size()));
  elements.read(0, numbers, from);
  return numbers;
}

Error wrong_shape(const std::string& what, const std::vector<std::int64_t>& expected,
                  const Elements& found) {
  return Error(
      ErrorKind::input, "tensor.shape",
      what + " has the shape " + shape_text(found.shape()) + ", expected " + shape_text(expected));
}

class Joined final : public Elements {
 public:
  explicit Joined(std::vector<ElementsPtr> parts)
      : parts_(std::move(parts)), shape_(parts_.front()->shape()) {
    std::uint64_t rows = 0;
    for (const ElementsPtr& part : parts_) {
      const std::vector<std::int64_t>& shape = part->shape();
      const bool fits =
          !shape.empty() && !shape_.empty() &&
          std::equal(shape.begin() + 1, shape.end(), shape_.begin() + 1, shape_.end());
      if (!fits) throw wrong_shape("one of the joined", shape_, *part);
      rows += static_cast<std::uint64_t>(shape.front());
    }
    shape_.front() = static_cast<std::int64_t>(rows);
    if (!element_count(shape_)) {
      throw Error(ErrorKind::input, "tensor.shape", "the joined tensors have too many elements");
    }
  }

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return parts_.front()->dtype(); }
  std::vector<Storage> sources() const override { return sources_of(parts_); }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    for_each_part(first, out.size(),
                  [&](const Elements& part, std::uint64_t begin, std::uint64_t done,
                      std::uint64_t count) { part.read(begin, out.subspan(done, count), from); });
  }

  void read_as(DType dtype, std::uint64_t first, std::span<std::byte> out,
               StorageReader& from) const override {
    const std::size_t size = item_size(dtype);
    for_each_part(
        first, out.size() / size,
        [&](const Elements& part, std::uint64_t begin, std::uint64_t done, std::uint64_t count) {
          part.read_as(dtype, begin, out.subspan(done * size, count * size), from);
        });
  }

 private:
  // Calls `use` with the parts that the elements [first, first + size) lie in: from which element
  // of the part on, where they begin among all of them, and how many.
  template <typename Use>
  void for_each_part(std::uint64_t first, std::uint64_t size, Use&& use) const {
    std::uint64_t done = 0;
    for (const ElementsPtr& part : parts_) {
      if (done == size) return;
      if (first >= part->size()) {
        first -= part->size();
        continue;
      }
      const std::uint64_t count = std::min(size - done, part->size() - first);
      use(*part, first, done, count);
      done += count;
      first = 0;
    }
  }

  std::vector<ElementsPtr> parts_;
  std::vector<std::int64_t> shape_;
};

class Average final : public Elements {
 public:
  explicit Average(std::vector<ElementsPtr> parts) : parts_(std::move(parts)) {
    for (const ElementsPtr& part : parts_) {
      if (part->shape() != shape()) throw wrong_shape("one of the averaged", shape(), *part);
    }
  }

  const std::vector<std::int64_t>& shape() const override { return parts_.front()->shape(); }
  DType dtype() const override { return parts_.front()->dtype(); }
  std::vector<Storage> sources() const override { return sources_of(parts_); }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    Scratch<double> more(std::min(out.size(), kPiece));
    in_pieces(out.size(), [&](std::uint64_t done, std::uint64_t count) {
      const std::span<double> sum = out.subspan(done, count);
      parts_.front()->read(first + done, sum, from);
      for (std::size_t i = 1; i < parts_.size(); ++i) {
        const std::span<double> next = more.first(count);
        parts_[i]->read(first + done, next, from);
        add(sum, next);
      }
      divide(sum, static_cast<double>(parts_.size()));
    });
  }

 private:
  std::vector<ElementsPtr> parts_;
};

class FoldedWeightNorm final : public Elements {
 public:
  FoldedWeightNorm(ElementsPtr g, ElementsPtr direction)
      : g_(std::move(g)), direction_(std::move(direction)) {
    if (shape().empty() || size() == 0) {
      throw Error(ErrorKind::input, "tensor.shape",
                  "a weight of the shape " + shape_text(shape()) + " has nothing to normalize");
    }
    std::vector<std::int64_t> expected(shape().size(), 1);
    expected.front() = shape().front();
    if (g_->shape() != expected) throw wrong_shape("the norm of a weight", expected, *g_);
  }

  const std::vector<std::int64_t>& shape() const override { return direction_->shape(); }
  DType dtype() const override { return direction_->dtype(); }
  std::vector<Storage> sources() const override { return sources_of({direction_, g_}); }

  // The norm of a slice that lies in `out` comes from there; one that is cut off is read.
  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    if (out.empty()) return;
    direction_->read(first, out, from);
    const std::uint64_t length = slice();
    const std::uint64_t end = first + out.size();
    const std::uint64_t whole_begin = std::min((first + length - 1) / length * length, end);
    const std::uint64_t whole_end = std::max(end / length * length, whole_begin);
    std::vector<double> squares((whole_end - whole_begin) / length, 0.0);
    add_squares(squares, out.subspan(whole_begin - first, whole_end - whole_begin));
    const auto first_whole = static_cast<std::size_t>(whole_begin / length);
    for_each_row(first, length, out, [&](std::size_t row, std::span<double> part) {
      const std::size_t i = row - first_whole;
      multiply(part, part.size() == length ? factor(row, squares[i], from) : cut_factor(row, from));
    });
  }

 private:
  std::uint64_t slice() const { return size() / g_->size(); }

  // REQUIRES: the sum of the squares of the slice.
  double factor(std::size_t row, double squares, StorageReader& from) const {
    std::call_once(once_, [&] { norms_ = all_of(*g_, from); });
    return norms_[row] / std::sqrt(squares);
  }

  // The pieces of a slice are mostly asked for one after the other.
  double cut_factor(std::size_t row, StorageReader& from) const {
    const std::lock_guard lock(mutex_);
    if (last_cut_ && last_cut_->first == row) return last_cut_->second;
    double squares = 0;
    Scratch<double> piece(std::min<std::uint64_t>(slice(), kPiece));
    in_pieces(slice(), [&](std::uint64_t done, std::uint64_t count) {
      direction_->read(row * slice() + done, piece.first(count), from);
      add_squares({&squares, 1}, piece.first(count));
    });
    last_cut_ = {row, factor(row, squares, from)};
    return last_cut_->second;
  }

  ElementsPtr g_;
  ElementsPtr direction_;
  mutable std::once_flag once_;
  mutable std::vector<double> norms_;
  mutable std::mutex mutex_;
  mutable std::optional<std::pair<std::size_t, double>> last_cut_;
};

class RowRange final : public Elements {
 public:
  RowRange(ElementsPtr all, std::int64_t first, std::int64_t count)
      : all_(std::move(all)), shape_(all_->shape()) {
    if (shape_.empty() || first < 0 || count < 0 || first > shape_.front() ||
        count > shape_.front() - first) {
      throw no_such_rows(shape_, first, count);
    }
    const std::uint64_t row =
        shape_.front() == 0 ? 0 : all_->size() / static_cast<std::uint64_t>(shape_.front());
    offset_ = row * static_cast<std::uint64_t>(first);
    shape_.front() = count;
  }

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return all_->dtype(); }
  std::vector<Storage> sources() const override { return all_->sources(); }
  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    all_->read(offset_ + first, out, from);
  }
  void read_as(DType dtype, std::uint64_t first, std::span<std::byte> out,
               StorageReader& from) const override {
    all_->read_as(dtype, offset_ + first, out, from);
  }

 private:
  ElementsPtr all_;
  std::vector<std::int64_t> shape_;
  std::uint64_t offset_ = 0;
};

class SliceNorms final : public Elements {
 public:
  explicit SliceNorms(ElementsPtr weight) : weight_(std::move(weight)) {
    if (weight_->shape().empty() || weight_->size() == 0) {
      throw Error(
          ErrorKind::input, "tensor.shape",
          "a weight of the shape " + shape_text(weight_->shape()) + " has nothing to normalize");
    }
    shape_.assign(weight_->shape().size(), 1);
    shape_.front() = weight_->shape().front();
  }

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return weight_->dtype(); }
  std::vector<Storage> sources() const override { return weight_->sources(); }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    std::call_once(once_, [&] { find_norms(from); });
    std::copy_n(norms_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }

 private:
  void find_norms(StorageReader& from) const {
    std::vector<double> norms(static_cast<std::size_t>(size()), 0.0);
    const std::uint64_t slice = weight_->size() / size();
    for_each_piece(*weight_, from, [&](std::uint64_t first, std::span<double> piece) {
      for_each_row(first, slice, piece, [&](std::size_t row, std::span<double> part) {
        add_squares({&norms[row], 1}, part);
      });
    });
    for (double& norm : norms) norm = std::sqrt(norm);
    norms_ = std::move(norms);
  }

  ElementsPtr weight_;
  std::vector<std::int64_t> shape_;
  mutable std::once_flag once_;
  mutable std::vector<double> norms_;
};

class FoldedSpectralNorm final : public Elements {
 public:
  FoldedSpectralNorm(ElementsPtr original, ElementsPtr u, ElementsPtr v, int dim)
      : original_(std::move(original)), u_(std::move(u)), v_(std::move(v)) {
    const auto at = static_cast<std::size_t>(dim);
    if (at >= shape().size() || size() == 0) {
      throw Error(ErrorKind::input, "tensor.shape",
                  "a weight of the shape " + shape_text(shape()) + " has nothing to normalize");
    }
    height_ = static_cast<std::uint64_t>(shape()[at]);
    for (std::size_t i = at + 1; i < shape().size(); ++i) {
      inner_ *= static_cast<std::uint64_t>(shape()[i]);
    }
    const auto require = [](const char* what, const Elements& vector, std::uint64_t length) {
      const std::vector<std::int64_t> expected = {static_cast<std::int64_t>(length)};
      if (vector.shape() != expected) throw wrong_shape(what, expected, vector);
    };
    require("weight_u of a spectral norm", *u_, height_);
    require("weight_v of a spectral norm", *v_, size() / height_);
  }

  const std::vector<std::int64_t>& shape() const override { return original_->shape(); }
  DType dtype() const override { return original_->dtype(); }
  std::vector<Storage> sources() const override { return sources_of({original_, u_, v_}); }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    std::call_once(once_, [&] { sigma_ = find_sigma(from); });
    original_->read(first, out, from);
    divide(out, sigma_);
  }

 private:
  double find_sigma(StorageReader& from) const {
    const std::vector<double> u = all_of(*u_, from);
    const std::vector<double> v = all_of(*v_, from);
    double sigma = 0;
    for_each_piece(*original_, from, [&](std::uint64_t first, std::span<double> piece) {
      for (const double number : piece) {
        const std::uint64_t row = first / inner_ % height_;
        const std::uint64_t column = first / (inner_ * height_) * inner_ + first % inner_;
        sigma += u[row] * number * v[column];
        ++first;
      }
    });
    return sigma;
  }

  ElementsPtr original_;
  ElementsPtr u_;
  ElementsPtr v_;
  std::uint64_t height_ = 1;  // size of the dimension that comes first
  std::uint64_t inner_ = 1;   // elements behind one index of it
  mutable std::once_flag once_;
  mutable double sigma_ = 1;
};

class ScaledRows final : public Elements {
 public:
  ScaledRows(ElementsPtr weight, ElementsPtr scale)
      : weight_(std::move(weight)), scale_(std::move(scale)) {
    const std::vector<std::int64_t> expected = {shape().empty() ? 0 : shape().front()};
    if (shape().empty() || scale_->shape() != expected) {
      throw wrong_shape("the scale of a layer", expected, *scale_);
    }
  }

  const std::vector<std::int64_t>& shape() const override { return weight_->shape(); }
  DType dtype() const override { return weight_->dtype(); }
  std::vector<Storage> sources() const override { return sources_of({weight_, scale_}); }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    std::call_once(once_, [&] { factors_ = all_of(*scale_, from); });
    weight_->read(first, out, from);
    for_each_row(first, size() / factors_.size(), out,
                 [&](std::size_t row, std::span<double> part) { multiply(part, factors_[row]); });
  }

 private:
  ElementsPtr weight_;
  ElementsPtr scale_;
  mutable std::once_flag once_;
  mutable std::vector<double> factors_;
};

}  // namespace

std::uint64_t Elements::size() const { return element_count(shape()).value_or(0); }

void Elements::read(std::uint64_t first, std::span<double> out) const {
  StorageReader files;
  read(first, out, files);
}

void Elements::read_as(DType dtype, std::uint64_t first, std::span<std::byte> out,
                       StorageReader& from) const {
  const std::size_t size = item_size(dtype);
  Scratch<double> numbers(std::min<std::uint64_t>(out.size() / size, kPiece));
  in_pieces(out.size() / size, [&](std::uint64_t done, std::uint64_t count) {
    read(first + done, numbers.first(count), from);
    encode(dtype, numbers.first(count), out.subspan(done * size, count * size));
  });
}

ElementsPtr elements_of(const Tensor& tensor) { return std::make_shared<Stored>(tensor); }

ElementsPtr elements_of(const JoinedTensor& tensor) {
  std::vector<ElementsPtr> parts;
  for (const Tensor& part : tensor.parts) parts.push_back(elements_of(part));
  return join(std::move(parts));
}

ElementsPtr average(std::vector<ElementsPtr> parts) {
  return std::make_shared<Average>(std::move(parts));
}

ElementsPtr fold_weight_norm(ElementsPtr g, ElementsPtr direction) {
  return std::make_shared<FoldedWeightNorm>(std::move(g), std::move(direction));
}

ElementsPtr slice_norms(ElementsPtr weight) {
  return std::make_shared<SliceNorms>(std::move(weight));
}

ElementsPtr fold_spectral_norm(ElementsPtr original, ElementsPtr u, ElementsPtr v, int dim) {
  return std::make_shared<FoldedSpectralNorm>(std::move(original), std::move(u), std::move(v), dim);
}

ElementsPtr scale_rows(ElementsPtr weight, ElementsPtr scale) {
  return std::make_shared<ScaledRows>(std::move(weight), std::move(scale));
}

ElementsPtr rows(ElementsPtr elements, std::int64_t first, std::int64_t count) {
  return std::make_shared<RowRange>(std::move(elements), first, count);
}

ElementsPtr join(std::vector<ElementsPtr> parts) {
  return std::make_shared<Joined>(std::move(parts));
}

}  // namespace craftbundle

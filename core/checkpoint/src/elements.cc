#include "craftbundle/detail/checkpoint/elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/tensor/convert.h"
#include "walk.h"

namespace craftbundle {
namespace {

// Numbers that are decoded at a time: 128 KiB of them stay in the second-level cache.
constexpr std::size_t kPiece = 16 << 10;

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

  void read(std::uint64_t first, std::span<double> out) const override {
    if (out.empty()) return;
    if (!is_contiguous(tensor_.layout)) return gather(first, out);
    first += static_cast<std::uint64_t>(tensor_.layout.offset);
    std::vector<std::byte> bytes;
    while (!out.empty()) {
      const std::span<double> piece = out.first(std::min(out.size(), kPiece));
      load(first, piece.size(), bytes);
      decode(tensor_.dtype, bytes, piece);
      first += piece.size();
      out = out.subspan(piece.size());
    }
  }

 private:
  void load(std::uint64_t first, std::size_t count, std::vector<std::byte>& bytes) const {
    const std::size_t size = item_size(tensor_.dtype);
    bytes.resize(count * size);
    tensor_.storage.owner->read(tensor_.storage, first * size, bytes);
  }

  using Bytes = std::shared_ptr<const std::vector<std::byte>>;

  // The part of the storage that the tensor lies in. Pieces of a transposed tensor come from all
  // over it, so it is read once for all of them, and given up with the last.
  Bytes whole_range(bool is_last) const {
    const std::lock_guard lock(mutex_);
    Bytes bytes = held_;
    if (!bytes) {
      const ElementRange range = used_range(tensor_.layout).value_or(ElementRange{});
      auto loaded = std::make_shared<std::vector<std::byte>>();
      load(range.begin, range.size(), *loaded);
      bytes = std::move(loaded);
    }
    held_ = is_last ? nullptr : bytes;
    return bytes;
  }

  void gather(std::uint64_t first, std::span<double> out) const {
    const Bytes bytes = whole_range(first + out.size() == this->size());
    Walk walk(tensor_.layout, first);
    const std::size_t size = item_size(tensor_.dtype);
    std::vector<std::byte> piece(std::min(out.size(), kPiece) * size);
    while (!out.empty()) {
      const std::span<double> numbers = out.first(std::min(out.size(), kPiece));
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        std::memcpy(piece.data() + i * size, bytes->data() + walk.place() * size, size);
        walk.next();
      }
      decode(tensor_.dtype, std::span(piece).first(numbers.size() * size), numbers);
      out = out.subspan(numbers.size());
    }
  }

  Tensor tensor_;
  mutable std::mutex mutex_;
  mutable Bytes held_;
};

class Joined final : public Elements {
 public:
  explicit Joined(const JoinedTensor& tensor) : shape_(tensor.shape), dtype_(tensor.dtype) {
    for (const Tensor& part : tensor.parts) parts_.push_back(elements_of(part));
  }

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  std::vector<Storage> sources() const override { return sources_of(parts_); }

  void read(std::uint64_t first, std::span<double> out) const override {
    for (const ElementsPtr& part : parts_) {
      const std::uint64_t size = part->size();
      if (first < size) {
        const auto here = out.first(std::min<std::uint64_t>(out.size(), size - first));
        part->read(first, here);
        out = out.subspan(here.size());
        first = 0;
      } else {
        first -= size;
      }
      if (out.empty()) return;
    }
  }

 private:
  std::vector<std::int64_t> shape_;
  DType dtype_;
  std::vector<ElementsPtr> parts_;
};

Error wrong_shape(const std::string& what, const std::vector<std::int64_t>& expected,
                  const Elements& found) {
  return Error(
      ErrorKind::input, "tensor.shape",
      what + " has the shape " + shape_text(found.shape()) + ", expected " + shape_text(expected));
}

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

  void read(std::uint64_t first, std::span<double> out) const override {
    std::vector<double> more(std::min(out.size(), kPiece));
    while (!out.empty()) {
      const std::span<double> sum = out.first(std::min(out.size(), kPiece));
      parts_.front()->read(first, sum);
      for (std::size_t i = 1; i < parts_.size(); ++i) {
        const std::span<double> next = std::span(more).first(sum.size());
        parts_[i]->read(first, next);
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += next[k];
      }
      for (double& number : sum) number /= static_cast<double>(parts_.size());
      first += sum.size();
      out = out.subspan(sum.size());
    }
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

  void read(std::uint64_t first, std::span<double> out) const override {
    std::call_once(once_, [this] { find_factors(); });
    direction_->read(first, out);
    const std::uint64_t slice = size() / factors_.size();
    for (double& number : out) number *= factors_[static_cast<std::size_t>(first++ / slice)];
  }

 private:
  void find_factors() const {
    std::vector<double> factors(static_cast<std::size_t>(g_->size()));
    g_->read(0, factors);
    const std::uint64_t slice = size() / factors.size();
    std::vector<double> piece(static_cast<std::size_t>(std::min<std::uint64_t>(slice, kPiece)));
    for (std::size_t i = 0; i < factors.size(); ++i) {
      double squares = 0;
      for (std::uint64_t done = 0; done < slice;) {
        const std::span<double> part =
            std::span(piece).first(std::min<std::uint64_t>(piece.size(), slice - done));
        direction_->read(i * slice + done, part);
        for (const double number : part) squares += number * number;
        done += part.size();
      }
      factors[i] /= std::sqrt(squares);
    }
    factors_ = std::move(factors);
  }

  ElementsPtr g_;
  ElementsPtr direction_;
  mutable std::once_flag once_;
  mutable std::vector<double> factors_;
};

}  // namespace

std::uint64_t Elements::size() const { return element_count(shape()).value_or(0); }

ElementsPtr elements_of(const Tensor& tensor) { return std::make_shared<Stored>(tensor); }

ElementsPtr elements_of(const JoinedTensor& tensor) { return std::make_shared<Joined>(tensor); }

ElementsPtr average(std::vector<ElementsPtr> parts) {
  return std::make_shared<Average>(std::move(parts));
}

ElementsPtr fold_weight_norm(ElementsPtr g, ElementsPtr direction) {
  return std::make_shared<FoldedWeightNorm>(std::move(g), std::move(direction));
}

}  // namespace craftbundle

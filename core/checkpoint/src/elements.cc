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
  void read(std::uint64_t first, std::span<double> out) const override {
    all_->read(offset_ + first, out);
  }

 private:
  ElementsPtr all_;
  std::vector<std::int64_t> shape_;
  std::uint64_t offset_ = 0;
};

// Calls `use` with all elements of `elements`, piece by piece, in order.
template <typename Use>
void for_each_piece(const Elements& elements, Use use) {
  std::vector<double> piece(
      static_cast<std::size_t>(std::min<std::uint64_t>(elements.size(), kPiece)));
  for (std::uint64_t done = 0; done < elements.size();) {
    const std::span<double> part =
        std::span(piece).first(std::min<std::uint64_t>(piece.size(), elements.size() - done));
    elements.read(done, part);
    use(done, std::span<const double>(part));
    done += part.size();
  }
}

std::vector<double> all_of(const Elements& elements) {
  std::vector<double> numbers(static_cast<std::size_t>(elements.size()));
  elements.read(0, numbers);
  return numbers;
}

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

  void read(std::uint64_t first, std::span<double> out) const override {
    std::call_once(once_, [this] { find_norms(); });
    std::copy_n(norms_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }

 private:
  void find_norms() const {
    std::vector<double> norms(static_cast<std::size_t>(size()), 0.0);
    const std::uint64_t slice = weight_->size() / size();
    for_each_piece(*weight_, [&](std::uint64_t first, std::span<const double> piece) {
      for (const double number : piece) norms[first++ / slice] += number * number;
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

  void read(std::uint64_t first, std::span<double> out) const override {
    std::call_once(once_, [this] { sigma_ = find_sigma(); });
    original_->read(first, out);
    for (double& number : out) number /= sigma_;
  }

 private:
  double find_sigma() const {
    const std::vector<double> u = all_of(*u_);
    const std::vector<double> v = all_of(*v_);
    double sigma = 0;
    for_each_piece(*original_, [&](std::uint64_t first, std::span<const double> piece) {
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

  void read(std::uint64_t first, std::span<double> out) const override {
    std::call_once(once_, [this] { factors_ = all_of(*scale_); });
    weight_->read(first, out);
    const std::uint64_t row = size() / factors_.size();
    for (double& number : out) number *= factors_[static_cast<std::size_t>(first++ / row)];
  }

 private:
  ElementsPtr weight_;
  ElementsPtr scale_;
  mutable std::once_flag once_;
  mutable std::vector<double> factors_;
};

}  // namespace

std::uint64_t Elements::size() const { return element_count(shape()).value_or(0); }

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

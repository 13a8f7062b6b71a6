// Products of two small matrices that are added to a weight.
#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/elements.h"
#include "craftbundle/detail/tensor/convert.h"
#include "craftbundle/detail/tensor/layout.h"

namespace craftbundle {
namespace {

// Numbers that are computed at a time.
constexpr std::size_t kPiece = 16 << 10;

// Columns of a matrix that lie together, each row of them after the other: what is read for one
// number of a product lies in one place, however wide the matrix is.
constexpr std::size_t kPanel = 32;
using Panel = std::array<float, kPanel>;

// The product of a row and the columns of a panel. The order and the fused operations decide the
// bits.
void multiply_each(std::span<const float> row, const float* panel, Panel& sums) {
  sums.fill(0);
  for (const float factor : row) {
    for (std::size_t j = 0; j < kPanel; ++j) sums[j] = std::fma(factor, panel[j], sums[j]);
    panel += kPanel;
  }
}

#if defined(__x86_64__)
// The same numbers in wide registers.
__attribute__((target("avx,fma"))) void multiply_wide(std::span<const float> row,
                                                      const float* panel, Panel& sums) {
  constexpr std::size_t kLanes = 8;
  __m256 a = _mm256_setzero_ps();
  __m256 b = a;
  __m256 c = a;
  __m256 d = a;
  for (const float factor : row) {
    const __m256 all = _mm256_set1_ps(factor);
    a = _mm256_fmadd_ps(all, _mm256_loadu_ps(panel), a);
    b = _mm256_fmadd_ps(all, _mm256_loadu_ps(panel + kLanes), b);
    c = _mm256_fmadd_ps(all, _mm256_loadu_ps(panel + 2 * kLanes), c);
    d = _mm256_fmadd_ps(all, _mm256_loadu_ps(panel + 3 * kLanes), d);
    panel += kPanel;
  }
  _mm256_storeu_ps(sums.data(), a);
  _mm256_storeu_ps(sums.data() + kLanes, b);
  _mm256_storeu_ps(sums.data() + 2 * kLanes, c);
  _mm256_storeu_ps(sums.data() + 3 * kLanes, d);
}

bool has_wide() {
  static const bool has = __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
  return has;
}
#endif

void multiply(std::span<const float> row, const float* panel, Panel& sums) {
#if defined(__x86_64__)
  if (has_wide()) return multiply_wide(row, panel, sums);
#endif
  multiply_each(row, panel, sums);
}

// The columns [column, column + out.size()) of the product of a row and all panels.
void multiply(std::span<const float> row, const std::vector<float>& panels, std::size_t column,
              std::span<float> out) {
  Panel sums;
  while (!out.empty()) {
    const std::size_t skipped = column % kPanel;
    const std::size_t count = std::min(out.size(), kPanel - skipped);
    multiply(row, panels.data() + (column - skipped) * row.size(), sums);
    std::copy_n(sums.begin() + static_cast<std::ptrdiff_t>(skipped), count, out.begin());
    column += count;
    out = out.subspan(count);
  }
}

// A matrix [rows, columns] in panels, the last filled up with zeros.
std::vector<float> in_panels(const std::vector<float>& matrix, std::size_t rows) {
  const std::size_t columns = matrix.size() / rows;
  std::vector<float> panels((columns + kPanel - 1) / kPanel * kPanel * rows);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      panels[(j / kPanel * rows + i) * kPanel + j % kPanel] = matrix[i * columns + j];
    }
  }
  return panels;
}

std::vector<float> floats_of(const Elements& elements, StorageReader& from) {
  std::vector<float> all(static_cast<std::size_t>(elements.size()));
  std::vector<double> piece(std::min(all.size(), kPiece));
  for (std::size_t done = 0; done < all.size();) {
    const auto part = std::span(piece).first(std::min(piece.size(), all.size() - done));
    elements.read(done, part, from);
    for (const double number : part) all[done++] = static_cast<float>(number);
  }
  return all;
}

// [rows, columns] as [columns, rows].
std::vector<float> transposed(const std::vector<float>& matrix, std::size_t columns) {
  std::vector<float> turned(matrix.size());
  const std::size_t rows = columns == 0 ? 0 : matrix.size() / columns;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) turned[j * rows + i] = matrix[i * columns + j];
  }
  return turned;
}

void round_to(DType dtype, std::span<float> numbers) {
  if (dtype == DType::float32 || dtype == DType::float64) return;
  std::vector<double> wide(numbers.begin(), numbers.end());
  std::vector<std::byte> bytes(numbers.size() * item_size(dtype));
  encode(dtype, wide, bytes);
  decode(dtype, bytes, wide);
  std::ranges::transform(wide, numbers.begin(),
                         [](double number) { return static_cast<float>(number); });
}

// The other factor of a vector.
class One final : public Elements {
 public:
  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return DType::float32; }
  void read(std::uint64_t /*first*/, std::span<double> out,
            StorageReader& /*from*/) const override {
    std::ranges::fill(out, 1.0);
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  std::vector<std::int64_t> shape_ = {1, 1};
};

class LowRankSum final : public Elements {
 public:
  LowRankSum(ElementsPtr base, std::vector<LowRank> parts) : base_(std::move(base)) {
    if (shape().empty() || size() == 0) refuse("a weight of the shape " + shape_text(shape()));
    columns_ = size() / static_cast<std::uint64_t>(shape().front());
    for (LowRank& part : parts) parts_.emplace_back(place(std::move(part)));
  }

  const std::vector<std::int64_t>& shape() const override { return base_->shape(); }
  DType dtype() const override { return base_->dtype(); }

  std::vector<Storage> sources() const override {
    std::vector<Storage> all = base_->sources();
    for (const Part& part : parts_) {
      for (const ElementsPtr& one : {part.given.left, part.given.right, part.given.magnitude}) {
        if (!one) continue;
        const std::vector<Storage> more = one->sources();
        all.insert(all.end(), more.begin(), more.end());
      }
    }
    return all;
  }

  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    base_->read(first, out, from);
    for (const Part& part : parts_) {
      const std::uint64_t begin = std::max(first, part.begin);
      const std::uint64_t end = std::min(first + out.size(), part.end);
      if (begin >= end) continue;
      const auto numbers = out.subspan(begin - first, end - begin);
      const std::shared_ptr<const Factors> factors = factors_of(part, end == part.end, from);
      add(part, *factors, begin - part.begin, numbers);
      if (part.given.magnitude) scale(*factors, begin - part.begin, numbers);
    }
  }

 private:
  struct Factors {
    std::vector<float> left;   // [rows, rank]
    std::vector<float> right;  // [rank, columns] in panels
    std::vector<float> scale;  // of each row; DoRA only
  };

  struct Part {
    LowRank given;
    std::size_t rank = 0;
    std::uint64_t begin = 0;  // elements of the weight
    std::uint64_t end = 0;
    mutable std::shared_ptr<const Factors> held = nullptr;  // guarded by mutex_
  };

  [[noreturn]] static void refuse(const std::string& what) {
    throw Error(ErrorKind::input, "tensor.shape", what + " has nothing that a product could fit");
  }

  // Where a part adds. `left` and `right` are two matrices, however many sizes of 1 they have.
  Part place(LowRank given) const {
    const auto dimension = [](const Elements& elements, std::size_t i) {
      return i < elements.shape().size() ? static_cast<std::uint64_t>(elements.shape()[i]) : 1;
    };
    const std::uint64_t rank = dimension(*given.left, given.transposed ? 0 : 1);
    const std::uint64_t rows = dimension(*given.left, given.transposed ? 1 : 0);
    if (!given.right) given.right = std::make_shared<One>();
    const std::uint64_t rank_of_right = dimension(*given.right, given.transposed ? 1 : 0);
    const auto all_rows = static_cast<std::uint64_t>(shape().front());
    const auto first = static_cast<std::uint64_t>(given.first_row);
    const bool fits = rank > 0 && rank == rank_of_right && given.first_row >= 0 &&
                      in_range(first, rows, all_rows) &&
                      checked_mul(rows, rank) == given.left->size() &&
                      checked_mul(rank, columns_) == given.right->size();
    if (!fits) {
      throw Error(ErrorKind::input, "tensor.shape",
                  "the product of " + shape_text(given.left->shape()) + " and " +
                      shape_text(given.right->shape()) + " does not fit the rows from " +
                      std::to_string(given.first_row) + " of " + shape_text(shape()));
    }
    if (given.magnitude && given.magnitude->size() != rows) {
      throw Error(ErrorKind::input, "tensor.shape",
                  "the magnitude of " + std::to_string(rows) + " rows has the shape " +
                      shape_text(given.magnitude->shape()));
    }
    return {std::move(given), static_cast<std::size_t>(rank), first * columns_,
            (first + rows) * columns_};
  }

  std::shared_ptr<const Factors> factors_of(const Part& part, bool is_last,
                                            StorageReader& from) const {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Factors> factors = part.held;
    if (!factors) factors = std::make_shared<const Factors>(load(part, from));
    part.held = is_last ? nullptr : factors;
    return factors;
  }

  Factors load(const Part& part, StorageReader& from) const {
    const LowRank& given = part.given;
    Factors factors{floats_of(*given.left, from), floats_of(*given.right, from), {}};
    if (given.transposed) {
      factors.left = transposed(factors.left, factors.left.size() / part.rank);
      factors.right = transposed(factors.right, part.rank);
    }
    factors.right = in_panels(factors.right, part.rank);
    if (given.magnitude) factors.scale = scales(part, factors, from);
    return factors;
  }

  // What the rows of the sum are multiplied by.
  std::vector<float> scales(const Part& part, const Factors& factors, StorageReader& from) const {
    std::vector<float> scales = floats_of(*part.given.magnitude, from);
    std::vector<double> squares(scales.size(), 0.0);
    std::vector<double> piece(std::min<std::uint64_t>(kPiece, part.end - part.begin));
    for (std::uint64_t done = 0; done < part.end - part.begin;) {
      const auto numbers = std::span(piece).first(
          std::min<std::uint64_t>(piece.size(), part.end - part.begin - done));
      base_->read(part.begin + done, numbers, from);
      add(part, factors, done, numbers);
      for (const double number : numbers) squares[done++ / columns_] += number * number;
    }
    for (std::size_t i = 0; i < scales.size(); ++i) {
      scales[i] /= static_cast<float>(std::sqrt(squares[i]));
    }
    return scales;
  }

  // Adds the product to elements of the part's rows, from the element `first` of them on.
  void add(const Part& part, const Factors& factors, std::uint64_t first,
           std::span<double> numbers) const {
    const auto scaling = static_cast<float>(part.given.scaling);
    std::vector<float> buffer(std::min<std::uint64_t>({numbers.size(), columns_, kPiece}));
    while (!numbers.empty()) {
      const std::uint64_t row = first / columns_;
      const std::uint64_t column = first % columns_;
      const auto delta = std::span(buffer).first(
          std::min<std::uint64_t>({numbers.size(), columns_ - column, buffer.size()}));
      multiply(std::span(factors.left).subspan(row * part.rank, part.rank), factors.right,
               static_cast<std::size_t>(column), delta);
      for (float& number : delta) number *= scaling;
      if (part.given.rounded) round_to(*part.given.rounded, delta);
      for (std::size_t j = 0; j < delta.size(); ++j) numbers[j] = sum(numbers[j], delta[j]);
      first += delta.size();
      numbers = numbers.subspan(delta.size());
    }
  }

  void scale(const Factors& factors, std::uint64_t first, std::span<double> numbers) const {
    for (double& number : numbers) {
      const float factor = factors.scale[first++ / columns_];
      number = is_wide_ ? factor * number : factor * static_cast<float>(number);
    }
  }

  double sum(double number, float delta) const {
    return is_wide_ ? number + delta : static_cast<float>(number) + delta;
  }

  ElementsPtr base_;
  bool is_wide_ = base_->dtype() == DType::float64;
  std::uint64_t columns_ = 1;
  std::vector<Part> parts_;
  mutable std::mutex mutex_;
};

}  // namespace

ElementsPtr add_low_rank(ElementsPtr base, std::vector<LowRank> parts) {
  return std::make_shared<LowRankSum>(std::move(base), std::move(parts));
}

}  // namespace craftbundle

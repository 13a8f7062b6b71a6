#include "craftbundle/detail/checkpoint/elements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "craftbundle/detail/tensor/convert.h"
#include "fake_checkpoint.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using testing::FakeCheckpoint;
using testing::make_tensor;
using testing::raw;
using testing::TemporaryDirectory;

using Shape = std::vector<std::int64_t>;

std::vector<double> numbers_of(const Elements& elements) {
  std::vector<double> numbers(elements.size());
  elements.read(0, numbers);
  return numbers;
}

// All elements, a few at a time.
std::vector<double> numbers_in_pieces(const Elements& elements, std::size_t piece) {
  std::vector<double> numbers(elements.size());
  for (std::size_t done = 0; done < numbers.size();) {
    const auto part = std::span(numbers).subspan(done, std::min(piece, numbers.size() - done));
    elements.read(done, part);
    done += part.size();
  }
  return numbers;
}

// Numbers that differ from place to place, exact in float32.
std::vector<float> some_floats(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<float>(i * 7919 % 10007) / 64 - 50;
  }
  return numbers;
}

class ElementsTest : public ::testing::Test {
 protected:
  // A storage of a file of its own.
  template <typename T>
  Storage storage(DType dtype, const std::vector<T>& numbers) {
    const std::string bytes = raw(numbers);
    file_ = FakeCheckpoint::make(directory_ / ("file" + std::to_string(files_++)), bytes);
    return file_->storage("0", dtype, 0, bytes.size());
  }

  // A contiguous tensor of float32.
  Tensor tensor(Shape shape, const std::vector<float>& numbers) {
    const Shape strides = contiguous_strides(shape);
    return make_tensor(storage(DType::float32, numbers), std::move(shape), strides);
  }
  ElementsPtr elements(Shape shape, const std::vector<float>& numbers) {
    return elements_of(tensor(std::move(shape), numbers));
  }

  TemporaryDirectory directory_;
  int files_ = 0;
  std::shared_ptr<const FakeCheckpoint> file_;  // the last one
};

using StoredElements = ElementsTest;

TEST_F(StoredElements, AreThoseOfTheTensor) {
  const ElementsPtr elements =
      elements_of(make_tensor(storage(DType::float32, some_floats(20)), {2, 3}, {3, 1}, 10));
  EXPECT_EQ(elements->shape(), (Shape{2, 3}));
  EXPECT_EQ(elements->dtype(), DType::float32);
  EXPECT_EQ(elements->size(), 6u);
  const std::vector<float> expected = some_floats(20);
  EXPECT_EQ(numbers_of(*elements),
            std::vector<double>(expected.begin() + 10, expected.begin() + 16));
  std::vector<double> middle(2);
  elements->read(3, middle);
  EXPECT_THAT(middle, ElementsAre(expected[13], expected[14]));
  ASSERT_EQ(elements->sources().size(), 1u);
  EXPECT_EQ(elements->sources()[0].key, "0");
}

TEST_F(StoredElements, HaveEveryTypeOfNumbers) {
  EXPECT_EQ(numbers_of(*elements_of(make_tensor(
                storage(DType::int64, std::vector<std::int64_t>{-5, std::int64_t{1} << 53})))),
            (std::vector<double>{-5, 9007199254740992}));
  EXPECT_EQ(numbers_of(*elements_of(
                make_tensor(storage(DType::float16, std::vector<std::uint16_t>{0x3C00, 0xC000})))),
            (std::vector<double>{1, -2}));
  EXPECT_EQ(numbers_of(*elements_of(
                make_tensor(storage(DType::boolean, std::vector<std::uint8_t>{0, 1})))),
            (std::vector<double>{0, 1}));
}

TEST_F(StoredElements, RefuseWhatIsNoNumber) {
  const Storage complex = storage(DType::complex64, std::vector<float>(4));
  expect_error(ErrorKind::input, "tensor.elements",
               Eq("elements of type complex64 cannot be computed with"),
               [&] { elements_of(make_tensor(complex)); });
  const Storage small = storage(DType::float8_e4m3fn, std::vector<std::uint8_t>(4));
  expect_error(ErrorKind::input, "tensor.elements",
               Eq("elements of type float8_e4m3fn cannot be computed with"),
               [&] { elements_of(make_tensor(small)); });
}

TEST_F(StoredElements, ComeInPiecesOfAnySize) {
  const std::vector<float> expected = some_floats(50'000);
  const ElementsPtr elements = this->elements({50'000}, expected);
  for (const std::size_t piece : {7'777u, 16'384u, 49'999u, 50'000u}) {
    EXPECT_EQ(numbers_in_pieces(*elements, piece),
              std::vector<double>(expected.begin(), expected.end()))
        << piece;
  }
}

TEST_F(StoredElements, OfAScalarAndOfNothing) {
  EXPECT_THAT(numbers_of(*elements({}, {2.5f})), ElementsAre(2.5));
  EXPECT_TRUE(numbers_of(*elements({0}, {})).empty());
  const Storage one = storage(DType::float32, std::vector<float>{1, 2});
  EXPECT_TRUE(numbers_of(*elements_of(make_tensor(one, {3, 0, 2}, {7, 1, 5}, 1))).empty());
}

// By the definition of strides.
std::vector<double> gathered(const Tensor& tensor, const std::vector<float>& numbers) {
  const auto count = element_count(tensor.layout.shape).value();
  std::vector<double> result;
  for (std::uint64_t number = 0; number < count; ++number) {
    std::int64_t place = tensor.layout.offset;
    std::uint64_t rest = number;
    for (std::size_t i = tensor.layout.shape.size(); i-- > 0;) {
      const auto length = static_cast<std::uint64_t>(tensor.layout.shape[i]);
      place += static_cast<std::int64_t>(rest % length) * tensor.layout.strides[i];
      rest /= length;
    }
    result.push_back(numbers.at(static_cast<std::size_t>(place)));
  }
  return result;
}

TEST_F(StoredElements, AreGatheredWhereTheTensorIsNotContiguous) {
  const std::vector<float> numbers = some_floats(200);
  const Storage all = storage(DType::float32, numbers);
  const std::vector<TensorLayout> layouts = {
      {{4, 3}, {1, 4}, 0},              // transposed
      {{2, 3, 4}, {1, 8, 2}, 5},        // permuted
      {{5, 4}, {10, 1}, 3},             // columns of a matrix
      {{5, 4}, {20, 3}, 100},           // every third column
      {{3, 4, 2}, {0, 2, 1}, 7},        // expanded
      {{10}, {0}, 199},                 // one element, ten times
      {{1, 6, 1}, {100, 30, 100}, 40},  // strides that are never taken
      {{4, 4}, {1, 1}, 2},              // overlapping windows
  };
  for (const TensorLayout& layout : layouts) {
    SCOPED_TRACE(::testing::PrintToString(layout.shape) + ::testing::PrintToString(layout.strides));
    const Tensor tensor = make_tensor(all, layout.shape, layout.strides, layout.offset);
    const std::vector<double> expected = gathered(tensor, numbers);
    for (const std::size_t piece : {1u, 5u, 1'000u}) {
      EXPECT_EQ(numbers_in_pieces(*elements_of(tensor), piece), expected) << piece;
    }
  }
}

TEST_F(StoredElements, OfALargeTransposedTensorAreReadOnce) {
  constexpr std::int64_t kRows = 512;
  constexpr std::int64_t kColumns = 300;
  const std::vector<float> numbers = some_floats(kRows * kColumns + 100);
  const Tensor tensor =
      make_tensor(storage(DType::float32, numbers), {kColumns, kRows}, {1, kColumns}, 50);
  const ElementsPtr elements = elements_of(tensor);
  const std::vector<double> expected = gathered(tensor, numbers);
  constexpr std::uint64_t kBytes = kRows * kColumns * sizeof(float);
  EXPECT_EQ(numbers_in_pieces(*elements, 1'000), expected);
  EXPECT_EQ(file_->bytes_read(), kBytes);
  // With the last piece the bytes were given up.
  EXPECT_EQ(numbers_in_pieces(*elements, 100'000), expected);
  EXPECT_EQ(file_->bytes_read(), 2 * kBytes);
}

TEST_F(StoredElements, AreReadByManyThreads) {
  const std::vector<float> numbers = some_floats(120 * 130);
  const Tensor tensor = make_tensor(storage(DType::float32, numbers), {130, 120}, {1, 130});
  const ElementsPtr elements = elements_of(tensor);
  const std::vector<double> expected = gathered(tensor, numbers);
  std::vector<std::vector<double>> found(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < found.size(); ++i) {
    threads.emplace_back([&, i] { found[i] = numbers_in_pieces(*elements, 500 + 700 * i); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found, ::testing::Each(expected));
}

using AverageElements = ElementsTest;

TEST_F(AverageElements, AreTheMean) {
  const ElementsPtr mean = average({elements({2, 2}, {1, 2, 3, 4}), elements({2, 2}, {2, 2, 2, 2}),
                                    elements({2, 2}, {6, 5, 4, 0})});
  EXPECT_EQ(mean->shape(), (Shape{2, 2}));
  EXPECT_EQ(mean->dtype(), DType::float32);
  EXPECT_THAT(numbers_of(*mean), ElementsAre(3, 3, 3, 2));
  EXPECT_EQ(mean->sources().size(), 3u);
  EXPECT_NE(mean->sources()[0].owner, mean->sources()[2].owner);
}

// In float32 the sum would lose the 1, in float16 it would be infinite.
TEST_F(AverageElements, AreComputedInFloat64) {
  EXPECT_THAT(numbers_of(*average({elements({1}, {16777216}), elements({1}, {1})})),
              ElementsAre(8388608.5));
  const auto half = [&] {
    return elements_of(make_tensor(storage(DType::float16, std::vector<std::uint16_t>{0x7BFF})));
  };
  const ElementsPtr mean = average({half(), half()});
  EXPECT_EQ(mean->dtype(), DType::float16);
  EXPECT_THAT(numbers_of(*mean), ElementsAre(65504));
}

TEST_F(AverageElements, HaveTheTypeOfTheFirst) {
  const ElementsPtr half =
      elements_of(make_tensor(storage(DType::float16, std::vector<std::uint16_t>{0x3C00})));
  EXPECT_EQ(average({half, elements({1}, {2})})->dtype(), DType::float16);
  EXPECT_THAT(numbers_of(*average({half})), ElementsAre(1));
}

TEST_F(AverageElements, OfLargeTensorsComeInPieces) {
  const std::vector<float> a = some_floats(40'000);
  std::vector<float> b(a.rbegin(), a.rend());
  std::vector<double> expected;
  for (std::size_t i = 0; i < a.size(); ++i) {
    expected.push_back((static_cast<double>(a[i]) + b[i]) / 2);
  }
  const ElementsPtr mean = average({elements({40'000}, a), elements({40'000}, b)});
  EXPECT_EQ(numbers_of(*mean), expected);
  EXPECT_EQ(numbers_in_pieces(*mean, 9'999), expected);
}

TEST_F(AverageElements, RefuseOtherShapes) {
  expect_error(ErrorKind::input, "tensor.shape",
               Eq("one of the averaged has the shape [3, 2], expected [2, 3]"), [&] {
                 average({elements({2, 3}, some_floats(6)), elements({3, 2}, some_floats(6))});
               });
}

TEST_F(AverageElements, OfThreeAreRoundedOnce) {
  const std::vector<float> a = some_floats(20'001);
  const std::vector<float> b(a.rbegin(), a.rend());
  const std::vector<float> c(a.size(), 0.1f);
  std::vector<double> expected;
  for (std::size_t i = 0; i < a.size(); ++i) {
    expected.push_back((static_cast<double>(a[i]) + b[i] + c[i]) / 3);
  }
  const ElementsPtr mean =
      average({elements({20'001}, a), elements({20'001}, b), elements({20'001}, c)});
  EXPECT_EQ(numbers_of(*mean), expected);
}

using FoldedElements = ElementsTest;

// torch.nn.utils.weight_norm, dim=0.
std::vector<double> folded(const std::vector<float>& g, const std::vector<float>& direction) {
  const std::size_t slice = direction.size() / g.size();
  std::vector<double> weight(direction.begin(), direction.end());
  for (std::size_t i = 0; i < g.size(); ++i) {
    double squares = 0;
    for (std::size_t k = 0; k < slice; ++k) squares += std::pow(weight[i * slice + k], 2);
    for (std::size_t k = 0; k < slice; ++k) weight[i * slice + k] *= g[i] / std::sqrt(squares);
  }
  return weight;
}

TEST_F(FoldedElements, AreTheWeight) {
  const ElementsPtr known =
      fold_weight_norm(elements({2, 1}, {10, 2}), elements({2, 2}, {3, 4, 0, -5}));
  EXPECT_EQ(known->shape(), (Shape{2, 2}));
  EXPECT_EQ(known->dtype(), DType::float32);
  EXPECT_THAT(numbers_of(*known), ElementsAre(6, 8, 0, -2));
  EXPECT_EQ(known->sources().size(), 2u);

  const std::vector<float> g = {0.5f, -2, 3.25f, 0};
  const std::vector<float> direction = some_floats(4 * 6 * 7);
  const ElementsPtr conv = fold_weight_norm(elements({4, 1, 1}, g), elements({4, 6, 7}, direction));
  const std::vector<double> expected = folded(g, direction);
  EXPECT_THAT(numbers_of(*conv), ::testing::Pointwise(::testing::DoubleEq(), expected));
  // From the middle of one slice to the middle of another.
  const std::vector<double> all = numbers_of(*conv);
  std::vector<double> middle(60);
  conv->read(20, middle);
  EXPECT_EQ(middle, std::vector<double>(all.begin() + 20, all.begin() + 80));
}

// The squares of each slice are summed up in their order, wherever pieces begin and end.
TEST_F(FoldedElements, HaveTheSameBitsInPiecesOfAnySize) {
  constexpr std::size_t kSlice = 1'000;
  const std::vector<float> g = some_floats(37);
  std::vector<float> direction = some_floats(37 * kSlice);
  for (float& number : direction) number /= 3;
  std::vector<double> expected(direction.begin(), direction.end());
  for (std::size_t i = 0; i < g.size(); ++i) {
    const auto slice = std::span(expected).subspan(i * kSlice, kSlice);
    double squares = 0;
    for (const double number : slice) squares += number * number;
    const double factor = g[i] / std::sqrt(squares);
    for (double& number : slice) number *= factor;
  }
  for (const std::size_t piece : {1'000u, 999u, 16'384u, 2'500u, 37'000u}) {
    SCOPED_TRACE(piece);
    const ElementsPtr weight =
        fold_weight_norm(elements({37, 1, 1}, g), elements({37, 10, 100}, direction));
    EXPECT_EQ(numbers_in_pieces(*weight, piece), expected);
  }
}

// ConvTranspose1d keeps [in, out, kernel]: the norm is that of each input channel all the same.
TEST_F(FoldedElements, OfTransposedConvolutionsAreTakenByTheFirstDimension) {
  const std::vector<float> g = {1, 2};
  const std::vector<float> direction = some_floats(2 * 5 * 3);
  EXPECT_THAT(numbers_of(*fold_weight_norm(elements({2, 1, 1}, g), elements({2, 5, 3}, direction))),
              ::testing::Pointwise(::testing::DoubleEq(), folded(g, direction)));
}

TEST_F(FoldedElements, OfSlicesLargerThanABuffer) {
  const std::vector<float> g = {1.5f, 4};
  const std::vector<float> direction = some_floats(2 * 40'000);
  const ElementsPtr weight =
      fold_weight_norm(elements({2, 1}, g), elements({2, 40'000}, direction));
  const std::vector<double> expected = folded(g, direction);
  EXPECT_THAT(numbers_in_pieces(*weight, 30'000),
              ::testing::Pointwise(::testing::DoubleEq(), expected));
}

TEST_F(FoldedElements, OfADirectionThatIsNotContiguous) {
  const std::vector<float> numbers = some_floats(12);
  const Tensor transposed = make_tensor(storage(DType::float32, numbers), {3, 4}, {1, 3});
  const std::vector<double> in_order = gathered(transposed, numbers);
  const std::vector<float> g = {1, 2, 3};
  EXPECT_THAT(
      numbers_in_pieces(*fold_weight_norm(elements({3, 1}, g), elements_of(transposed)), 5),
      ::testing::Pointwise(::testing::DoubleEq(),
                           folded(g, std::vector<float>(in_order.begin(), in_order.end()))));
}

// As in PyTorch.
TEST_F(FoldedElements, OfADirectionOfZerosAreNotANumber) {
  const ElementsPtr weight =
      fold_weight_norm(elements({2, 1}, {1, 1}), elements({2, 2}, {0, 0, 3, 4}));
  EXPECT_TRUE(std::isnan(numbers_of(*weight)[0]));
  EXPECT_DOUBLE_EQ(numbers_of(*weight)[3], 0.8);
}

TEST_F(FoldedElements, RefuseNormsOfOtherShapes) {
  const auto refuse = [&](Shape g, const std::string& text) {
    const auto count = static_cast<std::size_t>(element_count(g).value());
    expect_error(
        ErrorKind::input, "tensor.shape",
        Eq("the norm of a weight has the shape " + text + ", expected [4, 1, 1]"), [&] {
          fold_weight_norm(elements(g, some_floats(count)), elements({4, 2, 3}, some_floats(24)));
        });
  };
  refuse({3, 1, 1}, "[3, 1, 1]");
  refuse({4}, "[4]");
  refuse({1, 4, 1}, "[1, 4, 1]");
  refuse({4, 2, 3}, "[4, 2, 3]");
  refuse({}, "[]");
}

TEST_F(FoldedElements, RefuseWeightsWithoutElements) {
  expect_error(ErrorKind::input, "tensor.shape",
               Eq("a weight of the shape [] has nothing to normalize"),
               [&] { fold_weight_norm(elements({1}, {1}), elements({}, {1})); });
  expect_error(ErrorKind::input, "tensor.shape",
               Eq("a weight of the shape [2, 0] has nothing to normalize"), [&] {
                 fold_weight_norm(elements({2, 1}, {1, 1}), elements({2, 0}, {}));
               });
}

TEST_F(FoldedElements, AreReadByManyThreads) {
  const std::vector<float> g = some_floats(16);
  const std::vector<float> direction = some_floats(16 * 100);
  const ElementsPtr weight =
      fold_weight_norm(elements({16, 1, 1}, g), elements({16, 10, 10}, direction));
  std::vector<std::vector<double>> found(4);
  std::vector<std::thread> threads;
  for (std::vector<double>& numbers : found) {
    threads.emplace_back([&] { numbers = numbers_of(*weight); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found[0], ::testing::Pointwise(::testing::DoubleEq(), folded(g, direction)));
  EXPECT_THAT(found, ::testing::Each(found[0]));
}

// Exporters average first: the weight is that of the mean parameters.
TEST_F(FoldedElements, OfAverages) {
  const ElementsPtr g = average({elements({1, 1}, {1}), elements({1, 1}, {9})});
  const ElementsPtr direction = average({elements({1, 2}, {6, 0}), elements({1, 2}, {0, 8})});
  const ElementsPtr weight = fold_weight_norm(g, direction);
  EXPECT_THAT(numbers_of(*weight), ElementsAre(3, 4));
  EXPECT_EQ(weight->sources().size(), 4u);
}

using DerivedElements = ElementsTest;

TEST_F(DerivedElements, NormsOfSlicesGiveTheWeightAgain) {
  const ElementsPtr weight = elements({2, 2, 2}, {3, 0, 4, 0, 1, 2, 2, 4});
  const ElementsPtr norms = slice_norms(weight);
  EXPECT_THAT(norms->shape(), ElementsAre(2, 1, 1));
  EXPECT_THAT(numbers_of(*norms), ElementsAre(5, 5));
  EXPECT_EQ(numbers_of(*fold_weight_norm(norms, weight)), numbers_of(*weight));
  expect_error(ErrorKind::input, "tensor.shape",
               "a weight of the shape [0, 3] has nothing to normalize", [&] {
                 slice_norms(elements({0, 3}, {}));
               });
}

// What torch.nn.utils.spectral_norm computes outside of training, by hand.
TEST_F(DerivedElements, SpectralNormsAreFoldedAlongEitherDimension) {
  const ElementsPtr weight = elements({2, 3}, {1, 2, 3, 4, 5, 6});
  // u . W v = 1 * (1 + 3) + 2 * (4 + 6) = 24
  const ElementsPtr rows =
      fold_spectral_norm(weight, elements({2}, {1, 2}), elements({3}, {1, 0, 1}), 0);
  EXPECT_THAT(numbers_of(*rows),
              ElementsAre(1 / 24.0, 2 / 24.0, 3 / 24.0, 4 / 24.0, 5 / 24.0, 6 / 24.0));
  // The matrix is the transposed one: 1 * (1 + 4) + 3 * (3 + 6) = 32
  const ElementsPtr columns =
      fold_spectral_norm(weight, elements({3}, {1, 0, 3}), elements({2}, {1, 1}), 1);
  EXPECT_THAT(numbers_in_pieces(*columns, 2),
              ElementsAre(1 / 32.0, 2 / 32.0, 3 / 32.0, 4 / 32.0, 5 / 32.0, 6 / 32.0));
  expect_error(ErrorKind::input, "tensor.shape",
               "weight_u of a spectral norm has the shape [3], expected [2]", [&] {
                 fold_spectral_norm(weight, elements({3}, {1, 0, 3}), elements({3}, {1, 1, 1}), 0);
               });
}

TEST_F(DerivedElements, RowsAreScaled) {
  const ElementsPtr weight = elements({2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(numbers_of(*scale_rows(weight, elements({2}, {2, 10}))), ElementsAre(2, 4, 30, 40));
  expect_error(ErrorKind::input, "tensor.shape",
               "the scale of a layer has the shape [3], expected [2]", [&] {
                 scale_rows(weight, elements({3}, {1, 1, 1}));
               });
}

TEST_F(DerivedElements, RowsAreTakenAndJoined) {
  const ElementsPtr weight = elements({3, 2}, {1, 2, 3, 4, 5, 6});
  const ElementsPtr last = rows(weight, 1, 2);
  EXPECT_THAT(last->shape(), ElementsAre(2, 2));
  EXPECT_THAT(numbers_in_pieces(*last, 3), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(numbers_of(*join({last, rows(weight, 0, 1)})), ElementsAre(3, 4, 5, 6, 1, 2));
  expect_error(ErrorKind::input, "tensor.rows",
               "a tensor of the shape [3, 2] does not have 2 rows from row 2 on",
               [&] { rows(weight, 2, 2); });
  expect_error(ErrorKind::input, "tensor.shape",
               "one of the joined has the shape [3], expected [3, 2]", [&] {
                 join({weight, elements({3}, {1, 2, 3})});
               });
}

// The way over numbers and the one that leaves them out.
TEST_F(DerivedElements, AreRoundedAsTheirNumbersAre) {
  const ElementsPtr weight = elements({200, 300}, some_floats(60'000));
  const ElementsPtr transposed =
      elements_of(make_tensor(storage(DType::float32, some_floats(60'000)), {300, 200}, {1, 300}));
  const ElementsPtr halves = elements_of(
      make_tensor(storage(DType::float16, std::vector<std::uint16_t>(500, 0x3555)), {500}, {1}));
  for (const ElementsPtr& each :
       {weight, transposed, halves, rows(weight, 7, 180),
        join({rows(weight, 3, 90), weight, rows(weight, 199, 1)}), average({weight, weight}),
        scale_rows(weight, elements({200}, some_floats(200)))}) {
    const std::vector<double> numbers = numbers_of(*each);
    for (const DType dtype : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
      SCOPED_TRACE(shape_text(each->shape()) + " as " + std::string(name(dtype)));
      const std::size_t size = item_size(dtype);
      std::vector<std::byte> expected(numbers.size() * size);
      encode(dtype, numbers, expected);
      std::vector<std::byte> found(expected.size());
      StorageReader files;
      each->read_as(dtype, 0, std::span(found).first(11 * size), files);
      each->read_as(dtype, 11, std::span(found).subspan(11 * size), files);
      EXPECT_TRUE(found == expected);
    }
  }
}

}  // namespace
}  // namespace craftbundle

// Writing of tensors that are computed on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libdeflate.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/tensor/convert.h"
#include "fake_checkpoint.h"
#include "support/error_matchers.h"
#include "zip_builder.h"
#include "zip_reader.h"

namespace craftbundle {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::make_tensor;
using testing::raw;
using testing::read_file;
using testing::read_zip;
using testing::ReadRecord;
using testing::record_data;
using testing::TemporaryDirectory;
using testing::write_file;

using Shape = std::vector<std::int64_t>;

std::vector<float> some_floats(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i % 4001) / 7 - 200;
  return numbers;
}

// The bytes of these numbers in another type.
template <typename T>
std::string rounded(DType dtype, const std::vector<T>& numbers) {
  const std::vector<double> wide(numbers.begin(), numbers.end());
  std::string bytes(wide.size() * item_size(dtype), '\0');
  encode(dtype, wide, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

class ComputedPackage : public ::testing::Test {
 protected:
  // A contiguous float32 tensor in a file of its own.
  Tensor tensor(const std::vector<float>& numbers, Shape shape = {}) {
    if (shape.empty()) shape = {static_cast<std::int64_t>(numbers.size())};
    const std::string bytes = raw(numbers);
    source_ = FakeCheckpoint::make(directory_ / ("source" + std::to_string(files_++)), bytes);
    const Shape strides = contiguous_strides(shape);
    return make_tensor(source_->storage("0", DType::float32, 0, bytes.size()), shape, strides);
  }

  WriteSummary write(const Value& root, const std::string& name = "out") const {
    OutputFile file(directory_.path(), Durability::no_sync);
    const WriteSummary summary = write_package(root, file, {});
    EXPECT_EQ(file.size(), package_size(root));
    EXPECT_EQ(summary.bytes, file.size());
    file.publish(directory_ / name, true);
    return summary;
  }

  // Data of the storages, in order.
  std::vector<std::string> storages(const Value& root) const {
    write(root);
    std::vector<std::string> data;
    for (const ReadRecord& record : read_zip(read_file(directory_ / "out"))) {
      if (record.name.starts_with("archive/data/")) data.push_back(record.data);
    }
    return data;
  }

  // What a reader of the written file finds under the key.
  Tensor read_back(std::string_view key) const {
    const auto checkpoint = Checkpoint::open(directory_ / "out");
    return checkpoint->tensor(checkpoint->root().at(key));
  }

  TemporaryDirectory directory_;
  int files_ = 0;
  std::shared_ptr<const FakeCheckpoint> source_;  // the last one
};

TEST_F(ComputedPackage, HoldsTheElementsRoundedAndContiguous) {
  const std::vector<float> numbers = some_floats(24);
  const ElementsPtr elements = elements_of(tensor(numbers, {2, 3, 4}));
  const Value root = Value::Dict{{"w", ComputedTensor{DType::float16, elements, "w"}}};
  EXPECT_THAT(storages(root), ElementsAre(rounded(DType::float16, numbers)));
  const Tensor back = read_back("w");
  EXPECT_EQ(back.dtype, DType::float16);
  EXPECT_EQ(back.layout, (TensorLayout{{2, 3, 4}, {12, 4, 1}, 0}));
  EXPECT_EQ(back.storage.dtype, DType::float16);
  EXPECT_EQ(back.storage.bytes, 48u);
  EXPECT_FALSE(back.requires_grad);
}

TEST_F(ComputedPackage, HasEveryTypeOfNumbers) {
  const std::vector<float> numbers = {0, 1, 2.5f, 100};
  for (const DType dtype :
       {DType::float64, DType::float32, DType::float16, DType::bfloat16, DType::int64, DType::int32,
        DType::int16, DType::int8, DType::uint8, DType::boolean}) {
    SCOPED_TRACE(std::string(name(dtype)));
    const Value root = Value::Dict{{"w", ComputedTensor{dtype, elements_of(tensor(numbers)), "w"}}};
    EXPECT_THAT(storages(root), ElementsAre(rounded(dtype, numbers)));
    EXPECT_EQ(read_back("w").dtype, dtype);
    EXPECT_EQ(read_back("w").storage.dtype, dtype);
  }
}

// These have no storage class of their own: the storage is one of bytes.
TEST_F(ComputedPackage, HasTypesWithoutAStorageClass) {
  const std::vector<float> numbers = {0, 1, 2.5f, 40'000};
  for (const DType dtype : {DType::uint16, DType::uint32, DType::uint64}) {
    SCOPED_TRACE(std::string(name(dtype)));
    const Value root = Value::Dict{{"w", ComputedTensor{dtype, elements_of(tensor(numbers)), "w"}}};
    EXPECT_THAT(storages(root), ElementsAre(rounded(dtype, numbers)));
    const Tensor back = read_back("w");
    EXPECT_EQ(back.dtype, dtype);
    EXPECT_EQ(back.layout.shape, (Shape{4}));
    EXPECT_EQ(back.storage.bytes, 4 * item_size(dtype));
  }
}

TEST_F(ComputedPackage, HoldsTensorsLargerThanItsBuffers) {
  const std::vector<float> numbers = some_floats(200'000);
  for (const DType dtype : {DType::float64, DType::bfloat16}) {
    const Value root = Value::List{Value(ComputedTensor{dtype, elements_of(tensor(numbers)), "w"})};
    const std::vector<std::string> data = storages(root);
    ASSERT_EQ(data.size(), 1u);
    EXPECT_TRUE(data[0] == rounded(dtype, numbers));
  }
}

TEST_F(ComputedPackage, ReadsALargeTransposedTensorOnce) {
  constexpr std::int64_t kRows = 300;
  constexpr std::int64_t kColumns = 700;
  const std::vector<float> numbers = some_floats(kRows * kColumns);
  const Tensor whole = tensor(numbers);
  const Tensor transposed = make_tensor(whole.storage, {kColumns, kRows}, {1, kColumns});
  std::vector<float> expected;
  for (std::size_t column = 0; column < kColumns; ++column) {
    for (std::size_t row = 0; row < kRows; ++row) {
      expected.push_back(numbers[row * kColumns + column]);
    }
  }
  const Value root =
      Value::Dict{{"w", ComputedTensor{DType::float16, elements_of(transposed), "w"}}};
  const std::vector<std::string> data = storages(root);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_TRUE(data[0] == rounded(DType::float16, expected));
  EXPECT_EQ(source_->bytes_read(), numbers.size() * sizeof(float));
  EXPECT_EQ(read_back("w").layout, (TensorLayout{{kColumns, kRows}, {kRows, 1}, 0}));
}

TEST_F(ComputedPackage, HoldsScalarsAndTensorsWithoutElements) {
  const Value root = Value::Dict{
      {"scalar", ComputedTensor{DType::float16,
                                elements_of(make_tensor(tensor({2}).storage, {}, {})), "scalar"}},
      {"none", ComputedTensor{DType::float16, elements_of(tensor({}, {0, 3})), "none"}}};
  EXPECT_THAT(storages(root), ElementsAre(rounded(DType::float16, std::vector<float>{2}), ""));
  EXPECT_EQ(read_back("scalar").layout.shape, Shape());
  EXPECT_EQ(read_back("none").layout.shape, (Shape{0, 3}));
}

TEST_F(ComputedPackage, SharesAStorageBetweenEqualTypesOfTheSameElements) {
  const std::vector<float> numbers = some_floats(10);
  const Tensor stored = tensor(numbers);
  const ElementsPtr elements = elements_of(stored);
  const ElementsPtr again = elements_of(stored);
  const auto half = [](const ElementsPtr& of, const char* name) {
    return ComputedTensor{DType::float16, of, name};
  };
  const WriteSummary summary =
      write(Value::Dict{{"a", half(elements, "a")},
                        {"tied", half(elements, "tied")},
                        {"wide", ComputedTensor{DType::float64, elements, "wide"}},
                        {"stored", stored},
                        {"equal", half(again, "equal")}});
  EXPECT_EQ(summary.tensors, 5u);
  EXPECT_EQ(summary.storages, 4u);
  EXPECT_EQ(summary.data_bytes, 20u + 80 + 40 + 20);
  EXPECT_EQ(summary.compacted_bytes, 0u);
  const auto checkpoint = Checkpoint::open(directory_ / "out");
  const auto storage = [&](const char* key) {
    return checkpoint->tensor(checkpoint->root().at(key)).storage.key;
  };
  // Numbered by first use.
  EXPECT_EQ(storage("a"), "0");
  EXPECT_EQ(storage("tied"), "0");
  EXPECT_EQ(storage("wide"), "1");
  EXPECT_EQ(storage("stored"), "2");
  EXPECT_EQ(storage("equal"), "3");
}

TEST_F(ComputedPackage, TheSameValueGivesTheSameBytes) {
  const auto value = [&] {
    const ElementsPtr mean = average({elements_of(tensor(some_floats(50'000))),
                                      elements_of(tensor(std::vector<float>(50'000, 0.1f)))});
    const ElementsPtr weight = fold_weight_norm(elements_of(tensor({1, 2, 3}, {3, 1})),
                                                elements_of(tensor(some_floats(30), {3, 10})));
    return Value(Value::Dict{{"mean", ComputedTensor{DType::bfloat16, mean, "mean"}},
                             {"weight", ComputedTensor{DType::float32, weight, "weight"}},
                             {"again", ComputedTensor{DType::bfloat16, mean, "again"}}});
  };
  write(value(), "first");
  write(value(), "second");
  EXPECT_TRUE(read_file(directory_ / "first") == read_file(directory_ / "second"));
}

TEST_F(ComputedPackage, AveragesOfTwoFiles) {
  const std::vector<float> a = some_floats(1'000);
  const std::vector<float> b(1'000, 3);
  std::vector<double> mean;
  for (const float number : a) mean.push_back((static_cast<double>(number) + 3) / 2);
  const Value root = Value::Dict{
      {"w", ComputedTensor{DType::float32,
                           average({elements_of(tensor(a)), elements_of(tensor(b))}), "w"}}};
  EXPECT_THAT(storages(root), ElementsAre(rounded(DType::float32, mean)));
}

// ---- what does not fit the type ----

TEST_F(ComputedPackage, ElementsTooLargeForTheirTypeAreRefused) {
  const auto refuse = [&](DType dtype, std::vector<float> numbers, const std::string& message,
                          const std::string& hint) {
    numbers.resize(70'000);
    std::rotate(numbers.begin(), numbers.begin() + 1'000, numbers.end());
    const Value root =
        Value::Dict{{"a", ComputedTensor{dtype, elements_of(tensor(numbers)), "layer.weight"}}};
    expect_error(ErrorKind::input, "tensor.range", Eq(message), [&] { write(root); });
    try {
      write(root);
    } catch (const Error& error) {
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refuse(DType::float16, {65'519, 65'520, 1e9f},
         "tensor 'layer.weight' has the element 65520, too large for float16",
         "let the tensor keep its type, or use bfloat16, which has the range of float32");
  refuse(DType::float16, {-70'000.5},
         "tensor 'layer.weight' has the element -70000.5, too large for float16",
         "let the tensor keep its type, or use bfloat16, which has the range of float32");
  refuse(DType::bfloat16, {3.4e38f},
         "tensor 'layer.weight' has the element 3.3999999521443642e+38, too large for bfloat16",
         "let the tensor keep its type");
}

TEST_F(ComputedPackage, WhatIsInfiniteOrNotANumberAlreadyStaysSo) {
  const std::vector<float> numbers = {INFINITY, -INFINITY, NAN, 65'504};
  const Value root =
      Value::Dict{{"w", ComputedTensor{DType::float16, elements_of(tensor(numbers)), "w"}}};
  EXPECT_THAT(storages(root), ElementsAre(rounded(DType::float16, numbers)));
}

// ---- what the elements are made from ----

class ComputedSources : public ComputedPackage {
 protected:
  Value half_of(const Tensor& tensor) const {
    return Value::Dict{{"w", ComputedTensor{DType::float16, elements_of(tensor), "w"}}};
  }
  void expect_damage(const Value& root, const std::string& source) const {
    expect_error(ErrorKind::input, "zip.crc",
                 AllOf(HasSubstr(source + ": record 'data/"),
                       HasSubstr("': CRC-32 of the data is "), HasSubstr(", expected ")),
                 [&] { write(root); });
    EXPECT_FALSE(boost::filesystem::exists(directory_ / "out"));
  }
};

TEST_F(ComputedSources, AreCheckedAgainstTheirCrc) {
  for (const std::size_t count : {10u, 500'000u}) {
    Tensor damaged = tensor(some_floats(count));
    damaged.storage.crc = *damaged.storage.crc ^ 1;
    expect_damage(half_of(damaged), "source" + std::to_string(files_ - 1));
  }
}

// Also where the damage lies in bytes that are not computed with.
TEST_F(ComputedSources, AreCheckedWhole) {
  Tensor damaged = tensor(some_floats(100));
  damaged.storage.crc = *damaged.storage.crc ^ 1;
  expect_damage(half_of(make_tensor(damaged.storage, {2, 2}, {1, 7}, 5)), "source0");
}

TEST_F(ComputedSources, AreAllChecked) {
  Tensor damaged = tensor(some_floats(30), {3, 10});
  damaged.storage.crc = *damaged.storage.crc ^ 1;
  const std::string file = "source" + std::to_string(files_ - 1);
  const ElementsPtr mean =
      average({elements_of(tensor(some_floats(30), {3, 10})), elements_of(damaged)});
  const ElementsPtr weight = fold_weight_norm(elements_of(tensor({1, 2, 3}, {3, 1})), mean);
  expect_damage(Value::Dict{{"w", ComputedTensor{DType::float32, weight, "w"}}}, file);
}

// What computations read is checked as it passes, once.
TEST_F(ComputedSources, AreReadOnce) {
  constexpr std::size_t kCount = 300'000;
  std::vector<std::shared_ptr<const FakeCheckpoint>> sources;
  std::vector<ElementsPtr> parts;
  for (int i = 0; i < 3; ++i) {
    parts.push_back(elements_of(tensor(some_floats(kCount), {300, 1'000})));
    sources.push_back(source_);
  }
  const auto require_one_pass = [&](const ElementsPtr& elements) {
    std::vector<std::uint64_t> before;
    for (const auto& source : sources) before.push_back(source->bytes_read());
    write(Value::Dict{{"w", ComputedTensor{DType::bfloat16, elements, "w"}}});
    for (std::size_t i = 0; i < elements->sources().size(); ++i) {
      EXPECT_EQ(sources[i]->bytes_read() - before[i], kCount * sizeof(float)) << i;
    }
  };
  require_one_pass(parts[0]);
  require_one_pass(average(parts));
  // Each slice that a piece cuts off is read whole, for its norm.
  const ElementsPtr folded =
      fold_weight_norm(elements_of(tensor(some_floats(300), {300, 1})), parts[0]);
  const std::uint64_t before = sources[0]->bytes_read();
  write(Value::Dict{{"w", ComputedTensor{DType::float32, folded, "w"}}});
  EXPECT_LT(sources[0]->bytes_read() - before, kCount * sizeof(float) * 11 / 10);
}

// Rows that come in another order leave gaps behind.
TEST_F(ComputedSources, AreCheckedInWhateverOrderTheyAreRead) {
  for (const bool is_damaged : {false, true}) {
    Tensor stored = tensor(some_floats(30'000), {30, 1'000});
    if (is_damaged) stored.storage.crc = *stored.storage.crc ^ 1;
    const ElementsPtr all = elements_of(stored);
    const ElementsPtr turned = join({rows(all, 20, 10), rows(all, 0, 10)});
    const Value root = Value::Dict{{"w", ComputedTensor{DType::float16, turned, "w"}},
                                   {"v", ComputedTensor{DType::float16, rows(all, 5, 12), "v"}}};
    if (is_damaged) {
      expect_damage(root, "source" + std::to_string(files_ - 1));
    } else {
      EXPECT_EQ(storages(root).size(), 2u);
      boost::filesystem::remove(directory_ / "out");
    }
  }
}

// A storage that is written as it is, too.
TEST_F(ComputedSources, ThatAreCopiedTooAreChecked) {
  for (const std::size_t count : {100u, 300'000u}) {
    Tensor damaged = tensor(some_floats(count));
    damaged.storage.crc = *damaged.storage.crc ^ 1;
    expect_damage(
        Value::Dict{{"stored", damaged},
                    {"half", ComputedTensor{DType::float16, elements_of(damaged), "half"}}},
        "source" + std::to_string(files_ - 1));
  }
}

// Damaged bytes can be any number, which is not what there is to say.
TEST_F(ComputedSources, AreSaidToBeDamagedBeforeTheirNumbersAreJudged) {
  std::vector<float> numbers = some_floats(400'000);
  numbers.front() = 1e30f;
  Tensor damaged = tensor(numbers);
  damaged.storage.crc = *damaged.storage.crc ^ 1;
  expect_damage(half_of(damaged), "source0");
}

TEST_F(ComputedSources, WithoutACrcAreNotChecked) {
  const std::vector<float> numbers = some_floats(100);
  Tensor unchecked = tensor(numbers);
  unchecked.storage.crc = std::nullopt;
  EXPECT_THAT(storages(half_of(unchecked)), ElementsAre(rounded(DType::float16, numbers)));
}

// A real checkpoint, a bit of which changes between writing and reading.
TEST_F(ComputedSources, OfARealFileAreChecked) {
  write(Value::Dict{{"a", tensor(some_floats(1'000))}}, "real.th");
  const auto open = [&] {
    const auto checkpoint = Checkpoint::open(directory_ / "real.th");
    return checkpoint->tensor(checkpoint->root().at("a"));
  };
  EXPECT_THAT(storages(half_of(open())), ElementsAre(rounded(DType::float16, some_floats(1'000))));
  boost::filesystem::remove(directory_ / "out");
  std::string bytes = read_file(directory_ / "real.th");
  char& mantissa = bytes[open().storage.file_offset + 4 * 500];
  mantissa = static_cast<char>(mantissa ^ 1);
  write_file(directory_ / "real.th", bytes);
  expect_damage(half_of(open()), "real.th");
}

TEST_F(ComputedSources, ThatChangeAreRefused) {
  const Value root = half_of(tensor(some_floats(100)));
  write_file(directory_ / "source0", raw(some_floats(100)) + "more");
  expect_error(ErrorKind::input, "io.changed", HasSubstr("source0: changed while it was read"),
               [&] { write(root); });
}

TEST_F(ComputedSources, ThatAreCutOffAreRefused) {
  Tensor whole = tensor(some_floats(200'000));
  whole.storage.crc = std::nullopt;
  boost::filesystem::resize_file(directory_ / "source0", 1'000);
  expect_error(ErrorKind::input, "io.truncated", HasSubstr("source0: ends at byte 1000"),
               [&] { write(half_of(whole)); });
}

// Two floats that a zip tool deflated, and in the byte order of another machine.
class ForeignSources : public ComputedPackage {
 protected:
  static std::string deflated(const std::string& data) {
    libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
    std::string packed(data.size() + 100, '\0');
    packed.resize(libdeflate_deflate_compress(compressor, data.data(), data.size(), packed.data(),
                                              packed.size()));
    libdeflate_free_compressor(compressor);
    return packed;
  }
  Value half_of(const testing::BuiltZip& zip) const {
    write_file(directory_ / "foreign.th", zip.bytes());
    const auto checkpoint = Checkpoint::open(directory_ / "foreign.th");
    return Value::Dict{
        {"w",
         ComputedTensor{DType::float16, elements_of(checkpoint->tensor(checkpoint->root())), "w"}}};
  }
  static testing::BuiltZip zip_of(std::int64_t count) {
    using testing::pickles::protocol2;
    return testing::checkpoint_zip(protocol2(testing::pickles::tensor("FloatStorage", "0", count)));
  }
};

TEST_F(ForeignSources, AreInflated) {
  const std::vector<float> numbers = some_floats(3'000);
  testing::BuiltZip zip = zip_of(3'000);
  testing::BuiltRecord record{"archive/data/0", raw(numbers)};
  record.data = deflated(record.data);
  record.method = 8;
  zip.records.push_back(record);
  EXPECT_THAT(storages(half_of(zip)), ElementsAre(rounded(DType::float16, numbers)));
  zip.records.back().crc ^= 1;
  expect_error(ErrorKind::input, "zip.crc", HasSubstr("'data/0'"), [&] { write(half_of(zip)); });
}

TEST_F(ForeignSources, AreSwapped) {
  std::vector<float> numbers = some_floats(3'000);
  std::string bytes = raw(numbers);
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i) + 4);
  }
  testing::BuiltZip zip = zip_of(3'000);
  zip.records.push_back({"archive/data/0", bytes});
  zip.records.push_back(
      {"archive/byteorder", std::endian::native == std::endian::little ? "big" : "little"});
  EXPECT_THAT(storages(half_of(zip)), ElementsAre(rounded(DType::float16, numbers)));
}

// ---- progress, and values ----

TEST_F(ComputedPackage, IsCancelledBetweenPieces) {
  class CancellingSink final : public Sink {
   public:
    explicit CancellingSink(Cancellation& cancellation) : cancellation_(cancellation) {}
    void progress(const Progress&) noexcept override {
      ++calls;
      cancellation_.cancel();
    }
    int calls = 0;

   private:
    Cancellation& cancellation_;
  };
  const Value root =
      Value(ComputedTensor{DType::float32, elements_of(tensor(some_floats(500'000))), "w"});
  Cancellation cancellation;
  CancellingSink sink(cancellation);
  OutputFile file(directory_.path(), Durability::no_sync);
  expect_error(ErrorKind::interrupted, "run.interrupted", Eq("interrupted"), [&] {
    write_package(root, file, {.task = "", .sink = &sink, .cancellation = &cancellation});
  });
  EXPECT_EQ(sink.calls, 1);
}

TEST_F(ComputedPackage, ElementsOfAValueAreRoundedAsTheyWillBeWritten) {
  const std::vector<float> numbers = {1.0f / 3, 2, -1e-9f};
  const Tensor stored = tensor(numbers);
  const ElementsPtr rounded_ones =
      elements_of(Value(ComputedTensor{DType::float16, elements_of(stored), "w"}));
  ASSERT_NE(rounded_ones, nullptr);
  EXPECT_EQ(rounded_ones->dtype(), DType::float16);
  EXPECT_EQ(rounded_ones->shape(), (Shape{3}));
  EXPECT_EQ(rounded_ones->sources().size(), 1u);
  std::vector<double> found(2);
  rounded_ones->read(0, found);
  EXPECT_THAT(found, ElementsAre(0.333251953125, 2));
  rounded_ones->read(1, found);
  EXPECT_THAT(found, ElementsAre(2, 0));

  elements_of(Value(stored))->read(0, found);
  EXPECT_THAT(found, ElementsAre(static_cast<double>(1.0f / 3), 2));
  EXPECT_EQ(elements_of(Value("text")), nullptr);
  EXPECT_EQ(elements_of(Value()), nullptr);
}

}  // namespace
}  // namespace craftbundle

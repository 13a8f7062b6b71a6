// Parts of tensors, and tensors made of parts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "fake_checkpoint.h"
#include "support/error_matchers.h"
#include "zip_reader.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::make_tensor;
using testing::raw;
using testing::read_file;
using testing::read_zip;
using testing::record_data;
using testing::TemporaryDirectory;

class JoinedTensorTest : public ::testing::Test {
 protected:
  // Elements 0..11.
  Storage storage(std::string key = "0") const {
    return source_->storage(std::move(key), DType::float32, 0, 48);
  }

  static std::vector<float> numbers(std::initializer_list<int> list) {
    return {list.begin(), list.end()};
  }

  static std::vector<double> read(const ElementsPtr& elements) {
    std::vector<double> result(elements->size());
    elements->read(0, result);
    return result;
  }

  std::vector<testing::ReadRecord> written(const Value& root) const {
    OutputFile file(directory_.path(), Durability::no_sync);
    write_package(root, file, {});
    EXPECT_EQ(file.size(), package_size(root));
    file.publish(directory_ / "out", true);
    return read_zip(read_file(directory_ / "out"));
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const FakeCheckpoint> source_ = FakeCheckpoint::make(
      directory_ / "source", raw<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
};

TEST_F(JoinedTensorTest, RowsAreAPartOfTheSameStorage) {
  const Tensor tensor = make_tensor(storage(), {5, 2}, {2, 1}, 1);
  const Tensor part = rows(tensor, 1, 3);
  EXPECT_THAT(part.layout.shape, ElementsAre(3, 2));
  EXPECT_EQ(part.layout.offset, 3);
  EXPECT_EQ(part.storage, tensor.storage);
  EXPECT_THAT(read(elements_of(part)), ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_EQ(rows(tensor, 0, 5).layout, tensor.layout);
}

TEST_F(JoinedTensorTest, RowsWithoutElementsLieInTheStorageToo) {
  const Tensor tensor = make_tensor(storage(), {6, 2}, {2, 1});
  EXPECT_EQ(rows(tensor, 6, 0).layout.offset, 0);
  const Tensor empty = make_tensor(storage(), {6, 0}, {1, 1});
  EXPECT_EQ(rows(empty, 5, 1).layout.offset, 0);
}

TEST_F(JoinedTensorTest, RowsThatAreNotThereAreRefused) {
  const Tensor tensor = make_tensor(storage(), {6, 2}, {2, 1});
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const auto& [first, count] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {5, 2}, {7, 0}, {-1, 1}, {0, -1}, {1, kMost}, {kMost, 1}}) {
    expect_error(ErrorKind::input, "tensor.rows",
                 "a tensor of the shape [6, 2] does not have " + std::to_string(count) +
                     " rows from row " + std::to_string(first) + " on",
                 [&, first = first, count = count] { rows(tensor, first, count); });
  }
  expect_error(ErrorKind::input, "tensor.rows", HasSubstr("the shape []"),
               [&] { rows(make_tensor(storage(), {}, {}), 0, 0); });
}

TEST_F(JoinedTensorTest, HasTheElementsOfItsParts) {
  const Tensor tensor = make_tensor(storage(), {6, 2}, {2, 1});
  const JoinedTensor joined =
      join({rows(tensor, 4, 2), rows(tensor, 3, 0), make_tensor(storage(), {3, 2}, {1, 3})});
  EXPECT_THAT(joined.shape, ElementsAre(5, 2));
  const ElementsPtr elements = elements_of(joined);
  EXPECT_THAT(read(elements), ElementsAre(8, 9, 10, 11, 0, 3, 1, 4, 2, 5));
  EXPECT_EQ(elements->sources().size(), 3U);
  for (std::size_t first = 0; first < 10; ++first) {
    std::vector<double> part(10 - first - first / 2 % 2);
    elements->read(first, part);
    for (std::size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], read(elements)[first + i]);
  }
  const NamedTensor named{"w", joined};
  EXPECT_EQ(named.dtype(), DType::float32);
  EXPECT_THAT(named.shape(), ElementsAre(5, 2));
}

TEST_F(JoinedTensorTest, PartsThatDoNotFitAreRefused) {
  const Tensor tensor = make_tensor(storage(), {6, 2}, {2, 1});
  Tensor other = tensor;
  other.dtype = DType::int32;
  expect_error(ErrorKind::input, "tensor.dtype",
               "tensors of the types float32 and int32 cannot be joined", [&] {
                 join({tensor, other});
               });
  expect_error(ErrorKind::input, "tensor.shape",
               "tensors of the shapes [6, 2] and [2, 6] cannot be joined along their first "
               "dimension",
               [&] {
                 join({tensor, make_tensor(storage(), {2, 6}, {6, 1})});
               });
  expect_error(ErrorKind::input, "tensor.shape", HasSubstr("[6, 2] and [12]"), [&] {
    join({tensor, make_tensor(storage(), {12}, {1})});
  });
  expect_error(ErrorKind::input, "tensor.shape", HasSubstr("[] and []"),
               [&] { join({make_tensor(storage(), {}, {})}); });
  const Tensor wide = make_tensor(storage(), {std::numeric_limits<std::int64_t>::max()}, {0});
  expect_error(ErrorKind::input, "tensor.shape", HasSubstr("too many elements"), [&] {
    join({wide, wide});
  });
}

TEST_F(JoinedTensorTest, IsWrittenIntoAPackage) {
  const Tensor tensor = make_tensor(storage(), {6, 2}, {2, 1});
  const JoinedTensor joined = join({rows(tensor, 4, 2), make_tensor(storage(), {3, 2}, {1, 3})});
  const auto records = written(Value::Dict{{"a", joined}, {"b", tensor}, {"tied", joined}});
  EXPECT_EQ(record_data(records, "archive/data/0"), raw(numbers({8, 9, 10, 11, 0, 3, 1, 4, 2, 5})));
  EXPECT_EQ(record_data(records, "archive/data/1"), read_file(directory_ / "source"));
  EXPECT_EQ(records.size(),
            5U);  // pickle, byte order, version: the tied one has no data of its own
  const auto checkpoint = Checkpoint::open(directory_ / "out");
  const Tensor read_back = checkpoint->tensor(checkpoint->root().at("tied"));
  EXPECT_THAT(read_back.layout.shape, ElementsAre(5, 2));
  EXPECT_THAT(read_back.layout.strides, ElementsAre(2, 1));
  EXPECT_EQ(read_back.storage, checkpoint->tensor(checkpoint->root().at("a")).storage);
}

TEST_F(JoinedTensorTest, LargePartsHaveTheirCrc) {
  const std::string content = testing::pattern(3 << 20);
  const auto large = FakeCheckpoint::make(directory_ / "large", content);
  const Tensor whole = make_tensor(large->storage("0", DType::uint8, 0, content.size()));
  const auto records = written(join({whole, rows(whole, 1, 2 << 20)}));
  EXPECT_TRUE(record_data(records, "archive/data/0") == content + content.substr(1, 2 << 20));
}

TEST_F(JoinedTensorTest, SourcesAreChecked) {
  for (const int uses : {1, 2}) {
    Storage damaged = storage("5");
    damaged.crc = *damaged.crc ^ 1;
    const std::vector<Tensor> parts(static_cast<std::size_t>(uses), make_tensor(damaged, {4}, {1}));
    expect_error(ErrorKind::input, "zip.crc", HasSubstr("record 'data/5'"),
                 [&] { written(join(parts)); });
  }
}

TEST_F(JoinedTensorTest, ElementsOfAValue) {
  const Value value = join({make_tensor(storage(), {2}, {1}), make_tensor(storage(), {1}, {1}, 7)});
  EXPECT_THAT(read(elements_of(value)), ElementsAre(0, 1, 7));
}

// The same of tensors of any kind.
TEST_F(JoinedTensorTest, RowRangesOfStoredAndJoinedTensorsStayWhereTheyLie) {
  const TensorContent whole = make_tensor(storage(), {4, 3}, {3, 1});
  const TensorContent second = row_range(whole, 1, 1);
  ASSERT_TRUE(std::holds_alternative<Tensor>(second));
  EXPECT_THAT(read(elements_of(second)), ElementsAre(3, 4, 5));
  const TensorContent joined = concatenate({row_range(whole, 2, 2), second});
  ASSERT_TRUE(std::holds_alternative<JoinedTensor>(joined));
  EXPECT_THAT(shape_of(joined), ElementsAre(3, 3));
  // Rows of one part are that part again; others come from two.
  EXPECT_TRUE(std::holds_alternative<Tensor>(row_range(joined, 0, 2)));
  EXPECT_THAT(read(elements_of(row_range(joined, 1, 2))), ElementsAre(9, 10, 11, 3, 4, 5));
  EXPECT_THAT(shape_of(row_range(joined, 3, 0)), ElementsAre(0, 3));
  expect_error(ErrorKind::input, "tensor.rows",
               "a tensor of the shape [3, 3] does not have 2 rows from row 2 on",
               [&] { row_range(joined, 2, 2); });
}

TEST_F(JoinedTensorTest, ComputedTensorsAreComputedByRows) {
  const TensorContent whole = make_tensor(storage(), {4, 3}, {3, 1});
  EXPECT_TRUE(std::holds_alternative<Tensor>(cast(whole, DType::float32)));
  const TensorContent half = cast(whole, DType::float16);
  EXPECT_EQ(dtype_of(half), DType::float16);
  const TensorContent joined = concatenate({row_range(half, 3, 1), row_range(half, 0, 1)});
  EXPECT_TRUE(std::holds_alternative<ComputedTensor>(joined));
  EXPECT_EQ(dtype_of(joined), DType::float16);
  EXPECT_THAT(read(elements_of(joined)), ElementsAre(9, 10, 11, 0, 1, 2));
}

}  // namespace
}  // namespace craftbundle

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <cstring>
#include <limits>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/tensor/convert.h"
#include "fake_checkpoint.h"
#include "safetensors_builder.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::make_tensor;
using testing::pattern;
using testing::raw;
using testing::read_file;
using testing::safetensors_bytes;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr std::size_t kSourceSize = 4 << 20;

class SafetensorsWriterTest : public ::testing::Test {
 protected:
  static const std::string& content() {
    static const std::string bytes = pattern(kSourceSize);
    return bytes;
  }

  Storage storage(std::string key, DType dtype, std::uint64_t offset, std::uint64_t bytes) const {
    return source_->storage(std::move(key), dtype, offset, bytes);
  }

  WriteSummary write(const std::vector<NamedTensor>& tensors,
                     const SafetensorsMetadata& metadata = {}) const {
    OutputFile file(directory_.path(), Durability::no_sync);
    const WriteSummary summary = write_safetensors(tensors, metadata, file, {});
    EXPECT_EQ(summary.bytes, file.size());
    EXPECT_EQ(summary.tensors, tensors.size());
    EXPECT_EQ(file.size(), safetensors_size(tensors, metadata));
    file.publish(directory_ / "out", true);
    return summary;
  }

  // The bytes after the header, which must open again.
  std::string written(const std::vector<NamedTensor>& tensors) const {
    write(tensors);
    EXPECT_EQ(Safetensors::open(directory_ / "out")->tensors().size(), tensors.size());
    const std::string bytes = read_file(directory_ / "out");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    EXPECT_EQ(length % 8, 0U);
    return bytes.substr(8 + length);
  }

  void refuse(const std::vector<NamedTensor>& tensors, const std::string& code,
              const std::string& text, const SafetensorsMetadata& metadata = {}) const {
    expect_error(ErrorKind::input, code, HasSubstr(text), [&] { write(tensors, metadata); });
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const FakeCheckpoint> source_ =
      FakeCheckpoint::make(directory_ / "source", content());
};

TEST_F(SafetensorsWriterTest, WritesTheseBytes) {
  const std::vector<NamedTensor> tensors = {
      {"b", make_tensor(storage("0", DType::uint8, 0, 3))},
      {"z", make_tensor(storage("1", DType::float32, 8, 8), {2, 1}, {1, 1})},
      {"a", make_tensor(storage("2", DType::float32, 16, 4), {}, {})},
      {"none", make_tensor(storage("3", DType::int64, 0, 0), {0, 2}, {2, 1})},
  };
  const WriteSummary summary = write(tensors, {{"format", "pt"}, {"about", "\"\n"}});
  EXPECT_EQ(summary.data_bytes, 15U);
  std::string header = R"({"__metadata__":{"about":"\"\n","format":"pt"},)"
                       R"("none":{"dtype":"I64","shape":[0,2],"data_offsets":[0,0]},)"
                       R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                       R"("z":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},)"
                       R"("b":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(read_file(directory_ / "out"),
            safetensors_bytes(
                header, content().substr(16, 4) + content().substr(8, 8) + content().substr(0, 3)));
}

TEST_F(SafetensorsWriterTest, IsPaddedToLieAlikeInBlocksWhereMostOfItCan) {
  const auto place = [&](std::uint64_t second) {
    const std::vector<NamedTensor> tensors = {
        {"a", make_tensor(storage("0", DType::uint8, 1000, 1 << 20))},
        {"b", make_tensor(storage("1", DType::uint8, second, 1 << 20))},
        {"c", make_tensor(storage("2", DType::uint8, 3, 1 << 19))},
    };
    EXPECT_EQ(written(tensors), content().substr(1000, 1 << 20) +
                                    content().substr(second, 1 << 20) +
                                    content().substr(3, 1 << 19));
    return boost::filesystem::file_size(directory_ / "out") - (5 << 19);
  };
  EXPECT_EQ(place(1000 + (1 << 20)) % 4096, 1000u);
  // Less than half of it is not worth it.
  EXPECT_LT(place(2000), 1000u);
}

TEST_F(SafetensorsWriterTest, WritesNothing) {
  write({});
  EXPECT_EQ(read_file(directory_ / "out"), safetensors_bytes("{}      "));
}

TEST_F(SafetensorsWriterTest, LargeAlignmentComesFirstThenTheName) {
  std::vector<NamedTensor> tensors;
  const std::vector<DType> order = {
      DType::uint64,          DType::int64,          DType::float64,
      DType::complex64,       DType::float32,        DType::uint32,
      DType::int32,           DType::bfloat16,       DType::float16,
      DType::uint16,          DType::int16,          DType::float8_e5m2fnuz,
      DType::float8_e4m3fnuz, DType::float8_e8m0fnu, DType::float8_e4m3fn,
      DType::float8_e5m2,     DType::int8,           DType::uint8,
      DType::boolean};
  for (std::size_t i = order.size(); i-- > 0;) {
    for (const char* end : {"b", "a"}) {
      const std::string name = std::to_string(i % 3) + end + std::to_string(i);
      tensors.push_back({name, make_tensor(storage(name, order[i], 0, 16))});
    }
  }
  write(tensors);
  const auto found = Safetensors::open(directory_ / "out")->tensors();
  ASSERT_EQ(found.size(), 2 * order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(found[2 * i].dtype(), order[i]) << i;
    EXPECT_EQ(found[2 * i].name, std::to_string(i % 3) + "a" + std::to_string(i));
    EXPECT_EQ(found[2 * i + 1].name, std::to_string(i % 3) + "b" + std::to_string(i));
  }
}

TEST_F(SafetensorsWriterTest, TheOrderGivenDoesNotMatter) {
  std::vector<NamedTensor> tensors;
  for (const char* name : {"b", "\xC3\xA9", "Z", "a.10", "a.2"}) {
    tensors.push_back({name, make_tensor(storage(name, DType::int16, 0, 6))});
  }
  write(tensors);
  const std::string once = read_file(directory_ / "out");
  std::ranges::reverse(tensors);
  write(tensors);
  EXPECT_EQ(read_file(directory_ / "out"), once);
  const auto found = Safetensors::open(directory_ / "out")->tensors();
  EXPECT_EQ(found[0].name, "Z");
  EXPECT_EQ(found[1].name, "a.10");
  EXPECT_EQ(found[4].name, "\xC3\xA9");
}

TEST_F(SafetensorsWriterTest, LargeTensorsAndTheirParts) {
  const Storage whole = storage("0", DType::float32, 4, kSourceSize - 4);
  const auto count = static_cast<std::int64_t>(whole.elements);
  const std::string data = written({{"a", make_tensor(whole)},
                                    {"b", make_tensor(whole, {10}, {1}, 5)},
                                    {"c", make_tensor(whole, {count - 9}, {1}, 9)}});
  EXPECT_TRUE(data == content().substr(4) + content().substr(24, 40) + content().substr(40));
}

TEST_F(SafetensorsWriterTest, TiedTensorsAreWrittenEachForItself) {
  const Tensor tensor = make_tensor(storage("0", DType::int32, 0, 8));
  EXPECT_EQ(written({{"a", tensor}, {"b", tensor}}),
            content().substr(0, 8) + content().substr(0, 8));
}

TEST_F(SafetensorsWriterTest, TensorsThatAreNotContiguousAreWrittenSo) {
  const auto source = FakeCheckpoint::make(directory_ / "n", raw<std::int32_t>({0, 1, 2, 3, 4, 5}));
  const Storage six = source->storage("0", DType::int32, 0, 24);
  EXPECT_EQ(written({{"a", make_tensor(six, {3, 2}, {1, 3})}}),
            raw<std::int32_t>({0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(written({{"a", make_tensor(six, {2, 2}, {3, 1}, 1)}}), raw<std::int32_t>({1, 2, 4, 5}));
  EXPECT_EQ(written({{"a", make_tensor(six, {2, 2}, {0, 2}, 1)}}), raw<std::int32_t>({1, 3, 1, 3}));
}

TEST_F(SafetensorsWriterTest, LargeTransposedTensor) {
  constexpr std::int64_t kRows = 700;
  constexpr std::int64_t kColumns = 500;
  const Storage all = storage("0", DType::float32, 0, 4 * kRows * kColumns);
  const std::string data = written({{"a", make_tensor(all, {kColumns, kRows}, {1, kColumns})}});
  std::string expected;
  for (std::int64_t i = 0; i < kColumns; ++i) {
    for (std::int64_t k = 0; k < kRows; ++k) {
      expected += content().substr(static_cast<std::size_t>(4 * (k * kColumns + i)), 4);
    }
  }
  EXPECT_TRUE(data == expected);
}

TEST_F(SafetensorsWriterTest, ForeignByteOrderIsSwapped) {
  for (const DType dtype : {DType::float64, DType::complex64, DType::float16, DType::uint8}) {
    Storage foreign = storage("0", dtype, 0, 1 << 20);
    foreign.swapped = true;
    const Tensor part = make_tensor(foreign, {1000}, {1}, 3);
    std::string expected = content().substr(3 * item_size(dtype), 1000 * item_size(dtype));
    const std::size_t unit = swap_size(dtype);
    for (std::size_t i = 0; i < expected.size(); i += unit) {
      std::reverse(expected.begin() + static_cast<std::ptrdiff_t>(i),
                   expected.begin() + static_cast<std::ptrdiff_t>(i + unit));
    }
    EXPECT_TRUE(written({{"a", part}}) == expected) << name(dtype);
  }
}

TEST_F(SafetensorsWriterTest, ViewsOfForeignBytesInAnotherTypeAreRefused) {
  Storage foreign = storage("0", DType::float64, 0, 80);
  foreign.swapped = true;
  Tensor view = make_tensor(foreign, {3}, {1});
  view.dtype = DType::float32;
  refuse({{"a", view}}, "tensor.byteorder", "float32 in a storage of float64");
}

TEST_F(SafetensorsWriterTest, ComputedTensors) {
  const auto source = FakeCheckpoint::make(directory_ / "n", raw<float>({1, 2.5, -3}));
  const Tensor tensor = make_tensor(source->storage("0", DType::float32, 0, 12));
  EXPECT_EQ(written({{"a", ComputedTensor{DType::int16, elements_of(tensor), "a"}}}),
            raw<std::int16_t>({1, 2, -3}));
  const auto large = FakeCheckpoint::make(directory_ / "l", raw<float>({1e6}));
  refuse({{"a", ComputedTensor{DType::float16,
                               elements_of(make_tensor(large->storage("0", DType::float32, 0, 4))),
                               "a"}}},
         "tensor.range", "tensor 'a' has the element 1e+06, too large for float16");
}

TEST_F(SafetensorsWriterTest, JoinedTensors) {
  const Storage one = storage("0", DType::float32, 0, 2 << 20);
  const Storage two = storage("1", DType::float32, 3 << 20, 48);
  Storage foreign = storage("2", DType::float32, 0, 12);
  foreign.swapped = true;
  const auto columns = static_cast<std::int64_t>(one.elements / 2);
  const JoinedTensor joined = join(
      {make_tensor(one, {2, columns}, {columns, 1}), make_tensor(one, {1, columns}, {9, 1}, 1)});
  const JoinedTensor small =
      join({make_tensor(two, {2, 3}, {1, 2}), make_tensor(foreign, {1, 3}, {3, 1})});
  const std::string data = written({{"b", small}, {"a", joined}});
  std::string expected = content().substr(0, 2 << 20) + content().substr(4, 1 << 20);
  for (const std::size_t element : {0UL, 2UL, 4UL, 1UL, 3UL, 5UL}) {
    expected += content().substr((3 << 20) + 4 * element, 4);
  }
  std::string swapped = content().substr(0, 12);
  for (int i = 0; i < 12; i += 4) std::reverse(swapped.begin() + i, swapped.begin() + i + 4);
  EXPECT_TRUE(data == expected + swapped);
}

class SafetensorsChecks : public SafetensorsWriterTest {
 protected:
  Storage damaged(std::uint64_t bytes) const {
    Storage result = storage("7", DType::uint8, 0, bytes);
    result.crc = *result.crc ^ 1;
    return result;
  }
  void refuse_damaged(const std::vector<NamedTensor>& tensors) const {
    refuse(tensors, "zip.crc", "source: record 'data/7': CRC-32 of the data is ");
  }
};

TEST_F(SafetensorsChecks, SourceRecordsAreCheckedHoweverTheyAreUsed) {
  refuse_damaged({{"a", make_tensor(damaged(100))}});
  refuse_damaged({{"a", make_tensor(damaged(3 << 20))}});
  refuse_damaged({{"a", make_tensor(damaged(3 << 20), {5}, {1}, 9)}});
  refuse_damaged({{"a", make_tensor(damaged(3 << 20), {5}, {3}, 9)}});
  refuse_damaged({{"a", make_tensor(damaged(100), {5}, {1}, 0)},
                  {"b", make_tensor(damaged(100), {5}, {1}, 5)}});
  refuse_damaged({{"a", join({rows(make_tensor(damaged(3 << 20)), 7, 2)})}});
  refuse_damaged(
      {{"a", ComputedTensor{DType::float32, elements_of(make_tensor(damaged(100))), "a"}}});
}

TEST_F(SafetensorsChecks, WithoutACrcNothingIsChecked) {
  Storage unchecked = damaged(3 << 20);
  unchecked.crc.reset();
  EXPECT_TRUE(written({{"a", make_tensor(unchecked)}}) == content().substr(0, 3 << 20));
}

TEST_F(SafetensorsChecks, SourcesThatChangeAreRefused) {
  const auto tensors =
      std::vector<NamedTensor>{{"a", make_tensor(storage("0", DType::uint8, 0, 9))}};
  boost::filesystem::last_write_time(directory_ / "source", 1);
  refuse(tensors, "io.changed", "source");
}

TEST_F(SafetensorsChecks, TensorOutsideItsStorageIsNeverWritten) {
  expect_error(ErrorKind::internal, "package.tensor", HasSubstr("does not lie in its storage"),
               [&] {
                 write({{"a", make_tensor(storage("0", DType::uint8, 0, 9), {10}, {1})}});
               });
}

TEST_F(SafetensorsWriterTest, RefusesWhatTheFormatCannotHold) {
  const Tensor byte = make_tensor(storage("0", DType::uint8, 0, 1));
  refuse({{"a", make_tensor(storage("0", DType::complex128, 0, 16))}}, "safetensors.dtype",
         "tensor 'a' has the type complex128, which a safetensors file cannot hold");
  refuse({{"\xFF", byte}}, "safetensors.name", "name of tensor '\\xFF' is not UTF-8");
  refuse({{"a", byte}, {"a", byte}}, "safetensors.name", "two tensors have the name 'a'");
  refuse({{"__metadata__", byte}}, "safetensors.name", "the name '__metadata__', which the format");
  refuse({}, "safetensors.name", "metadata key '\\xFF' is not UTF-8", {{"\xFF", ""}});
  refuse({}, "safetensors.name", "the metadata '\\xFE' is not UTF-8", {{"a", "\xFE"}});
  refuse({}, "safetensors.header_size", "at most 100000000 are allowed",
         {{"a", std::string(100'000'000, 'x')}});
}

TEST_F(SafetensorsWriterTest, RefusesMoreBytesThanAFileCanHave) {
  const Storage element = storage("0", DType::int64, 0, 8);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  refuse({{"a", make_tensor(element, {kMost}, {0})}}, "safetensors.data_size", "more bytes than");
  refuse({{"a", make_tensor(element, {kMost / 9}, {0})},
          {"b", make_tensor(element, {kMost / 9}, {0})}},
         "safetensors.data_size", "more bytes than");
}

TEST_F(SafetensorsWriterTest, WhatWasReadIsWrittenAgain) {
  write({{"a", make_tensor(storage("0", DType::uint8, 0, 1 << 20))},
         {"b", make_tensor(storage("1", DType::float32, 64, 64), {4, 4}, {4, 1})}},
        {{"format", "pt"}});
  const std::string once = read_file(directory_ / "out");
  const auto file = Safetensors::open(directory_ / "out");
  write(file->tensors(), file->metadata());
  EXPECT_TRUE(read_file(directory_ / "out") == once);
}

class ShardsTest : public SafetensorsWriterTest {
 protected:
  NamedTensor tensor(const std::string& name, std::uint64_t bytes) const {
    return {name, make_tensor(storage(name, DType::uint8, 0, bytes))};
  }

  static std::vector<std::string> names(const ShardPlan& plan) {
    std::vector<std::string> result;
    for (const ShardPlan::Shard& shard : plan.shards) {
      std::string line = shard.file + ":";
      for (const NamedTensor& tensor : shard.tensors) line += " " + tensor.name;
      result.push_back(line);
    }
    return result;
  }
};

TEST_F(ShardsTest, OneFileHasNoIndex) {
  const ShardPlan plan = plan_shards({tensor("a", 6), tensor("b", 4)}, 10, "model");
  EXPECT_THAT(names(plan), ElementsAre("model.safetensors: a b"));
  EXPECT_EQ(plan.index_file, "");
  EXPECT_EQ(plan.index, "");
  EXPECT_THAT(names(plan_shards({}, 10, "lm")), ElementsAre("lm.safetensors:"));
}

TEST_F(ShardsTest, FilesAreFilledInTheOrderOfTheTensors) {
  const ShardPlan plan = plan_shards(
      {tensor("d", 6), tensor("b", 5), tensor("large", 11), tensor("c", 5), tensor("a", 1)}, 10,
      "model");
  EXPECT_THAT(
      names(plan),
      ElementsAre("model-00001-of-00004.safetensors: d", "model-00002-of-00004.safetensors: large",
                  "model-00003-of-00004.safetensors: b c", "model-00004-of-00004.safetensors: a"));
  EXPECT_EQ(plan.index_file, "model.safetensors.index.json");
  EXPECT_EQ(plan.index, R"({
  "metadata": {
    "total_size": 28
  },
  "weight_map": {
    "a": "model-00004-of-00004.safetensors",
    "b": "model-00003-of-00004.safetensors",
    "c": "model-00003-of-00004.safetensors",
    "d": "model-00001-of-00004.safetensors",
    "large": "model-00002-of-00004.safetensors"
  }
}
)");
}

TEST_F(ShardsTest, TheIndexIsAscii) {
  const ShardPlan plan =
      plan_shards({tensor("\xC3\xA9\x7F", 1), tensor("\xF0\x9F\x8E\xB5", 1)}, 1, "model");
  EXPECT_THAT(plan.index, HasSubstr(R"("\u00e9\u007f": "model-00001)"));
  EXPECT_THAT(plan.index, HasSubstr(R"("\ud83c\udfb5": "model-00002)"));
}

TEST_F(ShardsTest, OpenAgain) {
  const ShardPlan plan =
      plan_shards({tensor("b", 700), tensor("a", 700), tensor("c", 10)}, 800, "model");
  for (const ShardPlan::Shard& shard : plan.shards) {
    write(shard.tensors);
    boost::filesystem::rename(directory_ / "out", directory_ / shard.file);
  }
  write_file(directory_ / plan.index_file, plan.index);
  const SafetensorsModel model = open_safetensors_index(directory_ / plan.index_file);
  EXPECT_EQ(model.files.size(), 2U);
  EXPECT_EQ(model.tensors.size(), 3U);
}

}  // namespace
}  // namespace craftbundle

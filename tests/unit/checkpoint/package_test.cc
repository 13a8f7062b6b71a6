#include "craftbundle/detail/checkpoint/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "craftbundle/detail/io/sha256.h"
#include "fake_checkpoint.h"
#include "package_plan.h"
#include "support/error_matchers.h"
#include "zip_reader.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::make_tensor;
using testing::pattern;
using testing::read_file;
using testing::read_zip;
using testing::ReadRecord;
using testing::record_data;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr std::size_t kSourceSize = 10 << 20;

class PackageTest : public ::testing::Test {
 protected:
  static const std::string& content() {
    static const std::string bytes = pattern(kSourceSize);
    return bytes;
  }

  Storage storage(std::string key, DType dtype, std::uint64_t offset, std::uint64_t bytes) const {
    return source_->storage(std::move(key), dtype, offset, bytes);
  }

  WriteSummary write(const Value& root, const std::string& name = "out") const {
    OutputFile file(directory_.path(), Durability::no_sync);
    const WriteSummary summary = write_package(root, file, {});
    EXPECT_EQ(file.size(), package_size(root));
    EXPECT_EQ(summary.bytes, file.size());
    file.publish(directory_ / name, true);
    return summary;
  }

  std::vector<ReadRecord> written(const Value& root) const {
    write(root);
    return read_zip(read_file(directory_ / "out"));
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const FakeCheckpoint> source_ =
      FakeCheckpoint::make(directory_ / "source", content());
};

TEST_F(PackageTest, HasTheRecordsOfTorchSave) {
  const auto records =
      written(Value::Dict{{"x", make_tensor(storage("7", DType::float32, 100, 40))}});
  std::vector<std::string> names;
  for (const ReadRecord& record : records) {
    names.push_back(record.name);
    EXPECT_EQ(record.data_offset % 64, 0U) << record.name;
  }
  EXPECT_THAT(names, ElementsAre("archive/data.pkl", "archive/byteorder", "archive/data/0",
                                 "archive/version"));
  EXPECT_EQ(record_data(records, "archive/version"), "3\n");
  EXPECT_EQ(record_data(records, "archive/byteorder"), "little");
  EXPECT_TRUE(record_data(records, "archive/data/0") == content().substr(100, 40));
}

TEST_F(PackageTest, PackageWithoutTensors) {
  const auto records = written(Value::Dict{{"pretrained", "a/b"}, {"exported", true}});
  EXPECT_EQ(records.size(), 3U);
}

TEST_F(PackageTest, StorageLargerThanAllBuffers) {
  const auto records = written(make_tensor(storage("0", DType::uint8, 0, kSourceSize)));
  EXPECT_TRUE(record_data(records, "archive/data/0") == content());
}

TEST_F(PackageTest, LargeStoragesLieAlikeInBlocks) {
  Storage unchecked = storage("no crc", DType::uint8, 64, 1 << 20);
  unchecked.crc.reset();
  Storage swapped = storage("swapped", DType::float32, 64, 1 << 20);
  swapped.swapped = true;
  const Storage part = storage("part", DType::uint8, 64, 1 << 20);
  const auto records = written(Value::List{
      make_tensor(storage("alike", DType::uint8, 4096 + 64, 1 << 20)),
      make_tensor(storage("small", DType::uint8, 4096 + 128, 4096)),
      make_tensor(storage("alike too", DType::uint8, (4 << 20) - 64, 1 << 20)),
      make_tensor(storage("not aligned", DType::uint8, 4096 + 100, 1 << 20)),
      make_tensor(unchecked), make_tensor(swapped), make_tensor(part, {1 << 19}, {1}, 1 << 18)});
  const auto place = [&](int number) {
    const std::string name = "archive/data/" + std::to_string(number);
    return std::ranges::find(records, name, &ReadRecord::name)->data_offset;
  };
  for (int i = 0; i < 7; ++i) EXPECT_EQ(place(i) % 64, 0u) << i;
  EXPECT_EQ(place(0) % 4096, 64u);
  EXPECT_EQ(place(2) % 4096, 4032u);
  EXPECT_TRUE(record_data(records, "archive/data/2") == content().substr((4 << 20) - 64, 1 << 20));
  // Each as near as it can be to the one before: header, descriptor and at most 63 bytes.
  for (const int i : {1, 3, 4, 5, 6}) {
    EXPECT_LT(place(i) - place(i - 1) - (1 << 20), 16 + 30 + 14 + 4 + 64u) << i;
  }
}

TEST_F(PackageTest, ManySmallStorages) {
  Value::List tensors;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    tensors.push_back(make_tensor(storage(std::to_string(i), DType::uint8, i * 1000, i % 999)));
  }
  const auto records = written(tensors);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    EXPECT_TRUE(record_data(records, "archive/data/" + std::to_string(i)) ==
                content().substr(i * 1000, i % 999));
  }
}

TEST_F(PackageTest, StoragesAreNumberedByFirstUse) {
  const auto records = written(Value::List{make_tensor(storage("9", DType::uint8, 0, 10)),
                                           make_tensor(storage("2", DType::uint8, 10, 20))});
  EXPECT_TRUE(record_data(records, "archive/data/0") == content().substr(0, 10));
  EXPECT_TRUE(record_data(records, "archive/data/1") == content().substr(10, 20));
}

TEST_F(PackageTest, TensorsOfOneStorageShareIt) {
  const Storage shared = storage("0", DType::float32, 0, 80);
  const WriteSummary summary =
      write(Value::Dict{{"a", make_tensor(shared)}, {"b", make_tensor(shared, {4, 5}, {5, 1})}});
  EXPECT_EQ(summary.tensors, 2U);
  EXPECT_EQ(summary.storages, 1U);
  EXPECT_EQ(summary.data_bytes, 80U);
  EXPECT_EQ(summary.compacted_bytes, 0U);
}

TEST_F(PackageTest, EqualKeysOfTwoFilesAreTwoStorages) {
  const auto other = FakeCheckpoint::make(directory_ / "other", "otherother");
  const auto records = written(Value::List{make_tensor(storage("0", DType::uint8, 0, 10)),
                                           make_tensor(other->storage("0", DType::uint8, 0, 10))});
  EXPECT_EQ(record_data(records, "archive/data/1"), "otherother");
}

TEST_F(PackageTest, UsedPartsAreWrittenBackToBack) {
  const Storage large = storage("0", DType::float32, 0, 4000);
  // Elements 10..15, 20..49 (a strided view), 40..59: the last two touch.
  const Tensor a = make_tensor(large, {2, 3}, {3, 1}, 10);
  const Tensor b = make_tensor(large, {4, 3}, {1, 13}, 20);
  const Tensor c = make_tensor(large, {20}, {1}, 40);
  const Value root = Value::Dict{{"c", c}, {"a", a}, {"b", b}};
  const PackagePlan plan(root);
  EXPECT_EQ(plan.offset_of(a), 0U);
  EXPECT_EQ(plan.offset_of(b), 6U);
  EXPECT_EQ(plan.offset_of(c), 26U);
  const WriteSummary summary = write(root);
  EXPECT_EQ(summary.data_bytes, 46U * 4);
  EXPECT_EQ(summary.compacted_bytes, 4000U - 46 * 4);
  const auto records = read_zip(read_file(directory_ / "out"));
  EXPECT_TRUE(record_data(records, "archive/data/0") ==
              content().substr(40, 24) + content().substr(80, 160));
}

TEST_F(PackageTest, PartsKeepTheAlignmentOfTheirElements) {
  const Storage bytes = storage("0", DType::uint8, 0, 100);
  const Tensor small = make_tensor(bytes, {3}, {1}, 1);
  Tensor wide = make_tensor(bytes, {2}, {1}, 5);
  wide.dtype = DType::int64;
  const Value root = Value::List{small, wide};
  const PackagePlan plan(root);
  EXPECT_EQ(plan.offset_of(small), 1U);
  EXPECT_EQ(plan.offset_of(wide), 1U);
  EXPECT_TRUE(record_data(written(root), "archive/data/0") ==
              content().substr(0, 8) + content().substr(40, 16));
}

TEST_F(PackageTest, EmptyTensors) {
  const Storage none = storage("0", DType::float32, 0, 0);
  const Storage some = storage("1", DType::float32, 0, 400);
  const Tensor nowhere = make_tensor(some, {0, 5}, {5, 1}, 70);
  const Value root = Value::List{make_tensor(none, {0}, {1}), nowhere};
  EXPECT_EQ(PackagePlan(root).offset_of(nowhere), 0U);
  const auto records = written(root);
  EXPECT_EQ(record_data(records, "archive/data/0"), "");
  EXPECT_EQ(record_data(records, "archive/data/1"), "");
}

TEST_F(PackageTest, ExpandedTensorTakesOneElement) {
  const Storage large = storage("0", DType::float32, 0, 4000);
  const Value root = make_tensor(large, {1000000, 1000000}, {0, 0}, 3);
  EXPECT_EQ(write(root).data_bytes, 4U);
}

TEST_F(PackageTest, TensorOutsideItsStorageIsNeverWritten) {
  const Storage small = storage("0", DType::float32, 0, 40);
  expect_error(ErrorKind::internal, "package.tensor",
               Eq("a tensor of shape [11] does not lie in its storage of 40 bytes"),
               [&] { write(make_tensor(small, {11}, {1})); });
}

TEST_F(PackageTest, WrongChecksumIsRefused) {
  Storage damaged = storage("3", DType::float32, 0, 3 << 20);
  damaged.crc = *damaged.crc ^ 1;
  expect_error(ErrorKind::input, "zip.crc",
               HasSubstr("source: record 'data/3': CRC-32 of the data is "),
               [&] { write(make_tensor(damaged)); });
  EXPECT_FALSE(boost::filesystem::exists(directory_ / "out"));
}

// Also where the damage lies in bytes that are left out.
TEST_F(PackageTest, WrongChecksumOfAPartlyUsedRecordIsRefused) {
  Storage damaged = storage("3", DType::float32, 0, 3 << 20);
  damaged.crc = *damaged.crc ^ 1;
  expect_error(ErrorKind::input, "zip.crc", HasSubstr("record 'data/3'"),
               [&] { write(make_tensor(damaged, {2}, {1}, 5)); });
}

TEST_F(PackageTest, UnknownChecksumIsNotChecked) {
  Storage unchecked = storage("3", DType::float32, 0, 400);
  unchecked.crc = std::nullopt;
  EXPECT_TRUE(record_data(written(make_tensor(unchecked)), "archive/data/0") ==
              content().substr(0, 400));
  EXPECT_TRUE(record_data(written(make_tensor(unchecked, {2}, {1}, 5)), "archive/data/0") ==
              content().substr(20, 8));
}

std::string swapped(std::string bytes, std::size_t size) {
  for (auto it = bytes.begin(); it != bytes.end(); it += static_cast<std::ptrdiff_t>(size)) {
    std::reverse(it, it + static_cast<std::ptrdiff_t>(size));
  }
  return bytes;
}

// The checksum is that of the bytes as they lie in the file.
TEST_F(PackageTest, ForeignByteOrderIsSwapped) {
  for (const DType dtype : {DType::float64, DType::float32, DType::float16, DType::uint8,
                            DType::complex128, DType::complex64}) {
    Storage foreign = storage("0", dtype, 0, 5 << 20);
    foreign.swapped = true;
    // Small records in front shift the data against the buffers.
    for (const std::uint64_t before : {0U, 1U, 17U}) {
      const auto records = written(Value::List{
          make_tensor(storage("before", DType::uint8, 0, before)), make_tensor(foreign)});
      EXPECT_TRUE(record_data(records, "archive/data/1") ==
                  swapped(content().substr(0, 5 << 20), swap_size(dtype)))
          << name(dtype);
    }
  }
}

TEST_F(PackageTest, TheSameValueGivesTheSameBytes) {
  const auto value = [](const FakeCheckpoint& source) -> Value {
    return Value::Dict{{"x", make_tensor(source.storage("5", DType::float32, 8, 2 << 20))},
                       {"y", Value::List{std::int64_t{1} << 40, 0.1}}};
  };
  write(value(*source_), "first");
  const auto moved = FakeCheckpoint::make(directory_ / "elsewhere", content());
  write(value(*moved), "second");
  EXPECT_TRUE(read_file(directory_ / "first") == read_file(directory_ / "second"));
}

TEST_F(PackageTest, ShortenedSourceIsRefused) {
  const Storage whole = storage("0", DType::uint8, 0, kSourceSize);
  boost::filesystem::resize_file(directory_ / "source", kSourceSize / 2);
  expect_error(ErrorKind::input, "io.truncated", HasSubstr("source: ends at byte 5242880"),
               [&] { write(make_tensor(whole)); });
}

TEST_F(PackageTest, ChangedSourceIsRefused) {
  const Storage start = storage("0", DType::uint8, 0, 100);
  write_file(directory_ / "source", content() + "more");
  expect_error(ErrorKind::input, "io.changed", HasSubstr("source: changed while it was read"),
               [&] { write(make_tensor(start)); });
}

class RecordingSink final : public Sink {
 public:
  void progress(const Progress& progress) noexcept override {
    tasks.push_back(std::string(progress.task));
    done.push_back(progress.done);
    total = progress.total;
    if (on_progress) on_progress();
  }
  std::vector<std::string> tasks;
  std::vector<std::uint64_t> done;
  std::uint64_t total = 0;
  std::function<void()> on_progress;
};

TEST_F(PackageTest, ProgressGoesToTheEnd) {
  const Value root = make_tensor(storage("0", DType::uint8, 0, kSourceSize));
  RecordingSink sink;
  OutputFile file(directory_.path(), Durability::no_sync);
  write_package(root, file, {.task = "out.bin", .sink = &sink});
  ASSERT_GE(sink.done.size(), 3U);
  EXPECT_TRUE(std::is_sorted(sink.done.begin(), sink.done.end()));
  EXPECT_EQ(sink.done.back(), sink.total);
  EXPECT_EQ(sink.total, package_size(root));
  EXPECT_THAT(sink.tasks, ::testing::Each("out.bin"));
}

TEST_F(PackageTest, CancellationEndsTheWriting) {
  const Value root = make_tensor(storage("0", DType::uint8, 0, kSourceSize));
  Cancellation cancellation;
  RecordingSink sink;
  sink.on_progress = [&] { cancellation.cancel(); };
  OutputFile file(directory_.path(), Durability::no_sync);
  expect_error(ErrorKind::interrupted, "run.interrupted", Eq("interrupted"), [&] {
    write_package(root, file, {.task = "", .sink = &sink, .cancellation = &cancellation});
  });
  EXPECT_EQ(sink.done.size(), 1U);
}

// A hash sees every byte, so none is left to the kernel, and sources are checked on the way.
TEST_F(PackageTest, AHashedFileHasTheSameBytesAndChecks) {
  const Storage source = storage("0", DType::uint8, 0, kSourceSize);
  write(make_tensor(source));
  OutputFile file(directory_.path(), Durability::no_sync);
  file.hash_contents();
  write_package(make_tensor(source), file, {});
  EXPECT_EQ(file.sha256(), sha256_of_text(read_file(directory_ / "out")));

  Storage damaged = source;
  damaged.crc = *damaged.crc ^ 1;
  OutputFile other(directory_.path(), Durability::no_sync);
  other.hash_contents();
  expect_error(ErrorKind::input, "zip.crc", HasSubstr("record 'data/0'"),
               [&] { write_package(make_tensor(damaged), other, {}); });

  Cancellation cancellation;
  RecordingSink sink;
  sink.on_progress = [&] { cancellation.cancel(); };
  OutputFile third(directory_.path(), Durability::no_sync);
  third.hash_contents();
  expect_error(ErrorKind::interrupted, "run.interrupted", Eq("interrupted"), [&] {
    write_package(make_tensor(source), third,
                  {.task = "", .sink = &sink, .cancellation = &cancellation});
  });
  EXPECT_EQ(sink.done.size(), 1U);
}

// The size limit of the process stands for a full disk.
TEST_F(PackageTest, RefusedWriteEndsTheReading) {
  const Value root = make_tensor(storage("0", DType::uint8, 0, kSourceSize));
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 3 << 20, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error(ErrorKind::system, "io.efbig", HasSubstr("File too large"), [&] { write(root); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(boost::filesystem::exists(directory_ / "out"));
}

TEST(Value, FindLooksInDicts) {
  const Value value = Value::Dict{{"a", std::int64_t{1}}, {"b", "two"}};
  ASSERT_NE(value.find("b"), nullptr);
  EXPECT_EQ(*value.find("b")->get_if<std::string>(), "two");
  EXPECT_EQ(value.find("c"), nullptr);
  EXPECT_EQ(Value("a").find("a"), nullptr);
}

TEST(Package, EndlessNestingIsRefused) {
  Value value;
  for (int i = 0; i < 200; ++i) value = Value::List{value};
  expect_error(ErrorKind::internal, "package.depth", Eq("a package nests deeper than 128 levels"),
               [&] { package_size(value); });
}

}  // namespace
}  // namespace craftbundle

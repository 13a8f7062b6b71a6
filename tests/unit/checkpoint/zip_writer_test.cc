#include "zip_writer.h"

#include <gtest/gtest.h>

#include <vector>

#include "craftbundle/detail/io/output_file.h"
#include "support/temporary_directory.h"
#include "zip_reader.h"

namespace craftbundle {
namespace {

using testing::number_at;
using testing::read_file;
using testing::read_zip;

constexpr std::uint64_t kGiB = 1ULL << 30;

// PyTorch's own file, taken apart and laid out again, must come out as it was.
class LaidOutAsPyTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(LaidOutAsPyTorch, ByteForByte) {
  const std::string file =
      read_file(std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + GetParam());
  const auto records = read_zip(file);
  ASSERT_GE(records.size(), 2U);
  ZipLayout layout;
  std::vector<std::uint32_t> crcs;
  std::string again;
  for (const auto& record : records) {
    layout.add(record.name, record.data.size());
    crcs.push_back(crc32(0, std::as_bytes(std::span(record.data))));
    again += layout.records().back().local_header();
    EXPECT_EQ(again.size(), layout.records().back().data_offset);
    again += record.data;
    again += layout.records().back().descriptor(crcs.back());
  }
  again += layout.directory(crcs);
  EXPECT_EQ(layout.file_size(), file.size());
  EXPECT_TRUE(again == file);
}

INSTANTIATE_TEST_SUITE_P(Golden, LaidOutAsPyTorch,
                         ::testing::Values("encodec_exported.bin", "musicgen_exported.bin",
                                           "musicgen_train.th", "pretrained_dac_44khz.bin"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

TEST(ZipLayout, EmptyRecordHasNoDescriptor) {
  ZipLayout layout;
  layout.add("a/empty", 0);
  layout.add("a/next", 1);
  EXPECT_EQ(layout.records()[0].descriptor(0), "");
  EXPECT_EQ(layout.records()[0].data_offset, 64U);
  EXPECT_EQ(layout.records()[1].header_offset, 64U);
  EXPECT_EQ(number_at(layout.records()[0].local_header(), 6, 2), 0x0800U);
  EXPECT_EQ(number_at(layout.records()[1].local_header(), 6, 2), 0x0808U);
}

TEST(ZipLayout, RecordOf4GiBHasItsSizesInTheExtraField) {
  ZipLayout layout;
  layout.add("a/big", 4 * kGiB);
  const ZipRecord& record = layout.records()[0];
  const std::string header = record.local_header();
  EXPECT_EQ(header.size(), record.data_offset);
  EXPECT_EQ(record.data_offset % kRecordAlignment, 0U);
  EXPECT_EQ(number_at(header, 35, 2), 0x0001U);
  EXPECT_EQ(number_at(header, 37, 2), 16U);
  EXPECT_EQ(number_at(header, 39, 8), 4 * kGiB);
  EXPECT_EQ(number_at(header, 47, 8), 0U);
  EXPECT_EQ(number_at(header, 55, 2), 0x4246U);
  const std::string descriptor = record.descriptor(0x01020304);
  ASSERT_EQ(descriptor.size(), 24U);
  EXPECT_EQ(number_at(descriptor, 4, 4), 0x01020304U);
  EXPECT_EQ(number_at(descriptor, 8, 8), 4 * kGiB);
  EXPECT_EQ(number_at(descriptor, 16, 8), 4 * kGiB);

  const std::string directory = layout.directory(std::vector<std::uint32_t>{0x01020304});
  EXPECT_EQ(number_at(directory, 20, 4), 0xFFFFFFFFU);
  EXPECT_EQ(number_at(directory, 24, 4), 0xFFFFFFFFU);
  EXPECT_EQ(number_at(directory, 42, 4), 0U);  // the header's offset is small
  EXPECT_EQ(number_at(directory, 46 + 5, 2), 0x0001U);
  EXPECT_EQ(number_at(directory, 46 + 7, 2), 16U);
  EXPECT_EQ(layout.file_size(), record.end_offset() + directory.size());
}

TEST(ZipLayout, SmallRecordBeyond4GiBHasItsOffsetInTheExtraField) {
  ZipLayout layout;
  layout.add("a/big", 5 * kGiB);
  layout.add("a/small", 3);
  const ZipRecord& record = layout.records()[1];
  EXPECT_EQ(record.header_offset, layout.records()[0].data_offset + 5 * kGiB + 24);
  const std::string header = record.local_header();
  EXPECT_EQ(record.header_offset + header.size(), record.data_offset);
  EXPECT_EQ(record.data_offset % kRecordAlignment, 0U);
  EXPECT_EQ(number_at(header, 37, 2), 0x0001U);
  EXPECT_EQ(number_at(header, 39, 2), 8U);
  EXPECT_EQ(number_at(header, 41, 8), record.header_offset);
  EXPECT_EQ(record.descriptor(0).size(), 24U);

  const std::string directory = layout.directory(std::vector<std::uint32_t>{0, 0});
  const std::size_t second = 46 + 5 + 20;
  EXPECT_EQ(number_at(directory, second + 20, 4), 3U);
  EXPECT_EQ(number_at(directory, second + 42, 4), 0xFFFFFFFFU);
  EXPECT_EQ(number_at(directory, second + 46 + 7 + 2, 2), 8U);
  EXPECT_EQ(number_at(directory, second + 46 + 7 + 4, 8), record.header_offset);
  // The end record saturates what the ZIP64 end record says in full.
  const std::size_t end = directory.size() - 22;
  EXPECT_EQ(number_at(directory, end + 16, 4), 0xFFFFFFFFU);
  EXPECT_EQ(number_at(directory, end - 20 - 56 + 48, 8), record.end_offset());
  EXPECT_EQ(layout.file_size(), record.end_offset() + directory.size());
}

TEST(ZipLayout, BigRecordBeyond4GiBHasAllThree) {
  ZipLayout layout;
  layout.add("a/one", 5 * kGiB);
  layout.add("a/two", 5 * kGiB);
  const std::string header = layout.records()[1].local_header();
  EXPECT_EQ(number_at(header, 37, 2), 24U);
  EXPECT_EQ(number_at(header, 39, 8), 5 * kGiB);
  EXPECT_EQ(number_at(header, 55, 8), layout.records()[1].header_offset);
  EXPECT_EQ(layout.records()[1].header_offset + header.size(), layout.records()[1].data_offset);
}

TEST(ZipLayout, RecordsOfAFileLieAlikeInBlocks) {
  ZipLayout layout;
  for (const std::uint64_t offset : std::vector<std::uint64_t>{0, 64, 4032, 4096, 5 * kGiB + 128}) {
    layout.add("a/one", 100'000, offset);
    const ZipRecord& record = layout.records().back();
    EXPECT_EQ(record.data_offset % kBlockSize, offset % kBlockSize);
    EXPECT_EQ(record.header_offset + record.local_header().size(), record.data_offset);
    // The first place that will do.
    EXPECT_LT(record.data_offset - record.header_offset, 30 + 5 + 4 + kBlockSize);
  }
  layout.add("a/big", 5 * kGiB, 192);
  layout.add("a/zip64", 100'000, 4032);
  const ZipRecord& last = layout.records().back();
  EXPECT_EQ(last.data_offset % kBlockSize, 4032u);
  EXPECT_EQ(last.header_offset + last.local_header().size(), last.data_offset);
}

TEST(ZipLayout, AlignmentForPyTorchComesFirst) {
  ZipLayout layout;
  layout.add("a/one", 100'000, 4096 + 8);
  layout.add("a/two", 100'000);
  layout.add("a/one", 100'000, 63);
  ZipLayout plain;
  plain.add("a/one", 100'000);
  plain.add("a/two", 100'000);
  plain.add("a/one", 100'000);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(layout.records()[i].data_offset, plain.records()[i].data_offset);
    EXPECT_EQ(layout.records()[i].data_offset % kRecordAlignment, 0u);
  }
}

TEST(ZipLayout, MoreThan65535RecordsAreCountedInTheZip64EndRecord) {
  constexpr std::size_t kCount = 70'000;
  ZipLayout layout;
  for (std::size_t i = 0; i < kCount; ++i) layout.add("a/" + std::to_string(i), 0);
  const std::string directory = layout.directory(std::vector<std::uint32_t>(kCount));
  const std::size_t end = directory.size() - 22;
  EXPECT_EQ(number_at(directory, end + 10, 2), 0xFFFFU);
  EXPECT_EQ(number_at(directory, end - 20 - 56 + 32, 8), kCount);
  EXPECT_EQ(layout.file_size(), layout.records().back().end_offset() + directory.size());
}

}  // namespace
}  // namespace craftbundle

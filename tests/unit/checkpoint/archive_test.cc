#include "archive.h"

#include <libdeflate.h>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"
#include "zip_builder.h"

namespace craftbundle {
namespace {

using ::testing::_;
using testing::BuiltRecord;
using testing::BuiltZip;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryDirectory;
using testing::pickles::little;

class ArchiveTest : public ::testing::Test {
 protected:
  Archive open(const std::string& bytes) {
    const Path path = directory_ / "file.pt";
    testing::write_file(path, bytes);
    file_ = std::make_unique<InputFile>(path);
    return Archive(*file_);
  }
  Archive open(const BuiltZip& zip) { return open(zip.bytes()); }

  template <typename Zip>
  void refuse(const std::string& code, const std::string& text, const Zip& zip) {
    SCOPED_TRACE(code + ": " + text);
    expect_error(ErrorKind::input, code, HasSubstr(text), [&] { open(zip); });
  }

  TemporaryDirectory directory_;
  std::unique_ptr<InputFile> file_;
};

BuiltZip two_records() { return {{{"a/x", "first"}, {"a/y", "second record"}}}; }

std::string deflate(std::string_view data) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(9);
  std::string out(libdeflate_deflate_compress_bound(compressor, data.size()), '\0');
  out.resize(
      libdeflate_deflate_compress(compressor, data.data(), data.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

std::string descriptor32(const BuiltRecord& record) {
  return "PK\7\x08" + little(record.crc, 4) + little(record.data.size(), 4) +
         little(record.size, 4);
}

std::string descriptor64(const BuiltRecord& record) {
  return "PK\7\x08" + little(record.crc, 4) + little(record.data.size(), 8) +
         little(record.size, 8);
}

std::string extra(std::uint16_t id, const std::string& data) {
  return little(id, 2) + little(data.size(), 2) + data;
}

TEST_F(ArchiveTest, ReadsRecordsOfAnyPrefix) {
  const Archive archive = open(BuiltZip{{{"my.model/x", "first"}, {"my.model/d/y", ""}}});
  EXPECT_EQ(archive.name(), "my.model");
  ASSERT_EQ(archive.records().size(), 2U);
  EXPECT_EQ(archive.read(*archive.find("x")), "first");
  EXPECT_EQ(archive.read(*archive.find("d/y")), "");
  EXPECT_EQ(archive.find("y"), nullptr);
  EXPECT_THAT(archive.notes(), IsEmpty());
}

TEST_F(ArchiveTest, ReadsWhatTorchSaveWrites) {
  // Data descriptors, padding to 64 bytes, sizes of 0 in local headers, end records of both sizes.
  BuiltZip zip = two_records();
  zip.zip64 = true;
  for (BuiltRecord& record : zip.records) {
    record.flags = 0x0808;
    record.local_extra = extra(0x4246, std::string(27, 'Z'));
    record.descriptor = descriptor32(record);
  }
  const Archive archive = open(zip);
  EXPECT_EQ(archive.find("x")->data_offset, 30U + 3U + 31U);
  EXPECT_EQ(archive.read(*archive.find("y")), "second record");
}

TEST_F(ArchiveTest, ReadsZip64Records) {
  BuiltZip zip = two_records();
  BuiltRecord& record = zip.records[1];
  record.flags = 0x0808;
  record.descriptor = descriptor64(record);
  record.local_extra = extra(1, little(record.size, 8) + little(0, 8));
  record.central_size = 0xFFFFFFFF;
  record.central_stored_size = 0xFFFFFFFF;
  record.central_extra = extra(1, little(record.size, 8) + little(record.size, 8));
  EXPECT_EQ(open(zip).records()[1].size, record.size);

  // Without a descriptor the local header has to say the same.
  record.flags = 0;
  record.descriptor.clear();
  record.local_size = 0xFFFFFFFF;
  refuse("zip.local_mismatch", "its size", zip);
  record.local_extra = extra(1, little(record.size, 8) + little(record.size, 8));
  EXPECT_EQ(open(zip).records()[1].size, record.size);

  record.central_extra = extra(1, little(record.size, 8));
  refuse("zip.zip64", "too short", zip);
  record.central_extra.clear();
  refuse("zip.zip64", "missing", zip);
  record.central_extra = extra(1, little(1ULL << 62, 8) + little(1ULL << 62, 8));
  refuse("zip.bounds", "reaches beyond", zip);
  record.central_extra = extra(1, little(UINT64_MAX, 8) + little(UINT64_MAX, 8));
  refuse("zip.bounds", "reaches beyond", zip);
}

TEST_F(ArchiveTest, ReadsZip64Offsets) {
  BuiltZip zip = two_records();
  BuiltRecord& record = zip.records[1];
  record.central_offset = 0xFFFFFFFF;
  record.central_extra = extra(1, little(30 + 3 + 5, 8));
  EXPECT_EQ(open(zip).find("y")->data_offset, 38U + 33U);
  for (const std::uint64_t offset : {std::uint64_t{1} << 40, UINT64_MAX - 10}) {
    record.central_extra = extra(1, little(offset, 8));
    refuse("zip.bounds", "header", zip);
  }
}

TEST_F(ArchiveTest, InflatesDeflatedRecords) {
  const std::string data(5000, 'a');
  BuiltRecord record{"a/x", deflate(data)};
  record.method = 8;
  record.size = data.size();
  record.crc = crc32(0, std::as_bytes(std::span(data)));
  const Archive archive = open(BuiltZip{{record}});
  EXPECT_EQ(archive.read(archive.records()[0]), data);

  const auto refuse_reading = [&](const std::string& code, const BuiltRecord& changed) {
    expect_error(ErrorKind::input, code, HasSubstr("'x'"), [&] {
      const Archive damaged = open(BuiltZip{{changed}});
      (void)damaged.read(damaged.records()[0]);
    });
  };
  BuiltRecord longer = record;
  longer.size += 1;
  refuse_reading("zip.deflate", longer);
  BuiltRecord shorter = record;
  shorter.size -= 1;
  refuse_reading("zip.deflate", shorter);
  BuiltRecord damaged = record;
  damaged.data[0] = '\x07';
  refuse_reading("zip.deflate", damaged);
  BuiltRecord padded = record;
  padded.data += "more";
  refuse_reading("zip.deflate", padded);
}

TEST_F(ArchiveTest, RefusesDeflateBombs) {
  const std::string data(4 << 20, '\0');
  BuiltRecord record{"a/x", deflate(data)};
  record.method = 8;
  record.size = data.size();
  refuse("limit.ratio", "4.0 MiB", BuiltZip{{record}});
}

TEST_F(ArchiveTest, ChecksCrc) {
  BuiltZip zip = two_records();
  zip.records[0].crc ^= 1;
  const Archive archive = open(zip);
  expect_error(ErrorKind::input, "zip.crc", HasSubstr("record 'x': CRC-32"),
               [&] { (void)archive.read(archive.records()[0]); });
  EXPECT_EQ(archive.read(archive.records()[1]), "second record");
}

TEST_F(ArchiveTest, TakesCrcZeroAsNotComputed) {
  BuiltZip zip = two_records();
  zip.records[0].crc = 0;
  const Archive archive = open(zip);
  EXPECT_FALSE(archive.records()[0].has_crc());
  EXPECT_TRUE(archive.records()[1].has_crc());
  EXPECT_EQ(archive.read(archive.records()[0]), "first");
}

TEST_F(ArchiveTest, RefusesEveryTruncation) {
  BuiltZip zip = two_records();
  for (const bool zip64 : {false, true}) {
    zip.zip64 = zip64;
    const std::string bytes = zip.bytes();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      SCOPED_TRACE(size);
      expect_error(ErrorKind::input, "zip.truncated", _, [&] { open(bytes.substr(0, size)); });
    }
  }
}

TEST_F(ArchiveTest, RefusesLocalHeadersThatDisagree) {
  const auto change = [](auto&& edit) {
    BuiltZip zip = two_records();
    edit(zip.records[1]);
    return zip;
  };
  refuse("zip.local_mismatch", "its name", change([](auto& r) { r.local_name = "a/z"; }));
  refuse("zip.local_mismatch", "its name", change([](auto& r) { r.local_name = "a/longer"; }));
  refuse("zip.local_mismatch", "its flags", change([](auto& r) { r.local_flags = 1; }));
  refuse("zip.local_mismatch", "its flags", change([](auto& r) { r.local_flags = 0x20; }));
  refuse("zip.local_mismatch", "its method", change([](auto& r) { r.local_method = 8; }));
  refuse("zip.local_mismatch", "its CRC-32", change([](auto& r) { r.local_crc = 7; }));
  refuse("zip.local_mismatch", "its size", change([](auto& r) { r.local_size = 7; }));
}

TEST_F(ArchiveTest, RefusesFlagsAndMethods) {
  const auto change = [](auto&& edit) {
    BuiltZip zip = two_records();
    edit(zip.records[1]);
    return zip;
  };
  refuse("zip.encrypted", "'a/y'", change([](auto& r) { r.flags = 1; }));
  refuse("zip.encrypted", "'a/y'", change([](auto& r) { r.flags = 0x40; }));
  refuse("zip.flags", "unknown flags", change([](auto& r) { r.flags = 0x20; }));
  refuse("zip.method", "method 12", change([](auto& r) { r.method = 12; }));
  refuse("zip.size", "two sizes", change([](auto& r) { r.size = 3; }));
  refuse("zip.multidisk", "several files", change([](auto& r) { r.disk = 1; }));
}

TEST_F(ArchiveTest, RefusesWrongDescriptors) {
  BuiltZip zip = two_records();
  BuiltRecord& record = zip.records[0];
  record.flags = 8;
  record.descriptor = descriptor32(record);
  EXPECT_EQ(open(zip).records().size(), 2U);
  record.descriptor = descriptor64(record);
  EXPECT_EQ(open(zip).records().size(), 2U);
  record.descriptor[5] = '\x55';
  refuse("zip.descriptor", "'a/x'", zip);
  record.descriptor = "";
  record.local_crc = 0;
  refuse("zip.descriptor", "'a/x'", zip);
}

TEST_F(ArchiveTest, RefusesDuplicates) {
  refuse("zip.duplicate", "'a/x'", BuiltZip{{{"a/x", "1"}, {"a/x", "2"}}});
  refuse("zip.duplicate", "'a/x'", BuiltZip{{{"a/x", "1"}, {"a/X", "2"}}});
}

TEST_F(ArchiveTest, RefusesOverlaps) {
  BuiltZip shared = two_records();
  shared.records[1] = shared.records[0];
  shared.records[1].name = "a/z";
  shared.records[1].central_offset = 0;
  refuse("zip.overlap", "overlaps", shared);

  // The first record's data holds the second record's header.
  BuiltZip nested = two_records();
  BuiltRecord& outer = nested.records[0];
  const std::uint64_t inner = nested.records[1].name.size() + 30 + nested.records[1].data.size();
  outer.size += inner;
  outer.central_stored_size = static_cast<std::uint32_t>(outer.size);
  outer.local_size = static_cast<std::uint32_t>(outer.size);
  refuse("zip.overlap", "overlaps", nested);
}

TEST_F(ArchiveTest, RefusesPlacesOutsideOfTheRecords) {
  BuiltZip zip = two_records();
  zip.records[1].central_offset = 0xFFFFFF00;
  refuse("zip.bounds", "header", zip);
  zip.records[1].central_offset = 1000;
  refuse("zip.bounds", "header", zip);
  zip.records[1].central_offset = 39;
  refuse("zip.local_header", "no header", zip);
  BuiltZip longer = two_records();
  longer.records[1].size = 1000;
  longer.records[1].central_stored_size = 1000;
  longer.records[1].local_size = 1000;
  refuse("zip.bounds", "reaches beyond", longer);
}

TEST_F(ArchiveTest, RefusesPrefixesAndNotesTheRest) {
  BuiltZip zip = two_records();
  zip.prefix = "MZ";
  refuse("zip.eocd", "directory ends", zip);  // offsets count from the archive's own beginning

  BuiltZip shifted = two_records();
  shifted.records.erase(shifted.records.begin());
  const std::string alone = shifted.bytes();
  shifted.records[0].central_offset = 4;
  std::string bytes = "junk" + alone.substr(0, 46) + BuiltZip(shifted).bytes().substr(46);
  const std::size_t end = bytes.size() - 22;
  bytes[end + 16] = static_cast<char>(bytes[end + 16] + 4);
  refuse("zip.prefix", "4 bytes stand in front", bytes);

  BuiltZip rest = two_records();
  rest.gap = "between";
  rest.trailing = "tail";
  EXPECT_THAT(open(rest).notes(),
              ElementsAre("7 bytes between the records", "4 bytes after the archive"));
  rest.comment = "a comment";
  EXPECT_EQ(open(rest).records().size(), 2U);
}

TEST_F(ArchiveTest, RefusesTwoDirectories) {
  const std::string first = two_records().bytes();
  BuiltZip second{{{"a/x", "other"}}};
  second.records[0].central_offset = static_cast<std::uint32_t>(first.size());
  second.directory_offset = static_cast<std::uint32_t>(first.size() + 30 + 3 + 5);
  refuse("zip.ambiguous", "two directories", first + second.bytes());
}

// Each archive counts from its own beginning, as files that were joined do.
TEST_F(ArchiveTest, RefusesArchivesBehindEachOther) {
  const std::string one = two_records().bytes();
  const std::string other = BuiltZip{{{"a/x", std::string(1'000, 'o')}}}.bytes();
  refuse("zip.ambiguous", "two directories", one + other);
  refuse("zip.ambiguous", "two directories", one + one + one);
  refuse("zip.ambiguous", "two directories", one + other.substr(0, 100));
  // So long that the first end record is out of sight.
  BuiltZip large{{{"a/x", std::string(100'000, 'o')}}};
  refuse("zip.ambiguous", "two directories", one + large.bytes());
  // An end record in the comment, which others find first.
  BuiltZip commented = two_records();
  commented.comment = one.substr(one.size() - 22);
  refuse("zip.ambiguous", "two directories", commented);
  // An archive in a record is none of the file.
  BuiltZip nested{{{"a/inner.zip", one}}};
  EXPECT_EQ(open(nested).records().size(), 1U);
}

TEST_F(ArchiveTest, RefusesWrongCounts) {
  BuiltZip long_name{{{"a/" + std::string(100, 'n'), ""}}};
  long_name.count = 2;
  refuse("zip.count", "has 1 records, the end record says 2", long_name);
  BuiltZip zip = two_records();
  zip.count = 1;
  refuse("zip.count", "more than the 1", zip);
  zip.count = 60000;
  refuse("zip.count", "cannot have 60000", zip);
  zip.count = 2;
  zip.count_here = 1;
  refuse("zip.count", "two numbers", zip);
  zip.count_here = 2;
  zip.directory_tail = "tail";
  refuse("zip.count", "more than the 2", zip);
}

TEST_F(ArchiveTest, RefusesWrongDirectoryPlaces) {
  BuiltZip zip = two_records();
  zip.directory_offset = 7;
  refuse("zip.eocd", "directory ends", zip);
  zip.directory_offset = 0xFFFFFFF0;
  refuse("zip.bounds", "does not lie in the file", zip);
  zip.directory_offset.reset();
  zip.directory_size = 50;
  refuse("zip.eocd", "directory ends", zip);
  BuiltZip commented = two_records();
  commented.comment_size = 1;
  refuse("zip.truncated", "comment", commented);
  BuiltZip disks = two_records();
  disks.disk = 1;
  refuse("zip.multidisk", "several files", disks);
}

TEST_F(ArchiveTest, RefusesWrongZip64EndRecords) {
  BuiltZip zip = two_records();
  zip.zip64 = true;
  zip.count64 = 3;
  refuse("zip.count", "2 and 3 records", zip);
  zip.count = 0xFFFF;
  refuse("zip.count", "cannot have 3 records", zip);
  zip.count64 = UINT64_MAX;
  refuse("limit.records", "at most 1000000", zip);
  zip.count64 = 2;
  EXPECT_EQ(open(zip).records().size(), 2U);
  zip.count_here64 = 1;
  refuse("zip.count", "two numbers", zip);
  zip.count_here64.reset();
  zip.directory_offset64 = 5;
  refuse("zip.zip64", "disagree", zip);
  zip.directory_offset = 0xFFFFFFFF;
  refuse("zip.eocd", "directory ends", zip);
  zip.directory_offset64 = UINT64_MAX;
  refuse("zip.bounds", "does not lie", zip);
  zip.directory_offset64.reset();
  EXPECT_EQ(open(zip).records().size(), 2U);
  zip.size64 = 1;
  refuse("zip.zip64", "disagree", zip);
  zip.size64.reset();
  zip.record_size64 = 45;
  refuse("zip.zip64", "not as long", zip);
  zip.record_size64.reset();
  zip.record_offset64 = UINT64_MAX - 20;
  refuse("zip.zip64", "does not lie", zip);
  zip.record_offset64.reset();
  zip.end64_signature = "PK\6\5";
  refuse("zip.zip64", "no 64-bit end record", zip);

  BuiltZip missing = two_records();
  missing.count = 0xFFFF;
  refuse("zip.zip64", "missing", missing);
}

TEST_F(ArchiveTest, RefusesNames) {
  const auto named = [](std::string name) {
    return BuiltZip{{{"a/x", ""}, {std::move(name), ""}}};
  };
  refuse("zip.name", "leaves", named("a/../x"));
  refuse("zip.name", "leaves", named(".."));
  refuse("zip.name", "absolute", named("/a/y"));
  refuse("zip.name", "absolute", named("C:/y"));
  refuse("zip.name", "backslash", named("a\\y"));
  refuse("zip.name", "control", named(std::string("a/y\0z", 5)));
  refuse("zip.name", "control", named("a/\x1b]0;"));
  refuse("zip.name", "empty", named(""));
  refuse("zip.name", "UTF-8", named("a/\xff"));
  refuse("zip.name", "longer than 512", named("a/" + std::string(511, 'n')));
  EXPECT_EQ(open(named("a/" + std::string(510, 'n'))).records().size(), 2U);
}

TEST_F(ArchiveTest, RefusesOtherLayouts) {
  refuse("zip.layout", "'b/y'", BuiltZip{{{"a/x", ""}, {"b/y", ""}}});
  refuse("zip.layout", "'x'", BuiltZip{{{"x", ""}}});
  refuse("zip.empty", "no records", BuiltZip{});
}

TEST_F(ArchiveTest, SkipsDirectories) {
  const Archive archive = open(BuiltZip{{{"a/", ""}, {"a/data/", ""}, {"a/x", "1"}}});
  ASSERT_EQ(archive.records().size(), 1U);
  EXPECT_EQ(archive.records()[0].name, "x");
  refuse("zip.size", "is a directory", BuiltZip{{{"a/", "data"}}});
}

TEST_F(ArchiveTest, RefusesBrokenExtraFields) {
  BuiltZip zip = two_records();
  zip.records[0].central_extra = "abc";
  refuse("zip.extra", "longer than its place", zip);
  zip.records[0].central_extra = little(9, 2) + little(100, 2) + "x";
  refuse("zip.extra", "longer than its place", zip);
  zip.records[0].central_extra = extra(1, "12345678") + extra(1, "12345678");
  refuse("zip.extra", "twice", zip);
  zip.records[0].central_extra = extra(0x7875, "any other");
  EXPECT_EQ(open(zip).records().size(), 2U);
  zip.records[0].local_extra = "abc";
  refuse("zip.extra", "longer than its place", zip);
}

TEST_F(ArchiveTest, SurvivesEveryFlippedByte) {
  BuiltZip zip = two_records();
  zip.zip64 = true;
  zip.records[0].flags = 0x0808;
  zip.records[0].descriptor = descriptor32(zip.records[0]);
  const std::string bytes = zip.bytes();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const char mask : {'\x01', '\x40', '\xFF'}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      try {
        const Archive archive = open(damaged);
        for (const ArchiveRecord& record : archive.records()) (void)archive.read(record);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::input);
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, bytes.size());
}

}  // namespace
}  // namespace craftbundle

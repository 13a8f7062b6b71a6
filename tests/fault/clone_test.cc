// What file systems share (XFS, Btrfs): the same bytes on nearly no disk, which stay when the
// source goes. TMPDIR lies in such a file system, with little room (see on_file_system.sh).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <boost/filesystem.hpp>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "craftbundle/detail/io/descriptor.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/sha256.h"
#include "support/program.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;
using testing::write_file;
using Json = nlohmann::json;

// How many bytes of a file lie in blocks that other files have too, as the kernel says.
std::uint64_t shared_on_disk(const Path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t shared = 0;
  std::uint64_t offset = 0;
  while (true) {
    // Room for one extent behind the head.
    alignas(fiemap) std::array<std::byte, sizeof(fiemap) + sizeof(fiemap_extent)> room{};
    auto* map = reinterpret_cast<fiemap*>(room.data());
    map->fm_start = offset;
    map->fm_length = FIEMAP_MAX_OFFSET - offset;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = 1;
    if (::ioctl(file.get(), FS_IOC_FIEMAP, map) != 0) throw std::runtime_error("no FIEMAP");
    if (map->fm_mapped_extents == 0) return shared;
    fiemap_extent extent{};
    std::memcpy(&extent, room.data() + sizeof(fiemap), sizeof extent);
    if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0) shared += extent.fe_length;
    offset = extent.fe_logical + extent.fe_length;
    if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return shared;
  }
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class SharedRange : public ::testing::TestWithParam<bool> {
 protected:
  SharedRange() { write_file(directory_ / "in", content_); }

  // Copies a range behind `front` bytes and expects `shared` of it to be shared.
  void expect_copy(std::uint64_t front, std::uint64_t offset, std::uint64_t length,
                   std::uint64_t shared) const {
    const InputFile source(directory_ / "in");
    const std::string head(front, 'h');
    OutputFile file(directory_.path(), Durability::sync);
    if (GetParam()) file.hash_contents();
    file.write(head);
    file.copy(source, offset, length);
    file.write("tail");
    EXPECT_EQ(file.shared_bytes(), shared);
    EXPECT_EQ(file.size(), front + length + 4);
    file.publish(directory_ / "out", true);
    const std::string expected = head + content_.substr(offset, length) + "tail";
    EXPECT_TRUE(read_file(directory_ / "out") == expected);
    EXPECT_EQ(shared_on_disk(directory_ / "out"), shared);
    if (GetParam()) {
      EXPECT_EQ(file.sha256(), sha256_of_text(expected));
    }
  }

  std::string content_ = pattern((3 << 20) + 17);
  TemporaryDirectory directory_;
};

TEST_P(SharedRange, WholeBlocksAreShared) {
  expect_copy(0, 0, content_.size(), 3 << 20);
  expect_copy(4096, 8192, 1 << 20, 1 << 20);
}

TEST_P(SharedRange, EdgesAreWritten) {
  expect_copy(5, 5, 1 << 20, (1 << 20) - 4096);
  expect_copy(4095, 3 * 4096 - 1, 2 + 4096, 4096);
  expect_copy(64, 4096 + 64, (1 << 20) - 64, (1 << 20) - 4096);
}

TEST_P(SharedRange, WhatLiesOtherwiseIsCopied) {
  expect_copy(0, 64, 1 << 20, 0);
  expect_copy(64, 0, 1 << 20, 0);
  expect_copy(1, 4096, 1 << 20, 0);
}

TEST_P(SharedRange, LessThanABlockIsCopied) {
  expect_copy(0, 0, 4095, 0);
  expect_copy(1, 1, 4096, 0);
  expect_copy(0, 0, 0, 0);
}

INSTANTIATE_TEST_SUITE_P(Clone, SharedRange, ::testing::Bool(), [](const auto& test) {
  return std::string(test.param ? "hashed" : "not_hashed");
});

// A package of 24 tensors of 2 MiB.
class SharedExport : public ::testing::Test {
 protected:
  SharedExport() {
    // Boost 1.74 copies no file to another file system.
    write_file(directory_ / "source.bin", read_file(large()));
    ::sync();
  }

  // In another file system, which shares nothing with this one.
  static std::string large() { return std::string(CRAFTBUNDLE_LARGE) + "/a.bin"; }

  ProgramResult program(std::vector<std::string> words) const {
    words.insert(words.begin(), CRAFTBUNDLE_PROGRAM);
    return run_program(words, directory_.path());
  }

  Json done(const std::vector<std::string>& words) const {
    const ProgramResult result = program(words);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.exit_code == 0 ? Json::parse(result.output) : Json();
  }

  Json exported(const std::string& source, const std::string& to,
                const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"export", source, "--component", "lm", "-o", to, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return done(words);
  }

  std::uint64_t size(const std::string& name) const {
    return boost::filesystem::file_size(directory_ / name);
  }

  void expect_same(const std::string& a, const std::string& b) const {
    EXPECT_TRUE(read_file(directory_ / a) == read_file(directory_ / b)) << a << " and " << b;
  }

  // Nearly all of it, and as many as the report says.
  void expect_shared(const std::string& name, const Json& report) const {
    const auto shared = report.value("shared_bytes", std::uint64_t{0});
    EXPECT_GE(shared, size(name) / 100 * 98);
    EXPECT_EQ(shared_on_disk(directory_ / name), shared);
  }

  // Leaves `bytes` of the disk.
  void fill_disk(std::uint64_t bytes) const {
    const std::string block(1 << 20, 'f');
    std::ofstream file((directory_ / "filler").string(), std::ios::binary);
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
    ::sync();
    // Btrfs says how much there is only once there is no more.
    boost::filesystem::resize_file(directory_ / "filler", size("filler") - bytes);
    ::sync();
  }

  TemporaryDirectory directory_;
};

TEST_F(SharedExport, HasTheBytesOfACopy) {
  const Json copied = exported(large(), "copied.bin");
  EXPECT_FALSE(copied.contains("shared_bytes"));
  const Json report = exported("source.bin", "shared.bin");
  expect_same("shared.bin", "copied.bin");
  expect_shared("shared.bin", report);
  expect_shared("unchecked.bin", exported("source.bin", "unchecked.bin", {"--check", "structure"}));
  expect_same("unchecked.bin", "copied.bin");
}

TEST_F(SharedExport, CanBeRefused) {
  const Json report = exported("source.bin", "own.bin", {"--no-clone"});
  EXPECT_FALSE(report.contains("shared_bytes"));
  EXPECT_EQ(shared_on_disk(directory_ / "own.bin"), 0u);
  exported("source.bin", "shared.bin");
  expect_same("own.bin", "shared.bin");
}

TEST_F(SharedExport, ReportSaysHowMuch) {
  const ProgramResult result =
      program({"export", "source.bin", "--component", "lm", "-o", "shared.bin"});
  EXPECT_THAT(result.output,
              HasSubstr("shared on the disk\n  47.9 MiB of 48.1 MiB, with the sources\n"));
}

TEST_F(SharedExport, StaysWhenItsSourceChangesOrGoes) {
  exported("source.bin", "shared.bin");
  const std::string bytes = read_file(directory_ / "shared.bin");
  {
    std::fstream file((directory_ / "source.bin").string(),
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(10 << 20);
    const std::string noise(4 << 20, 'x');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  ::sync();
  EXPECT_TRUE(read_file(directory_ / "shared.bin") == bytes);
  boost::filesystem::remove(directory_ / "source.bin");
  ::sync();
  EXPECT_TRUE(read_file(directory_ / "shared.bin") == bytes);
  EXPECT_EQ(program({"verify", "shared.bin"}).exit_code, 0);
}

TEST_F(SharedExport, OfAnExportIsTheSameFile) {
  exported("source.bin", "first.bin");
  expect_shared("second.bin", exported("first.bin", "second.bin"));
  expect_same("first.bin", "second.bin");
}

TEST_F(SharedExport, DamageInTheSourceShows) {
  {
    std::fstream file((directory_ / "source.bin").string(),
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(10 << 20);
    file.write("x", 1);
  }
  const ProgramResult result =
      program({"export", "source.bin", "--component", "lm", "-o", "shared.bin"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.errors, HasSubstr("CRC-32 of the data is"));
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"source.bin"});
}

TEST_F(SharedExport, BundlesAreSharedAndHashed) {
  const Json report =
      done({"bundle", "--lm", "source.bin", "--allow-mismatch", "-o", "m", "--json"});
  expect_shared("m/state_dict.bin", report);
  EXPECT_EQ(report.at("manifest").at("files").at(0).at("sha256"),
            sha256_of_text(read_file(directory_ / "m/state_dict.bin")));
  EXPECT_EQ(program({"verify", "m"}).exit_code, 0);
}

TEST_F(SharedExport, SafetensorsFilesOfSafetensorsFilesAreShared) {
  exported("source.bin", "a", {"--layout", "safetensors"});
  const Json report =
      done({"convert", "a", "--layout", "safetensors", "-o", "b", "--json", "--allow-mismatch"});
  expect_shared("b/lm.safetensors", report);
  const ProgramResult compared = program({"inspect", "b", "--diff", "a"});
  EXPECT_EQ(compared.exit_code, 0) << compared.output << compared.errors;
}

TEST_F(SharedExport, RunsShareWhatTheyCopy) {
  write_file(directory_ / "run.yaml", R"(version: 1
stages:
  copied: {copy: source.bin, to: copied.bin}
)");
  const Json report = done({"run", "run.yaml", "--json"});
  EXPECT_THAT(report.dump(), HasSubstr("shared on the disk"));
  EXPECT_EQ(shared_on_disk(directory_ / "copied.bin"), size("source.bin") / 4096 * 4096);
  expect_same("copied.bin", "source.bin");
  const Json again = done({"run", "run.yaml", "--json", "--rerun", "--no-clone"});
  EXPECT_THAT(again.dump(), Not(HasSubstr("shared on the disk")));
  EXPECT_EQ(shared_on_disk(directory_ / "copied.bin"), 0u);
  expect_same("copied.bin", "source.bin");
}

TEST_F(SharedExport, NeedsNoRoom) {
  fill_disk(24 << 20);
  expect_shared("shared.bin", exported("source.bin", "shared.bin"));
  const ProgramResult own =
      program({"export", "source.bin", "--component", "lm", "-o", "own.bin", "--no-clone"});
  EXPECT_EQ(own.exit_code, 1);
  EXPECT_THAT(own.errors, HasSubstr("reserving 48.1 MiB: No space left on device"));
  const std::vector<std::string> left = {"filler", "shared.bin", "source.bin"};
  EXPECT_EQ(directory_.names(), left);
}

}  // namespace
}  // namespace craftbundle

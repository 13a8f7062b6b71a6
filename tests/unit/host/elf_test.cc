#include "craftbundle/detail/host/elf.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

class ElfTest : public ::testing::Test {
 protected:
  // The good library with `bytes` written over `offset`.
  Path patched(std::size_t offset, const std::string& bytes) {
    std::string content = good_;
    content.replace(offset, bytes.size(), bytes);
    return file(content);
  }
  Path file(const std::string& content) {
    write_file(directory_ / "x.so", content);
    return directory_ / "x.so";
  }
  void expect_refused(const std::string& code, const std::string& text, const Path& path) {
    expect_error(ErrorKind::plugin, code, HasSubstr(text), [&] { check_elf(path); });
  }

  TemporaryDirectory directory_;
  std::string good_ = read_file(fixture("good/fixture_codecs.so"));
};

TEST_F(ElfTest, ReadsNamesOfALibrary) {
  const ElfNames names = read_elf_names(fixture("good/fixture_codecs.so"));
  EXPECT_THAT(names.exported, ElementsAre("craftbundle_plugin"));
  EXPECT_THAT(names.needed, Contains("libcraftbundle.so.0"));
  EXPECT_THAT(names.needed, Contains("libc.so.6"));
}

TEST_F(ElfTest, FindsEveryExportedSymbol) {
  EXPECT_THAT(read_elf_names(testing::bad("many_symbols")).exported,
              ::testing::IsSupersetOf({"craftbundle_plugin", "helper_that_leaked"}));
}

TEST_F(ElfTest, RefusesWhatIsNoLibrary) {
  expect_refused("plugin.not_elf", "is empty, expected a shared library", file(""));
  expect_refused("plugin.not_elf", "is no shared library (no ELF header)", file("#!/bin/sh\n"));
  expect_refused("plugin.not_elf", "is no shared library (no ELF header)", file("\x7f"));
  expect_refused("plugin.not_shared", "is a program, expected a shared library",
                 fixture("elf/fixture_program"));
  expect_refused("plugin.not_shared", "is a program, expected a shared library",
                 fixture("elf/fixture_pie"));
  expect_refused("plugin.not_shared", "is an object file",
                 patched(offsetof(Elf64_Ehdr, e_type), std::string("\x01\x00", 2)));
}

TEST_F(ElfTest, RefusesWhatIsNoFile) {
  boost::filesystem::create_directory(directory_ / "d.so");
  expect_refused("plugin.not_a_file", "is a directory", directory_ / "d.so");
  ASSERT_EQ(::mkfifo((directory_ / "f.so").c_str(), 0600), 0);
  expect_refused("plugin.not_a_file", "is a FIFO", directory_ / "f.so");
  expect_refused("plugin.not_a_file", "is a device", "/dev/zero");
  expect_refused("plugin.unreadable", "No such file", directory_ / "none.so");
}

TEST_F(ElfTest, RefusesOtherMachines) {
  expect_refused("plugin.wrong_arch", "is built for S/390, this is ",
                 patched(offsetof(Elf64_Ehdr, e_machine), std::string("\x16\x00", 2)));
  expect_refused("plugin.wrong_arch", "is built for another word size or byte order",
                 patched(EI_CLASS, "\x01"));
  expect_refused("plugin.wrong_arch", "is built for another word size or byte order",
                 patched(EI_DATA, "\x02"));
}

TEST_F(ElfTest, RefusesDamage) {
  expect_refused("plugin.not_elf", "program headers have 1 bytes each",
                 patched(offsetof(Elf64_Ehdr, e_phentsize), std::string("\x01\x00", 2)));
  expect_refused("plugin.not_elf", "it announces 65535 program headers",
                 patched(offsetof(Elf64_Ehdr, e_phnum), "\xff\xff"));
  expect_refused("plugin.not_elf", "nothing to load",
                 patched(offsetof(Elf64_Ehdr, e_phnum), std::string(2, '\0')));
  expect_refused("plugin.truncated", "program headers end at byte 2^64",
                 patched(offsetof(Elf64_Ehdr, e_phoff), std::string(8, '\xff')));
}

// A library that was copied half would end the process with SIGBUS when it is mapped.
TEST_F(ElfTest, RefusesEveryCut) {
  const Path cut = file(good_);
  // Every byte of the headers, then in steps.
  for (std::size_t length = good_.size() - 1; length > 0;
       length -= length > 4096 ? std::min(length - 4096, good_.size() / 200) : 1) {
    boost::filesystem::resize_file(cut, length);
    try {
      check_elf(cut);
      // Section headers and debug information behind the segments are not needed for loading.
      expect_error(ErrorKind::plugin, "plugin.truncated", EndsWith(std::to_string(length)),
                   [&] { read_elf_names(cut); });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), length < SELFMAG ? "plugin.not_elf" : "plugin.truncated");
    }
  }
}

TEST_F(ElfTest, SurvivesEveryChangedHeaderByte) {
  const Path changed = file(good_);
  std::fstream stream(changed.string(), std::ios::in | std::ios::out | std::ios::binary);
  const auto write_byte = [&](std::size_t place, char byte) {
    stream.seekp(static_cast<std::streamoff>(place));
    stream.put(byte).flush();
    ASSERT_TRUE(stream.good());
  };
  for (std::size_t i = 0; i < sizeof(Elf64_Ehdr) + 12 * sizeof(Elf64_Phdr); ++i) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      write_byte(i, static_cast<char>(good_[i] ^ flip));
      try {
        read_elf_names(changed);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::plugin);
      }
    }
    write_byte(i, good_[i]);
  }
  EXPECT_NO_THROW(read_elf_names(changed));
}

}  // namespace
}  // namespace craftbundle

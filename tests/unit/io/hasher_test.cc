#include <gtest/gtest.h>

#include <string>

#include "craftbundle/detail/io/output_file.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using testing::TemporaryDirectory;

std::string digest_of(const std::string& content, std::size_t piece) {
  const TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  file.hash_contents();
  for (std::size_t i = 0; i < content.size(); i += piece) {
    file.write(std::string_view(content).substr(i, piece));
  }
  return file.sha256();
}

// Small pieces are hashed at once, large ones on a thread of their own.
TEST(Hasher, PiecesOfAnySizeGiveTheSameDigest) {
  std::string content;
  for (int i = 0; content.size() < (3 << 20); ++i) content += std::to_string(i) + " ";
  const std::string expected = digest_of(content, 4096);
  for (const std::size_t piece :
       {std::size_t{65535}, std::size_t{65536}, std::size_t{1} << 20, content.size()}) {
    EXPECT_EQ(digest_of(content, piece), expected) << piece;
  }
  content.back() = 'x';
  EXPECT_NE(digest_of(content, content.size()), expected);
}

}  // namespace
}  // namespace craftbundle

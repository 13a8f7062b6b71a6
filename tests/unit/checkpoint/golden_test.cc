// Reads checkpoints of real training runs (tests/golden/data) whole.
#include <boost/filesystem.hpp>
#include <set>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/io/crc32.h"
#include "support/error_matchers.h"
#include "support/exercise.h"

namespace craftbundle {
namespace {

std::vector<Path> golden_files() {
  std::vector<Path> files;
  const std::set<std::string> kinds = {".th", ".bin", ".pth"};
  for (const auto& entry :
       boost::filesystem::directory_iterator(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data")) {
    if (kinds.contains(entry.path().extension().string())) files.push_back(entry.path());
  }
  return files;
}

// Every tensor of the file is sound, and the bytes of its storage have the CRC-32 that the file
// gives.
std::size_t check_tensors(const Checkpoint& checkpoint) {
  std::size_t tensors = 0;
  for_each_reachable(checkpoint.root(), [&](Object object) {
    if (!Checkpoint::is_tensor(object)) return;
    const Storage storage = checkpoint.tensor(object).storage;
    std::vector<std::byte> bytes(storage.bytes);
    checkpoint.read(storage, 0, bytes);
    if (storage.crc) {
      EXPECT_EQ(crc32(0, bytes), *storage.crc) << storage.key;
    }
    ++tensors;
  });
  return tensors;
}

TEST(GoldenTest, RealCheckpointsAreReadWhole) {
  const std::vector<Path> files = golden_files();
  ASSERT_GE(files.size(), 20U);
  std::size_t tensors = 0;
  for (const Path& path : files) {
    SCOPED_TRACE(path.string());
    const auto checkpoint = Checkpoint::open(path);
    EXPECT_TRUE(checkpoint->root().is(Kind::dict));
    EXPECT_THAT(checkpoint->format().notes, ::testing::IsEmpty());
    for (const GlobalReference& reference : checkpoint->globals()) {
      EXPECT_EQ(reference.verdict, GlobalReference::Verdict::known) << reference.name;
      EXPECT_GT(reference.count, 0U);
    }
    tensors += check_tensors(*checkpoint);
  }
  EXPECT_GT(tensors, 2000U);
}

}  // namespace
}  // namespace craftbundle

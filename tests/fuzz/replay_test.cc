// Runs a fuzz target over the files that are kept for it.
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "fuzz_target.h"
#include "support/temporary_directory.h"

namespace {

TEST(ReplayTest, EveryRegression) {
  namespace fs = boost::filesystem;
  const fs::path directory =
      fs::path(CRAFTBUNDLE_TEST_DATA) / "fuzz/regressions" / CRAFTBUNDLE_FUZZ_TARGET;
  std::size_t files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    SCOPED_TRACE(entry.path().string());
    const std::string bytes = craftbundle::testing::read_file(entry.path());
    EXPECT_EQ(
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()),
        0);
    ++files;
  }
  EXPECT_GT(files, 0U);
}

}  // namespace

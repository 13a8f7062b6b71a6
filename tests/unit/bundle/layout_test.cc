#include "craftbundle/bundle/layout.h"

#include <gtest/gtest.h>

namespace craftbundle {
namespace {

TEST(Layout, NamesTheFilesOfKnownRoles) {
  EXPECT_EQ(audiocraft_layout().file_for("lm"), "state_dict.bin");
  EXPECT_EQ(audiocraft_layout().file_for("compression"), "compression_state_dict.bin");
  EXPECT_EQ(audiocraft_layout().role_of("state_dict.bin"), "lm");
  EXPECT_EQ(audiocraft_layout().role_of("compression_state_dict.bin"), "compression");
}

TEST(Layout, StoresOtherRolesUnderTheirName) {
  EXPECT_EQ(audiocraft_layout().file_for("watermark"), "watermark.bin");
  EXPECT_EQ(audiocraft_layout().role_of("watermark.bin"), "watermark");
}

TEST(Layout, ARoleWithAFileOfItsOwnHasNoOther) {
  EXPECT_EQ(audiocraft_layout().role_of("lm.bin"), std::nullopt);
}

TEST(Layout, OtherFilesHaveNoRole) {
  EXPECT_EQ(audiocraft_layout().role_of("bundle.json"), std::nullopt);
  EXPECT_EQ(audiocraft_layout().role_of(".bin"), std::nullopt);
  EXPECT_EQ(audiocraft_layout().role_of(""), std::nullopt);
}

}  // namespace
}  // namespace craftbundle

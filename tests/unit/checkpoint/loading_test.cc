#include "craftbundle/detail/checkpoint/loading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_directory.h"
#include "zip_builder.h"

namespace craftbundle {
namespace {

using namespace testing::pickles;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::shared_ptr<const Checkpoint> golden(const std::string& name) {
  return Checkpoint::open(Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name);
}

// Of a file with this pickle.
std::vector<std::string> obstacles(const std::string& pickle) {
  const testing::TemporaryDirectory directory;
  testing::write_file(directory / "x.th", testing::checkpoint_zip(pickle).bytes());
  return weights_only_obstacles(*Checkpoint::open(directory / "x.th"));
}

std::string names(const std::vector<std::pair<std::string, std::string>>& of) {
  std::string list = "](";
  for (const auto& [module, name] : of) list += global(module, name);
  return protocol2(list + "e");
}

TEST(WeightsOnly, LoadsWhatAudioCraftExports) {
  for (const char* file : {"musicgen_exported.bin", "encodec_exported.bin", "jasco_exported.bin",
                           "pretrained_dac_44khz.bin"}) {
    EXPECT_THAT(weights_only_obstacles(*golden(file)), IsEmpty()) << file;
  }
}

TEST(WeightsOnly, RefusesWhatTrainingLeaves) {
  const std::vector<std::string> found = weights_only_obstacles(*golden("musicgen_train.th"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], ::testing::StartsWith("it names "));
  EXPECT_THAT(found[0], ::testing::HasSubstr("omegaconf."));
}

TEST(WeightsOnly, RefusesLaterProtocols) {
  const std::vector<std::string> found = weights_only_obstacles(*golden("layout_proto4_train.th"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], "the pickle has protocol 4");
  EXPECT_THAT(obstacles("\x80\x03N."), IsEmpty());
  EXPECT_THAT(obstacles("\x80\x05N."), ElementsAre("the pickle has protocol 5"));
}

TEST(WeightsOnly, KnowsTheNamesOfPyTorch) {
  EXPECT_THAT(obstacles(names({{"collections", "OrderedDict"},
                               {"collections", "Counter"},
                               {"torch._utils", "_rebuild_tensor_v2"},
                               {"torch._utils", "_rebuild_parameter"},
                               {"torch", "FloatStorage"},
                               {"torch.cuda", "HalfStorage"},
                               {"torch", "QInt8Storage"},
                               {"torch.storage", "UntypedStorage"},
                               {"torch", "bfloat16"},
                               {"torch", "device"},
                               {"_codecs", "encode"},
                               // As Python 2 spells it.
                               {"__builtin__", "set"}})),
              IsEmpty());
}

TEST(WeightsOnly, SaysWhichNamesItDoesNotKnow) {
  EXPECT_THAT(obstacles(names({{"torch", "FloatStorage"}, {"pathlib", "PosixPath"}})),
              ElementsAre("it names 'pathlib.PosixPath'"));
  EXPECT_THAT(obstacles(names({{"torch", "Float"}, {"torch.cuda", "float32x"}})),
              ElementsAre("it names 'torch.Float' and 'torch.cuda.float32x'"));
  const std::vector<std::string> many =
      obstacles(names({{"a", "A"}, {"b", "B"}, {"c", "C"}, {"d", "D"}, {"e", "E"}}));
  ASSERT_EQ(many.size(), 1u);
  EXPECT_THAT(many[0], ::testing::AllOf(::testing::HasSubstr("'a.A', 'b.B'"),
                                        ::testing::Not(::testing::HasSubstr("'e.E'"))));
}

TEST(OldestPyTorch, FollowsFromTheContainerAndTheTypes) {
  EXPECT_EQ(oldest_pytorch(*golden("musicgen_exported.bin")), "1.6");
  EXPECT_EQ(oldest_pytorch(*golden("layout_legacy_train.th")), "any");
  const testing::TemporaryDirectory directory;
  testing::write_file(
      directory / "x.th",
      testing::checkpoint_zip(names({{"torch._utils", "_rebuild_tensor_v3"}})).bytes());
  EXPECT_EQ(oldest_pytorch(*Checkpoint::open(directory / "x.th")), "2.1");
}

}  // namespace
}  // namespace craftbundle

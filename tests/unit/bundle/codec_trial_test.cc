#include "craftbundle/detail/bundle/codec_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr double kNone = -std::numeric_limits<double>::infinity();

CodecProperties some_codec() {
  CodecProperties codec;
  codec.codebooks = 3;
  codec.cardinality = 1'024;
  return codec;
}

CodecRun sound_run() {
  CodecRun run;
  run.frames = 40;
  run.use = {{30, 4}, {20, 4}, {12, 3}};
  run.si_snr = 5;
  run.level = 0.2;
  run.decoded_level = 0.1;
  return run;
}

std::vector<std::string> oddities(const CodecRun& run,
                                  const CodecProperties& codec = some_codec()) {
  std::vector<std::string> all;
  for (const Finding& finding : find_oddities(run, codec)) {
    EXPECT_EQ(finding.outcome, Finding::Outcome::warns);
    all.push_back(finding.code + ": " + finding.text);
  }
  return all;
}

TEST(CodecOddities, AreNotSeenInWhatTrainedCodecsGive) {
  EXPECT_THAT(oddities(sound_run()), IsEmpty());
  CodecRun low = sound_run();
  low.si_snr = -29.9;
  low.use[2] = {2, 0.1};
  EXPECT_THAT(oddities(low), IsEmpty());
}

TEST(CodecOddities, AreSilence) {
  CodecRun run = sound_run();
  run.decoded_level = 0;
  run.si_snr = kNone;
  EXPECT_THAT(oddities(run), ElementsAre("codec.silence: the codec makes silence of sound"));
  run.decoded_level = 1e-6;
  run.si_snr = -3;
  EXPECT_THAT(oddities(run), ElementsAre("codec.silence: the codec makes silence of sound"));
  // Of silence.
  run.level = 0;
  run.use = {{1, 0}, {1, 0}, {1, 0}};
  EXPECT_THAT(oddities(run), IsEmpty());
}

TEST(CodecOddities, AreAFigureFarBelowTrainedCodecs) {
  CodecRun run = sound_run();
  run.si_snr = -69.3;
  EXPECT_THAT(oddities(run),
              ElementsAre("codec.si_snr: SI-SNR is -69.30 dB, far below what any trained codec "
                          "gives"));
  run.si_snr = kNone;
  EXPECT_THAT(oddities(run), ElementsAre("codec.si_snr: SI-SNR is none, far below what any "
                                         "trained codec gives"));
}

TEST(CodecOddities, AreCodebooksOfOneUsedEntry) {
  CodecRun run = sound_run();
  run.use[1] = {1, 0};
  EXPECT_THAT(oddities(run), ElementsAre("codec.collapsed: codebook 1 has collapsed: one entry of "
                                         "1024 is used"));
  run.use[2] = {1, 0};
  EXPECT_THAT(oddities(run), ElementsAre("codec.collapsed: codebooks 1, 2 have collapsed: one "
                                         "entry of 1024 is used"));
  // A few codes may well be the same.
  CodecProperties slow = some_codec();
  slow.frames_per_code = {1, 1, 8};
  EXPECT_THAT(oddities(run, slow), ElementsAre("codec.collapsed: codebook 1 has collapsed: one "
                                               "entry of 1024 is used"));
  slow.cardinality = 1;
  EXPECT_THAT(oddities(run, slow), IsEmpty());
}

}  // namespace
}  // namespace craftbundle

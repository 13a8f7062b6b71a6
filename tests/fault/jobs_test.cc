// Many stages at the same time with the plugins that users have. Built with ThreadSanitizer, as
// tests/run.sh --full does, a race ends the program with an exit code of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/program.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::run_program;
using testing::TemporaryDirectory;
using testing::write_file;

TEST(Jobs, EightStagesAtATime) {
  const TemporaryDirectory root;
  write_file(root / "run.yaml", "version: 1\nvars: {data: '" CRAFTBUNDLE_TEST_DATA
                                "/golden/data'}\n"
                                R"(stages:
  encodec: {export: "${data}/encodec_train.th", to: out/encodec.bin}
  dac: {export: "${data}/dac_weights.pth", to: out/dac.bin}
  musicgen: {export: "${data}/musicgen_exported.bin", to: out/musicgen.bin}
  audiogen: {export: "${data}/audiogen_train.th", to: out/audiogen.bin}
  half: {export: "${data}/encodec_train.th", to: out/half.bin, options: {dtype: float16}}
  tensors: {export: "${data}/magnet_train.th", to: out/tensors, layout: safetensors}
  model: {bundle: {compression: "${data}/encodec_exported.bin"}, to: out/model}
  shipped: {bundle: {compression: "${data}/encodec_exported.bin"}, to: out/shipped, layout: safetensors}
  check: {verify: [model, encodec, dac, half]}
  sums: {checksum: [shipped, tensors, musicgen, audiogen], to: out/SHA256SUMS}
)");
  for (const char* what : {"the first time", "again", "up to date"}) {
    SCOPED_TRACE(what);
    std::vector<std::string> command = {CRAFTBUNDLE_PROGRAM, "run", "run.yaml", "-j", "8"};
    if (std::string(what) == "again") command.push_back("--rerun");
    const ProgramResult result = run_program(command, root.path());
    EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
    EXPECT_THAT(result.errors, Not(HasSubstr("ThreadSanitizer")));
  }
}

}  // namespace
}  // namespace craftbundle

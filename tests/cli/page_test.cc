// Pages and cards that commands write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::write_file;

class PageTest : public ::testing::Test {
 protected:
  PageTest() {
    const std::string data = CRAFTBUNDLE_TEST_DATA "/golden/data/";
    EXPECT_EQ(craftbundle({"bundle", "--lm", data + "musicgen_train.th", "--compression",
                           data + "encodec_train.th", "-o", "model"})
                  .exit_code,
              0);
    EXPECT_EQ(
        craftbundle({"bundle", "--lm", data + "musicgen_train.th", "--compression",
                     data + "encodec_train.th", "--for", "compression:dtype=float16", "-o", "half"})
            .exit_code,
        0);
  }

  ProgramResult craftbundle(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), CRAFTBUNDLE_PROGRAM);
    return testing::run_program(arguments, root.path());
  }

  testing::TemporaryDirectory root;
};

TEST_F(PageTest, SaysWhatVerifyFound) {
  const ProgramResult result =
      craftbundle({"verify", "half", "--against", "model", "--report", "page.html"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const std::string page = read_file(root / "page.html");
  EXPECT_THAT(page, HasSubstr("Error by layer against the original"));
  EXPECT_THAT(page, HasSubstr("compression_state_dict.bin: encoder.model.0"));
  EXPECT_THAT(page, HasSubstr("layers without a difference"));
  EXPECT_THAT(page, HasSubstr("size of each part of state_dict.bin"));
  EXPECT_THAT(page, HasSubstr("transformer.layers.1"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<audio")));
  // It is made anew each time, also of what does not hold.
  std::string bytes = read_file(root / "half/state_dict.bin");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(root / "half/state_dict.bin", bytes);
  EXPECT_EQ(craftbundle({"verify", "half", "--report", "page.html"}).exit_code, 4);
  EXPECT_THAT(read_file(root / "page.html"), HasSubstr("[zip.crc]"));
}

TEST_F(PageTest, PagesAreWellFormed) {
  if (!fs::exists("/usr/bin/python3")) GTEST_SKIP() << "there is no python3";
  craftbundle({"verify", "half", "--against", "model", "--report", "page.html"});
  const ProgramResult parsed = testing::run_program(
      {"/usr/bin/python3", "-c", "import xml.etree.ElementTree as e; e.parse('page.html')"},
      root.path());
  EXPECT_EQ(parsed.exit_code, 0) << parsed.errors;
}

TEST_F(PageTest, CardsAreWrittenAndWrittenAgain) {
  EXPECT_EQ(craftbundle({"card", "model", "--metadata", "tags=[one]"}).exit_code, 0);
  const Path card = root / "model/README.md";
  const std::string made = read_file(card);
  EXPECT_THAT(made, HasSubstr("tags:\n- one\nlibrary_name: audiocraft\n"));
  EXPECT_EQ(craftbundle({"card", "model", "--metadata", "tags=[one]", "--print"}).output, made);
  write_file(card, made + "mine\n");
  EXPECT_EQ(craftbundle({"card", "model", "--title", "Other"}).exit_code, 0);
  EXPECT_THAT(read_file(card), HasSubstr("# Other\n"));
  EXPECT_THAT(read_file(card), EndsWith("mine\n"));

  write_file(card, "# My own\n");
  const ProgramResult refused = craftbundle({"card", "model"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("was written or changed by hand [target.exists]"));
  EXPECT_EQ(read_file(card), "# My own\n");
  EXPECT_EQ(craftbundle({"card", "model", "--force"}).exit_code, 0);
  EXPECT_THAT(read_file(card), HasSubstr("# model\n"));

  const ProgramResult wrong = craftbundle({"card", "model", "--metadata", "tags"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.errors, HasSubstr("is no NAME=VALUE [usage.arguments]"));
  EXPECT_THAT(craftbundle({"card", "."}).errors, HasSubstr("[card.manifest]"));
}

}  // namespace
}  // namespace craftbundle

// The three functions of AudioCraft, held to what AudioCraft's own do (tests/golden/errors).
#include "craftbundle/audiocraft.h"

#include <boost/filesystem.hpp>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;

Path golden(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

AudiocraftExportOptions with_built_plugins() {
  AudiocraftExportOptions options;
  options.search.directories = {CRAFTBUNDLE_PLUGINS};
  return options;
}

std::vector<std::string> keys_of(const Path& file) {
  const auto checkpoint = Checkpoint::open(file);
  std::vector<std::string> keys;
  for (const auto [key, value] : checkpoint->root().entries()) {
    keys.emplace_back(key.as_string());
  }
  return keys;
}

const std::vector<std::string> kPackageKeys = {"best_state", "xp.cfg", "version", "exported"};

TEST(AudiocraftApi, ExportLmCreatesParentsAndReturnsTheFile) {
  const TemporaryDirectory directory;
  const Path out = directory / "a/b/state_dict.bin";
  EXPECT_EQ(export_lm(golden("musicgen_train.th"), out, with_built_plugins()), out);
  EXPECT_EQ(keys_of(out), kPackageKeys);
}

TEST(AudiocraftApi, ReplacesWhatIsThere) {
  const TemporaryDirectory directory;
  const Path out = directory / "compression_state_dict.bin";
  testing::write_file(out, "old");
  EXPECT_EQ(export_encodec(golden("encodec_train.th"), out, with_built_plugins()), out);
  EXPECT_EQ(keys_of(out), kPackageKeys);
}

TEST(AudiocraftApi, APretrainedNameBecomesAReference) {
  const TemporaryDirectory directory;
  const Path out = directory / "c.bin";
  export_pretrained_compression_model("facebook/encodec_32khz", out, with_built_plugins());
  EXPECT_EQ(keys_of(out), (std::vector<std::string>{"pretrained", "exported", "version"}));
}

TEST(AudiocraftApi, AnExportedFileIsCopied) {
  const TemporaryDirectory directory;
  const Path out = directory / "c.bin";
  export_pretrained_compression_model(golden("encodec_exported.bin").string(), out,
                                      with_built_plugins());
  EXPECT_EQ(keys_of(out), kPackageKeys);
}

TEST(AudiocraftApi, RefusesWhatAudioCraftRefuses) {
  const TemporaryDirectory directory;
  const Path out = directory / "out.bin";
  expect_error(ErrorKind::input, "package.not_exported", HasSubstr("no key 'exported'"), [&] {
    export_pretrained_compression_model(golden("encodec_train.th").string(), out,
                                        with_built_plugins());
  });
  expect_error(ErrorKind::input, "source.not_found", HasSubstr("encodec_trian.th"), [&] {
    export_pretrained_compression_model(golden("encodec_trian.th").string(), out,
                                        with_built_plugins());
  });
  expect_error(ErrorKind::input, "exporter.component", HasSubstr("'compression'"),
               [&] { export_lm(golden("encodec_train.th"), out, with_built_plugins()); });
  expect_error(ErrorKind::system, "io.enoent", HasSubstr("missing.th"),
               [&] { export_encodec(golden("missing.th"), out, with_built_plugins()); });
  EXPECT_TRUE(directory.names().empty());
}

}  // namespace
}  // namespace craftbundle

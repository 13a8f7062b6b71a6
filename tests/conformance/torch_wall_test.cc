// The wall around LibTorch: mapping it costs more than most exports, so only what computes may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>

#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/bundle/verify.h"
#include "craftbundle/detail/host/elf.h"
#include "craftbundle/detail/host/host.h"
#include "support/program.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using testing::ProgramResult;
using testing::TemporaryDirectory;

// The plugin that runs codecs.
constexpr std::string_view kRunner = "codecs.so";

bool is_libtorch(const std::string& library) {
  const std::string name = Path(library).filename().string();
  return name.starts_with("libtorch") || name.starts_with("libc10");
}

// Whether DT_NEEDED names it.
bool needs_libtorch(const Path& library) {
  return std::ranges::any_of(read_elf_names(library).needed, is_libtorch);
}

// Whether this process has LibTorch mapped.
bool has_libtorch() {
  const std::string maps = testing::read_file("/proc/self/maps");
  return maps.find("/libtorch") != std::string::npos || maps.find("/libc10") != std::string::npos;
}

std::vector<Path> plugins() {
  std::vector<Path> files;
  for (const auto& entry : boost::filesystem::directory_iterator(CRAFTBUNDLE_PLUGINS)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  }
  return files;
}

const Host& host() {
  static const Host host([] {
    Host::Options options;
    options.search = {{Path(CRAFTBUNDLE_PLUGINS)}, false, false, false};
    return options;
  }());
  return host;
}

Path data(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

PreparedComponent prepare(const std::string& name, std::vector<OptionValue> options = {}) {
  return prepare_component({Source::of_checkpoint(name, host().open(data(name))),
                            std::nullopt,
                            std::nullopt,
                            std::move(options),
                            {}},
                           host());
}

TEST(LibTorch, IsNeededByNothingButWhatRunsCodecs) {
  // The loader's own list, with everything that is needed through something else.
  const ProgramResult loaded =
      Program({CRAFTBUNDLE_PROGRAM}, "/", {{"LD_TRACE_LOADED_OBJECTS", "1"}}).wait();
  EXPECT_THAT(loaded.output, HasSubstr("libcraftbundle"));
  EXPECT_THAT(loaded.output, Not(HasSubstr("libtorch")));
  EXPECT_THAT(loaded.output, Not(HasSubstr("libc10")));
  EXPECT_FALSE(needs_libtorch(CRAFTBUNDLE_LIBRARY));
  ASSERT_GE(plugins().size(), 5u);
  for (const Path& plugin : plugins()) {
    EXPECT_EQ(needs_libtorch(plugin), plugin.filename() == Path(std::string(kRunner))) << plugin;
  }
}

TEST(LibTorch, IsNotMappedByExportsAndChecks) {
  const TemporaryDirectory directory;
  PublishOptions quick;
  quick.durability = Durability::no_sync;
  write_component(prepare("dac_weights.pth"), {}, host(), directory / "dac.bin", quick);
  write_component(prepare("encodec_train.th", {{"dtype", "float16"}, {"fold-weight-norm", "true"}}),
                  {}, host(), directory / "codec.bin", quick);
  BundleOptions options;
  options.durability = Durability::no_sync;
  write_bundle({prepare("musicgen_train.th"), prepare("encodec_train.th")}, {}, host(),
               directory / "bundle", options);
  const Verification found = verify(directory / "bundle", host(), {});
  EXPECT_EQ(found.count(Finding::Outcome::fails), 0u);
  EXPECT_FALSE(has_libtorch());
}

// So that the test above can fail.
TEST(LibTorch, IsMappedToRunACodec) {
  if (!host().can_run("encodec")) GTEST_SKIP() << "built without LibTorch";
  const std::unique_ptr<Codec> codec = host().load_codec(prepare("encodec_train.th"));
  EXPECT_TRUE(has_libtorch());
}

}  // namespace
}  // namespace craftbundle

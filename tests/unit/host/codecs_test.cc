// Codecs that plugins run, as users of the host see them.
#include <gtest/gtest.h>

#include "craftbundle/detail/host/host.h"
#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using testing::copy_plugin;
using ::testing::Eq;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::only;
using testing::only_good;
using testing::TemporaryDirectory;

// As an exporter of this name would have made it.
PreparedComponent made_by(const std::string& exporter) {
  ExporterInfo info;
  info.name = exporter;
  Component component;
  component.role = "compression";
  Model model;
  model.family = exporter;
  model.extra = {{"made_by", exporter}};
  component.content = std::move(model);
  return {component, info, "1.0.0", {}, {}, Source::of_pretrained("x", "x"), {}};
}

TEST(Codecs, AreListedWithoutMappingAnything) {
  const TemporaryDirectory directory;
  const Path library = copy_plugin("fixture_runners", directory.path());
  const Host host(only({directory.path()}));
  ASSERT_EQ(host.plugins().size(), 1u);
  const auto codecs = host.offers<CodecLoaderInfo>();
  ASSERT_EQ(codecs.size(), 1u);
  EXPECT_EQ(codecs[0].plugin, &host.plugins()[0]);
  EXPECT_EQ(*codecs[0].info,
            (CodecLoaderInfo{{"tone-runner", "Runs \"tones\" for tests."}, {"tone", "hum"}}));
  EXPECT_TRUE(host.can_run("tone"));
  EXPECT_TRUE(host.can_run("hum"));
  EXPECT_FALSE(host.can_run("voice"));
  EXPECT_FALSE(host.can_run("tone-runner"));
  EXPECT_FALSE(testing::is_mapped(library));
  host.load_codec(made_by("tone"));
  EXPECT_TRUE(testing::is_mapped(library));
}

TEST(Codecs, RunComponentsOfOtherLibraries) {
  std::unique_ptr<Codec> codec;
  {
    const Host host(only_good());
    const PreparedComponent prepared =
        host.prepare({Source::of_pretrained("tone", "fixture/tone"), std::nullopt, "tone", {}});
    EXPECT_NE(prepared.plugin_library.filename(), "fixture_runners.so");
    codec = host.load_codec(prepared, {"cpu", 3});
  }
  // It may outlive the host.
  EXPECT_EQ(codec->properties().engine, "fixture with 3 threads");
  EXPECT_EQ(codec->properties().device, "cpu");
  const Audio audio{1, 1, 5, {0.5f, 0.5f, -0.25f, -0.25f, 1}};
  const Codes codes = codec->encode(audio);
  EXPECT_EQ(codes.codebooks, 2);
  EXPECT_EQ(codes.data, (std::vector<std::int64_t>{12, 6, 15, 12, 6, 15}));
  EXPECT_EQ(codec->encode(audio, 1).codebooks, 1);
  EXPECT_EQ(codec->decode(codes).data,
            (std::vector<float>{0.5f, 0.5f, -0.25f, -0.25f, 0.875f, 0.875f}));
  EXPECT_EQ(codec->encode_latent(audio).data, (std::vector<float>{0.5f, -0.25f, 1}));
  EXPECT_EQ(codec->decode_latent(codes).data, (std::vector<float>{0.5f, -0.25f, 0.875f}));
  const TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  codec->save(file);
  EXPECT_EQ(file.size(), 6u);
}

TEST(Codecs, ThatNobodyRunsAreRefused) {
  const Host host(only({fixture("good")}));
  try {
    host.load_codec(made_by("voice"));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::plugin);
    EXPECT_EQ(error.code(), "codec.none");
    EXPECT_EQ(error.message(), "no plugin runs components of exporter 'voice'");
    EXPECT_EQ(error.hint(), "'craftbundle plugins list' shows what there is");
  }
  const TemporaryDirectory directory;
  testing::write_file(directory / "broken.so", "");
  try {
    Host(only({directory.path()})).load_codec(made_by("tone"));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "codec.none");
    EXPECT_EQ(error.hint(),
              "some plugin libraries were refused: 'craftbundle plugins list' says why");
  }
}

TEST(Codecs, SayWhatIsWrongWithPackageAndDevice) {
  const Host host(only_good());
  PreparedComponent other = made_by("tone");
  std::get<Model>(other.component.content).extra.clear();
  expect_error(ErrorKind::input, "codec.unsupported", Eq("the model is no tone"),
               [&] { host.load_codec(other); });
  expect_error(ErrorKind::usage, "codec.device", Eq("tones do not run on 'cuda:0'"), [&] {
    host.load_codec(made_by("tone"), {"cuda:0", 0});
  });
  const std::unique_ptr<Codec> codec = host.load_codec(made_by("tone"));
  expect_error(ErrorKind::input, "codec.code", Eq("code 16 is none of the 16 of a tone"), [&] {
    codec->decode({1, 1, 1, {16}, {}});
  });
}

// ---- loaders that misbehave; the exporters that they name are not there ----

class UnrulyCodecs : public ::testing::TestWithParam<const char*> {
 protected:
  template <typename Action>
  void expect_blame(const std::string& loader, const std::string& code, const std::string& what,
                    Action&& action) {
    expect_error(ErrorKind::plugin, code,
                 MatchesRegex(".*/fixture_[a-z_]+.so: codec '" + loader + "': " + what), action);
  }
  std::unique_ptr<Codec> load(const std::string& loader) {
    return host_.load_codec(made_by("of_" + loader));
  }

  const Host host_{only({fixture(GetParam())})};
};

TEST_P(UnrulyCodecs, AreOfferedAllTheSame) {
  EXPECT_TRUE(host_.can_run("of_null"));
  EXPECT_FALSE(host_.can_run("null"));
}

TEST_P(UnrulyCodecs, MayRefuseAPackage) {
  try {
    load("refuses");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.code(), "codec.unsupported");
    EXPECT_EQ(error.message(), "the codec is not to its taste");
    EXPECT_EQ(error.hint(), "try another");
  }
}

TEST_P(UnrulyCodecs, AreBlamedForWhatTheyThrow) {
  expect_blame("load_throws", "plugin.exception", "bad day", [&] { load("load_throws"); });
  expect_blame("load_throws_int", "plugin.exception", "an exception that is no std::exception",
               [&] { load("load_throws_int"); });
  const std::unique_ptr<Codec> codec = load("throwing");
  expect_blame("throwing", "plugin.exception", "encoding went wrong", [&] {
    codec->encode({1, 1, 1, {0}});
  });
  // An Error is about the input.
  expect_error(ErrorKind::input, "codec.code", Eq("these are no codes"), [&] {
    codec->decode({1, 1, 1, {0}, {}});
  });
}

TEST_P(UnrulyCodecs, AreBlamedForWhatTheyMake) {
  expect_blame("null", "plugin.codec", "a codec that is null was made", [&] { load("null"); });
  expect_blame("no_hop", "plugin.codec", "states hop_length 0", [&] { load("no_hop"); });
  const std::unique_ptr<Codec> codec = load("hollow");
  expect_blame("hollow", "plugin.codec",
               "encode\\(\\) returned codes of 1 x 1 x 9 in 0 numbers for 1 inputs and 1 codebooks",
               [&] {
                 codec->encode({1, 1, 1, {0}});
               });
}

INSTANTIATE_TEST_SUITE_P(Each, UnrulyCodecs, ::testing::Values("good"));
#ifdef CRAFTBUNDLE_OWN_RUNTIME
// What a library with a C++ runtime of its own throws is caught as well.
INSTANTIATE_TEST_SUITE_P(WithItsOwnRuntime, UnrulyCodecs, ::testing::Values("own_runtime"));
#endif

TEST(Codecs, AreOfferedOnce) {
  const TemporaryDirectory directory;
  boost::filesystem::create_directory(directory / "b");
  copy_plugin("fixture_runner_faults", directory.path());
  copy_plugin("fixture_runner_faults", directory / "b");
  const Host host(only({directory.path(), directory / "b"}));
  EXPECT_EQ(host.plugins().size(), 1u);
  ASSERT_EQ(host.refused().size(), 1u);
  EXPECT_EQ(host.refused()[0].code, "plugin.duplicate");
  EXPECT_THAT(host.refused()[0].reason, HasSubstr("offers the codec 'refuses', which "));
}

TEST(Codecs, MustBeWhatTheSidecarSays) {
  const TemporaryDirectory directory;
  const Path library = copy_plugin("fixture_runners", directory.path());
  std::string text = testing::read_file(sidecar_path(library));
  const std::size_t place = text.rfind("hum");
  ASSERT_NE(place, std::string::npos);
  testing::write_file(sidecar_path(library), text.replace(place, 3, "ham"));
  const Host host(only({directory.path()}));
  EXPECT_TRUE(host.can_run("ham"));
  expect_error(ErrorKind::plugin, "plugin.sidecar_mismatch",
               HasSubstr("is not what fixture_runners.plugin.yaml describes"),
               [&] { host.load_codec(made_by("tone")); });
}

}  // namespace
}  // namespace craftbundle

// Bundles of AudioCraft with the text encoder in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/output_file.h"
#include "language_model/exporter.h"
#include "layouts/audiocraft/layout.h"
#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using audiocraft::AudiocraftLayout;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::golden;
using testing::replaced;
using ::testing::StrEq;

class Context final : public LayoutContext {
 public:
  Sink& sink() override { return Sink::none(); }
  const Cancellation& cancellation() const override { return Cancellation::never(); }
  std::shared_ptr<const Checkpoint> open(const Path& path) override {
    return Checkpoint::open(path);
  }
  SafetensorsModel open_safetensors(const Path& path) override {
    auto file = Safetensors::open(path);
    SafetensorsModel model;
    model.tensors = file->tensors();
    model.files = {std::move(file)};
    return model;
  }
  std::shared_ptr<const InputFile> open_file(const Path& path) override {
    return std::make_shared<const InputFile>(path);
  }
  FileContentPtr program(const Component& /*component*/) override { return nullptr; }
};

Component language_model(const std::string& file = "musicgen_train.th") {
  const language_model::LanguageModelExporter exporter;
  return testing::prepare(exporter, testing::file_request(exporter, golden(file)));
}

// With tensors of a language model for want of better ones.
Component text_encoder() {
  Model model;
  model.family = "t5";
  model.config = Config::from_yaml("model_type: t5\nd_model: 768\nlayer_norm_epsilon: 1.0e-06\n");
  const Component lm = language_model();
  model.tensors = {lm.model()->tensors.front()};
  model.tensors.front().name = "shared.weight";
  model.files = {{"tokenizer.json", text_file("{}")}, {"spiece.model", text_file("pieces")}};
  Component component;
  component.role = "text_encoder";
  component.content = std::move(model);
  return component;
}

Component codec() {
  Component component;
  component.role = "compression";
  component.content = Reference{"facebook/encodec_32khz", {}};
  component.fetches = {{"facebook/encodec_32khz", "compression"}};
  return component;
}

Component codec_with_weights() {
  Component component = language_model();
  component.role = "compression";
  return component;
}

// The same with another configuration.
Component with_config(Component component, const std::string& from, const std::string& to) {
  Model& model = std::get<Model>(component.content);
  model.config = Config::from_yaml(replaced(model.config.text(), from, to));
  return component;
}

std::vector<BundleFile> plan(const std::vector<Component>& components, bool embed) {
  Context context;
  return AudiocraftLayout().plan(components, {{"embed", embed ? "true" : "false"}}, context);
}

std::vector<std::string> names(const std::vector<BundleFile>& files) {
  std::vector<std::string> names;
  for (const BundleFile& file : files) names.push_back(file.name);
  return names;
}

void write(const std::vector<BundleFile>& files, const Path& directory) {
  for (const BundleFile& file : files) {
    const Path path = directory / file.name;
    fs::create_directories(path.parent_path());
    OutputFile out(path.parent_path(), Durability::no_sync);
    file.content->write(out, {});
    out.publish(path, true);
  }
}

TEST(AudiocraftLayout, LeavesTheTextEncoderOut) {
  EXPECT_THAT(names(plan({language_model(), codec(), text_encoder()}, false)),
              ElementsAre("state_dict.bin", "compression_state_dict.bin"));
  EXPECT_THAT(AudiocraftLayout().info().leaves_out, ElementsAre("text_encoder"));
}

TEST(AudiocraftLayout, EmbedsItAsTheFolderThatAudioCraftLooksFor) {
  const std::vector<BundleFile> files = plan({language_model(), text_encoder()}, true);
  EXPECT_THAT(names(files),
              ElementsAre("state_dict.bin", "t5-base/config.json", "t5-base/model.safetensors",
                          "t5-base/tokenizer.json", "t5-base/spiece.model"));
  EXPECT_EQ(files[1].roles, std::vector<std::string>{"text_encoder"});
  EXPECT_EQ(files[0].use,
            "import os; os.environ['HF_HUB_OFFLINE'] = '1'; os.chdir('{bundle}'); "
            "from audiocraft.models import MusicGen, loaders; d = '.'; "
            "lm = loaders.load_lm_model(d); "
            "model = MusicGen(d, loaders.load_compression_model(d), lm, max_duration=30)");
  Component lm = language_model();
  lm.load_with = "MusicGen.get_pretrained('{bundle}')";
  EXPECT_EQ(plan({lm, text_encoder()}, true)[0].use,
            "import os; os.environ['HF_HUB_OFFLINE'] = '1'; os.chdir('{bundle}'); "
            "from audiocraft.models import MusicGen; MusicGen.get_pretrained('.')");
}

TEST(AudiocraftLayout, FindsTheFolderAgain) {
  const testing::TemporaryDirectory directory;
  write(plan({language_model(), text_encoder()}, true), directory / "m");
  Context context;
  std::vector<RoleSource> sources =
      AudiocraftLayout().sources(directory / "m", {"text_encoder"}, context);
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].role, "text_encoder");
  EXPECT_THAT(sources[0].files, ElementsAre("t5-base/config.json", "t5-base/model.safetensors",
                                            "t5-base/tokenizer.json", "t5-base/spiece.model"));
  const Model& model = sources[0].source.model();
  EXPECT_EQ(model.family, "t5");
  EXPECT_EQ(model.config.get_string("model_type"), "t5");
  EXPECT_EQ(model.config.get_int("d_model"), 768);
  EXPECT_EQ(model.config.get_real("layer_norm_epsilon"), 1e-6);
  ASSERT_EQ(model.tensors.size(), 1u);
  EXPECT_EQ(model.tensors[0].name, "shared.weight");
  ASSERT_EQ(model.files.size(), 2u);
  EXPECT_EQ(model.files[1].name, "spiece.model");

  fs::remove_all(directory / "m/t5-base");
  EXPECT_TRUE(AudiocraftLayout().sources(directory / "m", {"text_encoder"}, context).empty());
  EXPECT_EQ(AudiocraftLayout().sources(directory / "m", {}, context).size(), 1u);
}

TEST(AudiocraftLayout, WritesTheConfigurationAsItWas) {
  const testing::TemporaryDirectory directory;
  write(plan({language_model(), text_encoder()}, true), directory / "m");
  EXPECT_EQ(testing::read_text(directory / "m/t5-base/config.json"),
            "{\n  \"model_type\": \"t5\",\n  \"d_model\": 768,\n"
            "  \"layer_norm_epsilon\": 1e-06\n}\n");
}

TEST(AudiocraftLayout, RefusesATextEncoderThatAudioCraftWouldNotFind) {
  const auto refuse = [](const std::vector<Component>& components, const std::string& words) {
    expect_error(ErrorKind::mismatch, "embed.text_encoder",
                 StrEq("the text encoder cannot be put into the bundle: " + words),
                 [&] { plan(components, true); });
  };
  refuse({codec_with_weights(), text_encoder()}, "no language model in it has one");
  refuse({with_config(language_model(), "name: t5-base", "name: my-t5"), text_encoder()},
         "AudioCraft takes none of the name 'my-t5'");
  Component reference = text_encoder();
  reference.content = Reference{"t5-base", {}};
  refuse({language_model(), reference}, "it is no 't5' with weights");
}

TEST(AudiocraftLayout, RefusesNamesWhenItIsToHoldEverything) {
  expect_error(ErrorKind::mismatch, "embed.reference",
               StrEq("the compression component is only the name 'facebook/encodec_32khz', and its "
                     "weights are not at hand"),
               [&] {
                 plan({language_model(), codec(), text_encoder()}, true);
               });
}

}  // namespace
}  // namespace craftbundle

// Weights that others have saved, with the configuration of another model; and models that no rule
// covers. From the command line and in runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "support/program.h"
#include "unit/host/fixtures.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

std::string data(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

// A state dict in whatever form a test wants it.
Value value_of(const TensorContent& tensor) {
  return std::visit([](const auto& content) { return Value(content); }, tensor);
}

Value::Dict dict_of(const std::vector<NamedTensor>& tensors) {
  Value::Dict dict;
  for (const NamedTensor& named : tensors) dict.emplace_back(named.name, value_of(named.tensor));
  return dict;
}

std::vector<NamedTensor> with_prefix(const std::string& prefix, std::vector<NamedTensor> tensors) {
  for (NamedTensor& named : tensors) named.name.insert(0, prefix);
  return tensors;
}

class Foreign : public ::testing::Test {
 protected:
  Foreign()
      : lm_file_(Checkpoint::open(data("musicgen_exported.bin"))),
        codec_file_(Checkpoint::open(data("encodec_exported.bin"))),
        lm(state_of(*lm_file_)),
        codec(state_of(*codec_file_)),
        lm_config(lm_file_->root().at("xp.cfg").as_string()),
        codec_config(codec_file_->root().at("xp.cfg").as_string()) {
    craftbundle({"export", data("musicgen_exported.bin"), "-o", "lm.bin"});
    craftbundle({"export", data("encodec_exported.bin"), "-o", "codec.bin"});
  }

  static std::vector<NamedTensor> state_of(const Checkpoint& checkpoint) {
    std::vector<NamedTensor> tensors;
    for (const DictView::Entry entry : checkpoint.root().at("best_state").entries()) {
      tensors.push_back({std::string(entry.key.as_string()), checkpoint.tensor(entry.value)});
    }
    return tensors;
  }

  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle");
    return testing::run_program(arguments, directory.path());
  }

  // The output of a command that must succeed.
  std::string craftbundle(std::vector<std::string> arguments) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  // Standard error of a command that must fail with this exit code.
  std::string refusal(std::vector<std::string> arguments, int exit_code = 3) const {
    const ProgramResult result = run(std::move(arguments));
    EXPECT_EQ(result.exit_code, exit_code) << result.output;
    return result.errors;
  }

  void write(const std::string& name, Value::Dict entries) const {
    testing::write_checkpoint(directory / name, std::move(entries));
  }

  void write_safetensors(const std::string& name, const std::vector<NamedTensor>& tensors) const {
    OutputFile file(directory.path(), Durability::no_sync);
    craftbundle::write_safetensors(tensors, {}, file, {});
    file.publish(directory / name, true);
  }

  // As Lightning saves a module that holds a language model beside other things.
  Value::Dict lightning() const {
    std::vector<NamedTensor> state = with_prefix("model.compression.", codec);
    for (NamedTensor& named : with_prefix("model.lm.", lm)) state.push_back(std::move(named));
    state.push_back({"loss.window", codec.front().tensor});
    return {{"epoch", std::int64_t{3}},
            {"pytorch-lightning_version", "2.4.0"},
            {"state_dict", dict_of(state)},
            {"optimizer_states", Value::List{}}};
  }

  Value::Dict package(std::vector<NamedTensor> tensors, std::string config) const {
    return {{"best_state", dict_of(tensors)},
            {"xp.cfg", std::move(config)},
            {"version", "1.4.0a2"},
            {"exported", true}};
  }

  void expect_same(const std::string& one, const std::string& other) const {
    EXPECT_TRUE(read_file(directory / one) == read_file(directory / other))
        << one << " and " << other;
  }

  std::vector<std::string> clauses(const std::string& report, const char* key) const {
    return json::parse(report)[key].get<std::vector<std::string>>();
  }

  TemporaryDirectory directory;

 private:
  std::shared_ptr<const Checkpoint> lm_file_;
  std::shared_ptr<const Checkpoint> codec_file_;

 protected:
  std::vector<NamedTensor> lm;
  std::vector<NamedTensor> codec;
  std::string lm_config;
  std::string codec_config;
};

TEST_F(Foreign, LightningTakesTheConfigurationOfAPackage) {
  write("last.ckpt", lightning());
  const std::string report =
      craftbundle({"export", "last.ckpt", "--config-from", "lm.bin", "-o", "out.bin", "--json"});
  expect_same("out.bin", "lm.bin");
  EXPECT_THAT(
      clauses(report, "checks"),
      ElementsAre("configuration of lm.bin taken", "prefix 'model.lm.' taken off 36 tensors",
                  HasSubstr("36 tensors of ['state_dict'] have the names and shapes")));
  EXPECT_THAT(clauses(report, "warnings"),
              Contains("117 other tensors left out: 'model.compression.*' (116), 'loss.*' (1)"));
  const json said = json::parse(report);
  EXPECT_EQ(said["source"], "last.ckpt");
  EXPECT_EQ(said["files_read"][0]["name"], "lm.bin");
  EXPECT_EQ(said["files_read"][1]["name"], "last.ckpt");
  EXPECT_THAT(said["options"], Contains(json({{"name", "config-from"}, {"value", "lm.bin"}})));
}

TEST_F(Foreign, TheOtherHalfOfItToo) {
  write("last.ckpt", lightning());
  craftbundle(
      {"export", "last.ckpt", "--config-from", data("encodec_exported.bin"), "-o", "out.bin"});
  expect_same("out.bin", "codec.bin");
}

TEST_F(Foreign, WithoutAConfigurationSayWhatToPass) {
  write("last.ckpt", lightning());
  EXPECT_EQ(refusal({"export", "last.ckpt", "-o", "x.bin"}),
            "error: no exporter understands 'last.ckpt': the file is a checkpoint of PyTorch "
            "Lightning [exporter.none]\n  hint: weights without a configuration: say with "
            "--config-from which model has it, a bundle, an exported file, a checkpoint or a "
            "configuration as YAML\n");
  write("lm_final.pt", dict_of(lm));
  EXPECT_THAT(refusal({"export", "lm_final.pt", "-o", "x.bin"}),
              AllOf(HasSubstr("a bare state dict of 36 entries"), HasSubstr("--config-from")));
  write_safetensors("lm.safetensors", lm);
  EXPECT_THAT(refusal({"export", "lm.safetensors", "-o", "x.bin"}),
              AllOf(HasSubstr("[format.safetensors]"), HasSubstr("--config-from")));
  EXPECT_FALSE(fs::exists(directory / "x.bin"));
}

TEST_F(Foreign, WrappersAreFoundByTheNames) {
  const auto out = [&](const std::string& name) {
    return clauses(craftbundle({"export", name, "--config-from", "lm.bin", "-o", "out.bin",
                                "--force", "--json"}),
                   "checks");
  };
  write("bare.pt", dict_of(lm));
  EXPECT_THAT(out("bare.pt"), Not(Contains(HasSubstr("prefix"))));
  expect_same("out.bin", "lm.bin");
  write("ddp.pt", dict_of(with_prefix("module.", lm)));
  EXPECT_THAT(out("ddp.pt"), Contains("prefix 'module.' taken off 36 tensors"));
  expect_same("out.bin", "lm.bin");
  write("both.pt", {{"model", dict_of(with_prefix("module._orig_mod.", lm))}});
  EXPECT_THAT(out("both.pt"), AllOf(Contains("'_orig_mod.' taken out of the names of 36 tensors"),
                                    Contains("prefix 'module.' taken off 36 tensors")));
  expect_same("out.bin", "lm.bin");
  // Compiled layers, and nobody's usual wrapper.
  std::vector<NamedTensor> layers = with_prefix("my.wrapper.", lm);
  for (NamedTensor& named : layers) {
    const std::size_t at = named.name.find("layers.0.");
    if (at != std::string::npos) named.name.insert(at + 9, "_orig_mod.");
  }
  write("layers.pt", dict_of(layers));
  EXPECT_THAT(out("layers.pt"), Contains("prefix 'my.wrapper.' taken off 36 tensors"));
  expect_same("out.bin", "lm.bin");
}

TEST_F(Foreign, OrderIsThatOfTheModel) {
  write_safetensors("lm.safetensors", with_prefix("lm.", lm));
  craftbundle({"export", "lm.safetensors", "--config-from", "lm.bin", "-o", "out.bin"});
  expect_same("out.bin", "lm.bin");
}

TEST_F(Foreign, ShardsAreReadByTheirIndex) {
  fs::create_directories(directory / "sharded");
  const ShardPlan plan = plan_shards(lm, 40'000, "model");
  ASSERT_GT(plan.shards.size(), 1u);
  for (const ShardPlan::Shard& shard : plan.shards) {
    write_safetensors("sharded/" + shard.file, shard.tensors);
  }
  write_file(directory / ("sharded/" + plan.index_file), plan.index);
  for (const std::string& source : {std::string("sharded"), "sharded/" + plan.index_file}) {
    craftbundle({"export", source, "--config-from", "lm.bin", "-o", "out.bin", "--force"});
    expect_same("out.bin", "lm.bin");
  }
  // The same as torch.save writes it.
  fs::create_directories(directory / "bins");
  const std::vector<NamedTensor> first(lm.begin(), lm.begin() + 10);
  const std::vector<NamedTensor> rest(lm.begin() + 10, lm.end());
  json map = json::object();
  for (const NamedTensor& named : first) map[named.name] = "pytorch_model-1.bin";
  for (const NamedTensor& named : rest) map[named.name] = "pytorch_model-2.bin";
  write("bins/pytorch_model-1.bin", dict_of(first));
  write("bins/pytorch_model-2.bin", dict_of(rest));
  write_file(directory / "bins/pytorch_model.bin.index.json", json{{"weight_map", map}}.dump());
  craftbundle({"export", "bins", "--config-from", "lm.bin", "-o", "out.bin", "--force"});
  expect_same("out.bin", "lm.bin");
  write("bins/pytorch_model-2.bin", dict_of(first));
  EXPECT_THAT(refusal({"export", "bins", "--config-from", "lm.bin", "-o", "x.bin"}),
              AllOf(HasSubstr("[weights.index]"), HasSubstr("which has 0 of them")));
  fs::remove(directory / "bins/pytorch_model.bin.index.json");
  EXPECT_THAT(
      refusal({"export", "bins", "--config-from", "lm.bin", "-o", "x.bin"}),
      AllOf(HasSubstr("[weights.directory]"), HasSubstr("name the file that holds the weights")));
}

TEST_F(Foreign, ABundleIsAskedForTheRightHalf) {
  craftbundle(
      {"bundle", "--lm", "lm.bin", "--compression", "codec.bin", "--allow-mismatch", "-o", "base"});
  write("bare.pt", dict_of(with_prefix("module.", codec)));
  craftbundle({"export", "bare.pt", "--config-from", "base", "-o", "out.bin"});
  expect_same("out.bin", "codec.bin");
  craftbundle({"convert", "base", "--layout", "safetensors", "--allow-mismatch", "-o", "other"});
  const std::string report = craftbundle(
      {"export", "bare.pt", "--config-from", "other", "-o", "out.bin", "--force", "--json"});
  expect_same("out.bin", "codec.bin");
  EXPECT_EQ(json::parse(report)["files_read"].size(), 3u);
  // A tuned model with the codec of the base.
  write("lm.pt", dict_of(with_prefix("lm.", lm)));
  craftbundle({"bundle", "--lm", "lm.pt", "--compression", "bare.pt", "--lm-option",
               "config-from=base", "--for", "compression:config-from=base", "--allow-mismatch",
               "-o", "tuned"});
  expect_same("tuned/state_dict.bin", "base/state_dict.bin");
  expect_same("tuned/compression_state_dict.bin", "base/compression_state_dict.bin");
}

TEST_F(Foreign, AConfigurationAloneIsEnough) {
  write_file(directory / "lm.yaml", lm_config);
  write("last.ckpt", lightning());
  const std::string report =
      craftbundle({"export", "last.ckpt", "--config-from", "lm.yaml", "-o", "out.bin", "--json"});
  expect_same("out.bin", "lm.bin");
  EXPECT_THAT(clauses(report, "checks"), Contains("prefix 'model.lm.' taken off 36 tensors"));
  // What does not fit is what the exporter says.
  std::vector<NamedTensor> less(lm.begin(), lm.end() - 1);
  write("less.pt", dict_of(with_prefix("module.", less)));
  EXPECT_THAT(refusal({"export", "less.pt", "--config-from", "lm.yaml", "-o", "x.bin"}),
              AllOf(HasSubstr("[state.tensors]"), HasSubstr("1 missing ('" + lm.back().name)));
}

TEST_F(Foreign, WhatDoesNotFitIsListed) {
  std::vector<NamedTensor> odd = lm;
  const std::string lost = odd.back().name;
  odd.pop_back();
  const std::string reshaped = odd.front().name;
  odd.front().tensor = codec.front().tensor;
  odd.push_back({"out_norm.extra", codec.front().tensor});
  write("odd.pt", dict_of(odd));
  EXPECT_THAT(refusal({"export", "odd.pt", "--config-from", "lm.bin", "-o", "x.bin"}),
              AllOf(HasSubstr("[weights.tensors]"), HasSubstr("1 missing ('" + lost + "')"),
                    HasSubstr("1 unexpected ('out_norm.extra')"),
                    HasSubstr("1 of another shape ('" + reshaped)));
  write("other.pt", dict_of(codec));
  EXPECT_THAT(refusal({"export", "other.pt", "--config-from", "lm.bin", "-o", "x.bin"}),
              HasSubstr("[weights.names]"));
  std::vector<NamedTensor> lora = lm;
  lora.push_back({"transformer.layers.0.linear1.lora_A.default.weight", lm.front().tensor});
  write("lora.pt", dict_of(lora));
  EXPECT_THAT(refusal({"export", "lora.pt", "--config-from", "lm.bin", "-o", "x.bin"}),
              HasSubstr("merge_and_unload()"));
  write("none.pt", {{"a", std::int64_t{1}}});
  EXPECT_THAT(refusal({"export", "none.pt", "--config-from", "lm.bin", "-o", "x.bin"}),
              HasSubstr("holds no dict of tensors [weights.none]"));
  EXPECT_THAT(
      refusal({"export", "other.pt", "--config-from", "facebook/encodec_32khz", "-o", "x.bin"}, 2),
      HasSubstr("has no configuration of such a model here"));
  EXPECT_THAT(refusal({"export", "other.pt", "--config-from", "nofile.bin", "-o", "x.bin"}),
              HasSubstr("config-from: 'nofile.bin': there is no 'nofile.bin'"));
  EXPECT_THAT(refusal({"export", "nofile.pt", "--config-from", "lm.bin", "-o", "x.bin"}),
              HasSubstr("[source.not_found]"));
}

TEST_F(Foreign, ParametrizationsAreSpelledAsTheModelSpellsThem) {
  std::vector<NamedTensor> tensors = codec;
  for (NamedTensor& named : tensors) {
    for (const auto& [from, to] :
         {std::pair<std::string, std::string>(".weight_g", ".parametrizations.weight.original0"),
          {".weight_v", ".parametrizations.weight.original1"}}) {
      if (!named.name.ends_with(from)) continue;
      named.name.replace(named.name.size() - from.size(), from.size(), to);
      break;
    }
  }
  write("new.pt", dict_of(tensors));
  const std::string report =
      craftbundle({"export", "new.pt", "--config-from", "codec.bin", "-o", "out.bin", "--json"});
  expect_same("out.bin", "codec.bin");
  EXPECT_THAT(clauses(report, "checks"),
              Contains("28 tensors '*.parametrizations.weight.original0' called '*.weight_g'"));
}

TEST_F(Foreign, TransformsApply) {
  write("a.pt", dict_of(with_prefix("module.", lm)));
  write("b.pt", dict_of(with_prefix("lm.", lm)));
  const std::string report =
      craftbundle({"export", "a.pt", "--config-from", "lm.bin", "--average", "b.pt,a.pt", "--dtype",
                   "float16", "-o", "mean.bin", "--json"});
  EXPECT_THAT(clauses(report, "checks"), Contains("weights are the mean over 2 checkpoints"));
  EXPECT_EQ(json::parse(report)["files_read"].size(), 4u);
  craftbundle({"verify", "mean.bin"});
}

TEST_F(Foreign, PackagesLoseTheWrappersOfAllTheirNames) {
  write("ddp.bin", package(with_prefix("module.", codec), codec_config));
  const std::string report = craftbundle({"export", "ddp.bin", "-o", "out.bin", "--json"});
  expect_same("out.bin", "codec.bin");
  EXPECT_THAT(
      clauses(report, "checks"),
      Contains("'module.' of DistributedDataParallel taken out of the names of 116 tensors"));
  write("compiled.bin", package(with_prefix("_orig_mod.", lm), lm_config));
  EXPECT_THAT(
      clauses(craftbundle({"export", "compiled.bin", "-o", "out2.bin", "--json"}), "checks"),
      Contains("'_orig_mod.' of torch.compile taken out of the names of 36 tensors"));
  expect_same("out2.bin", "lm.bin");
}

// --- As it is ----------------------------------------------------------------------------------

TEST_F(Foreign, AForkIsTakenAsItIs) {
  std::vector<NamedTensor> tensors = lm;
  tensors.push_back({"style_encoder.weight", codec.front().tensor});
  write("fork.bin", package(tensors, lm_config));
  EXPECT_THAT(
      refusal({"export", "fork.bin", "-o", "out.bin"}),
      AllOf(HasSubstr("[state.tensors]"), HasSubstr("1 unexpected"),
            HasSubstr("is exported unchecked with --as-is (bundle: --for ROLE:as-is=true)")));
  EXPECT_THAT(craftbundle({"export", "fork.bin", "--as-is", "-o", "next.bin"}),
              HasSubstr("bundle --lm next.bin --for lm:as-is=true --compression SOURCE"));
  const std::string report =
      craftbundle({"export", "fork.bin", "--as-is", "-o", "out.bin", "--json"});
  EXPECT_THAT(clauses(report, "warnings"),
              Contains(AllOf(HasSubstr("not checked are the names and shapes of its 37 tensors"),
                             HasSubstr("whether it fits the other components"))));
  EXPECT_EQ(json::parse(report)["role"], "lm");
  EXPECT_EQ(json::parse(report)["exporter"], "language_model");
  expect_same("out.bin", "fork.bin");

  // As a bundle, which says so itself.
  EXPECT_THAT(craftbundle({"bundle", "--lm", "fork.bin", "--compression", "codec.bin", "--for",
                           "lm:as-is=true", "-o", "model"}),
              HasSubstr("lm: taken as it is"));
  const json manifest = json::parse(read_file(directory / "model/bundle.json"));
  EXPECT_THAT(manifest["components"][0]["options"],
              Contains(json({{"name", "as-is"}, {"value", "true"}})));
  EXPECT_THAT(craftbundle({"verify", "model"}),
              AllOf(HasSubstr("taken as it is: not checked are"),
                    HasSubstr("offline: not known, a model was taken as it is\n")));
  EXPECT_EQ(json::parse(craftbundle({"verify", "model", "--json"}))["offline"], nullptr);
  craftbundle({"inspect", "model"});
  craftbundle({"convert", "model", "--layout", "safetensors", "-o", "other"});
  craftbundle({"convert", "other", "--layout", "audiocraft", "-o", "again"});
  expect_same("again/state_dict.bin", "model/state_dict.bin");

  // A file alone does not.
  EXPECT_EQ(run({"verify", "out.bin"}).exit_code, 4);
  EXPECT_EQ(run({"verify", "out.bin", "--as-is"}).exit_code, 0);
}

TEST_F(Foreign, TransformsOfAForkDoNotNeedRules) {
  std::string config = codec_config;
  const std::string name = "compression_model: encodec";
  ASSERT_NE(config.find(name), std::string::npos);
  config.replace(config.find(name), name.size(), "compression_model: my_codec");
  write("fork.bin", package(codec, config));
  EXPECT_THAT(refusal({"export", "fork.bin", "-o", "x.bin"}),
              AllOf(HasSubstr("[package.unknown]"), HasSubstr("--as-is")));
  const std::string report = craftbundle(
      {"export", "fork.bin", "--as-is", "--dtype", "float16", "-o", "half.bin", "--json"});
  EXPECT_EQ(json::parse(report)["role"], "compression");
  EXPECT_THAT(clauses(report, "checks"), Contains(HasSubstr("are float16 as asked for")));
  EXPECT_THAT(refusal({"export", "fork.bin", "--as-is", "--fold-weight-norm", "-o", "x.bin"}, 2),
              HasSubstr("cannot be folded"));
  // A language model that needs facts of it is not told that they are missing.
  craftbundle({"bundle", "--lm", "lm.bin", "--compression", "fork.bin", "--for",
               "compression:as-is=true", "-o", "model"});
  EXPECT_THAT(craftbundle({"verify", "model"}), HasSubstr("whether the components fit"));
}

TEST_F(Foreign, WhatNamesNoModelNeedsARole) {
  write("nameless.bin", package(lm, "seed: 1\n"));
  EXPECT_THAT(refusal({"export", "nameless.bin", "--as-is", "-o", "x.bin"}, 2),
              AllOf(HasSubstr("[exporter.role]"), HasSubstr("--component ROLE")));
  craftbundle({"export", "nameless.bin", "--as-is", "--component", "compression", "-o", "c.bin"});
  expect_same("c.bin", "nameless.bin");
  EXPECT_THAT(
      refusal({"export", "nameless.bin", "--as-is", "--component", "vocoder", "-o", "x.bin"}, 2),
      HasSubstr("there is one for 'compression' and 'lm'"));
  // What is no package has no state and configuration to take.
  write("bare.pt", dict_of(lm));
  EXPECT_THAT(refusal({"export", "bare.pt", "--as-is", "--component", "lm", "-o", "x.bin"}),
              HasSubstr("[package.layout]"));
}

// --- Runs --------------------------------------------------------------------------------------

class ForeignRuns : public Foreign {
 protected:
  std::map<std::string, std::string> states() {
    const ProgramResult result = run({"run", "run.yaml", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
    std::map<std::string, std::string> found;
    const json report = json::parse(result.output);
    for (const json& stage : report["stages"]) {
      found[stage["name"]] = stage["state"];
    }
    return found;
  }
};

TEST_F(ForeignRuns, NoticeAnotherConfiguration) {
  write("last.ckpt", lightning());
  write_file(directory / "lm.yaml", lm_config);
  write_file(directory / "run.yaml", R"(version: 1
stages:
  base: {export: lm.bin, to: base.bin}
  tuned: {export: last.ckpt, config_from: base, to: tuned.bin}
  plain: {export: last.ckpt, config_from: lm.yaml, to: plain.bin}
  fork: {export: lm.bin, as_is: true, to: fork.bin}
)");
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "done") << name;
  expect_same("tuned.bin", "lm.bin");
  expect_same("plain.bin", "lm.bin");
  for (const auto& [name, state] : states()) EXPECT_EQ(state, "up to date") << name;
  write_file(directory / "lm.yaml", lm_config + "# another text\n");
  EXPECT_EQ(states().at("plain"), "done");
  write_file(directory / "run.yaml", R"(version: 1
stages:
  tuned: {export: last.ckpt, options: {config-from: lm.bin}, to: t.bin}
)");
  EXPECT_THAT(refusal({"run", "run.yaml"}, 2), HasSubstr("write 'config_from' beside 'export'"));
}

// --- What stays impossible ---------------------------------------------------------------------

class Impossible : public Foreign {
 protected:
  void put(const std::string& name, const std::string& text = "x") const {
    fs::create_directories((directory / name).parent_path());
    write_file(directory / name, text);
  }
  std::string refuse(const std::string& source) const {
    return refusal({"export", source, "-o", "x.bin"});
  }
};

TEST_F(Impossible, DirectoriesSayWhatTheyAre) {
  put("zero/zero_to_fp32.py");
  put("zero/latest");
  EXPECT_THAT(refuse("zero"), AllOf(HasSubstr("'zero' is a checkpoint of DeepSpeed"),
                                    HasSubstr("run zero_to_fp32.py in it")));
  put("dcp/.metadata");
  put("dcp/__0_0.distcp");
  EXPECT_THAT(refuse("dcp"),
              AllOf(HasSubstr("'dcp' is a checkpoint of torch.distributed.checkpoint"),
                    HasSubstr("dcp_to_torch")));
  put("unpacked/data.pkl");
  put("unpacked/version");
  EXPECT_THAT(refuse("unpacked"), AllOf(HasSubstr("'unpacked' is a checkpoint that was unpacked"),
                                        HasSubstr("zip -0 -r")));
  put("lora/adapter_config.json");
  EXPECT_THAT(refuse("lora"), HasSubstr("'lora' is an adapter of PEFT"));
  put("dac/weights.pth");
  EXPECT_THAT(refuse("dac"), HasSubstr("give 'dac/weights.pth'"));
}

TEST_F(Impossible, LinksIntoNowhereAndAddresses) {
  fs::create_symlink("gone/away", directory / "state_dict.bin");
  EXPECT_EQ(refuse("state_dict.bin"),
            "error: 'state_dict.bin' is a link to 'gone/away', which does not exist "
            "[source.dangling]\n  hint: copy what it links to as well\n");
  fs::create_directories(directory / "snapshot");
  fs::create_symlink("gone/away", directory / "snapshot/state_dict.bin");
  EXPECT_THAT(refusal({"verify", "snapshot"}),
              HasSubstr("'state_dict.bin' is a link to 'gone/away', which does not exist"));
  for (const char* address : {"https://example.org/a.bin", "s3://models/a.bin"}) {
    EXPECT_THAT(refusal({"export", address, "-o", "x.bin"}, 2),
                AllOf(HasSubstr("[source.address]"), HasSubstr("does not download")));
  }
  EXPECT_THAT(refusal({"export", "file:///models/a.bin", "-o", "x.bin"}, 2),
              HasSubstr("give the path: '/models/a.bin'"));
  EXPECT_THAT(refusal({"export", "C:\\models\\a.bin", "-o", "x.bin"}, 2),
              HasSubstr("is a path of Windows"));
}

// --- What AudioCraft makes of it ---------------------------------------------------------------

// AudioCraft gives the weights of torch's attention the name of their module while it loads them.
TEST_F(Foreign, AttentionOfTorchHasTwoNames) {
  const std::string efficient = "memory_efficient: true";
  const std::size_t at = lm_config.find(efficient);
  ASSERT_NE(at, std::string::npos);
  const std::string config =
      lm_config.substr(0, at) + "memory_efficient: false" + lm_config.substr(at + efficient.size());
  write("plain.bin", package(lm, config));
  craftbundle({"export", "plain.bin", "-o", "out.bin"});
  EXPECT_TRUE(craftbundle({"inspect", "out.bin"}).find(".mha.") == std::string::npos);
  craftbundle({"verify", "out.bin"});

  std::vector<NamedTensor> renamed = lm;
  for (NamedTensor& named : renamed) {
    for (const std::string attention : {"self_attn.", "cross_attention."}) {
      const std::size_t found = named.name.find(attention);
      if (found != std::string::npos) named.name.insert(found + attention.size(), "mha.");
    }
  }
  write("mha.bin", package(renamed, config));
  craftbundle({"export", "mha.bin", "-o", "mha_out.bin"});
  craftbundle({"verify", "mha_out.bin"});
  // Its own attention has the plain names only.
  write("wrong.bin", package(renamed, lm_config));
  EXPECT_THAT(refusal({"export", "wrong.bin", "-o", "x.bin"}), HasSubstr("[state.tensors]"));
}

TEST_F(Foreign, PathsThatNotEveryPythonReads) {
  const auto loaders = [&](const std::string& name) {
    return json::parse(craftbundle({"verify", name, "--json"}))["loaders"][1];
  };
  const auto with_path = [&](const std::string& class_name, const std::string& parts) {
    write("path.bin", package(lm, lm_config + "own:\n  path: !!python/object/apply:" + class_name +
                                      "\n  - " + parts + "\n"));
    return clauses(craftbundle({"export", "path.bin", "-o", "out.bin", "--force", "--json"}),
                   "warnings");
  };
  EXPECT_THAT(with_path("pathlib.PosixPath", "/\n  - data"),
              Not(Contains(HasSubstr("python/object"))));
  EXPECT_TRUE(loaders("out.bin")["loads"]);

  EXPECT_THAT(with_path("pathlib._local.PosixPath", "/\n  - data"),
              Contains("own.path of xp.cfg is !!python/object/apply:pathlib._local.PosixPath, "
                       "which OmegaConf before 2.4 does not read; the option paths-as-text=true of "
                       "the exporter writes paths as text"));
  EXPECT_FALSE(loaders("out.bin")["loads"]);
  EXPECT_EQ(loaders("out.bin")["words"],
            "only with OmegaConf 2.4 and later: own.path of xp.cfg is "
            "!!python/object/apply:pathlib._local.PosixPath");

  EXPECT_THAT(with_path("pathlib.WindowsPath", "C:\\\n  - data"),
              Contains(HasSubstr("which can be made on Windows only")));
  EXPECT_FALSE(loaders("out.bin")["loads"]);
  EXPECT_THAT(loaders("out.bin")["words"].get<std::string>(), HasSubstr("only on Windows"));

  craftbundle({"export", "path.bin", "-o", "text.bin", "-O", "paths-as-text=true"});
  EXPECT_TRUE(loaders("text.bin")["loads"]);
  EXPECT_THAT(craftbundle({"inspect", "--config", "text.bin"}),
              HasSubstr("own:\n  path: C:\\data\n"));
}

TEST_F(Foreign, TextEncodersThatAudioCraftHasNoNameFor) {
  const std::string name = "name: t5-";
  const std::size_t at = lm_config.find(name);
  ASSERT_NE(at, std::string::npos);
  const std::size_t end = lm_config.find('\n', at);
  for (const std::string encoder : {"/home/jane doe/models/t5-base", "google/flan-t5-xl"}) {
    write("t5.bin",
          package(lm, lm_config.substr(0, at) + "name: " + encoder + lm_config.substr(end)));
    const auto warnings = clauses(
        craftbundle({"export", "t5.bin", "-o", "out.bin", "--force", "--json"}), "warnings");
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("and stops at it"), HasSubstr(encoder))));
    const json found = json::parse(craftbundle({"verify", "out.bin", "--json"}));
    EXPECT_FALSE(found["loaders"][1]["loads"]);
    EXPECT_THAT(found["loaders"][1]["words"].get<std::string>(), HasSubstr(encoder));
    // A path is nothing that could be fetched.
    EXPECT_EQ(found["fetches"].empty(), encoder.starts_with('/'));
  }
}

// What no list of wrappers has: the names tell. Loaders of the file itself do not look at that.
TEST_F(Foreign, PrefixesOfAllNamesAreTakenOff) {
  for (const std::string prefix : {"net.lm.", "module."}) {
    write("prefixed.bin", package(with_prefix(prefix, lm), lm_config));
    const std::string report =
        craftbundle({"export", "prefixed.bin", "-o", "out.bin", "--force", "--json"});
    EXPECT_THAT(clauses(report, "checks"), Contains(AllOf(HasSubstr("'" + prefix + "'"),
                                                          HasSubstr("the names of 36 tensors"))));
    expect_same("out.bin", "lm.bin");
    const ProgramResult verified = run({"verify", "prefixed.bin", "--json"});
    EXPECT_EQ(verified.exit_code, 4);
    const json found = json::parse(verified.output);
    EXPECT_FALSE(found["loaders"][1]["loads"]) << prefix;
    EXPECT_THAT(found["loaders"][1]["words"].get<std::string>(), HasSubstr("other names"));
  }
  EXPECT_TRUE(json::parse(craftbundle({"verify", "lm.bin", "--json"}))["loaders"][1]["loads"]);
}

TEST_F(Foreign, ChecksNameOnlyWhatIsThere) {
  write("old.bin", {{"best_state", dict_of(lm)}, {"xp.cfg", lm_config}});
  const std::string report = craftbundle({"export", "old.bin", "-o", "out.bin", "--json"});
  EXPECT_THAT(clauses(report, "checks"), Contains("the package has best_state and xp.cfg"));
  EXPECT_THAT(clauses(report, "warnings"), Contains(HasSubstr("states no version")));
}

TEST_F(Foreign, DirectoriesOfOthersSayWhatTheyAre) {
  const auto all_say = [&](const std::string& what, const std::string& hint) {
    for (const char* command : {"export", "inspect", "verify"}) {
      std::vector<std::string> words = {command, "dir"};
      if (words.front() == "export") words.insert(words.end(), {"-o", "x.bin"});
      EXPECT_THAT(refusal(words), AllOf(HasSubstr(what), HasSubstr(hint))) << command;
    }
    fs::remove_all(directory / "dir");
  };
  fs::create_directories(directory / "dir/data");
  write_file(directory / "dir/data.pkl", "x");
  write_file(directory / "dir/version", "3");
  all_say("a checkpoint that was unpacked", "zip the directory itself again");
  fs::create_directories(directory / "dir");
  write_file(directory / "dir/__0_0.distcp", "x");
  all_say("a checkpoint of torch.distributed.checkpoint", "dcp_to_torch");
  fs::create_directories(directory / "dir/snapshots/0a1b");
  fs::create_directories(directory / "dir/blobs");
  all_say("the cache of a hub", "dir/snapshots/0a1b");
  fs::create_directories(directory / "dir");
  fs::create_symlink("../blobs/missing", directory / "dir/state_dict.bin");
  all_say("is a link to '../blobs/missing', which does not exist", "copy what it links to");
  fs::create_symlink("blobs/missing", directory / "dir");
  all_say("is a link to 'blobs/missing', which does not exist", "copy what it links to");
}

TEST_F(Foreign, SignaturesAreSuggested) {
  fs::create_directories(directory / "xps/5f3ac001");
  EXPECT_THAT(refusal({"export", "5f3ac001", "--xps", "xps", "-o", "x.bin"}),
              HasSubstr("did you mean '//sig/5f3ac001'?"));
}

}  // namespace
}  // namespace craftbundle

// LoRA adapters: what is read, what is refused, and what they make of a model.
#include "craftbundle/detail/bundle/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/sha256.h"
#include "craftbundle/detail/tensor/convert.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

using Json = nlohmann::json;
using Shape = std::vector<std::int64_t>;

const Path kGolden = Path(CRAFTBUNDLE_TEST_DATA) / "golden";

class Numbers final : public Elements {
 public:
  Numbers(Shape shape, std::vector<double> numbers, DType dtype)
      : shape_(std::move(shape)), numbers_(std::move(numbers)), dtype_(dtype) {}
  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    std::copy_n(numbers_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  Shape shape_;
  std::vector<double> numbers_;
  DType dtype_;
};

// A tensor whose numbers are all the same.
NamedTensor filled(const std::string& name, Shape shape, double number,
                   DType dtype = DType::float32) {
  std::vector<double> numbers(element_count(shape).value(), number);
  auto elements = std::make_shared<Numbers>(std::move(shape), std::move(numbers), dtype);
  return {name, ComputedTensor{dtype, std::move(elements), name}};
}

std::vector<double> numbers_of(const Model& model, const std::string& name) {
  for (const NamedTensor& named : model.tensors) {
    if (named.name != name) continue;
    const ElementsPtr elements = elements_of(named);
    std::vector<double> numbers(elements->size());
    elements->read(0, numbers);
    return numbers;
  }
  throw std::runtime_error("no tensor " + name);
}

std::vector<double> repeated(std::initializer_list<std::pair<std::size_t, double>> runs) {
  std::vector<double> numbers;
  for (const auto& [count, number] : runs) numbers.insert(numbers.end(), count, number);
  return numbers;
}

Json lora(const Json& more = Json::object()) {
  Json config = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 2}};
  config.update(more);
  return config;
}

class AdapterTest : public ::testing::Test {
 protected:
  // Adapters lie in directories, of which the last is read.
  Adapter read(const std::vector<NamedTensor>& tensors, const Json& config = lora()) {
    write(tensors, config);
    return read_adapter(directory_ / "adapter", reader_);
  }

  void write(const std::vector<NamedTensor>& tensors, const Json& config = lora()) {
    write_text(config.dump());
    OutputFile file(directory_ / "adapter", Durability::no_sync);
    write_safetensors(tensors, {}, file, {});
    file.publish(directory_ / "adapter/adapter_model.safetensors", true);
  }

  void write_text(const std::string& config) {
    fs::create_directories(directory_ / "adapter");
    write_file(directory_ / "adapter/adapter_config.json", config);
  }

  void refuse(const std::string& code, const ::testing::Matcher<std::string>& message,
              const std::vector<NamedTensor>& tensors, const Json& config = lora()) {
    expect_error(ErrorKind::input, code, message, [&] { read(tensors, config); });
  }

  TemporaryDirectory directory_;
  FileReader reader_{std::nullopt, [](const Path& path) { return Checkpoint::open(path); }};
};

// ---- adapter_config.json ----

AdapterConfig config_of(const Json& json) { return read_adapter_config(json.dump()); }

void refuse_text(const std::string& text, const std::string& code, const std::string& message,
                 const std::string& hint) {
  try {
    read_adapter_config(text);
    ADD_FAILURE() << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(error.message(), message);
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  }
}

void refuse_config(const Json& json, const std::string& code, const std::string& message,
                   const std::string& hint = {}) {
  refuse_text(json.dump(), code, message, hint);
}

TEST(AdapterConfig, IsRead) {
  const AdapterConfig plain = config_of({{"peft_type", "LORA"}});
  EXPECT_EQ(plain.rank, 8);
  EXPECT_EQ(plain.alpha, 8);
  EXPECT_FALSE(plain.rank_stabilized);
  EXPECT_THAT(plain.warnings, IsEmpty());

  // Patterns keep their order, which decides.
  const AdapterConfig full = read_adapter_config(R"({"peft_type": "LORA", "r": 4,
      "lora_alpha": 2.5, "use_rslora": true, "use_dora": true, "base_model_name_or_path": "a/b",
      "rank_pattern": {"z": 3, "a": 2}, "alpha_pattern": {"z.*": 1.5}, "loftq_config": {},
      "target_parameters": ["x.w"], "init_lora_weights": "gaussian", "megatron_config": null})");
  EXPECT_EQ(full.rank, 4);
  EXPECT_EQ(full.alpha, 2.5);
  EXPECT_TRUE(full.rank_stabilized);
  EXPECT_TRUE(full.normalized);
  EXPECT_EQ(full.base_model, "a/b");
  EXPECT_THAT(full.rank_pattern, ElementsAre(std::pair("z", 3), std::pair("a", 2)));
  EXPECT_THAT(full.alpha_pattern, ElementsAre(std::pair("z.*", 1.5)));
  EXPECT_THAT(full.parameters, ElementsAre("x.w"));
  EXPECT_THAT(full.warnings, IsEmpty());
}

TEST(AdapterConfig, WarnsOfWhatItDoesNotKnow) {
  EXPECT_THAT(
      config_of(lora({{"use_later", true}, {"use_never", false}, {"fan_in_fan_out", true}}))
          .warnings,
      ElementsAre("fan_in_fan_out is true: it means layers that these models do not have, and is "
                  "left out of account as PEFT does",
                  "adapter_config.json says 'use_later', of which nothing is known here: it is "
                  "merged without"));
}

TEST(AdapterConfig, RefusesOtherAdapters) {
  refuse_config(Json{{"peft_type", "IA3"}}, "adapter.type",
                "it is an adapter of the type 'IA3', only 'LORA' can be merged",
                "merge_and_unload");
  refuse_config(Json{{"peft_type", 1}}, "adapter.type",
                "it is an adapter of the type 1, only 'LORA' can be merged");
  refuse_config(Json{{"r", 1}}, "adapter.type", "it has no 'peft_type'", "save_pretrained");
  for (const char* start : {"pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga"}) {
    refuse_config(lora({{"init_lora_weights", start}}), "adapter.unsupported",
                  "init_lora_weights is '" + std::string(start) +
                      "': training began by changing the weights of the base model, which the "
                      "adapter does not hold",
                  "path_initial_model_for_weight_conversion");
  }
  refuse_config(lora({{"use_qalora", true}}), "adapter.unsupported",
                "use_qalora is true: it cannot be merged", "quantized");
  refuse_config(lora({{"layer_replication", Json::array({Json::array({0, 4})})}}),
                "adapter.unsupported", "layer_replication is a list: it cannot be merged",
                "merge_and_unload");
  refuse_config(lora({{"alora_invocation_tokens", {1, 2}}}), "adapter.unsupported",
                "alora_invocation_tokens is a list: it cannot be merged", "nothing to merge");
  refuse_config(lora({{"kasa_config", {{"beta", 1}}}}), "adapter.unsupported",
                "kasa_config is an object: it cannot be merged");
}

TEST(AdapterConfig, RefusesHostileOnes) {
  const auto r = [](const Json& value) { return lora({{"r", value}}); };
  refuse_config(r(0), "adapter.config", "r is 0, no rank");
  refuse_config(r(-3), "adapter.config", "r is -3, no rank");
  refuse_config(r(18446744073709551615U), "adapter.config", "r is 18446744073709551615, no rank");
  refuse_config(r(1.5), "adapter.config", "r is 1.5, no rank");
  refuse_config(r("\x1b[2J8"), "adapter.config", "r is '\\x1B[2J8', no rank");
  refuse_config(lora({{"lora_alpha", "8"}}), "adapter.config", "lora_alpha is '8', no number");
  refuse_config(lora({{"rank_pattern", {{"q\x1b", 0}}}}), "adapter.config",
                "rank_pattern['q\\x1B'] is 0, no rank");
  refuse_config(lora({{"rank_pattern", {1}}}), "adapter.type", "rank_pattern is not an object");
  refuse_config(lora({{"use_dora", 1}}), "adapter.type", "use_dora is not true or false");
  refuse_config(lora({{"alpha_pattern", {{"(", 1}}}}), "adapter.config",
                "the pattern '(' is no regular expression that is known");
  refuse_config(lora({{"alpha_pattern", {{"(a{1000}){1000}", 1}}}}), "adapter.config",
                "the pattern '(a{1000}){1000}' is too long, counts with braces or looks around");
  refuse_text(R"({"peft_type": "LORA", "lora_alpha": NaN})", "adapter.syntax", "no JSON: byte 37",
              "");
  refuse_text(R"({"peft_type": "LORA", "lora_alpha": 1e999})", "adapter.syntax",
              "holds a number that is too large", "");
  refuse_text("[]", "adapter.type", "it is no object", "");
  // Depth is no danger to the reader.
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_NO_THROW(read_adapter_config(R"({"peft_type": "LORA", "eva_config": )" + deep + "}"));
}

TEST(AdapterConfig, MatchesModulesAsRegularExpressions) {
  EXPECT_TRUE(matches_module("q_proj", "layers.0.q_proj"));
  EXPECT_TRUE(matches_module("q_proj", "q_proj"));
  EXPECT_FALSE(matches_module("q_proj", "layers.0.xq_proj"));
  EXPECT_FALSE(matches_module("q_proj", "q_proj.x"));
  EXPECT_FALSE(matches_module("layers.0.q_proj", "q_proj"));
  EXPECT_TRUE(matches_module("layers.0.q_proj", "layers.0.q_proj"));
  EXPECT_TRUE(matches_module("layers.0", "layers_0"));  // a dot is any character
  EXPECT_TRUE(matches_module(".*q_proj", "layers.0.xq_proj"));
  EXPECT_TRUE(matches_module(R"(layers\.(0|1)\..*)", "decoder.layers.1.q_proj"));
  EXPECT_FALSE(matches_module(R"(layers\.(0|1)\..*)", "decoder.layers.2.q_proj"));
  EXPECT_TRUE(matches_module("^decoder.*v$", "decoder.layers.v"));
  EXPECT_FALSE(matches_module("^layers.*", "decoder.layers.v"));
  // No pattern takes long.
  EXPECT_FALSE(matches_module("(a*)*b", std::string(300, 'a')));
}

// ---- Its files ----

TEST_F(AdapterTest, IsReadByItsNames) {
  const Adapter adapter = read({filled("base_model.model.x.y.lora_A.weight", {2, 3}, 1),
                                filled("base_model.model.x.y.lora_B.weight", {4, 2}, 1),
                                filled("base_model.model.x.y.lora_B.bias", {4}, 1),
                                filled("base_model.model.x.y.lora_magnitude_vector", {4}, 1),
                                filled("base_model.model.e.lora_embedding_A", {2, 5}, 1),
                                filled("base_model.model.e.lora_embedding_B", {3, 2}, 1),
                                filled("base_model.model.x.y.base_layer.bias", {4}, 1),
                                filled("base_model.model.norm.weight", {4}, 1)});
  EXPECT_EQ(adapter.name, "adapter");
  ASSERT_EQ(adapter.layers.size(), 2u);
  EXPECT_EQ(adapter.layers[0].module, "e");
  EXPECT_TRUE(adapter.layers[0].is_embedding);
  EXPECT_EQ(adapter.layers[1].module, "x.y");
  EXPECT_TRUE(adapter.layers[1].bias && adapter.layers[1].magnitude);
  ASSERT_EQ(adapter.replacements.size(), 2u);
  EXPECT_EQ(adapter.replacements[0].name, "norm.weight");
  EXPECT_EQ(adapter.replacements[1].name, "x.y.bias");
}

// As a state dict has them, and pickled.
TEST_F(AdapterTest, IsReadFromAStateDict) {
  write_text(lora().dump());
  Value::Dict dict;
  for (const NamedTensor& named :
       {filled("base_model.model.x.lora_A.default.weight", {2, 3}, 1),
        filled("base_model.model.x.lora_B.default.weight", {4, 2}, 1),
        filled("base_model.model.e.lora_embedding_A.default", {2, 5}, 1),
        filled("base_model.model.e.lora_embedding_B.default", {3, 2}, 1),
        filled("base_model.model.norm.original_module.weight", {4}, 1),
        filled("base_model.model.norm.modules_to_save.default.weight", {4}, 2)}) {
    dict.emplace_back(named.name, std::get<ComputedTensor>(named.tensor));
  }
  OutputFile file(directory_ / "adapter", Durability::no_sync);
  write_package(dict, file, {});
  file.publish(directory_ / "adapter/adapter_model.bin", true);
  for (const char* given : {"adapter", "adapter/", "adapter/adapter_config.json",
                            "adapter/adapter_model.bin", "adapter/../adapter/."}) {
    const Adapter adapter = read_adapter(directory_ / given, reader_);
    EXPECT_EQ(adapter.name, "adapter") << given;
    EXPECT_EQ(adapter.layers.size(), 2u);
    ASSERT_EQ(adapter.replacements.size(), 1u);
    EXPECT_EQ(adapter.replacements[0].name, "norm.weight");
  }
  std::vector<std::string> names;
  for (const ReadFile& read : reader_.read()) names.push_back(read.name);
  EXPECT_THAT(names, ElementsAre("adapter_config.json", "adapter_model.bin"));
}

TEST_F(AdapterTest, RefusesWhatIsNone) {
  fs::create_directories(directory_ / "adapter");
  const auto open = [&] { read_adapter(directory_ / "adapter", reader_); };
  expect_error(ErrorKind::input, "adapter.none",
               HasSubstr("adapter is no adapter: there is no adapter_config.json"), open);
  write_text(lora().dump());
  expect_error(ErrorKind::input, "adapter.none",
               HasSubstr("adapter is no adapter: there is no adapter_model.safetensors"), open);
  write_text("{");
  write_file(directory_ / "adapter/adapter_model.safetensors", "x");
  expect_error(ErrorKind::input, "adapter.syntax", HasSubstr("adapter_config.json: no JSON"), open);
  write_text(lora().dump());
  expect_error(ErrorKind::input, "safetensors.truncated", HasSubstr("adapter_model.safetensors"),
               open);
  refuse("adapter.tensors", Eq("adapter_model.safetensors holds no tensors"), {});
}

TEST_F(AdapterTest, RefusesStrangeNames) {
  const NamedTensor a = filled("x.lora_A.weight", {2, 3}, 1);
  const NamedTensor b = filled("x.lora_B.weight", {3, 2}, 1);
  refuse("adapter.tensors",
         Eq("names that no LoRA of a layer has: 'x.lora_\\x1B' and 'x.lora_A.one.two.weight'"),
         {a, b, filled("x.lora_A.one.two.weight", {1}, 1), filled("x.lora_\x1b", {1}, 1)});
  refuse("adapter.tensors",
         Eq("halves without the other one, lora_A and lora_B make a pair: 'x.lora_A'"), {a});
  refuse("adapter.tensors",
         Eq("halves without the other one, lora_A and lora_B make a pair: 'x.lora_B'"),
         {b, filled("y.lora_A.weight", {2, 3}, 1), filled("y.lora_B.weight", {3, 2}, 1)});
  refuse("adapter.duplicate", Eq("module 'x' is adapted twice"),
         {a, b, filled("base_model.model.x.lora_A.weight", {2, 3}, 1)});
  refuse("adapter.duplicate", Eq("module 'x' is adapted twice"),
         {a, b, filled("x.base_layer.lora_A.weight", {2, 3}, 1)});
  refuse("adapter.duplicate", Eq("module 'x' is adapted twice"),
         {a, filled("x.lora_embedding_B", {3, 2}, 1)});
  refuse("adapter.duplicate", Eq("the tensor 'n.weight' is there twice"),
         {filled("n.weight", {1}, 1), filled("n.base_layer.weight", {1}, 1)});
  refuse("adapter.tensors", Eq("weights of several adapters, 'one' and 'two'"),
         {filled("x.lora_A.one.weight", {2, 3}, 1), filled("x.lora_A.two.weight", {2, 3}, 1)});
}

// ---- Merging ----

class MergeTest : public AdapterTest {
 protected:
  // A model like a language model: "emb", and a layer with joined projections.
  Model model(DType dtype = DType::float32) {
    Model model;
    model.family = "toy";
    model.origin = "best_state";
    model.tensors = {filled("emb.weight", {5, 3}, 1, dtype),
                     filled("net.0.attn.in_proj_weight", {9, 3}, 1, dtype),
                     filled("net.0.attn.in_proj_bias", {9}, 1, dtype),
                     filled("net.0.attn.out.weight", {3, 3}, 1, dtype),
                     filled("net.0.attn.out.bias", {3}, 1, dtype),
                     filled("net.1.attn.out.weight", {3, 3}, 1, dtype),
                     filled("steps", {1}, 20, DType::int64)};
    return model;
  }

  static std::vector<Naming> layouts() {
    std::vector<TensorAlias> names = {
        {"model.embed.weight", "emb.weight", 0, 0},
        {"model.layers.0.o.weight", "net.0.attn.out.weight", 0, 3},
        {"model.layers.0.o.bias", "net.0.attn.out.bias", 0, 0},
        {"model.layers.0.qkv.weight", "net.0.attn.in_proj_weight", 0, 9},
        {"encoder.", "", 0, 0}};
    std::int64_t row = 0;
    for (const std::string name : {"q", "k", "v"}) {
      names.push_back({"model.layers.0." + name + ".weight", "net.0.attn.in_proj_weight", row, 3});
      names.push_back({"model.layers.0." + name + ".bias", "net.0.attn.in_proj_bias", row, 3});
      row += 3;
    }
    return {{"none", {}}, {"hub", names}};
  }

  // A pair that adds 2 * a * b to each number.
  static std::vector<NamedTensor> pair(const std::string& module, std::int64_t out, std::int64_t in,
                                       double a, double b) {
    return {filled("base_model.model." + module + ".lora_A.weight", {2, in}, a),
            filled("base_model.model." + module + ".lora_B.weight", {out, 2}, b)};
  }

  MergeNotes merge_into(Model& model, const std::vector<NamedTensor>& tensors,
                        const Json& config = lora()) {
    return merge(model, read(tensors, config), layouts);
  }

  void refuse_merge(const std::string& code, const ::testing::Matcher<std::string>& message,
                    const std::vector<NamedTensor>& tensors, const Json& config = lora()) {
    Model base = model();
    expect_error(ErrorKind::input, code, message, [&] { merge_into(base, tensors, config); });
  }
};

std::vector<NamedTensor> operator+(std::vector<NamedTensor> a, const std::vector<NamedTensor>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(MergeTest, AddsToTensorsByTheirNames) {
  Model base = model();
  const MergeNotes notes = merge_into(base, pair("net.0.attn.out", 3, 3, 0.5, 3),
                                      lora({{"base_model_name_or_path", "me/base"}}));
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.weight"), Eq(repeated({{9, 4}})));
  EXPECT_THAT(numbers_of(base, "net.1.attn.out.weight"), Eq(repeated({{9, 1}})));
  EXPECT_THAT(
      notes.checks,
      ElementsAre("adapter adapter merged into 1 tensor: LoRA of rank 2, trained on 'me/base'"));
  EXPECT_THAT(notes.warnings, IsEmpty());
}

TEST_F(MergeTest, Scales) {
  const auto result = [&](const Json& config) {
    Model base = model();
    merge_into(base, pair("net.0.attn.out", 3, 3, 1, 1), lora(config));
    return numbers_of(base, "net.0.attn.out.weight").front() - 1;
  };
  EXPECT_EQ(result(Json::object()), 2);
  EXPECT_EQ(result({{"lora_alpha", 5}}), 5);
  EXPECT_EQ(result({{"lora_alpha", -1.5}}), -1.5);
  EXPECT_EQ(result({{"lora_alpha", 0}}), 0);
  EXPECT_FLOAT_EQ(static_cast<float>(result({{"use_rslora", true}})),
                  static_cast<float>(2 * 2 / std::sqrt(2)));
  EXPECT_EQ(result({{"r", 7}, {"rank_pattern", {{"out", 2}}}, {"lora_alpha", 3}}), 3);
  EXPECT_EQ(result({{"alpha_pattern", {{"net.1.*", 9}, {"attn.out", 4}}}}), 4);
}

TEST_F(MergeTest, ReplacesWholeTensors) {
  Model base = model();
  const MergeNotes notes = merge_into(base, {filled("net.0.attn.out.bias", {3}, 7),
                                             filled("emb.weight", {5, 3}, 0.1, DType::float16)});
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.bias"), Eq(repeated({{3, 7}})));
  // In the type of the model.
  EXPECT_EQ(base.tensors[0].dtype(), DType::float32);
  EXPECT_NEAR(numbers_of(base, "emb.weight").front(), 0.1, 1e-3);
  EXPECT_THAT(notes.checks, ElementsAre("adapter adapter replaces 2 tensors"));
}

TEST_F(MergeTest, AddsToWhatItReplaces) {
  Model base = model();
  const MergeNotes notes =
      merge_into(base, pair("net.0.attn.out", 3, 3, 1, 1) +
                           std::vector{filled("net.0.attn.out.base_layer.weight", {3, 3}, 10),
                                       filled("net.0.attn.out.lora_B.bias", {3}, 0.5)});
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.weight"), Eq(repeated({{9, 12}})));
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.bias"), Eq(repeated({{3, 1.5}})));
  EXPECT_THAT(
      notes.checks,
      ElementsAre("adapter adapter merged into 2 tensors: LoRA of rank 2; replaces 1 tensor"));
}

TEST_F(MergeTest, TakesTheNamesOfALayout) {
  Model base = model();
  const MergeNotes notes = merge_into(
      base, pair("model.layers.0.q", 3, 3, 1, 1) + pair("model.layers.0.v", 3, 3, 1, 2) +
                std::vector{filled("base_model.model.model.layers.0.k.bias", {3}, 6),
                            filled("base_model.model.model.layers.0.q.lora_B.bias", {3}, 1)});
  EXPECT_THAT(numbers_of(base, "net.0.attn.in_proj_weight"),
              Eq(repeated({{9, 3}, {9, 1}, {9, 5}})));
  EXPECT_THAT(numbers_of(base, "net.0.attn.in_proj_bias"), Eq(repeated({{3, 2}, {3, 6}, {3, 1}})));
  EXPECT_THAT(
      notes.checks,
      ElementsAre("adapter adapter merged into 2 tensors: LoRA of rank 2; replaces 1 tensor",
                  "names of adapter adapter are those of layout hub"));
}

TEST_F(MergeTest, FindsPrefixes) {
  const auto naming = [&](const std::vector<NamedTensor>& tensors) {
    Model base = model();
    return merge_into(base, tensors).checks.at(1);
  };
  EXPECT_EQ(naming(pair("lm.net.0.attn.out", 3, 3, 1, 1) + pair("lm.emb", 5, 3, 1, 1)),
            "names of adapter adapter stand behind 'lm.'");
  EXPECT_EQ(naming(pair("0.attn.out", 3, 3, 1, 1)),
            "names of adapter adapter stand without 'net.' in front");
  EXPECT_EQ(naming(pair("layers.0.q", 3, 3, 1, 1) + pair("layers.0.o", 3, 3, 1, 1)),
            "names of adapter adapter are those of layout hub, without 'model.' in front");
  EXPECT_EQ(naming(pair("a.b.model.layers.0.q", 3, 3, 1, 1)),
            "names of adapter adapter are those of layout hub, behind 'a.b.'");
  refuse_merge("adapter.prefix",
               Eq("its names could stand behind 'net.0.' and 'net.1.' of best_state"),
               pair("attn.out", 3, 3, 1, 1));
}

TEST_F(MergeTest, LeavesOtherComponentsOut) {
  Model base = model();
  const MergeNotes notes =
      merge_into(base, pair("model.layers.0.q", 3, 3, 1, 1) + pair("encoder.x", 3, 3, 1, 1));
  EXPECT_THAT(notes.warnings,
              ElementsAre("adapter adapter changes 1 tensor of other components, which are left "
                          "out here: 'encoder.x.weight'"));
  refuse_merge("adapter.tensors", HasSubstr("1 tensor of 1 fit nothing in best_state"),
               pair("encoder.x", 3, 3, 1, 1));
}

TEST_F(MergeTest, ListsWhatFitsNothing) {
  Model base = model();
  try {
    merge_into(base,
               pair("net.0.attn.out", 3, 3, 1, 1) + pair("net.7.attn.out", 3, 3, 1, 1) +
                   std::vector{filled("\x1b[31mx", {1}, 1)},
               lora({{"base_model_name_or_path", "me/\nbase"}}));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "adapter.tensors");
    EXPECT_EQ(error.message(),
              "2 tensors of 3 fit nothing in best_state: 'net.7.attn.out.weight' and '\\x1B[31mx'");
    EXPECT_EQ(error.hint(),
              "its names have to be those of the model, or of layout 'hub'; it was trained on "
              "'me/\\nbase'");
  }
}

TEST_F(MergeTest, RefusesWhatDoesNotFit) {
  refuse_merge("adapter.shape",
               Eq("module 'net.0.attn.out': lora_A [2, 4] and lora_B [3, 2] do not fit [3, 3] of "
                  "'net.0.attn.out.weight'"),
               pair("net.0.attn.out", 3, 4, 1, 1));
  refuse_merge("adapter.shape",
               Eq("module 'model.layers.0.q': lora_A [2, 3] and lora_B [9, 2] do not fit [3, 3] of "
                  "'net.0.attn.in_proj_weight'"),
               pair("model.layers.0.q", 9, 3, 1, 1));
  refuse_merge("adapter.shape", HasSubstr("lora_A [0] and lora_B [0] do not fit [3, 3]"),
               {filled("net.0.attn.out.lora_A.weight", {0}, 1),
                filled("net.0.attn.out.lora_B.weight", {0}, 1)});
  refuse_merge("adapter.shape",
               Eq("'emb.weight' has the shape [6, 3], expected [5, 3] as in "
                  "'emb.weight'"),
               {filled("emb.weight", {6, 3}, 1)});
  refuse_merge("adapter.shape",
               Eq("module 'net.0.attn.out': the bias of lora_B has the shape [4], expected [3] as "
                  "in 'net.0.attn.out.bias'"),
               pair("net.0.attn.out", 3, 3, 1, 1) +
                   std::vector{filled("net.0.attn.out.lora_B.bias", {4}, 1)});
  refuse_merge("adapter.rank",
               Eq("module 'net.0.attn.out' has the rank 2, adapter_config.json says 1000000"),
               pair("net.0.attn.out", 3, 3, 1, 1), lora({{"r", 1'000'000}}));
  refuse_merge("adapter.scaling",
               Eq("module 'net.0.attn.out' is scaled by 5e+307, which is no float32"),
               pair("net.0.attn.out", 3, 3, 1, 1), lora({{"lora_alpha", 1e308}}));
  refuse_merge("adapter.dtype", Eq("'steps' is float32, and 'steps' is int64"),
               {filled("steps", {1}, 1)});
  refuse_merge("adapter.duplicate",
               Eq("two of its tensors change the same rows of 'net.0.attn.in_proj_weight'"),
               pair("model.layers.0.qkv", 9, 3, 1, 1) + pair("model.layers.0.k", 3, 3, 1, 1));
}

TEST_F(MergeTest, AddsToParameters) {
  // Rounded before it is added, unlike the weight of a linear layer: numbers beyond 2048 are
  // even in float16, and what is half way between two goes to 2048.
  const double fine = 1 + std::exp2(-11);
  const auto merged = [&](const std::string& module, const std::string& tensor,
                          const Json& config) {
    Model base = model(DType::float16);
    for (NamedTensor& named : base.tensors) {
      if (named.name == tensor) named = filled(tensor, named.shape(), 2048, DType::float16);
    }
    const std::int64_t rows = tensor.ends_with("in_proj_weight") ? 9 : 3;
    merge_into(base, pair(module, rows, 3, 0.5, fine), lora(config));
    return numbers_of(base, tensor).front();
  };
  EXPECT_EQ(merged("net.0.attn", "net.0.attn.in_proj_weight",
                   {{"target_parameters", {"attn.in_proj_weight"}}}),
            2048);
  EXPECT_EQ(merged("net.0.attn", "net.0.attn.in_proj_weight", Json::object()), 2048);
  EXPECT_EQ(merged("net.0.attn.out", "net.0.attn.out.weight", Json::object()), 2050);
  refuse_merge("adapter.unsupported",
               Eq("target_parameters name several of one module, and the adapter does not say "
                  "which it adapts: 'net.0.attn.a' and 'net.0.attn.b'"),
               pair("net.0.attn", 9, 3, 1, 1), lora({{"target_parameters", {"attn.b", "attn.a"}}}));
}

TEST_F(MergeTest, GivesRowsTheirMagnitude) {
  Model base = model();
  const std::vector<NamedTensor> tensors =
      pair("net.0.attn.out", 3, 3, 1, 1) +
      std::vector{filled("net.0.attn.out.lora_magnitude_vector", {3}, 6)};
  const MergeNotes notes = merge_into(base, tensors, lora({{"use_dora", true}}));
  // Rows of 1 + 2 in each of three columns.
  for (const double number : numbers_of(base, "net.0.attn.out.weight")) {
    EXPECT_NEAR(number, 6 / std::sqrt(3), 1e-6);
  }
  EXPECT_THAT(notes.checks, ElementsAre("adapter adapter merged into 1 tensor: DoRA of rank 2"));
  refuse_merge("adapter.tensors",
               Eq("module 'net.0.attn.out' has a lora_magnitude_vector, and use_dora is not set in "
                  "adapter_config.json"),
               tensors);
  refuse_merge("adapter.tensors",
               Eq("module 'net.0.attn.out' has no lora_magnitude_vector, although "
                  "adapter_config.json says use_dora"),
               pair("net.0.attn.out", 3, 3, 1, 1), lora({{"use_dora", true}}));
  refuse_merge(
      "adapter.unsupported",
      Eq("module 'emb': use_dora is true for a layer of the shape [5, 3], which is no "
         "linear one"),
      {filled("emb.lora_embedding_A", {2, 5}, 1), filled("emb.lora_embedding_B", {3, 2}, 1),
       filled("emb.lora_magnitude_vector", {3}, 1)},
      lora({{"use_dora", true}}));
}

// A tensor has its type again before the next adapter adds to it.
TEST_F(MergeTest, MergesOneAfterTheOther) {
  Model base = model(DType::float16);
  const double little = std::exp2(-12);  // is lost beside 1
  for (int i = 0; i < 4; ++i) merge_into(base, pair("net.0.attn.out", 3, 3, 0.5, little));
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.weight"), Eq(repeated({{9, 1}})));
  merge_into(base, pair("net.0.attn.out", 3, 3, 0.5, 4 * little));
  EXPECT_THAT(numbers_of(base, "net.0.attn.out.weight"), Eq(repeated({{9, 1 + 4 * little}})));
}

// ---- What PEFT makes of the same ----

class MergeGolden : public ::testing::Test {
 protected:
  PreparedComponent prepare(const std::vector<std::string>& adapters, const std::string& dtype) {
    std::vector<Path> paths;
    for (const std::string& adapter : adapters)
      paths.push_back(kGolden / "data/adapters" / adapter);
    const Path path = kGolden / "data/musicgen_train.th";
    return prepare_component({Source::of_checkpoint("lm.th", host_.open(path)),
                              std::nullopt,
                              std::nullopt,
                              {{"dtype", dtype}, {"merge", files_value(paths)}}},
                             host_);
  }

  static std::map<std::string, std::string> hashes(const Model& model) {
    std::map<std::string, std::string> hashes;
    for (const NamedTensor& named : model.tensors) {
      const std::vector<double> numbers = numbers_of(model, named.name);
      std::vector<std::byte> bytes(numbers.size() * item_size(named.dtype()));
      encode(named.dtype(), numbers, bytes);
      hashes[named.name] =
          sha256_of_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    return hashes;
  }

  Host host_{[] {
    Host::Options options;
    options.search = {{CRAFTBUNDLE_PLUGINS}, false, false, false};
    return options;
  }()};
};

TEST_F(MergeGolden, HasTheBitsOfPeft) {
  const Json expected = Json::parse(read_file(kGolden / "data/adapters/expected.json"));
  ASSERT_EQ(expected.size(), 6u);
  for (const auto& [key, tensors] : expected.items()) {
    const std::string adapter = key.substr(0, key.find(' '));
    const std::string dtype = key.substr(key.find(' ') + 1);
    const std::string kept = dtype == "float16" ? "keep" : dtype;
    const auto before = hashes(*prepare({}, kept).component.model());
    for (const auto& [name, hash] : hashes(*prepare({adapter}, kept).component.model())) {
      const std::string wanted =
          tensors.contains(name) ? tensors[name].get<std::string>() : before.at(name);
      EXPECT_EQ(hash, wanted) << key << " " << name;
    }
  }
}

// PyTorch computes norms in float32, eight or sixteen numbers at a time.
TEST_F(MergeGolden, IsNearTheDoraOfPeft) {
  const PreparedComponent prepared = prepare({"dora"}, "float32");
  const auto merged = Safetensors::open(kGolden / "data/adapters/dora_merged.safetensors");
  ASSERT_EQ(merged->tensors().size(), 2u);
  for (const NamedTensor& named : merged->tensors()) {
    const std::vector<double> found = numbers_of(*prepared.component.model(), named.name);
    std::vector<double> expected(found.size());
    elements_of(named)->read(0, expected);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 4e-7 * std::abs(expected[i])) << named.name;
    }
  }
}

TEST_F(MergeGolden, SaysWhatWasMerged) {
  const PreparedComponent prepared = prepare({"lora", "dora"}, "keep");
  EXPECT_THAT(prepared.component.checks,
              AllOf(Contains("adapter lora merged into 5 tensors: LoRA of ranks 2 to 4; replaces 3 "
                             "tensors"),
                    Contains("adapter dora merged into 2 tensors: DoRA of rank 3")));
  std::vector<std::string> read;
  for (const ReadFile& file : prepared.read)
    read.push_back(file.file->path().parent_path().filename().string() + "/" + file.name);
  EXPECT_THAT(read, ElementsAre("lora/adapter_config.json", "lora/adapter_model.safetensors",
                                "dora/adapter_config.json", "dora/adapter_model.safetensors"));
  expect_error(ErrorKind::usage, "option.value", HasSubstr("is given twice"), [&] {
    prepare({"lora", "../adapters/lora/"}, "keep");
  });
  expect_error(ErrorKind::input, "adapter.none", HasSubstr("adapter 'nothing': "),
               [&] { prepare({"nothing"}, "keep"); });
}

}  // namespace
}  // namespace craftbundle

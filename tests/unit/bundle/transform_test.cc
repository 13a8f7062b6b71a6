#include "craftbundle/detail/bundle/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;
using ::testing::HasSubstr;

using Shape = std::vector<std::int64_t>;

// A tensor to be written to a file, given as float32.
struct Given {
  std::string name;
  Shape shape;
  std::vector<double> numbers;
  DType dtype = DType::float32;
};

// A model, and what was done to it.
struct State : Model {
  std::vector<std::string> notes = {};
};

void note(State& state, const std::vector<std::string>& notes) {
  state.notes.insert(state.notes.end(), notes.begin(), notes.end());
}

void average(State& state, const std::vector<State>& others) {
  note(state, craftbundle::average(state, {others.begin(), others.end()}));
}

void fold_weight_norm(State& state) { note(state, craftbundle::fold_weight_norm(state)); }

struct Casts {
  std::string dtype = "keep";
  std::string dtype_of = {};
};

void cast(State& state, const Casts& casts) {
  note(state, craftbundle::cast(state, casts.dtype, casts.dtype_of));
}

// Numbers as Elements, for files that are made on the spot.
class Numbers final : public Elements {
 public:
  explicit Numbers(const Given& given) : given_(given) {}
  const Shape& shape() const override { return given_.shape; }
  DType dtype() const override { return given_.dtype; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    std::copy_n(given_.numbers.begin() + static_cast<std::ptrdiff_t>(first), out.size(),
                out.begin());
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  Given given_;
};

class ComputeTest : public ::testing::Test {
 protected:
  // A state that lies in a file. Names in `tied` are those of the tensor before them once more.
  State state(const std::vector<Given>& tensors,
              const std::map<std::string, std::string>& tied = {}) {
    Value::Dict dict;
    std::map<std::string, Value> known;
    for (const Given& given : tensors) {
      const auto twin = tied.find(given.name);
      const Value value =
          twin != tied.end()
              ? known.at(twin->second)
              : Value(ComputedTensor{given.dtype, std::make_shared<Numbers>(given), given.name});
      known.emplace(given.name, value);
      dict.emplace_back(given.name, value);
    }
    const Path path = directory_ / std::to_string(files_++);
    OutputFile file(path.parent_path(), Durability::no_sync);
    write_package(dict, file, WriteOptions());
    file.publish(path, true);
    checkpoints_.push_back(Checkpoint::open(path));
    State state;
    state.origin = "best_state";
    state.keep_dtype = {"*._codebook.cluster_size"};
    for (const DictView::Entry entry : checkpoints_.back()->root().entries()) {
      state.tensors.push_back(
          {std::string(entry.key.as_string()), checkpoints_.back()->tensor(entry.value)});
    }
    return state;
  }

  testing::TemporaryDirectory directory_;
  int files_ = 0;
  std::vector<std::shared_ptr<const Checkpoint>> checkpoints_;
};

const NamedTensor& at(const State& state, const std::string& name) {
  for (const NamedTensor& named : state.tensors) {
    if (named.name == name) return named;
  }
  throw std::runtime_error("no tensor " + name);
}

bool is_computed(const NamedTensor& named) {
  return std::holds_alternative<ComputedTensor>(named.tensor);
}

const Elements* elements(const State& state, const std::string& name) {
  return std::get<ComputedTensor>(at(state, name).tensor).elements.get();
}

// As they will be written.
std::vector<double> numbers(const State& state, const std::string& name) {
  const ElementsPtr all = std::visit([](const auto& tensor) { return elements_of(Value(tensor)); },
                                     at(state, name).tensor);
  std::vector<double> result(all->size());
  all->read(0, result);
  return result;
}

std::vector<std::string> names(const State& state) {
  std::vector<std::string> result;
  for (const NamedTensor& named : state.tensors) result.push_back(named.name);
  return result;
}

// ---- average ----

using Averaging = ComputeTest;

TEST_F(Averaging, MakesTheMeanOfWeightsAndLeavesCounters) {
  State mean = state({{"w", {2}, {1, 2}}, {"steps", {1}, {10}, DType::int64}});
  average(mean, {state({{"steps", {1}, {20}, DType::int64}, {"w", {2}, {3, 2}}}),
                 state({{"w", {2}, {5, 5}}, {"steps", {1}, {90}, DType::int64}})});
  EXPECT_THAT(names(mean), ElementsAre("w", "steps"));
  EXPECT_THAT(numbers(mean, "w"), ElementsAre(3, 3));
  EXPECT_EQ(at(mean, "w").dtype(), DType::float32);
  EXPECT_FALSE(is_computed(at(mean, "steps")));
  EXPECT_THAT(numbers(mean, "steps"), ElementsAre(10));
  EXPECT_THAT(mean.notes, ElementsAre("weights are the mean over 3 checkpoints"));
}

TEST_F(Averaging, WithNothingChangesNothing) {
  State alone = state({{"w", {2}, {1, 2}}});
  average(alone, {});
  EXPECT_FALSE(is_computed(at(alone, "w")));
  EXPECT_TRUE(alone.notes.empty());
}

TEST_F(Averaging, KeepsTheTypeOfTheFirst) {
  State mean = state({{"w", {1}, {1}, DType::float16}});
  average(mean, {state({{"w", {1}, {2}}})});
  EXPECT_EQ(at(mean, "w").dtype(), DType::float16);
  EXPECT_THAT(numbers(mean, "w"), ElementsAre(1.5));
}

TEST_F(Averaging, TiesWhatIsTiedInAll) {
  const std::map<std::string, std::string> tied = {{"b", "a"}};
  State mean = state({{"a", {1}, {1}}, {"b", {1}, {1}}}, tied);
  average(mean, {state({{"a", {1}, {3}}, {"b", {1}, {3}}}, tied)});
  EXPECT_EQ(elements(mean, "a"), elements(mean, "b"));

  // Tied in the first only: two weights.
  mean = state({{"a", {1}, {1}}, {"b", {1}, {1}}}, tied);
  average(mean, {state({{"a", {1}, {3}}, {"b", {1}, {5}}})});
  EXPECT_THAT(numbers(mean, "a"), ElementsAre(2));
  EXPECT_THAT(numbers(mean, "b"), ElementsAre(3));
}

TEST_F(Averaging, NeedsTheSameTensorsEverywhere) {
  const auto refuse = [&](const std::vector<Given>& other, const std::string& message) {
    State first = state({{"w", {2, 1}, {1, 2}}, {"b", {1}, {0}}});
    const State same = first;
    State another = state(other);
    first.origin = "best_state";
    another.origin = "b.th: best_state";
    try {
      average(first, {same, another});
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_EQ(error.code(), "average.tensors");
      EXPECT_EQ(error.message(), message);
      EXPECT_EQ(error.hint(),
                "average checkpoints of the same training, or of one that was fine-tuned from it");
    }
  };
  refuse({{"w", {2, 1}, {1, 2}}}, "b.th: best_state has no tensor 'b' to average with");
  refuse({{"w", {1, 2}, {1, 2}}, {"b", {1}, {0}}},
         "tensor 'w' is [1, 2] in b.th: best_state, and [2, 1] in best_state");
  refuse({{"w", {2, 1}, {1, 2}}, {"b", {1}, {0}}, {"c", {1}, {0}}},
         "b.th: best_state has 3 tensors, best_state has 2");
}

TEST_F(Averaging, NamesTheTensorThatCannotBeComputedWith) {
  Tensor complex;
  complex.dtype = DType::complex64;
  complex.layout = {{1}, {1}, 0};
  State first;
  first.tensors = {{"w", complex}};
  const State other = first;
  expect_error(ErrorKind::input, "tensor.elements",
               Eq("'w': elements of type complex64 cannot be computed with"),
               [&] { average(first, {other}); });
}

// ---- fold ----

using Folding = ComputeTest;

TEST_F(Folding, PutsTheWeightInThePlaceOfItsGain) {
  State folded = state({{"conv.bias", {2}, {0, 0}},
                        {"conv.weight_g", {2, 1}, {10, 2}},
                        {"conv.weight_v", {2, 2}, {3, 4, 0, -5}},
                        {"late.weight_v", {1, 2}, {0, 4}},
                        {"late.weight_g", {1, 1}, {1}},
                        {"linear.weight", {1}, {7}}});
  fold_weight_norm(folded);
  EXPECT_THAT(names(folded),
              ElementsAre("conv.bias", "conv.weight", "late.weight", "linear.weight"));
  EXPECT_THAT(numbers(folded, "conv.weight"), ElementsAre(6, 8, 0, -2));
  EXPECT_THAT(numbers(folded, "late.weight"), ElementsAre(0, 1));
  EXPECT_EQ(at(folded, "conv.weight").shape(), (Shape{2, 2}));
  EXPECT_EQ(at(folded, "conv.weight").dtype(), DType::float32);
  EXPECT_FALSE(is_computed(at(folded, "linear.weight")));
  EXPECT_THAT(folded.notes, ElementsAre("weight norm of 2 convolutions folded"));
}

TEST_F(Folding, LeavesWhatHasNoOtherHalf) {
  State folded = state({{"a.weight_g", {1}, {1}},
                        {"b.weight_v", {1}, {1}},
                        {"c.weight_g", {1, 1}, {2}},
                        {"c.weight_v", {1, 1}, {5}},
                        {"weight_g", {1}, {1}}});
  fold_weight_norm(folded);
  EXPECT_THAT(names(folded), ElementsAre("a.weight_g", "b.weight_v", "c.weight", "weight_g"));
}

TEST_F(Folding, TakesAverages) {
  State mean = state({{"w.weight_g", {1, 1}, {1}}, {"w.weight_v", {1, 2}, {6, 0}}});
  average(mean, {state({{"w.weight_g", {1, 1}, {9}}, {"w.weight_v", {1, 2}, {0, 8}}})});
  fold_weight_norm(mean);
  EXPECT_THAT(numbers(mean, "w.weight"), ElementsAre(3, 4));
}

TEST_F(Folding, RefusesWhatHasNoWeightNorm) {
  State plain = state({{"w.weight", {1}, {1}}});
  expect_error(ErrorKind::input, "fold.none",
               Eq("best_state holds no pair weight_g and weight_v: no weight norm to fold"),
               [&] { fold_weight_norm(plain); });
}

TEST_F(Folding, RefusesAWeightBesideItsParts) {
  State both =
      state({{"w.weight", {1, 1}, {1}}, {"w.weight_g", {1, 1}, {1}}, {"w.weight_v", {1, 1}, {1}}});
  expect_error(ErrorKind::input, "fold.duplicate",
               Eq("best_state holds 'w.weight' beside the weight_g and weight_v that make it"),
               [&] { fold_weight_norm(both); });
}

TEST_F(Folding, NamesTheWeightWhoseNormDoesNotFit) {
  State wrong = state({{"w.weight_g", {3, 1}, {1, 2, 3}}, {"w.weight_v", {2, 2}, {1, 2, 3, 4}}});
  expect_error(ErrorKind::input, "tensor.shape",
               Eq("'w.weight': the norm of a weight has the shape [3, 1], expected [2, 1]"),
               [&] { fold_weight_norm(wrong); });
}

// ---- order ----

using Ordering = ComputeTest;

TEST_F(Ordering, OfFoldedWeightsIsThatOfTheConfiguration) {
  State shuffled = state({{"t5.2", {1}, {0}},
                          {"c", {1}, {0}},
                          {"a.weight_g", {1, 1}, {1}},
                          {"t5.1", {1}, {0}},
                          {"a.weight_v", {1, 1}, {1}},
                          {"b", {1}, {0}}});
  shuffled.folded = {Config::from_yaml("norm: none\n"), {"a.weight", "b", "c"}};
  fold_weight_norm(shuffled);
  EXPECT_THAT(names(shuffled), ElementsAre("a.weight", "b", "c", "t5.2", "t5.1"));
  EXPECT_EQ(shuffled.config.text(), "norm: none\n");
}

// ---- types ----

class Casting : public ComputeTest {
 protected:
  State weights() {
    return state({{"enc.weight", {1}, {1.0 / 3}},
                  {"enc.bias", {1}, {2}},
                  {"half", {1}, {3}, DType::float16},
                  {"steps", {1}, {4}, DType::int64},
                  {"q._codebook.embed", {1}, {5}},
                  {"q._codebook.cluster_size", {1}, {1e5}}});
  }
  State cast_to(const Casts& casts) {
    State result = weights();
    cast(result, casts);
    return result;
  }
  static std::vector<std::string> types(const State& state) {
    std::vector<std::string> result;
    for (const NamedTensor& named : state.tensors) result.emplace_back(name(named.dtype()));
    return result;
  }
};

TEST_F(Casting, KeepsTypesUnlessAskedTo) {
  const State kept = cast_to({});
  EXPECT_THAT(types(kept),
              ElementsAre("float32", "float32", "float16", "int64", "float32", "float32"));
  for (const NamedTensor& named : kept.tensors) EXPECT_FALSE(is_computed(named));
  EXPECT_TRUE(kept.notes.empty());
}

TEST_F(Casting, RoundsWeightsAndLeavesCounters) {
  const State half = cast_to({"float16"});
  EXPECT_THAT(types(half),
              ElementsAre("float16", "float16", "float16", "int64", "float16", "float32"));
  EXPECT_THAT(numbers(half, "enc.weight"), ElementsAre(0.333251953125));
  // What has the type already is copied as it is.
  EXPECT_FALSE(is_computed(at(half, "half")));
  EXPECT_FALSE(is_computed(at(half, "q._codebook.cluster_size")));
  EXPECT_THAT(half.notes, ElementsAre("4 tensors are float16 as asked for",
                                      "1 tensor that counts keeps its type"));
}

TEST_F(Casting, TakesTheFirstRuleThatMatches) {
  const State cast = cast_to({"bfloat16", "enc.*=float32,*.bias=float64,*cluster_size=float64"});
  EXPECT_THAT(types(cast),
              ElementsAre("float32", "float32", "bfloat16", "int64", "bfloat16", "float64"));
}

TEST_F(Casting, TakesRulesAlone) {
  const State cast = cast_to({"keep", "*.bias=float64"});
  EXPECT_THAT(types(cast),
              ElementsAre("float32", "float64", "float16", "int64", "float32", "float32"));
  EXPECT_THAT(cast.notes, ElementsAre("1 tensor is float64 as asked for"));
}

TEST_F(Casting, RoundsAveragesOnce) {
  State mean = state({{"w", {1}, {1}, DType::float16}});
  average(mean, {state({{"w", {1}, {1 + 0.0009765625}, DType::float16}})});
  cast(mean, Casts{"float32"});
  EXPECT_THAT(numbers(mean, "w"), ElementsAre(1 + 0.00048828125));
}

TEST_F(Casting, KeepsTiedWeightsTied) {
  State tied = state({{"a", {1}, {1}}, {"b", {1}, {1}}, {"c", {1}, {1}}}, {{"b", "a"}});
  cast(tied, Casts{"float16"});
  EXPECT_EQ(elements(tied, "a"), elements(tied, "b"));
  EXPECT_NE(elements(tied, "a"), elements(tied, "c"));
}

TEST_F(Casting, RefusesRulesThatCannotBeRead) {
  const auto refuse = [&](const std::string& rules, const std::string& message) {
    try {
      cast_to({"keep", rules});
      ADD_FAILURE() << rules;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_EQ(error.code(), "option.value");
      EXPECT_EQ(error.message(), "option 'dtype-of': " + message);
      EXPECT_EQ(error.hint(),
                "write it as PATTERN=TYPE,PATTERN=TYPE, for example '*.bias=float32'");
    }
  };
  refuse("float16", "'float16' is no PATTERN=TYPE");
  refuse("=float16", "'=float16' is no PATTERN=TYPE");
  refuse("*=float32,,", "'' is no PATTERN=TYPE");
  refuse("*=int8",
         "'*=int8' names the type 'int8', expected float32, float16, bfloat16 or float64");
  refuse("*=", "'*=' names the type '', expected float32, float16, bfloat16 or float64");
  refuse("dec.*=float32", "'dec.*' matches no tensor of best_state");
  // Integers keep their type whatever is asked for.
  refuse("steps=float32", "'steps' matches no tensor of best_state");
}

}  // namespace
}  // namespace craftbundle

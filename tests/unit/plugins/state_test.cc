#include "craftbundle/audiocraft_rules/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem/operations.hpp>

#include "support/error_matchers.h"
#include "unit/plugins/plugins_support.h"

namespace craftbundle {
namespace {

using audiocraft::check_state;
using audiocraft::choose_state;
using audiocraft::ExpectedState;
using audiocraft::State;
using audiocraft::StateChoice;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::golden;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

NamedTensor tensor(const std::string& name, std::vector<std::int64_t> shape,
                   DType dtype = DType::float32) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.layout.strides = contiguous_strides(shape);
  tensor.layout.shape = std::move(shape);
  return {name, std::move(tensor)};
}

const Storage& storage_of(const NamedTensor& named) {
  return std::get<Tensor>(named.tensor).storage;
}

State state_of(std::vector<NamedTensor> tensors) { return {"best_state", std::move(tensors), {}}; }

ExpectedState two_layers() {
  ExpectedState expected;
  expected.add_linear("a", 2, 3, true);
  expected.add_counter("steps");
  return expected;
}

TEST(CheckState, TakesWhatIsExpected) {
  const State state = state_of({tensor("steps", {}, DType::int64), tensor("a.bias", {2}),
                                tensor("a.weight", {2, 3}, DType::float16)});
  EXPECT_THAT(check_state(state, two_layers()),
              ElementsAre("3 tensors of best_state have the names and shapes that xp.cfg implies"));
}

// As models of layouts other than AudioCraft's.
TEST(CheckState, NamesWhatHasNoPlaceInACheckpoint) {
  State state = state_of({tensor("steps", {}, DType::int64), tensor("a.bias", {2}),
                          tensor("a.weight", {2, 3}, DType::float16)});
  state.where.clear();
  EXPECT_THAT(check_state(state, two_layers()),
              ElementsAre("3 tensors of the model have the names and shapes that xp.cfg implies"));
}

TEST(CheckState, ListsEverythingAtOnce) {
  const State state = state_of({tensor("a.weight", {3, 2}, DType::int64), tensor("b", {1})});
  expect_error(ErrorKind::input, "state.tensors",
               "best_state does not hold the tensors that xp.cfg describes: "
               "2 missing ('a.bias', 'steps'); 1 unexpected ('b'); "
               "1 of another shape ('a.weight' is [3, 2], expected [2, 3]); "
               "1 of another type ('a.weight' is int64, expected floating point)",
               [&] { check_state(state, two_layers()); });
}

TEST(CheckState, TakesNoComplexTensorForARealOne) {
  const State state = state_of({tensor("a.weight", {2, 3}, DType::complex64), tensor("a.bias", {2}),
                                tensor("steps", {}, DType::int64)});
  expect_error(ErrorKind::input, "state.tensors",
               HasSubstr("'a.weight' is complex64, expected real numbers"),
               [&] { check_state(state, two_layers()); });
}

TEST(CheckState, TakesATensorByEitherName) {
  ExpectedState expected;
  expected.add("mha.weight", {2});
  expected.allow_name("weight");
  for (const char* name : {"mha.weight", "weight"}) {
    EXPECT_THAT(check_state(state_of({tensor(name, {2})}), expected),
                ElementsAre(HasSubstr("1 tensor of best_state")));
  }
  expect_error(ErrorKind::input, "state.tensors", HasSubstr("1 unexpected ('weight')"), [&] {
    check_state(state_of({tensor("mha.weight", {2}), tensor("weight", {2})}), expected);
  });
}

TEST(CheckState, KeepsLongListsShort) {
  std::vector<NamedTensor> tensors;
  for (int i = 0; i < 1000; ++i) {
    tensors.push_back(tensor(std::string(300, 'x') + std::to_string(i), {1}));
  }
  try {
    check_state(state_of(std::move(tensors)), two_layers());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("1000 unexpected"));
    EXPECT_THAT(error.message(), HasSubstr("and 992 more"));
    EXPECT_LT(error.message().size(), 2000u);
  }
}

TEST(CheckState, EscapesNamesOfTheFile) {
  expect_error(ErrorKind::input, "state.tensors", Not(HasSubstr("\x1b")),
               [&] { check_state(state_of({tensor("\x1b]0;x\x07", {1})}), two_layers()); });
}

TEST(CheckState, ExplainsTheNewWayToWriteWeightNorm) {
  try {
    check_state(state_of({tensor("a.parametrizations.weight.original0", {2})}), two_layers());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("weight_g (original0)"));
  }
}

// Once the reason is known, a few names are enough.
TEST(CheckState, ExplainsAPrefixOfAllNames) {
  const State state = state_of({tensor("net.lm.a.weight", {2, 3}), tensor("net.lm.a.bias", {2}),
                                tensor("net.lm.steps", {}, DType::int64), tensor("loss", {1})});
  try {
    check_state(state, two_layers());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("names that begin with 'net.lm.', beside other tensors"));
    EXPECT_THAT(error.message(), HasSubstr("3 missing ('a.weight', 'a.bias' and 1 more)"));
  }
}

TEST(CheckState, UncheckedGroups) {
  ExpectedState expected;
  expected.add("a", {audiocraft::kAnySize, 3});
  expected.add_unchecked({"t5.", "the text encoder", true});
  EXPECT_THAT(check_state(state_of({tensor("a", {7, 3}), tensor("t5.x", {1})}), expected),
              ElementsAre(HasSubstr("1 tensor of best_state"),
                          "1 tensor of the text encoder taken as they are"));
  expect_error(ErrorKind::input, "state.tensors", HasSubstr("1 missing ('t5.*')"), [&] {
    check_state(state_of({tensor("a", {7, 3})}), expected);
  });
}

// Files.

State chosen(const Path& path, StateChoice choice) {
  const auto checkpoint = Checkpoint::open(path);
  const Config config = Config::from_object(checkpoint->root().at("xp.cfg"));
  return choose_state(*checkpoint, config, choice);
}

TEST(ChooseState, BestEmaAndLastDiffer) {
  const Path path = golden("encodec_train.th");
  const State best = chosen(path, StateChoice::best);
  const State ema = chosen(path, StateChoice::ema);
  const State last = chosen(path, StateChoice::last);
  EXPECT_EQ(best.where, "best_state['model']");
  EXPECT_EQ(ema.where, "ema['state']['model']");
  EXPECT_EQ(last.where, "model");
  for (const State* state : {&best, &ema, &last}) EXPECT_THAT(state->tensors, SizeIs(116));
  EXPECT_FALSE(storage_of(best.tensors[0]) == storage_of(last.tensors[0]));
  EXPECT_FALSE(storage_of(ema.tensors[0]) == storage_of(last.tensors[0]));
}

TEST(ChooseState, ShardedTrainingHasItsFullStateApart) {
  const State best = chosen(golden("musicgen_fsdp_train.th"), StateChoice::best);
  EXPECT_EQ(best.where, "fsdp_best_state['model']");
  EXPECT_EQ(best.tensors[2].shape(), (std::vector<std::int64_t>{33, 32}));
}

TEST(ChooseState, PiecesOfAShardedTrainingAreRefused) {
  for (const StateChoice choice : {StateChoice::last, StateChoice::ema}) {
    expect_error(ErrorKind::input, "state.rank_shard",
                 HasSubstr("holds flat pieces of the tensors"),
                 [&] { chosen(golden("musicgen_fsdp_train.th"), choice); });
  }
}

TEST(ChooseState, StatesThatAreNotThere) {
  const Path path = golden("encodec_groupnorm_train.th");  // kept states only
  expect_error(ErrorKind::input, "state.missing",
               HasSubstr("no moving average of the weights: the checkpoint has no 'ema'"),
               [&] { chosen(path, StateChoice::ema); });
  expect_error(ErrorKind::input, "state.missing",
               HasSubstr("there is no last state: the checkpoint has no 'model'"),
               [&] { chosen(path, StateChoice::last); });
}

Error shard_error(const Path& path) {
  try {
    chosen(path, StateChoice::best);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "test.nothing", "nothing was thrown");
}

TEST(ChooseState, RankShardNamesTheFullFile) {
  const testing::TemporaryDirectory directory;
  const Path shard = directory / "checkpoint.th.3";
  boost::filesystem::copy_file(golden("musicgen_fsdp_rank1_train.th"), shard);
  const Error without_full = shard_error(shard);
  EXPECT_EQ(without_full.code(), "state.rank_shard");
  EXPECT_THAT(without_full.message(),
              AllOf(HasSubstr("this is the shard of rank 3"),
                    HasSubstr("the full state is in checkpoint.th of rank 0"),
                    HasSubstr("fsdp_best_state['model'] is empty")));
  EXPECT_EQ(without_full.hint(), "export 'checkpoint.th' of the same training");

  boost::filesystem::copy_file(golden("musicgen_fsdp_train.th"), directory / "checkpoint.th");
  EXPECT_EQ(shard_error(shard).hint(),
            "export '" + (directory / "checkpoint.th").string() + "' instead");
}

TEST(ChooseState, RankShardUnderAnotherName) {
  EXPECT_THAT(shard_error(golden("musicgen_fsdp_rank1_train.th")).message(),
              HasSubstr("the shard of a rank other than 0"));
}

// Checkpoints made on the spot, from the tensors of a golden file.

Value any_tensor() {
  const auto checkpoint = Checkpoint::open(golden("yaml_cases_train.th"));
  return checkpoint->tensor(checkpoint->root().at("best_state").at("model").at("w"));
}

State read_back(const Value::Dict& state) {
  const testing::TemporaryDirectory directory;
  testing::write_checkpoint(directory / "checkpoint.th", Value::Dict{{"best_state", state}});
  const auto checkpoint = Checkpoint::open(directory / "checkpoint.th");
  return audiocraft::read_state(checkpoint->root().at("best_state"), *checkpoint, "best_state");
}

TEST(ReadState, FreesNamesOfWrappers) {
  const State state = read_back({{"_fsdp_wrapped_module.a._fsdp_wrapped_module.b", any_tensor()},
                                 {"c._checkpoint_wrapped_module.d", any_tensor()},
                                 {"not_fsdp_wrapped_module.e", any_tensor()}});
  EXPECT_EQ(state.tensors[0].name, "a.b");
  EXPECT_EQ(state.tensors[1].name, "c.d");
  EXPECT_EQ(state.tensors[2].name, "not_fsdp_wrapped_module.e");
  EXPECT_THAT(state.notes, ElementsAre(HasSubstr("wrapper names of FSDP removed")));
}

TEST(ReadState, RefusesNamesThatBecomeEqual) {
  expect_error(ErrorKind::input, "state.duplicate", HasSubstr("two tensors named 'a.b'"), [] {
    read_back({{"a.b", any_tensor()}, {"a._fsdp_wrapped_module.b", any_tensor()}});
  });
}

TEST(ReadState, RefusesWhatIsNoTensor) {
  expect_error(ErrorKind::input, "state.value", HasSubstr("best_state['b'] is"), [] {
    read_back({{"a", any_tensor()}, {"b", "text"}});
  });
  expect_error(ErrorKind::input, "state.empty", "best_state is empty, expected tensors by name",
               [] { read_back({}); });
}

TEST(ReadState, BoundsTheLengthOfNames) {
  expect_error(ErrorKind::input, "state.name", HasSubstr("a name of 513 bytes, expected 1 to 512"),
               [] {
                 read_back({{std::string(513, 'n'), any_tensor()}});
               });
}

}  // namespace
}  // namespace craftbundle

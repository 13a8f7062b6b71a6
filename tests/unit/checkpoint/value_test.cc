#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "craftbundle/detail/checkpoint/package.h"
#include "fake_checkpoint.h"
#include "object_tree.h"
#include "pickle_pieces.h"
#include "support/error_matchers.h"
#include "unpickler.h"

namespace craftbundle {
namespace {

using namespace testing::pickles;
using ::testing::Eq;
using testing::expect_error;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::make_tensor;
using testing::pattern;
using testing::read_file;
using testing::TemporaryDirectory;

class ToValue : public ::testing::Test {
 protected:
  Value value_of(const std::string& body) const {
    const Pickle pickle = read_pickle(PickleInput(protocol2(body)));
    return to_value(pickle.tree->root(), *checkpoint_, "root");
  }

  void expect_refused(const std::string& body, const std::string& code,
                      const ::testing::Matcher<std::string>& message) const {
    expect_error(ErrorKind::input, code, message, [&] { value_of(body); });
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const FakeCheckpoint> checkpoint_ =
      FakeCheckpoint::make(directory_ / "source", "");
};

TEST_F(ToValue, Scalars) {
  EXPECT_TRUE(value_of("N").get_if<std::monostate>() != nullptr);
  EXPECT_EQ(*value_of("\x88").get_if<bool>(), true);
  EXPECT_EQ(*value_of(integer(-5)).get_if<std::int64_t>(), -5);
  EXPECT_EQ(*value_of("G\x3f\xf8\0\0\0\0\0\0"s).get_if<double>(), 1.5);
  EXPECT_EQ(*value_of(str("text")).get_if<std::string>(), "text");
}

TEST_F(ToValue, TuplesBecomeListsAndAllDictsDicts) {
  const Value value = value_of("}(" + str("z") + tuple("\x88") + str("a") +
                               call("collections", "OrderedDict", "") + "(" + str("k") + "Nuu");
  const auto* dict = value.get_if<Value::Dict>();
  ASSERT_NE(dict, nullptr);
  ASSERT_EQ(dict->size(), 2U);
  EXPECT_EQ((*dict)[0].first, "z");
  ASSERT_NE((*dict)[0].second.get_if<Value::List>(), nullptr);
  EXPECT_EQ((*dict)[0].second.get_if<Value::List>()->size(), 1U);
  ASSERT_NE((*dict)[1].second.find("k"), nullptr);
}

TEST_F(ToValue, AnythingElseIsRefusedWhereItSits) {
  expect_refused("}(" + str("a") + "](N" + global("os", "system") + "eu", "package.type",
                 HasSubstr("root['a'][1]: is "));
  expect_refused(call("os", "system", str("true")), "package.type",
                 Eq("root: is opaque os.system, expected None, bool, int, float, str, list, tuple, "
                    "dict or tensor"));
  expect_refused(call("builtins", "set", "]"), "package.type", HasSubstr("root: is set"));
  expect_refused("\x8a\x09" + std::string(8, '\0') + "\x01", "package.type",
                 HasSubstr("root: is "));
}

TEST_F(ToValue, KeysMustBeDistinctStrings) {
  expect_refused("}(" + integer(1) + "Nu", "package.key",
                 HasSubstr("root: has the key int 1, expected only str"));
  expect_refused("}(" + str("a") + "N" + str("a") + "Nu", "package.duplicate_key",
                 Eq("root: has the key 'a' twice"));
}

TEST_F(ToValue, TextOfTheFileIsEscaped) {
  expect_refused("}(" + str("a\x1b[31m") + global("os", "system") + "u", "package.type",
                 HasSubstr("root['a\\x1B[31m']: is "));
}

TEST_F(ToValue, DepthIsBounded) {
  const auto nested = [](std::size_t depth) {
    std::string body(depth, ']');
    return body + std::string(depth - 1, 'a');
  };
  EXPECT_NE(value_of(nested(64)).get_if<Value::List>(), nullptr);
  expect_refused(nested(65), "package.depth", HasSubstr(": nests deeper than 64 levels"));
}

TEST_F(ToValue, CyclesAreRefused) {
  expect_refused("]q\0h\0a"s, "package.cycle", Eq("root[0]: contains itself"));
}

// 40 lists, each holding the one before twice: a value of 2^40 lists.
TEST_F(ToValue, SharedObjectsCannotMakeItHuge) {
  std::string body = "]q\0"s;
  for (char i = 0; i < 40; ++i) {
    body += "](h"s + i + "h" + i + "eq" + static_cast<char>(i + 1);
  }
  expect_refused(body, "package.size", HasSubstr("holds more than 200000 values"));
}

TEST_F(ToValue, SharedTextCannotMakeItHuge) {
  std::string body = "](" + str(std::string(1 << 20, 'x')) + "q\0"s;
  for (int i = 0; i < 40; ++i) body += "h\0"s;
  expect_refused(body + "e", "package.size", Eq("root[16]: holds more than 16.0 MiB of text"));
}

Path write(const Value& root, const Path& target) {
  OutputFile file(target.parent_path(), Durability::no_sync);
  write_package(root, file, {});
  file.publish(target, true);
  return target;
}

Value read(const Path& path) {
  const auto checkpoint = Checkpoint::open(path);
  return to_value(checkpoint->root(), *checkpoint, "root");
}

// Our own reader takes what our writer makes, and nothing is lost on the way.
TEST(Package, RoundTrip) {
  const TemporaryDirectory directory;
  const auto source = FakeCheckpoint::make(directory / "source", pattern(1 << 20));
  Value::List tensors;
  for (const DType dtype :
       {DType::float64,       DType::float32,       DType::float16,         DType::bfloat16,
        DType::int64,         DType::int32,         DType::int16,           DType::int8,
        DType::uint8,         DType::boolean,       DType::complex128,      DType::complex64,
        DType::complex32,     DType::uint16,        DType::uint32,          DType::uint64,
        DType::float8_e5m2,   DType::float8_e4m3fn, DType::float8_e5m2fnuz, DType::float8_e4m3fnuz,
        DType::float8_e8m0fnu}) {
    Storage storage = source->storage(std::string(name(dtype)), dtype, 64, 480);
    if (storage_class(dtype).empty()) {
      storage.dtype = DType::uint8;
      storage.elements = storage.bytes;
    }
    Tensor tensor = make_tensor(storage, {3, 2}, {2, 1}, 4);
    tensor.dtype = dtype;
    tensors.push_back(tensor);
    tensor.layout = {{2, 3}, {1, 2}, 4};
    tensor.requires_grad = is_floating(dtype);
    tensors.push_back(tensor);
  }
  const Value root = Value::Dict{
      {"tensors", tensors},
      {"scalar", make_tensor(source->storage("s", DType::float32, 0, 4), {}, {})},
      {"empty", make_tensor(source->storage("e", DType::float32, 0, 0), {0, 3}, {3, 1})},
      {"numbers", Value::List{std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 62, 0.1, true}},
      {"text \xc3\xa9", "\xe6\x97\xa5\n"},
      {"none", Value()},
      {"", Value::Dict{}}};
  const Path first = write(root, directory / "first");
  const Value again = read(first);
  const Path second = write(again, directory / "second");
  EXPECT_TRUE(read_file(first) == read_file(second));

  const auto* list = again.find("tensors")->get_if<Value::List>();
  ASSERT_EQ(list->size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& before = *tensors[i].get_if<Tensor>();
    const Tensor& after = *(*list)[i].get_if<Tensor>();
    EXPECT_EQ(after.dtype, before.dtype);
    EXPECT_EQ(after.layout.shape, before.layout.shape);
    EXPECT_EQ(after.layout.strides, before.layout.strides);
    EXPECT_EQ(after.layout.offset, 0);  // compacted
    EXPECT_EQ(after.requires_grad, before.requires_grad);
    EXPECT_TRUE(after.storage == (*list)[i / 2 * 2].get_if<Tensor>()->storage);
    const std::size_t size = 6 * item_size(after.dtype);
    std::string bytes(size, '\0');
    after.storage.owner->read(after.storage, 0, std::as_writable_bytes(std::span(bytes)));
    EXPECT_TRUE(bytes == source->file().read_text(64 + 4 * item_size(after.dtype), size))
        << name(after.dtype);
  }
}

// PyTorch's files, written again, and that written again.
TEST(Package, GoldenFilesStayWhatTheyAre) {
  const TemporaryDirectory directory;
  for (const char* name : {"encodec_exported.bin", "musicgen_exported.bin",
                           "yaml_cases_exported.bin", "pretrained_encodec_32khz.bin"}) {
    const Value golden = read(std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name);
    const Value once = read(write(golden, directory / "once"));
    write(once, directory / "twice");
    EXPECT_TRUE(read_file(directory / "once") == read_file(directory / "twice")) << name;
    const Value* state = golden.find("best_state");
    if (state == nullptr) continue;
    const auto& before = *state->get_if<Value::Dict>();
    const auto& after = *once.find("best_state")->get_if<Value::Dict>();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].first, before[i].first);
      EXPECT_EQ(after[i].second.get_if<Tensor>()->layout,
                before[i].second.get_if<Tensor>()->layout);
    }
  }
}

}  // namespace
}  // namespace craftbundle

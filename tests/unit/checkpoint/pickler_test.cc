#include "pickler.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "fake_checkpoint.h"

namespace craftbundle {
namespace {

using namespace std::string_literals;
using testing::FakeCheckpoint;
using testing::make_tensor;
using testing::pattern;
using testing::TemporaryDirectory;

std::string pickle(const Value& value) { return pickle_package(value, PackagePlan(value)); }
std::string pickled(const std::string& body) { return "\x80\x02"s + body + "."; }

TEST(Pickler, Scalars) {
  EXPECT_EQ(pickle(Value()), pickled("N"));
  EXPECT_EQ(pickle(true), pickled("\x88"));
  EXPECT_EQ(pickle(false), pickled("\x89"));
  EXPECT_EQ(pickle(1.5), pickled("G\x3f\xf8\0\0\0\0\0\0"s));
  EXPECT_EQ(pickle(-0.0), pickled("G\x80\0\0\0\0\0\0\0"s));
  EXPECT_EQ(pickle("k\xc3\xa9y"), pickled("X\x04\0\0\0k\xc3\xa9y"s));
  EXPECT_EQ(pickle(""), pickled("X\0\0\0\0"s));
}

TEST(Pickler, IntegersTakeTheShortestFormThatEveryReaderKnows) {
  const auto integer = [](std::int64_t value) { return pickle(value); };
  EXPECT_EQ(integer(0), pickled("K\0"s));
  EXPECT_EQ(integer(255), pickled("K\xff"));
  EXPECT_EQ(integer(256), pickled("M\0\x01"s));
  EXPECT_EQ(integer(65535), pickled("M\xff\xff"));
  EXPECT_EQ(integer(65536), pickled("J\0\0\x01\0"s));
  EXPECT_EQ(integer(-1), pickled("J\xff\xff\xff\xff"));
  EXPECT_EQ(integer(2147483647), pickled("J\xff\xff\xff\x7f"));
  EXPECT_EQ(integer(-2147483648), pickled("J\0\0\0\x80"s));
  EXPECT_EQ(integer(2147483648), pickled("\x8a\x08\0\0\0\x80\0\0\0\0"s));
  EXPECT_EQ(integer(-2147483649), pickled("\x8a\x08\xff\xff\xff\x7f\xff\xff\xff\xff"));
  EXPECT_EQ(integer(std::numeric_limits<std::int64_t>::min()),
            pickled("\x8a\x08\0\0\0\0\0\0\0\x80"s));
}

// LibTorch knows neither SETITEM nor APPEND.
TEST(Pickler, OneItemIsWrittenLikeMany) {
  EXPECT_EQ(pickle(Value::Dict{}), pickled("}"));
  EXPECT_EQ(pickle(Value::List{}), pickled("]"));
  EXPECT_EQ(pickle(Value::Dict{{"a", true}}), pickled("}(X\x01\0\0\0a\x88u"s));
  EXPECT_EQ(pickle(Value::List{Value()}), pickled("](Ne"));
  EXPECT_EQ(pickle(Value::Dict{{"b", Value::List{true, false}}, {"a", Value()}}),
            pickled("}(X\x01\0\0\0b](\x88\x89"s + "eX\x01\0\0\0aNu"s));
}

class TensorPickle : public ::testing::Test {
 protected:
  Storage storage(DType dtype, std::uint64_t bytes) const {
    return source_->storage(std::string(name(dtype)), dtype, 0, bytes);
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const FakeCheckpoint> source_ =
      FakeCheckpoint::make(directory_ / "source", pattern(4096));
};

TEST_F(TensorPickle, IsACallOfRebuildTensor) {
  Tensor tensor = make_tensor(storage(DType::float32, 24), {2, 3}, {3, 1});
  tensor.requires_grad = true;
  tensor.is_parameter = true;
  EXPECT_EQ(pickle(tensor), pickled("ctorch._utils\n_rebuild_tensor_v2\nq\0("
                                    "(X\x07\0\0\0storageq\x01"
                                    "ctorch\nFloatStorage\nq\x02X\x01\0\0\0"
                                    "0X\x03\0\0\0cpuq\x03K\x06tQ"
                                    "K\0K\x02K\x03\x86K\x03K\x01\x86\x88"
                                    "ccollections\nOrderedDict\nq\x04)RtR"s));
}

TEST_F(TensorPickle, NamesAreWrittenOnce) {
  const Tensor tensor = make_tensor(storage(DType::float16, 8));
  const std::string twice = pickle(Value::List{tensor, tensor});
  const std::string second =
      "h\0((h\x01h\x02X\x01\0\0\0"
      "0h\x03K\x04tQK\0K\x04\x85K\x01\x85\x89h\x04)RtRe."s;
  EXPECT_EQ(twice.substr(twice.size() - second.size()), second);
}

TEST_F(TensorPickle, ScalarAndManyDimensions) {
  const std::string scalar = pickle(make_tensor(storage(DType::int64, 8), {}, {}));
  EXPECT_NE(scalar.find("K\x01tQK\0))\x89"s), std::string::npos);
  const std::string four =
      pickle(make_tensor(storage(DType::uint8, 1), {1, 1, 1, 1}, {1, 1, 1, 1}));
  EXPECT_NE(four.find("(K\x01K\x01K\x01K\x01t(K\x01K\x01K\x01K\x01t\x89"s), std::string::npos);
}

// A type without a storage class of its own.
TEST_F(TensorPickle, UntypedStorageCountsBytesAndNamesTheType) {
  Tensor tensor = make_tensor(storage(DType::uint8, 8), {4}, {1});
  tensor.dtype = DType::uint16;
  const std::string text = pickle(tensor);
  EXPECT_NE(text.find("_rebuild_tensor_v3"), std::string::npos);
  EXPECT_NE(text.find("ctorch.storage\nUntypedStorage\n"), std::string::npos);
  EXPECT_NE(text.find("K\x08tQK\0K\x04\x85"s), std::string::npos);
  EXPECT_NE(text.find(")Rctorch\nuint16\nq\x05tR"), std::string::npos);
}

// One storage class cannot serve two types.
TEST_F(TensorPickle, SharedBytesOfTwoTypesAreUntyped) {
  const Storage bytes = storage(DType::uint8, 8);
  Tensor floats = make_tensor(bytes, {2}, {1});
  floats.dtype = DType::float32;
  const std::string text = pickle(Value::List{make_tensor(bytes), floats});
  EXPECT_EQ(text.find("ByteStorage"), std::string::npos);
  EXPECT_NE(text.find("ctorch\nuint8\n"), std::string::npos);
  EXPECT_NE(text.find("ctorch\nfloat32\n"), std::string::npos);
}

TEST_F(TensorPickle, BytesOfOneTypeGetItsStorageClass) {
  Tensor floats = make_tensor(storage(DType::uint8, 8), {2}, {1});
  floats.dtype = DType::float32;
  EXPECT_NE(pickle(floats).find("ctorch\nFloatStorage\nq\x02X\x01\0\0\0"
                                "0X\x03\0\0\0cpuq\x03K\x02tQ"s),
            std::string::npos);
}

}  // namespace
}  // namespace craftbundle

#include "craftbundle/detail/checkpoint/checkpoint.h"

#include <libdeflate.h>

#include <bit>

#include "craftbundle/detail/checkpoint/limits.h"
#include "support/error_matchers.h"
#include "support/exercise.h"
#include "support/temporary_directory.h"
#include "zip_builder.h"

namespace craftbundle {
namespace {

using namespace std::string_literals;
using namespace testing::pickles;
using ::testing::AllOf;
using testing::BuiltRecord;
using testing::BuiltZip;
using testing::checkpoint_zip;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CheckpointTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Checkpoint> open(const std::string& bytes) {
    testing::write_file(path_, bytes);
    return Checkpoint::open(path_);
  }
  std::shared_ptr<const Checkpoint> open(const BuiltZip& zip) { return open(zip.bytes()); }

  template <typename File>
  void refuse(const std::string& code, const std::string& text, const File& file) {
    SCOPED_TRACE(code + ": " + text);
    expect_error(ErrorKind::input, code, AllOf(StartsWith(path_.string() + ": "), HasSubstr(text)),
                 [&] { open(file); });
  }

  // The tensor that is the whole object of a file with the storages 0 and 1 of 32 bytes.
  Tensor tensor(const std::string& object) {
    BuiltZip zip = checkpoint_zip(protocol2(object));
    std::string data;
    for (int i = 0; i < 32; ++i) data += static_cast<char>(i);
    zip.records.push_back({"archive/data/0", data});
    zip.records.push_back({"archive/data/1", data});
    checkpoint_ = open(zip);
    return checkpoint_->tensor(checkpoint_->root());
  }

  void refuse_tensor(const std::string& code, const std::string& text, const std::string& object) {
    SCOPED_TRACE(code + ": " + text);
    expect_error(ErrorKind::input, code, HasSubstr(text), [&] { tensor(object); });
  }

  testing::TemporaryDirectory directory_;
  Path path_ = directory_ / "my checkpoint.th";
  std::shared_ptr<const Checkpoint> checkpoint_;
};

// _rebuild_tensor_v2 with parts of choice.
struct TensorPieces {
  std::string storage = pickles_storage();
  std::string offset = integer(0);
  std::string size = tuple(integer(8));
  std::string stride = tuple(integer(1));
  std::string requires_grad = "\x89";
  std::string hooks = no_hooks();
  std::string rest = {};
  std::string function = "_rebuild_tensor_v2";

  static std::string pickles_storage() { return testing::pickles::storage("FloatStorage", "0", 8); }
  std::string arguments() const {
    return storage + offset + size + stride + requires_grad + hooks + rest;
  }
  std::string body() const { return call("torch._utils", function, arguments()); }
};

TEST_F(CheckpointTest, OpensAZip) {
  BuiltZip zip = checkpoint_zip(protocol2("}" + str("a") + "K\1s"));
  const auto checkpoint = open(zip);
  EXPECT_EQ(checkpoint->root().at("a").as_int(), 1);
  EXPECT_EQ(checkpoint->format().container, CheckpointFormat::Container::zip);
  EXPECT_EQ(checkpoint->format().archive_name, "archive");
  EXPECT_EQ(checkpoint->format().pickle_protocol, 2);
  EXPECT_EQ(checkpoint->format().records, 2U);
  EXPECT_FALSE(checkpoint->format().big_endian);
  ASSERT_EQ(checkpoint->records().size(), 2U);
  EXPECT_EQ(checkpoint->records()[0].name, "data.pkl");
  EXPECT_EQ(checkpoint->file().path(), path_);
}

TEST_F(CheckpointTest, NotesOddities) {
  BuiltZip zip = checkpoint_zip(protocol2("N") + "cos\nsystem\n.");
  zip.trailing = "abc";
  const auto checkpoint = open(zip);
  EXPECT_THAT(
      checkpoint->format().notes,
      ElementsAre("3 bytes after the archive", "12 bytes after the end of the pickle, not read"));
  EXPECT_TRUE(checkpoint->globals().empty());
}

TEST_F(CheckpointTest, NotesRecordsOfOthers) {
  BuiltZip zip = checkpoint_zip("N.");
  for (int i = 0; i < 5; ++i)
    zip.records.push_back({"archive/extra" + std::to_string(i), "cos\nsystem\n."});
  const auto checkpoint = open(zip);
  EXPECT_THAT(
      checkpoint->format().notes,
      ElementsAre("record 'extra0' is not part of a checkpoint, not read",
                  "record 'extra1' is not part of a checkpoint, not read",
                  "record 'extra2' is not part of a checkpoint, not read", "2 more such records"));
  EXPECT_TRUE(checkpoint->globals().empty());
}

TEST_F(CheckpointTest, RefusesWrongLayouts) {
  refuse("zip.layout", "'data.pkl'", BuiltZip{{{"archive/version", "3\n"}}});
  refuse("format.version", "missing", BuiltZip{{{"archive/data.pkl", "N."}}});
  for (const std::string& version :
       {"0\n"s, "11\n"s, "x\n"s, ""s, "99999999999999999999999"s, "3\n\n"s}) {
    refuse("format.version", "known are 1 to 10",
           BuiltZip{{{"archive/data.pkl", "N."}, {"archive/version", version}}});
  }
  refuse("format.version", "unreasonably long",
         BuiltZip{{{"archive/data.pkl", "N."}, {"archive/version", std::string(100, '3')}}});
  BuiltZip zip = checkpoint_zip("N.");
  zip.records.push_back({"archive/byteorder", "middle"});
  refuse("format.byteorder", "'middle'", zip);
  zip.records.back() = {"archive/constants.pkl", ""};
  refuse("format.torchscript", "TorchScript", zip);
}

TEST_F(CheckpointTest, AcceptsBothNamesOfTheVersion) {
  EXPECT_TRUE(
      open(BuiltZip{{{"a/data.pkl", "N."}, {"a/.data/version", "10"}}})->root().is(Kind::none));
}

TEST_F(CheckpointTest, ChecksTheCrcOfThePickle) {
  BuiltZip zip = checkpoint_zip(protocol2("N"));
  zip.records[0].crc ^= 1;
  refuse("zip.crc", "record 'data.pkl'", zip);
}

TEST_F(CheckpointTest, NamesTheRecordOfABadPickle) {
  refuse("pickle.opcode", "data.pkl: byte 2 of the pickle: unknown opcode 0x7f",
         checkpoint_zip("\x80\x02\x7f."));
}

TEST_F(CheckpointTest, ReadsADeflatedPickle) {
  const std::string pickle = protocol2(str(std::string(4000, 'x')));
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string data(10000, '\0');
  data.resize(libdeflate_deflate_compress(compressor, pickle.data(), pickle.size(), data.data(),
                                          data.size()));
  libdeflate_free_compressor(compressor);
  BuiltZip zip = checkpoint_zip(pickle);
  zip.records[0].data = data;
  zip.records[0].method = 8;
  EXPECT_EQ(open(zip)->root().as_string(), std::string(4000, 'x'));
}

TEST_F(CheckpointTest, LimitsThePickle) {
  BuiltRecord record{"archive/data.pkl", std::string(2 << 20, 'x')};
  record.method = 8;
  record.size = limits::kPickleBytes + 1;
  refuse("limit.pickle", "at most 256.0 MiB", BuiltZip{{record, {"archive/version", "3\n"}}});
}

TEST_F(CheckpointTest, ReadsTensors) {
  const Tensor t = tensor(testing::pickles::tensor("FloatStorage", "0", 8));
  EXPECT_EQ(t.dtype, DType::float32);
  EXPECT_THAT(t.layout.shape, ElementsAre(8));
  EXPECT_THAT(t.layout.strides, ElementsAre(1));
  EXPECT_FALSE(t.requires_grad);
  EXPECT_FALSE(t.is_parameter);
  EXPECT_EQ(t.storage.key, "0");
  EXPECT_EQ(t.storage.bytes, 32U);
  EXPECT_EQ(t.storage.elements, 8U);
  EXPECT_TRUE(t.storage.crc);
  EXPECT_EQ(t.storage.owner, checkpoint_);
  std::vector<std::byte> bytes(4);
  checkpoint_->read(t.storage, 8, bytes);
  EXPECT_THAT(bytes, ElementsAre(std::byte{8}, std::byte{9}, std::byte{10}, std::byte{11}));
  EXPECT_EQ(describe(checkpoint_->root()), "Tensor float32 [8]");
  // The storage keeps the file open.
  const Storage storage = t.storage;
  checkpoint_.reset();
  storage.owner->read(storage, 0, bytes);
}

TEST_F(CheckpointTest, ReadsAllForms) {
  EXPECT_EQ(tensor(call("torch._utils", "_rebuild_tensor",
                        storage("LongStorage", "0", 4) + integer(1) + tuple(integer(3)) +
                            tuple(integer(1))))
                .layout.offset,
            1);
  TensorPieces pieces;
  pieces.rest = "}";
  EXPECT_EQ(tensor(pieces.body()).dtype, DType::float32);
  pieces.rest = "N";
  EXPECT_EQ(tensor(pieces.body()).dtype, DType::float32);

  const Tensor parameter = tensor(
      call("torch._utils", "_rebuild_parameter", TensorPieces().body() + "\x88" + no_hooks()));
  EXPECT_TRUE(parameter.is_parameter);
  EXPECT_TRUE(parameter.requires_grad);
  EXPECT_TRUE(tensor(call("torch._utils", "_rebuild_parameter_with_state",
                          TensorPieces().body() + "\x88" + no_hooks() + "}"))
                  .is_parameter);

  TensorPieces v3;
  v3.function = "_rebuild_tensor_v3";
  v3.storage = tuple(str("storage") + global("torch.storage", "UntypedStorage") + str("0") +
                     str("cpu") + integer(32)) +
               "Q";
  v3.size = tuple(integer(16));
  v3.rest = global("torch", "uint16");
  const Tensor wide = tensor(v3.body());
  EXPECT_EQ(wide.dtype, DType::uint16);
  EXPECT_EQ(wide.storage.dtype, DType::uint8);
  EXPECT_EQ(wide.storage.elements, 32U);
  v3.size = tuple(integer(17));
  refuse_tensor("tensor.bounds", "16 elements", v3.body());
  v3.rest = global("torch", "bits8");
  refuse_tensor("tensor.dtype", "torch.bits8", v3.body());
  v3.rest = global("torch", "uint16");
  v3.storage = TensorPieces().storage;
  refuse_tensor("tensor.dtype", "untyped storage", v3.body());
}

TEST_F(CheckpointTest, ReadsViews) {
  TensorPieces pieces;
  pieces.offset = integer(1);
  pieces.size = tuple(integer(3) + integer(2));
  pieces.stride = tuple(integer(2) + integer(1));
  EXPECT_EQ(tensor(pieces.body()).layout.strides[0], 2);
  pieces.size = tuple(integer(1LL << 40));  // expanded
  pieces.stride = tuple(integer(0));
  EXPECT_EQ(tensor(pieces.body()).layout.shape[0], 1LL << 40);
  pieces.size = tuple("");
  pieces.stride = tuple("");
  EXPECT_TRUE(tensor(pieces.body()).layout.shape.empty());
  pieces.size = tuple(integer(0) + integer(5));
  pieces.stride = tuple(integer(5) + integer(1));
  EXPECT_EQ(tensor(pieces.body()).layout.shape[0], 0);
  pieces.size = call("torch", "Size", tuple(integer(2)));
  pieces.stride = tuple(integer(1));
  EXPECT_THAT(tensor(pieces.body()).layout.shape, ElementsAre(2));
}

TEST_F(CheckpointTest, RefusesNumbersOfTensors) {
  const auto with = [](std::string TensorPieces::*piece, const std::string& value) {
    TensorPieces pieces;
    pieces.*piece = value;
    return pieces.body();
  };
  refuse_tensor("tensor.offset", "the offset is int -1", with(&TensorPieces::offset, integer(-1)));
  refuse_tensor("tensor.offset", "True", with(&TensorPieces::offset, "\x88"));
  refuse_tensor("tensor.offset", "float", with(&TensorPieces::offset, "F1\n"));
  refuse_tensor("tensor.bounds", "offset 1 reach", with(&TensorPieces::offset, integer(1)));
  refuse_tensor("tensor.bounds", "reach", with(&TensorPieces::offset, integer(INT64_MAX)));
  refuse_tensor("tensor.size", "int -8", with(&TensorPieces::size, tuple(integer(-8))));
  refuse_tensor("tensor.size", "str '8'", with(&TensorPieces::size, tuple(str("8"))));
  refuse_tensor("tensor.size", "expected a tuple", with(&TensorPieces::size, integer(8)));
  refuse_tensor("tensor.size", "int 99999999999999999999",
                with(&TensorPieces::size, "I99999999999999999999\n\x85"));
  refuse_tensor("tensor.stride", "int -1", with(&TensorPieces::stride, tuple(integer(-1))));
  refuse_tensor("tensor.stride", "2 strides for 1 dimensions",
                with(&TensorPieces::stride, tuple(integer(1) + integer(1))));
  refuse_tensor("tensor.bounds", "strides [3]", with(&TensorPieces::stride, tuple(integer(3))));
  refuse_tensor("tensor.bounds", "reach", with(&TensorPieces::stride, tuple(integer(INT64_MAX))));
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += integer(1);
  refuse_tensor("tensor.size", "9 dimensions", with(&TensorPieces::size, tuple(nine)));
  TensorPieces wraps;
  wraps.size = tuple(integer(1LL << 32) + integer(1LL << 32));
  wraps.stride = tuple(integer(0) + integer(0));
  refuse_tensor("tensor.size", "more elements than can be counted", wraps.body());
  TensorPieces empty;
  empty.size = tuple(integer(0));
  empty.offset = integer(9);
  refuse_tensor("tensor.bounds", "offset 9", empty.body());
}

TEST_F(CheckpointTest, RefusesStorages) {
  const auto with = [](const std::string& storage) {
    TensorPieces pieces;
    pieces.storage = storage;
    return pieces.body();
  };
  const auto id = [&](const std::string& type, const std::string& key, const std::string& numel) {
    return with(tuple(str("storage") + type + key + str("cpu") + numel) + "Q");
  };
  const std::string type = global("torch", "FloatStorage");
  refuse_tensor("tensor.numel", "int -1", id(type, str("0"), integer(-1)));
  refuse_tensor("tensor.numel", "larger than any file",
                id(type, str("0"), integer((1LL << 62) + 8)));
  refuse_tensor("tensor.record_size", "needs 36 bytes, the file has 32",
                id(type, str("0"), integer(9)));
  TensorPieces short_storage;
  short_storage.storage = storage("FloatStorage", "0", 4);
  short_storage.size = tuple(integer(4));
  refuse_tensor("tensor.record_size", "needs 16 bytes, the file has 32", short_storage.body());
  refuse_tensor("tensor.missing_record", "'900'", id(type, str("900"), integer(8)));
  for (const std::string key : {"../../version", "", "0x", "-1", "000000000000000000000"}) {
    refuse_tensor("tensor.storage_key", "expected digits", id(type, str(key), integer(8)));
  }
  refuse_tensor("tensor.storage_key", "int 0", id(type, "K\0"s, integer(8)));
  refuse_tensor("tensor.storage", "'os.FloatStorage'",
                id(global("os", "FloatStorage"), str("0"), integer(8)));
  refuse_tensor("tensor.storage", "'torch.Size'",
                id(global("torch", "Size"), str("0"), integer(8)));
  refuse_tensor("tensor.storage", "str 'x'", id(str("x"), str("0"), integer(8)));
  refuse_tensor("tensor.quantized", "QInt8Storage",
                id(global("torch", "QInt8Storage"), str("0"), integer(8)));
  refuse_tensor("tensor.storage", "persistent id", with(tuple(str("module") + type) + "Q"));
  refuse_tensor("tensor.storage", "persistent id", with(str("0") + "Q"));
  refuse_tensor("tensor.storage", "the storage is None", with("N"));
}

TEST_F(CheckpointTest, RefusesArgumentsOfTensors) {
  TensorPieces pieces;
  pieces.hooks = call("collections", "OrderedDict", "") + "K\1K\2s";
  refuse_tensor("tensor.hooks", "backward_hooks is OrderedDict of 1", pieces.body());
  pieces = {};
  pieces.requires_grad = "K\1";
  refuse_tensor("tensor.args", "requires_grad is int 1", pieces.body());
  pieces = {};
  pieces.rest = "}" + str("conj") + "\x88s";
  refuse_tensor("tensor.args", "conjugate", pieces.body());
  pieces.rest = "}}";
  refuse_tensor("tensor.args", "8 arguments", pieces.body());
  refuse_tensor("tensor.args", "expected a tensor, found int 1", "K\1");
  refuse_tensor(
      "tensor.args", "made of a parameter",
      call("torch._utils", "_rebuild_parameter",
           call("torch._utils", "_rebuild_parameter", TensorPieces().body() + "\x88" + no_hooks()) +
               "\x88" + no_hooks()));
  refuse_tensor("tensor.args", "the arguments are",
                global("torch._utils", "_rebuild_tensor_v2") + call("m", "f", "") + "R");
}

TEST_F(CheckpointTest, RefusesOtherTensorsByName) {
  const auto named = [](const std::string& module, const std::string& name) {
    return call(module, name, "");
  };
  refuse_tensor("tensor.quantized", "quantized", named("torch._utils", "_rebuild_qtensor"));
  refuse_tensor("tensor.sparse", "sparse", named("torch._utils", "_rebuild_sparse_tensor"));
  refuse_tensor("tensor.nested", "nested", named("torch._utils", "_rebuild_nested_tensor"));
  refuse_tensor("tensor.meta", "meta", named("torch._utils", "_rebuild_meta_tensor_no_storage"));
  refuse_tensor("tensor.subclass", "wrapper", named("torch._utils", "_rebuild_wrapper_subclass"));
  refuse_tensor("tensor.subclass", "ShardedTensor",
                named("torch._tensor", "_rebuild_from_type_v2"));
  // Of subclasses the class is named.
  refuse_tensor("tensor.subclass", "wrapper around other tensors: torchao.quantization.Int8Tensor",
                call("torch._utils", "_rebuild_wrapper_subclass",
                     global("torchao.quantization", "Int8Tensor")));
  refuse_tensor("tensor.subclass", "a tensor of the subclass my.kind.Tensor",
                call("torch._tensor", "_rebuild_from_type_v2",
                     global("torch._utils", "_rebuild_tensor_v2") + global("my.kind", "Tensor")));
  refuse_tensor("tensor.device", "NumPy",
                named("torch._utils", "_rebuild_device_tensor_from_numpy"));
  refuse_tensor("tensor.old", "before 0.2", named("torch", "FloatTensor"));
}

TEST_F(CheckpointTest, TakesPlainTensorsWithAttributes) {
  for (const auto& [module, name] :
       {std::pair("torch", "Tensor"), std::pair("torch.nn.parameter", "Buffer"),
        std::pair("torch.nn.parameter", "Parameter")}) {
    SCOPED_TRACE(name);
    const std::string plain = global("torch._utils", "_rebuild_tensor_v2");
    const std::string attributes = "}" + str("ds_id") + integer(3) + "s";
    const std::string made =
        call("torch._tensor", "_rebuild_from_type_v2",
             plain + global(module, name) + tuple(TensorPieces().arguments()) + attributes);
    EXPECT_THAT(tensor(made).layout.shape, ElementsAre(8));
    // And a parameter of one.
    const Tensor parameter =
        tensor(call("torch._utils", "_rebuild_parameter", made + "\x88" + no_hooks()));
    EXPECT_TRUE(parameter.is_parameter);
    EXPECT_THAT(parameter.layout.shape, ElementsAre(8));
  }
}

// Python's tensors take no state, or other numbers by it.
TEST_F(CheckpointTest, RefusesTensorsThatAreChangedAfterwards) {
  const std::string made = TensorPieces().body();
  refuse_tensor("tensor.build", "given a state or items", made + "}b");
  refuse_tensor("tensor.build", "given a state or items", made + "K\0K\1s"s);
  refuse_tensor("tensor.build", "given a state or items", made + "K\0a"s);
  const std::string parameter =
      call("torch._utils", "_rebuild_parameter", made + "\x88" + no_hooks());
  refuse_tensor("tensor.build", "given a state or items", parameter + "}b");
}

TEST_F(CheckpointTest, RefusesStoragesThatContradictEachOther) {
  BuiltZip zip =
      checkpoint_zip(protocol2(testing::pickles::tensor("FloatStorage", "0", 8) +
                               testing::pickles::tensor("IntStorage", "0", 8) +
                               testing::pickles::tensor("FloatStorage", "1", 8) + "\x87"));
  zip.records.push_back({"archive/data/0", std::string(32, 'x')});
  zip.records.push_back({"archive/data/1", std::string(32, 'x')});
  const auto checkpoint = open(zip);
  expect_error(ErrorKind::input, "tensor.storage_conflict", HasSubstr("storage '0'"),
               [&] { (void)checkpoint->tensor(checkpoint->root()[0]); });
  EXPECT_EQ(checkpoint->tensor(checkpoint->root()[2]).storage.key, "1");
}

TEST_F(CheckpointTest, SharesStorages) {
  BuiltZip zip =
      checkpoint_zip(protocol2(testing::pickles::tensor("FloatStorage", "0", 8) +
                               testing::pickles::tensor("FloatStorage", "0", 8) + "\x86"));
  zip.records.push_back({"archive/data/0", std::string(32, 'x')});
  const auto checkpoint = open(zip);
  EXPECT_TRUE(checkpoint->tensor(checkpoint->root()[0]).storage ==
              checkpoint->tensor(checkpoint->root()[1]).storage);
}

TEST_F(CheckpointTest, SwapsForeignBytes) {
  BuiltZip zip =
      checkpoint_zip(protocol2(testing::pickles::tensor("ShortStorage", "0", 2) +
                               testing::pickles::tensor("ComplexFloatStorage", "1", 1) + "\x86"));
  zip.records.push_back({"archive/data/0", "\1\2\3\4"});
  zip.records.push_back({"archive/data/1", "\1\2\3\4\5\6\7\x08"});
  zip.records.push_back(
      {"archive/byteorder", std::endian::native == std::endian::little ? "big" : "little"});
  const auto checkpoint = open(zip);
  const auto read = [&](std::size_t i) {
    const Tensor t = checkpoint->tensor(checkpoint->root()[i]);
    EXPECT_TRUE(t.storage.swapped);
    std::string bytes(t.storage.bytes, '\0');
    checkpoint->read(t.storage, 0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  };
  EXPECT_EQ(read(0), "\2\1\4\3");
  EXPECT_EQ(read(1), "\4\3\2\1\x08\7\6\5");
}

TEST_F(CheckpointTest, ReadsDeflatedStorages) {
  std::string data;
  for (int i = 0; i < 1000; ++i) data += little(static_cast<std::uint64_t>(i % 7), 4);
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string packed(10000, '\0');
  packed.resize(libdeflate_deflate_compress(compressor, data.data(), data.size(), packed.data(),
                                            packed.size()));
  libdeflate_free_compressor(compressor);
  BuiltZip zip = checkpoint_zip(protocol2(testing::pickles::tensor("IntStorage", "0", 1000)));
  BuiltRecord record{"archive/data/0", data};
  record.data = packed;
  record.method = 8;
  zip.records.push_back(record);
  const auto checkpoint = open(zip);
  const Storage storage = checkpoint->tensor(checkpoint->root()).storage;
  EXPECT_TRUE(storage.deflated);
  std::vector<std::byte> bytes(4);
  checkpoint->read(storage, 4 * 6, bytes);
  EXPECT_EQ(bytes[0], std::byte{6});

  zip.records.back().crc ^= 1;
  const auto damaged = open(zip);
  expect_error(ErrorKind::input, "zip.crc", HasSubstr("'data/0'"),
               [&] { damaged->read(damaged->tensor(damaged->root()).storage, 0, bytes); });

  zip.records.push_back({"archive/byteorder", "big"});
  const auto foreign = open(zip);
  expect_error(ErrorKind::input, "tensor.byteorder", HasSubstr("compressed"),
               [&] { (void)foreign->tensor(foreign->root()); });
}

TEST_F(CheckpointTest, SaysWhenTheCrcWasNotComputed) {
  BuiltZip zip = checkpoint_zip(protocol2(testing::pickles::tensor("FloatStorage", "0", 8)));
  zip.records.push_back({"archive/data/0", std::string(32, 'x')});
  zip.records.back().crc = 0;
  const auto checkpoint = open(zip);
  EXPECT_FALSE(checkpoint->tensor(checkpoint->root()).storage.crc);
}

TEST_F(CheckpointTest, RefusesFilesOfOtherKinds) {
  refuse("format.empty", "is empty", ""s);
  refuse("format.json", "JSON", "{\"a\": 1}"s);
  refuse("format.json", "JSON", "  [1]\n"s);
  refuse("format.text", "'hello world'", "hello world\n"s);
  refuse("format.html", "web page", "<!DOCTYPE html><html>"s);
  refuse("format.html", "web page", "\n<HTML>"s);
  refuse("format.lfs_pointer", "Git LFS",
         "version https://git-lfs.github.com/spec/v1\noid sha256:12\n"s);
  refuse("format.safetensors", "safetensors",
         little(20, 8) + "{\"w\":{\"dtype\":\"F32\"}}" + "\xff\xff");
  refuse("format.compressed", "gzip", "\x1f\x8b\x08\0\0"s);
  refuse("format.hdf5", "HDF5", "\x89HDF\r\n\x1a\n\0\0"s);
  refuse("format.numpy", "NumPy", "\x93NUMPY\1\0"s);
  refuse("format.gguf", "GGUF", "GGUF\3\0\0\0"s);
  refuse("format.audio", "audio", "RIFF\0\0\0\0WAVE"s);
  refuse("format.program", "program",
         "\x7f"
         "ELF\2\1\1\0"s);
  refuse("format.preview", "preview", "PYTORCH1\0"s);
  refuse("format.pickle", "none that torch.save wrote", protocol2("}"));
  refuse("format.pickle", "none that torch.save wrote", "\x80\x02 and no pickle"s);
  refuse("format.zeros", "zero bytes", std::string(5000, '\0'));
  refuse("format.unknown", "deadbeef01020304", "\xde\xad\xbe\xef\1\2\3\4\5"s);
  refuse("zip.empty", "without records", "PK\5\6" + std::string(18, '\0'));
  refuse("zip.prefix", "in front", "\xff\xfe" + checkpoint_zip("N.").bytes());
  refuse("zip.truncated", "end of the archive is missing",
         checkpoint_zip("N.").bytes().substr(0, 60));
}

// A tar archive of empty files.
std::string tar(const std::vector<std::string>& names) {
  std::string bytes;
  for (const std::string& name : names) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(124, 11, "00000000000");
    header.replace(257, 5, "ustar");
    bytes += header;
  }
  return bytes + std::string(1024, '\0');
}

TEST_F(CheckpointTest, TellsOtherArchivesByWhatTheyHold) {
  refuse("format.tar", "is a tar archive that holds 'trained/' and 'trained/checkpoint.th'",
         tar({"trained/", "trained/checkpoint.th"}));
  refuse("zip.layout", "is a zip that holds 'my_model/weights.bin'",
         BuiltZip{{{"my_model/weights.bin", "x"}, {"my_model/notes.txt", "x"}}});
  refuse("zip.layout", "is a zip that holds 'weights.bin'",
         BuiltZip{{{"weights.bin", "x"}, {"other.bin", "x"}}});
  refuse("zip.layout", "it was zipped without its folder",
         BuiltZip{{{"data.pkl", "N."}, {"version", "3\n"}}});
  refuse("zip.layout", "is an archive of NumPy arrays (.npz)",
         BuiltZip{{{"a.npy", "x"}, {"b.npy", "x"}}});
  refuse("zip.package", "is a torch.package",
         BuiltZip{{{"p/.data/extern_modules", "x"}, {"p/.data/version", "6\n"}}});
}

TEST_F(CheckpointTest, SaysHowToConvertTar) {
  testing::write_file(path_, tar({"sys_info", "pickle", "storages", "tensors"}));
  try {
    Checkpoint::open(path_);
    ADD_FAILURE() << "a tar archive was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "format.tar");
    EXPECT_THAT(error.hint(),
                AllOf(HasSubstr("\nimport torch\n"), HasSubstr("torch.save(torch.load(")));
  }
}

TEST_F(CheckpointTest, PassesOnWhatTheSystemSays) {
  expect_error(ErrorKind::system, "io.enoent", StartsWith((directory_ / "missing").string() + ": "),
               [&] { Checkpoint::open(directory_ / "missing"); });
  expect_error(ErrorKind::input, "io.not_a_file", HasSubstr("directory"),
               [&] { Checkpoint::open(directory_.path()); });
}

TEST_F(CheckpointTest, DescribesObjects) {
  const auto text = [&](const std::string& body) {
    return describe(open(checkpoint_zip(protocol2(body)))->root());
  };
  EXPECT_EQ(text("N"), "None");
  EXPECT_EQ(text("\x88"), "True");
  EXPECT_EQ(text("K\5"), "int 5");
  EXPECT_EQ(text("F1.5\n"), "float 1.5");
  EXPECT_EQ(text(str("a\nb")), "str 'a\\nb'");
  EXPECT_EQ(text("](K\1K\2e"), "list of 2");
  EXPECT_EQ(text(call("collections", "OrderedDict", "")), "OrderedDict of 0");
  EXPECT_EQ(text(call("my.module", "Class", "K\1")), "opaque my.module.Class");
  EXPECT_EQ(text(global("torch", "float32")), "class name torch.float32");
  EXPECT_EQ(text(call("pathlib", "PosixPath", str("/") + str("a") + str("b"))),
            "pathlib.PosixPath /a/b");
  EXPECT_EQ(text(call("torch", "Size", tuple("K\2K\3"))), "torch.Size((2, 3))");
  EXPECT_EQ(text(call("torch", "device", str("cuda") + "K\1")), "torch.device('cuda', 1)");
  const auto scalar = [](const std::string& type, const std::string& bytes) {
    const std::string dtype =
        call("numpy", "dtype", str(type) + "\x89\x88") +
        tuple("K\3" + str("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0"s) + "b";
    return call("numpy.core.multiarray", "scalar", dtype + "C" + little(bytes.size(), 1) + bytes);
  };
  EXPECT_EQ(text(scalar("f8", "\0\0\0\0\0\0\xf8\x3f"s)), "numpy.float64 1.5");
  EXPECT_EQ(text(scalar("f4", "\0\0\xc0\x3f"s)), "numpy.float32 1.5");
  EXPECT_EQ(text(scalar("i2", "\xff\xff")), "numpy.int16 -1");
  EXPECT_EQ(text(scalar("u1", "\xff")), "numpy.uint8 255");
  EXPECT_EQ(text(scalar("i0", "")), "opaque numpy.core.multiarray.scalar");
  EXPECT_EQ(text(TensorPieces().body()), "Tensor float32 [8]");
  EXPECT_EQ(text(call("torch._utils", "_rebuild_tensor_v2", "")), "malformed tensor");
  EXPECT_EQ(text(call("torch._utils", "_rebuild_qtensor", "")),
            "unsupported tensor: a quantized tensor (torch._utils._rebuild_qtensor)");
}

TEST_F(CheckpointTest, DescribesTensorsOfTensorsWithoutRecursion) {
  std::string body;
  for (int i = 0; i < 50000; ++i) body += global("torch._utils", "_rebuild_parameter");
  body += "N";
  for (int i = 0; i < 50000; ++i) body += "\x89N\x87R";
  const auto checkpoint = open(checkpoint_zip(protocol2(body)));
  EXPECT_EQ(describe(checkpoint->root()), "malformed tensor");
}

TEST_F(CheckpointTest, NamesTheFoundAndTheExpected) {
  const auto checkpoint = open(checkpoint_zip(protocol2("}" + str("a") + "K\1s")));
  const Object root = checkpoint->root();
  expect_error(ErrorKind::input, "object.key", HasSubstr("no key 'b'; there are 'a'"),
               [&] { (void)root.at("b"); });
  expect_error(ErrorKind::input, "object.type", HasSubstr("expected str, found dict of 1"),
               [&] { (void)root.as_string(); });
  expect_error(ErrorKind::input, "object.type", HasSubstr("expected dict, found int 1"),
               [&] { (void)root.at("a").find("x"); });
  EXPECT_DOUBLE_EQ(root.at("a").as_real(), 1.0);
}

TEST_F(CheckpointTest, OfEqualKeysTheLastCounts) {
  const auto checkpoint =
      open(checkpoint_zip(protocol2("}(" + str("a") + "K\1" + str("a") + "K\2u")));
  EXPECT_EQ(checkpoint->root().at("a").as_int(), 2);
  EXPECT_EQ(checkpoint->root().size(), 2U);
}

TEST_F(CheckpointTest, RefusesARealFileCutAnywhere) {
  const std::string bytes =
      testing::read_file(Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors/already_exported.th");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    testing::write_file(path_, bytes.substr(0, size));
    EXPECT_THROW(Checkpoint::open(path_), Error);
  }
}

TEST_F(CheckpointTest, SurvivesEveryFlippedByteOfARealFile) {
  const std::string bytes =
      testing::read_file(Path(CRAFTBUNDLE_TEST_DATA) / "golden/errors/already_exported.th");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const char mask : {'\x01', '\xff'}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      testing::write_file(path_, damaged);
      try {
        testing::exercise(*Checkpoint::open(path_));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
        EXPECT_THAT(error.message(), StartsWith(path_.string() + ": "));
      }
    }
  }
}

// ---- the legacy layout ----

std::string legacy_head() {
  return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + protocol2("M\xe9\x03") +
         protocol2("}" + str("little_endian") + "\x88s");
}

std::string legacy_storage(const std::string& view) {
  return tuple(str("storage") + global("torch", "FloatStorage") + str("77") + str("cpu") +
               integer(4) + view) +
         "Q";
}

std::string legacy_tensor(std::int64_t size, const std::string& view) {
  return call("torch._utils", "_rebuild_tensor_v2",
              legacy_storage(view) + integer(0) + tuple(integer(size)) + tuple(integer(1)) +
                  "\x89" + no_hooks());
}

std::string legacy_file(const std::string& object) {
  return legacy_head() + protocol2(object) + protocol2("]" + str("77") + "a") + little(4, 8) +
         "aaaabbbbccccdddd";
}

TEST_F(CheckpointTest, ReadsTheLegacyLayout) {
  const auto checkpoint = open(legacy_file(legacy_tensor(4, "N")));
  EXPECT_EQ(checkpoint->format().container, CheckpointFormat::Container::legacy);
  EXPECT_EQ(checkpoint->records().at(0).name, "data/77");
  const Tensor t = checkpoint->tensor(checkpoint->root());
  EXPECT_FALSE(t.storage.crc);
  std::string bytes(4, '\0');
  checkpoint->read(t.storage, 8, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, "cccc");
}

TEST_F(CheckpointTest, ReadsPartsOfLegacyStorages) {
  const std::string part = tuple(str("99") + integer(1) + integer(2));
  const auto checkpoint = open(legacy_file(legacy_tensor(2, part)));
  const Tensor t = checkpoint->tensor(checkpoint->root());
  EXPECT_EQ(t.layout.offset, 1);
  EXPECT_EQ(t.storage.key, "77");
  EXPECT_EQ(t.storage.elements, 4U);

  const auto too_long = open(legacy_file(legacy_tensor(3, part)));
  expect_error(ErrorKind::input, "tensor.bounds", HasSubstr("2 elements"),
               [&] { (void)too_long->tensor(too_long->root()); });
  refuse("tensor.bounds", "reaches element 3 + 2 of 4",
         legacy_file(legacy_tensor(2, tuple(str("99") + integer(3) + integer(2)))));
}

TEST_F(CheckpointTest, ReadsModulesWithTheirSource) {
  const std::string type =
      tuple(str("module") + global("my.module", "Net") + str("net.py") + str("class Net: ...")) +
      "Q";
  const auto checkpoint = open(legacy_head() + protocol2(type + ")\x81") + protocol2("]"));
  EXPECT_EQ(checkpoint->root().class_name(), "my.module.Net");
}

TEST_F(CheckpointTest, RefusesDamagedLegacyFiles) {
  const std::string good = legacy_file(legacy_tensor(4, "N"));
  for (std::size_t size = 1; size < good.size(); ++size) {
    SCOPED_TRACE(size);
    testing::write_file(path_, good.substr(0, size));
    EXPECT_THROW(Checkpoint::open(path_), Error);
  }
  refuse("legacy.truncated", "storage '77'", good.substr(0, good.size() - 1));
  EXPECT_THAT(open(good + "xy")->format().notes, ElementsAre("2 bytes after the last storage"));
  refuse("legacy.keys", "'78' is not in the object",
         legacy_head() + protocol2("N") + protocol2("]" + str("78") + "a"));
  refuse("legacy.keys", "stands twice",
         legacy_head() + protocol2(legacy_tensor(4, "N")) +
             protocol2("](" + str("77") + str("77") + "e") + little(1, 8) + "aaaa" + little(1, 8) +
             "aaaa");
  refuse("legacy.keys", "the list of storages is None",
         legacy_head() + protocol2("N") + protocol2("N"));
  refuse("legacy.truncated", "'77'",
         legacy_head() + protocol2(legacy_tensor(4, "N")) + protocol2("]" + str("77") + "a") +
             little(1ULL << 62, 8));
  const std::string magic = legacy_head().substr(0, 15);
  refuse("legacy.version", "int 5", magic + protocol2("K\5"));
  refuse("legacy.system", "byte order is missing", magic + protocol2("M\xe9\x03") + protocol2("}"));
}

TEST_F(CheckpointTest, ComparesLegacySizes) {
  const auto checkpoint = open(legacy_head() + protocol2(legacy_tensor(4, "N")) +
                               protocol2("]" + str("77") + "a") + little(3, 8) + "aaaabbbbcccc");
  expect_error(ErrorKind::input, "tensor.record_size", HasSubstr("needs 16 bytes, the file has 12"),
               [&] { (void)checkpoint->tensor(checkpoint->root()); });
}

TEST_F(CheckpointTest, RecognizesLegacyFilesOfEveryProtocol) {
  for (const std::string& magic :
       {"L119547037146038801333356L\n."s,
        "\x80\4\x95\x0d\0\0\0\0\0\0\0\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s}) {
    const auto checkpoint =
        open(magic + legacy_head().substr(15) + protocol2("K\7") + protocol2("]"));
    EXPECT_EQ(checkpoint->root().as_int(), 7);
  }
}

}  // namespace
}  // namespace craftbundle

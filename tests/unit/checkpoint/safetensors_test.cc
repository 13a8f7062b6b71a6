#include "craftbundle/detail/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem.hpp>
#include <cstring>

#include "craftbundle/detail/base/error.h"
#include "safetensors_builder.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::length_bytes;
using testing::safetensors_bytes;
using ::testing::StartsWith;
using testing::TemporaryDirectory;
using testing::write_file;

// Two tensors and an empty one, and metadata.
constexpr char kHeader[] =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
    R"("none":{"dtype":"I64","shape":[0,3],"data_offsets":[16,16]},)"
    R"("a":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}})";
constexpr char kData[] = "0123456789abcdefXYZ";

class SafetensorsTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Safetensors> open(std::string_view bytes) const {
    write_file(path_, bytes);
    return Safetensors::open(path_);
  }

  void refuse(std::string_view bytes, const std::string& code, const std::string& text) const {
    SCOPED_TRACE(text);
    expect_error(ErrorKind::input, "safetensors." + code,
                 AllOf(StartsWith(path_.string() + ": "), HasSubstr(text)), [&] { open(bytes); });
  }

  // `header` with 19 bytes of data.
  void refuse_header(std::string_view header, const std::string& code,
                     const std::string& text) const {
    refuse(safetensors_bytes(header, kData), code, text);
  }

  // `field` in place of the field "a" has; the file has `bytes` of data.
  void refuse_tensor(const std::string& fields, const std::string& code, const std::string& text,
                     std::size_t bytes = 4) const {
    refuse(safetensors_bytes(R"({"a":{)" + fields + "}}", std::string(bytes, 'x')), code, text);
  }

  static std::string content(const NamedTensor& named) {
    const Storage& storage = std::get<Tensor>(named.tensor).storage;
    std::string bytes(storage.bytes, '\0');
    storage.owner->read(storage, 0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  }

  TemporaryDirectory directory_;
  Path path_ = directory_ / "m.safetensors";
};

TEST_F(SafetensorsTest, HasTheTensorsInTheOrderOfTheirBytes) {
  const auto file = open(safetensors_bytes(kHeader, kData));
  EXPECT_THAT(file->metadata(), ElementsAre(std::pair("format", "pt")));
  const std::vector<NamedTensor> tensors = file->tensors();
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].name, "b");
  EXPECT_EQ(tensors[0].dtype(), DType::float32);
  EXPECT_THAT(tensors[0].shape(), ElementsAre(2, 2));
  EXPECT_EQ(content(tensors[0]), "0123456789abcdef");
  EXPECT_EQ(tensors[1].name, "none");
  EXPECT_THAT(tensors[1].shape(), ElementsAre(0, 3));
  EXPECT_EQ(tensors[2].name, "a");
  EXPECT_EQ(content(tensors[2]), "XYZ");
  const auto& tensor = std::get<Tensor>(tensors[0].tensor);
  EXPECT_EQ(tensor.layout.strides, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(tensor.storage.owner, file);
  EXPECT_EQ(tensor.storage.key, "b");
  EXPECT_EQ(tensor.storage.elements, 4U);
  EXPECT_EQ(tensor.storage.file_offset, 8 + std::strlen(kHeader));
  EXPECT_EQ(tensor.storage.crc, std::nullopt);
  EXPECT_FALSE(tensor.storage.swapped);
  EXPECT_FALSE(tensor.storage == std::get<Tensor>(tensors[2].tensor).storage);
}

TEST_F(SafetensorsTest, HeaderInAnyOrderWithSpacesAndEscapes) {
  const auto file = open(safetensors_bytes(
      R"({ "\u00e9\n" : {"shape" : [] , "data_offsets" : [ 1, 2 ], "dtype" : "BOOL"}, )"
      "\n\t\r"
      R"("x" : {"data_offsets":[0,1],"dtype":"I8","shape":[1,1]} }      )",
      "12"));
  const auto tensors = file->tensors();
  EXPECT_EQ(tensors[0].name, "x");
  EXPECT_EQ(tensors[1].name, "\xC3\xA9\n");
  EXPECT_TRUE(tensors[1].shape().empty());
}

TEST_F(SafetensorsTest, FileWithoutTensors) {
  EXPECT_TRUE(open(safetensors_bytes("{}"))->tensors().empty());
  EXPECT_TRUE(open(safetensors_bytes(R"({"__metadata__":{}}  )"))->metadata().empty());
}

TEST_F(SafetensorsTest, KeepsTheFileOpen) {
  const auto tensors = open(safetensors_bytes(kHeader, kData))->tensors();
  boost::filesystem::remove(path_);
  EXPECT_EQ(content(tensors[2]), "XYZ");
}

TEST_F(SafetensorsTest, HasEveryTypeOfTheFormat) {
  struct Type {
    const char* name;
    DType dtype;
  };
  constexpr Type kTypes[] = {
      {"BOOL", DType::boolean},
      {"U8", DType::uint8},
      {"I8", DType::int8},
      {"F8_E5M2", DType::float8_e5m2},
      {"F8_E4M3", DType::float8_e4m3fn},
      {"F8_E8M0", DType::float8_e8m0fnu},
      {"F8_E4M3FNUZ", DType::float8_e4m3fnuz},
      {"F8_E5M2FNUZ", DType::float8_e5m2fnuz},
      {"I16", DType::int16},
      {"U16", DType::uint16},
      {"F16", DType::float16},
      {"BF16", DType::bfloat16},
      {"I32", DType::int32},
      {"U32", DType::uint32},
      {"F32", DType::float32},
      {"C64", DType::complex64},
      {"F64", DType::float64},
      {"I64", DType::int64},
      {"U64", DType::uint64},
  };
  for (const Type& type : kTypes) {
    const std::string bytes(3 * item_size(type.dtype), 'x');
    const auto file = open(safetensors_bytes(R"({"a":{"dtype":")" + std::string(type.name) +
                                                 R"(","shape":[3],"data_offsets":[0,)" +
                                                 std::to_string(bytes.size()) + "]}}",
                                             bytes));
    EXPECT_EQ(file->tensors()[0].dtype(), type.dtype) << type.name;
  }
}

TEST_F(SafetensorsTest, RefusesTypesByName) {
  for (const std::string type : {"F4", "F6_E2M3", "F6_E3M2", "C128", "f32", ""}) {
    refuse_tensor(R"("dtype":")" + type + R"(","shape":[2],"data_offsets":[0,1])", "dtype",
                  "tensor 'a': has the type '" + type + "', which is not supported", 1);
  }
}

TEST_F(SafetensorsTest, RefusesWhatIsTooShort) {
  refuse("", "truncated", "has 0 bytes");
  refuse("1234567", "truncated", "has 7 bytes");
  refuse(length_bytes(3) + "{}", "truncated",
         "a header of 3 bytes by its first 8 bytes, but only 2");
  refuse(length_bytes(0), "header", "empty header");
}

TEST_F(SafetensorsTest, RefusesLargeHeaders) {
  refuse(length_bytes(100'000'001) + "{}", "header_size", "100000001 bytes");
  refuse(length_bytes(~0ULL) + "{}", "header_size", "at most 100000000 are allowed");
  refuse(length_bytes(100'000'000) + "{}", "truncated", "only 2 bytes follow");
}

TEST_F(SafetensorsTest, RefusesOtherFilesByName) {
  refuse("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "lfs_pointer",
         "pointer of Git LFS");
  refuse("PK\3\4 and then some more bytes", "zip", "is a zip archive");
}

TEST_F(SafetensorsTest, RefusesWhatIsAroundTheObject) {
  refuse_header(" {}", "header", "begins with ' ', expected '{'");
  refuse_header("[]", "header", "begins with '['");
  refuse_header("\xEF\xBB\xBF{}", "header", "expected '{'");
  refuse_header("{}\n", "header", "ends with '\\n', expected '}'");
  refuse_header(std::string_view("{}\0", 3), "header", "ends with '\\x00'");
  refuse_header("{}{}", "json", "wrong at byte 3");
  refuse_header("{} }", "json", "wrong at byte");
}

TEST_F(SafetensorsTest, RefusesWhatIsNoJson) {
  refuse_header(R"({"a":})", "json", "is no JSON: wrong at byte 6");
  refuse_header(R"({"a":NaN})", "json", "wrong at byte");
  refuse_header(R"({"a":{},})", "field", "no 'dtype'");
  refuse_header(R"({'a':{}})", "json", "wrong at byte");
  refuse_header(R"({"a":{"dtype":"\ud800"}})", "json", "wrong at byte");
  refuse_header("{\"a\nb\":{}}", "json", "wrong at byte");
  refuse_header(R"({/**/})", "json", "wrong at byte");
  refuse_header("{\"\xFF\":{}}", "utf8", "not UTF-8");
}

TEST_F(SafetensorsTest, RefusesKeysThatAppearTwice) {
  const std::string a = R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  refuse(safetensors_bytes("{" + a + "," + a + "}"), "duplicate",
         "key 'a' appears twice in the header");
  refuse(safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})"), "duplicate",
         "'__metadata__' appears twice");
  refuse(safetensors_bytes(R"({"__metadata__":{"k":"1","k":"1"}})"), "duplicate",
         "key 'k' appears twice in '__metadata__'");
  refuse_tensor(R"("dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4])", "duplicate",
                "key 'dtype' appears twice in tensor 'a'");
}

TEST_F(SafetensorsTest, RefusesMetadataThatIsNoText) {
  for (const auto& [metadata, text] : std::vector<std::pair<std::string, std::string>>{
           {"null", "'__metadata__' is null, expected an object"},
           {"[]", "'__metadata__' is a list"},
           {"\"pt\"", "is the text 'pt'"},
           {R"({"k":1})", "'__metadata__' 'k' is the number 1, expected text"},
           {R"({"k":null})", "is null"},
           {R"({"k":true})", "is a boolean"},
           {R"({"k":["x"]})", "is a list"},
           {R"({"k":{"x":"y"}})", "is an object"}}) {
    refuse(safetensors_bytes(R"({"__metadata__":)" + metadata + "}"), "metadata", text);
  }
}

TEST_F(SafetensorsTest, RefusesTensorsThatAreNoDescription) {
  for (const auto& [value, text] : std::vector<std::pair<std::string, std::string>>{
           {"null", "tensor 'a' is null, expected an object"},
           {"7", "is the number 7"},
           {"-7", "is a negative number"},
           {"\"F32\"", "is the text 'F32'"},
           {R"(["F32",[1],[0,4]])", "is a list"}}) {
    refuse(safetensors_bytes(R"({"a":)" + value + "}", "1234"), "field", text);
  }
}

TEST_F(SafetensorsTest, RefusesFields) {
  refuse_tensor(R"("shape":[1],"data_offsets":[0,4])", "field", "tensor 'a' has no 'dtype'");
  refuse_tensor(R"("dtype":"F32","data_offsets":[0,4])", "field", "tensor 'a' has no 'shape'");
  refuse_tensor(R"("dtype":"F32","shape":[1])", "field", "tensor 'a' has no 'data_offsets'");
  refuse_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1])", "field",
                "has the field 'strides', expected only");
  refuse_tensor(R"("dtype":1)", "field", "'dtype' of tensor 'a' is the number 1, expected text");
  refuse_tensor(R"("dtype":[])", "field", "'dtype' of tensor 'a' is a list, expected text");
  refuse_tensor(R"("shape":4)", "field", "'shape' of tensor 'a' is the number 4, expected a list");
  refuse_tensor(R"("shape":{})", "field", "'shape' of tensor 'a' is an object");
  refuse_tensor(R"("shape":"4")", "field", "'shape' of tensor 'a' is the text '4'");
  refuse_tensor(R"("shape":[[1]])", "field", "'shape' of tensor 'a' holds a list");
  refuse_tensor(R"("shape":["1"])", "field", "holds the text '1', expected numbers from 0 up");
  for (const std::string number : {"-1", "-0", "1.0", "1e0", "18446744073709551616", "1e999"}) {
    refuse_tensor(R"("shape":[)" + number + "]", number == "1e999" ? "json" : "field",
                  number == "1e999" ? "wrong at byte" : "'shape' of tensor 'a' holds ");
  }
  refuse_tensor(R"("data_offsets":[])", "field", "has 0 numbers, expected 2");
  refuse_tensor(R"("data_offsets":[0])", "field", "'data_offsets' of tensor 'a' has 1 numbers");
  refuse_tensor(R"("data_offsets":[0,1,2])", "field", "has more than 2 numbers");
  refuse_tensor(R"("data_offsets":{"begin":0})", "field", "is an object, expected a list");
}

TEST_F(SafetensorsTest, RefusesShapes) {
  const auto refuse_shape = [&](const std::string& shape, const std::string& text) {
    refuse_tensor(R"("dtype":"F32","data_offsets":[0,4],"shape":)" + shape, "shape", text);
  };
  refuse_shape("[1,1,1,1,1,1,1,1,1]", "has more than 8 numbers");
  refuse_shape("[18446744073709551615]", "has the size 18446744073709551615");
  refuse_shape("[4294967296,4294967296]", "product is too large");
  refuse_shape("[4611686018427387905]", "product is too large");
  // Strides would overflow, though there are no elements.
  refuse_shape("[0,4294967296,4294967296]", "product is too large");
  refuse_shape("[4294967296,4294967296,0]", "product is too large");
}

TEST_F(SafetensorsTest, RefusesSizesThatDiffer) {
  refuse_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", "data_size",
                "tensor 'a': has 4 bytes of data, expected 8 for F32 of 2 elements");
  refuse_tensor(R"("dtype":"F32","shape":[],"data_offsets":[0,0])", "data_size",
                "has 0 bytes of data, expected 4", 0);
  refuse_tensor(R"("dtype":"U8","shape":[0],"data_offsets":[0,4])", "data_size", "expected 0");
}

TEST_F(SafetensorsTest, RefusesHolesOverlapsAndOtherEnds) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  const std::string eight(8, 'x');
  EXPECT_EQ(open(safetensors_bytes(two("[4,8]", "[0,4]"), eight))->tensors()[0].name, "b");
  refuse(safetensors_bytes(two("[0,4]", "[5,9]"), eight + "x"), "offsets",
         "tensor 'b': begins at 5, expected 4, where the one before it ends: there is a hole");
  refuse(safetensors_bytes(two("[0,4]", "[3,7]"), eight), "offsets", "there is an overlap");
  refuse(safetensors_bytes(two("[0,4]", "[0,4]"), eight), "offsets", "there is an overlap");
  refuse(safetensors_bytes(two("[1,5]", "[5,9]"), eight + "x"), "offsets",
         "tensor 'a': begins at 1, expected 0");
  refuse(safetensors_bytes(two("[4,0]", "[4,8]"), eight), "offsets", "ends at 0, before");
  refuse_tensor(R"("dtype":"U8","shape":[0],"data_offsets":[0,18446744073709551615])", "data_size",
                "has 18446744073709551615 bytes");
  refuse_tensor(R"("dtype":"U8","shape":[4],"data_offsets":[0,4],"shape":[4])", "duplicate", "");
  refuse(safetensors_bytes(two("[0,4]", "[4,8]"), eight + "x"), "trailing",
         "has 9 bytes after its header, expected 8 by its tensors");
  refuse(safetensors_bytes(two("[0,4]", "[4,8]"), "1234567"), "truncated",
         "has 7 bytes after its header, expected 8");
  refuse(safetensors_bytes("{}", "x"), "trailing", "has 1 bytes after its header, expected 0");
}

TEST_F(SafetensorsTest, RefusesAnEndBeforeTheBegin) {
  refuse(safetensors_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                           R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,3]}})",
                           "1234"),
         "offsets", "tensor 'b': ends at 3, before it begins at 4");
}

TEST_F(SafetensorsTest, EscapesWhatTheFileSays) {
  refuse(safetensors_bytes("{\"\\u001b[31m\":{\"dtype\":\"\\u202e\",\"shape\":[],"
                           "\"data_offsets\":[0,0]}}"),
         "dtype", "tensor '\\x1B[31m': has the type '\\u{202E}'");
}

TEST_F(SafetensorsTest, DeepNestingIsRefusedAtOnce) {
  const std::string deep = R"({"a":)" + std::string(1'000'000, '[');
  refuse_header(deep + "}", "field", "is a list");
}

TEST_F(SafetensorsTest, NoTruncationIsTaken) {
  const std::string whole = safetensors_bytes(kHeader, kData);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(path_, whole.substr(0, size));
    expect_error(ErrorKind::input, "safetensors.truncated",
                 HasSubstr(size < 8 ? "the 8 bytes that give the length" : "bytes"),
                 [&] { Safetensors::open(path_); });
  }
}

// Whatever is in the header, what is handed out lies in the file.
TEST_F(SafetensorsTest, EveryChangedByteOfTheHeaderIsSafe) {
  const std::string whole = safetensors_bytes(kHeader, kData);
  const std::size_t end = 8 + std::strlen(kHeader);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < end; ++i) {
    for (const int change : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ change);
      try {
        std::uint64_t bytes = 0;
        for (const NamedTensor& tensor : open(changed)->tensors()) bytes += content(tensor).size();
        EXPECT_EQ(bytes, std::strlen(kData)) << "byte " << i;
      } catch (const Error& error) {
        EXPECT_THAT(error.code(), StartsWith("safetensors."));
        EXPECT_FALSE(error.hint().empty());
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, end);
}

class SafetensorsIndexTest : public SafetensorsTest {
 protected:
  // A file with these tensors of one byte each.
  void shard(const std::string& file, const std::vector<std::string>& names) const {
    std::string header = "{";
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i > 0) header += ',';
      header += '"' + names[i] + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
                std::to_string(i) + "," + std::to_string(i + 1) + "]}";
    }
    write_file(directory_ / file, safetensors_bytes(header + "}", std::string(names.size(), 'x')));
  }

  SafetensorsModel open_index(std::string_view json) const {
    write_file(index_, json);
    return open_safetensors_index(index_);
  }

  void refuse_index(std::string_view json, const std::string& code, const std::string& text) const {
    SCOPED_TRACE(text);
    expect_error(ErrorKind::input, "safetensors." + code,
                 AllOf(StartsWith(index_.string() + ": "), HasSubstr(text)),
                 [&] { open_index(json); });
  }

  Path index_ = directory_ / "model.safetensors.index.json";
};

constexpr char kIndex[] =
    R"({"metadata":{"total_size":3.0,"more":[{"x":null}]},"weight_map":{"c":"2","a":"1","b":"1"}})";

TEST_F(SafetensorsIndexTest, OpensAllFiles) {
  shard("1", {"b", "a"});
  shard("2", {"c"});
  const SafetensorsModel model = open_index(kIndex);
  ASSERT_EQ(model.files.size(), 2U);
  EXPECT_EQ(model.files[0]->file().path(), directory_ / "1");
  ASSERT_EQ(model.tensors.size(), 3U);
  EXPECT_EQ(model.tensors[0].name, "b");
  EXPECT_EQ(model.tensors[1].name, "a");
  EXPECT_EQ(model.tensors[2].name, "c");
  EXPECT_EQ(std::get<Tensor>(model.tensors[2].tensor).storage.owner, model.files[1]);
}

TEST_F(SafetensorsIndexTest, FollowsTheLinksOfAHubCache) {
  namespace fs = boost::filesystem;
  fs::create_directories(directory_ / "blobs");
  fs::create_directories(directory_ / "snapshots");
  shard("blobs/0a1b", {"a"});
  write_file(directory_ / "blobs/2c3d", R"({"weight_map":{"a":"model-1.safetensors"}})");
  fs::create_symlink("../blobs/0a1b", directory_ / "snapshots/model-1.safetensors");
  fs::create_symlink("../blobs/2c3d", directory_ / "snapshots/model.safetensors.index.json");
  const auto model = open_safetensors_index(directory_ / "snapshots/model.safetensors.index.json");
  EXPECT_EQ(model.tensors.size(), 1U);
}

TEST_F(SafetensorsIndexTest, RefusesFilesThatDoNotFit) {
  shard("1", {"b", "a"});
  shard("2", {"c", "d"});
  refuse_index(kIndex, "shard", "file '2' has the tensor 'd', which the index does not name");
  shard("2", {});
  refuse_index(kIndex, "shard", "file '2' does not have the tensor 'c', which the index gives");
  shard("2", {"c", "a"});
  refuse_index(kIndex, "shard", "file '2' has the tensor 'a', which the index gives to '1'");
}

TEST_F(SafetensorsIndexTest, SaysWhichFileIsWrong) {
  shard("1", {"b", "a"});
  expect_error(ErrorKind::system, "io.enoent", HasSubstr((directory_ / "2").string()),
               [&] { open_index(kIndex); });
  write_file(directory_ / "2", "short");
  expect_error(ErrorKind::input, "safetensors.truncated",
               StartsWith((directory_ / "2").string() + ": "), [&] { open_index(kIndex); });
}

TEST_F(SafetensorsIndexTest, RefusesNamesThatAreNoPlainNames) {
  for (const std::string name :
       {"", ".", "..", "/etc/passwd", "../1", "sub/1", "a\\\\b", "\\u0000"}) {
    refuse_index(R"({"weight_map":{"a":")" + name + "\"}}", "shard_name",
                 "expected a plain name beside the index");
  }
}

TEST_F(SafetensorsIndexTest, RefusesWhatIsNoIndex) {
  refuse_index("", "json", "is no JSON");
  refuse_index("\xFF", "utf8", "is not UTF-8");
  refuse_index("[]", "index", "the index is a list, expected an object");
  refuse_index("7", "index", "the index is a number");
  refuse_index("{}", "index", "has no 'weight_map'");
  refuse_index(R"({"metadata":{"weight_map":{}}})", "index", "has no 'weight_map'");
  refuse_index(R"({"weight_map":null})", "index", "'weight_map' is null, expected an object");
  refuse_index(R"({"weight_map":[]})", "index", "'weight_map' is a list");
  refuse_index(R"({"weight_map":"x"})", "index", "'weight_map' is text");
  refuse_index(R"({"weight_map":{"a":1}})", "index", "tensor 'a' is in a number");
  refuse_index(R"({"weight_map":{"a":["1"]}})", "index", "tensor 'a' is in a list");
  refuse_index(R"({"weight_map":{"a":"1","a":"1"}})", "duplicate", "key 'a' appears twice");
  refuse_index(R"({"weight_map":{},"weight_map":{}})", "duplicate", "'weight_map' appears twice");
  refuse_index(R"({"x":)" + std::string(100'000, '['), "index", "nests deeper than 16 levels");
}

TEST_F(SafetensorsIndexTest, RefusesTooManyFiles) {
  std::string json = R"({"weight_map":{)";
  for (int i = 0; i <= 1000; ++i) {
    json += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":\"" + std::to_string(i) + "\"";
  }
  refuse_index(json + "}}", "shards", "more than 1000 files");
}

}  // namespace
}  // namespace craftbundle

#include "safetensors_format.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"

namespace craftbundle {
namespace {

// In the order of the format's own list, which is that of alignment.
constexpr std::array kTypes = {
    SafetensorsType{DType::boolean, "BOOL"},
    SafetensorsType{DType::uint8, "U8"},
    SafetensorsType{DType::int8, "I8"},
    SafetensorsType{DType::float8_e5m2, "F8_E5M2"},
    SafetensorsType{DType::float8_e4m3fn, "F8_E4M3"},
    SafetensorsType{DType::float8_e8m0fnu, "F8_E8M0"},
    SafetensorsType{DType::float8_e4m3fnuz, "F8_E4M3FNUZ"},
    SafetensorsType{DType::float8_e5m2fnuz, "F8_E5M2FNUZ"},
    SafetensorsType{DType::int16, "I16"},
    SafetensorsType{DType::uint16, "U16"},
    SafetensorsType{DType::float16, "F16"},
    SafetensorsType{DType::bfloat16, "BF16"},
    SafetensorsType{DType::int32, "I32"},
    SafetensorsType{DType::uint32, "U32"},
    SafetensorsType{DType::float32, "F32"},
    SafetensorsType{DType::complex64, "C64"},
    SafetensorsType{DType::float64, "F64"},
    SafetensorsType{DType::int64, "I64"},
    SafetensorsType{DType::uint64, "U64"},
};

constexpr char kWriteAgain[] = "write the file again with a library that follows the format";

[[noreturn]] void fail(std::string_view code, const std::string& message) {
  throw Error(ErrorKind::input, code, message, kWriteAgain);
}

// What nlohmann's parser sees, passed on in fewer kinds. The parser does not recurse, so nesting
// costs nothing until it is refused.
class JsonEvents {
 public:
  JsonEvents() = default;
  JsonEvents(const JsonEvents&) = delete;
  JsonEvents& operator=(const JsonEvents&) = delete;
  virtual ~JsonEvents() = default;

  void parse(std::string_view json) { nlohmann::json::sax_parse(json.begin(), json.end(), this); }

  // Called by the parser.
  bool null() {
    on_other("null");
    return true;
  }
  bool boolean(bool) {
    on_other("a boolean");
    return true;
  }
  bool number_integer(std::int64_t) {
    on_other("a negative number");
    return true;
  }
  bool number_unsigned(std::uint64_t number) {
    on_number(number);
    return true;
  }
  bool number_float(double, const std::string& text) {
    on_other("the number " + printable(text, 40));
    return true;
  }
  bool string(std::string& text) {
    on_text(std::move(text));
    return true;
  }
  bool binary(nlohmann::json::binary_t&) {
    on_other("binary data");
    return true;
  }
  bool start_object(std::size_t) {
    on_begin("an object");
    return true;
  }
  bool key(std::string& key) {
    on_key(std::move(key));
    return true;
  }
  bool end_object() {
    on_end();
    return true;
  }
  bool start_array(std::size_t) {
    on_begin("a list");
    return true;
  }
  bool end_array() {
    on_end();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    fail("safetensors.json", "is no JSON: wrong at byte " + std::to_string(position) + " of it");
  }

 protected:
  virtual void on_begin(const std::string& what) = 0;  // "an object", "a list"
  virtual void on_end() = 0;
  virtual void on_key(std::string key) = 0;
  virtual void on_text(std::string text) = 0;
  virtual void on_number(std::uint64_t number) = 0;
  virtual void on_other(const std::string& what) = 0;
};

class HeaderReader final : public JsonEvents {
 public:
  SafetensorsHeader take() { return std::move(header_); }

 private:
  enum class Place { start, top, metadata, tensor, list };
  enum Field : unsigned { no_field = 0, dtype = 1, shape = 2, data_offsets = 4, all_fields = 7 };

  void on_begin(const std::string& what) override {
    const bool is_object = what == "an object";
    if (place_ == Place::start && is_object) {
      place_ = Place::top;
    } else if (place_ == Place::top && is_object) {
      begin_entry();
    } else if (place_ == Place::tensor && !is_object && field_ != dtype) {
      place_ = Place::list;
      numbers_.clear();
    } else {
      unexpected(what);
    }
  }

  void begin_entry() {
    seen_ = no_field;
    place_ = name_ == kMetadataKey ? Place::metadata : Place::tensor;
    if (place_ == Place::metadata) return;
    if (header_.tensors.size() == limits::kSafetensorsTensors) {
      fail("safetensors.tensors", "has more than " + std::to_string(limits::kSafetensorsTensors) +
                                      " tensors, which is not supported");
    }
    header_.tensors.emplace_back().name = name_;
  }

  void on_end() override {
    switch (place_) {
      case Place::list:
        end_list();
        place_ = Place::tensor;
        return;
      case Place::tensor:
        require_fields();
        place_ = Place::top;
        return;
      default:
        place_ = Place::top;
    }
  }

  void end_list() {
    HeaderTensor& tensor = header_.tensors.back();
    if (field_ == shape) {
      tensor.shape = std::move(numbers_);
      return;
    }
    if (numbers_.size() != 2) {
      fail("safetensors.field", where() + " has " + std::to_string(numbers_.size()) +
                                    " numbers, expected 2: where the data begin and end");
    }
    tensor.begin = numbers_[0];
    tensor.end = numbers_[1];
  }

  void require_fields() {
    if (seen_ == all_fields) return;
    const char* missing = (seen_ & dtype) == 0   ? "dtype"
                          : (seen_ & shape) == 0 ? "shape"
                                                 : "data_offsets";
    fail("safetensors.field",
         "tensor " + craftbundle::quoted(name_) + " has no " + craftbundle::quoted(missing));
  }

  void on_key(std::string key) override {
    if (place_ == Place::tensor) return begin_field(key);
    if (place_ == Place::metadata) {
      if (header_.metadata.contains(key)) repeated(key, "in '__metadata__'");
      key_ = std::move(key);
      return;
    }
    if (!names_.insert(key).second) repeated(key, "in the header");
    name_ = std::move(key);
  }

  void begin_field(const std::string& key) {
    field_ = key == "dtype" ? dtype : key == "shape" ? shape : no_field;
    if (key == "data_offsets") field_ = data_offsets;
    if (field_ == no_field) {
      fail("safetensors.field", "tensor " + craftbundle::quoted(name_) + " has the field " +
                                    craftbundle::quoted(key) +
                                    ", expected only 'dtype', 'shape' and 'data_offsets'");
    }
    if ((seen_ & field_) != 0) repeated(key, "in tensor " + craftbundle::quoted(name_));
    seen_ |= field_;
  }

  void on_text(std::string text) override {
    if (place_ == Place::metadata) {
      header_.metadata.emplace(std::move(key_), std::move(text));
    } else if (place_ == Place::tensor && field_ == dtype) {
      header_.tensors.back().dtype = std::move(text);
    } else {
      unexpected("the text " + craftbundle::quoted(text, 40));
    }
  }

  void on_number(std::uint64_t number) override {
    if (place_ != Place::list) unexpected("the number " + std::to_string(number));
    const std::size_t most = field_ == shape ? limits::kTensorDimensions : 2;
    if (numbers_.size() == most) {
      fail(field_ == shape ? "safetensors.shape" : "safetensors.field",
           where() + " has more than " + std::to_string(most) + " numbers, which is not supported");
    }
    numbers_.push_back(number);
  }

  void on_other(const std::string& what) override { unexpected(what); }

  std::string where() const {
    switch (place_) {
      case Place::start:
        return "the header";
      case Place::top:
        return name_ == kMetadataKey ? "'__metadata__'" : "tensor " + craftbundle::quoted(name_);
      case Place::metadata:
        return "'__metadata__' " + craftbundle::quoted(key_);
      default:
        break;
    }
    const char* field = field_ == dtype   ? "'dtype'"
                        : field_ == shape ? "'shape'"
                                          : "'data_offsets'";
    return std::string(field) + " of tensor " + craftbundle::quoted(name_);
  }

  [[noreturn]] void unexpected(const std::string& found) const {
    const char* expected = place_ == Place::metadata                    ? "text"
                           : place_ == Place::list                      ? "numbers from 0 up"
                           : place_ == Place::tensor && field_ == dtype ? "text"
                           : place_ == Place::tensor                    ? "a list of numbers"
                                                                        : "an object";
    const std::string holds = place_ == Place::list ? " holds " : " is ";
    fail(place_ == Place::metadata || (place_ == Place::top && name_ == kMetadataKey)
             ? "safetensors.metadata"
             : "safetensors.field",
         where() + holds + found + ", expected " + expected);
  }

  [[noreturn]] static void repeated(const std::string& key, const std::string& where) {
    fail("safetensors.duplicate",
         "the key " + craftbundle::quoted(key) + " appears twice " + where);
  }

  SafetensorsHeader header_;
  std::unordered_set<std::string> names_;
  Place place_ = Place::start;
  std::string name_;          // key of the top
  std::string key_;           // in the metadata
  Field field_ = no_field;    // of the tensor
  unsigned seen_ = no_field;  // fields of the tensor so far
  std::vector<std::uint64_t> numbers_;
};

class IndexReader final : public JsonEvents {
 public:
  std::map<std::string, std::string> take() {
    if (!found_) fail("safetensors.index", "has no 'weight_map', which says where tensors are");
    return std::move(map_);
  }

 private:
  // What stands beside the map (total_size and the like) is of no use here.
  bool in_map() const { return depth_ == 2 && top_key_ == kMap; }

  void on_begin(const std::string& what) override {
    const bool is_map = depth_ == 1 && top_key_ == kMap;
    if ((depth_ == 0 || is_map) && what != "an object") unexpected(what);
    if (in_map()) unexpected(what);
    if (++depth_ > limits::kIndexDepth) {
      fail("safetensors.index",
           "nests deeper than " + std::to_string(limits::kIndexDepth) + " levels");
    }
  }

  void on_end() override { --depth_; }

  void on_key(std::string key) override {
    if (depth_ == 1) {
      if (key == kMap && std::exchange(found_, true)) repeated(key);
      top_key_ = std::move(key);
    } else if (in_map()) {
      if (map_.contains(key)) repeated(key);
      if (map_.size() == limits::kSafetensorsTensors) {
        fail("safetensors.tensors", "has more than " + std::to_string(limits::kSafetensorsTensors) +
                                        " tensors, which is not supported");
      }
      name_ = std::move(key);
    }
  }

  void on_text(std::string text) override {
    if (in_map()) {
      map_.emplace(std::move(name_), std::move(text));
    } else if (depth_ == 0 || (depth_ == 1 && top_key_ == kMap)) {
      unexpected("text");
    }
  }

  void on_number(std::uint64_t) override { on_other("a number"); }

  void on_other(const std::string& what) override {
    if (in_map() || depth_ == 0 || (depth_ == 1 && top_key_ == kMap)) unexpected(what);
  }

  [[noreturn]] void unexpected(const std::string& found) const {
    if (in_map()) {
      fail("safetensors.index", "tensor " + craftbundle::quoted(name_) + " is in " + found +
                                    ", expected the name of a file");
    }
    fail("safetensors.index", std::string(depth_ == 0 ? "the index" : "'weight_map'") + " is " +
                                  found + ", expected an object");
  }

  [[noreturn]] static void repeated(const std::string& key) {
    fail("safetensors.duplicate", "the key " + craftbundle::quoted(key) + " appears twice");
  }

  static constexpr std::string_view kMap = "weight_map";

  std::map<std::string, std::string> map_;
  std::size_t depth_ = 0;
  std::string top_key_;
  std::string name_;
  bool found_ = false;
};

std::string json_text(const std::string& text) { return nlohmann::json(text).dump(); }

// Joined as a JSON list.
std::string json_list(const std::vector<std::uint64_t>& numbers) {
  std::string text = "[";
  for (const std::uint64_t number : numbers) {
    if (text.size() > 1) text += ',';
    text += std::to_string(number);
  }
  return text + "]";
}

}  // namespace

const SafetensorsType* safetensors_type(DType dtype) {
  const auto found = std::ranges::find(kTypes, dtype, &SafetensorsType::dtype);
  return found == kTypes.end() ? nullptr : &*found;
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &SafetensorsType::name);
  if (found == kTypes.end()) return std::nullopt;
  return found->dtype;
}

bool is_in_front(DType a, DType b) { return safetensors_type(a) > safetensors_type(b); }

SafetensorsHeader parse_safetensors_header(std::string_view json) {
  HeaderReader reader;
  reader.parse(json);
  return reader.take();
}

std::string header_text(const SafetensorsHeader& header) {
  std::string text = "{";
  const auto begin_entry = [&](const std::string& key) {
    if (text.back() != '{') text += ',';
    text += json_text(key) + ":{";
  };
  if (!header.metadata.empty()) {
    begin_entry(std::string(kMetadataKey));
    for (const auto& [key, value] : header.metadata) {
      if (text.back() != '{') text += ',';
      text += json_text(key) + ':' + json_text(value);
    }
    text += '}';
  }
  for (const HeaderTensor& tensor : header.tensors) {
    begin_entry(tensor.name);
    text += "\"dtype\":" + json_text(tensor.dtype) + ",\"shape\":" + json_list(tensor.shape) +
            ",\"data_offsets\":" + json_list({tensor.begin, tensor.end}) + '}';
  }
  return text + '}';
}

std::map<std::string, std::string> parse_safetensors_index(std::string_view json) {
  IndexReader reader;
  reader.parse(json);
  return reader.take();
}

std::string index_text(const std::map<std::string, std::string>& weight_map,
                       std::uint64_t total_size) {
  const nlohmann::json index = {{"metadata", {{"total_size", total_size}}},
                                {"weight_map", weight_map}};
  constexpr int kIndent = 2;
  constexpr bool kAsciiOnly = true;
  return index.dump(kIndent, ' ', kAsciiOnly) + "\n";
}

}  // namespace craftbundle

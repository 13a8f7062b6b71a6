#include "unit/plugins/plugins_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/reading.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle::testing {
namespace {

class TestContext final : public ReadingContext<ExportContext> {
 public:
  TestContext()
      : ReadingContext(std::nullopt, &Checkpoint::open, Sink::none(), Cancellation::never()) {}
};

Options filled(const Exporter& exporter, const Options& changed) {
  Options options;
  for (const OptionSpec& spec : exporter.info().options) {
    const auto given = std::find_if(changed.begin(), changed.end(), [&](const OptionValue& option) {
      return option.name == spec.name;
    });
    options.push_back({spec.name, given == changed.end() ? spec.default_value : given->value});
  }
  return options;
}

}  // namespace

Path golden(const std::string& name) {
  return Path(CRAFTBUNDLE_TEST_DATA) / "golden" / "data" / name;
}

Path golden_error(const std::string& name) {
  return Path(CRAFTBUNDLE_TEST_DATA) / "golden" / "errors" / name;
}

std::string read_text(const Path& path) {
  std::ifstream file(path.string(), std::ios::binary);
  if (!file) throw std::runtime_error("the fixture " + path.string() + " is missing");
  return {std::istreambuf_iterator<char>(file), {}};
}

nlohmann::json read_json(const Path& path) { return nlohmann::json::parse(read_text(path)); }

Config golden_config(const std::string& name) {
  return Config::from_yaml(read_text(golden(name + "_exported.yaml")));
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
    throw std::runtime_error("expected exactly one place of: " + from);
  }
  std::string result = text;
  return result.replace(at, from.size(), to);
}

std::vector<NameAndShape> golden_tensors(const std::string& name) {
  const nlohmann::json expected = read_json(golden(name + "_exported.json"));
  std::vector<NameAndShape> tensors;
  for (const nlohmann::json& tensor : expected.at("best_state")) {
    tensors.emplace_back(tensor.at("key").get<std::string>(),
                         tensor.at("shape").get<std::vector<std::int64_t>>());
  }
  return tensors;
}

std::vector<NameAndShape> expected_tensors(const audiocraft::ExpectedState& expected) {
  std::vector<NameAndShape> tensors;
  for (const audiocraft::ExpectedTensor& tensor : expected.tensors()) {
    tensors.emplace_back(tensor.name, tensor.shape);
  }
  return tensors;
}

ExportRequest file_request(const Exporter& exporter, const Path& path, const Options& changed) {
  return {Source::of_checkpoint(path.string(), Checkpoint::open(path)), filled(exporter, changed)};
}

ExportRequest name_request(const Exporter& exporter, const std::string& name,
                           const Options& changed) {
  return {Source::of_pretrained(name, name), filled(exporter, changed)};
}

Component prepare(const Exporter& exporter, const ExportRequest& request) {
  TestContext context;
  return exporter.prepare(request, context);
}

Probe probe_file(const Exporter& exporter, const Path& path) {
  return exporter.probe(Source::of_checkpoint(path.string(), Checkpoint::open(path)));
}

void expect_golden_package(const Value& package, const std::string& name) {
  const nlohmann::json expected = read_json(golden(name + "_exported.json"));
  const auto* dict = package.get_if<Value::Dict>();
  ASSERT_NE(dict, nullptr);
  std::vector<std::string> keys;
  std::vector<std::string> expected_keys;
  for (const auto& [key, value] : *dict) keys.push_back(key);
  for (const nlohmann::json& key : expected.at("top_level")) {
    expected_keys.push_back(key.at(0).get<std::string>());
  }
  EXPECT_EQ(keys, expected_keys);
  EXPECT_EQ(*package.find("version")->get_if<std::string>(), expected.at("version"));
  EXPECT_EQ(*package.find("exported")->get_if<bool>(), true);
  EXPECT_EQ(*package.find("xp.cfg")->get_if<std::string>(),
            read_text(golden(name + "_exported.yaml")));

  const auto& tensors = *package.find("best_state")->get_if<Value::Dict>();
  ASSERT_EQ(tensors.size(), expected.at("best_state").size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const nlohmann::json& want = expected.at("best_state")[i];
    EXPECT_EQ(tensors[i].first, want.at("key"));
    const auto* tensor = tensors[i].second.get_if<Tensor>();
    ASSERT_NE(tensor, nullptr) << tensors[i].first;
    EXPECT_EQ(tensor->layout.shape, want.at("shape").get<std::vector<std::int64_t>>());
    EXPECT_EQ(tensor->layout.strides, want.at("stride").get<std::vector<std::int64_t>>());
    EXPECT_EQ(craftbundle::name(tensor->dtype), want.at("dtype").get<std::string>());
  }
}

std::string fact_value(const std::vector<FitFact>& facts, std::string_view name) {
  std::string values;
  for (const FitFact& fact : facts) {
    if (fact.name != name) continue;
    if (!values.empty()) values += '|';
    values += to_string(fact.value);
  }
  return values;
}

TemporaryDirectory::TemporaryDirectory()
    : path_(boost::filesystem::temp_directory_path() /
            boost::filesystem::unique_path("craftbundle-test-%%%%%%%%")) {
  boost::filesystem::create_directory(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  boost::system::error_code ignored;
  boost::filesystem::remove_all(path_, ignored);
}

void write_checkpoint(const Path& path, const Value& root) {
  OutputFile file(path.parent_path(), Durability::no_sync);
  write_package(root, file, WriteOptions());
  file.publish(path, true);
}

Value::Dict read_package(const Path& path) {
  const auto checkpoint = Checkpoint::open(path);
  const Value value = to_value(checkpoint->root(), *checkpoint, "");
  return *value.get_if<Value::Dict>();
}

Value::Dict& child(Value::Dict& dict, const std::string& key) {
  const auto found =
      std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == key; });
  if (found == dict.end()) throw std::runtime_error("no key " + key);
  // Value hands out its contents for reading only; a dict that is about to be written again may be
  // changed through the copy that the caller owns.
  return const_cast<Value::Dict&>(*found->second.get_if<Value::Dict>());
}

void erase(Value::Dict& dict, const std::string& key) {
  const auto found =
      std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == key; });
  if (found == dict.end()) throw std::runtime_error("no key " + key);
  dict.erase(found);
}

}  // namespace craftbundle::testing

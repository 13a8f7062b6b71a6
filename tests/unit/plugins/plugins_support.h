// What the tests of the exporters share: golden files, requests, and checkpoints made on the spot.
#pragma once

#include <boost/filesystem/path.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace craftbundle::testing {

// A file of tests/golden/data. A file that is not there fails the test that reads it.
Path golden(const std::string& name);
Path golden_error(const std::string& name);
std::string read_text(const Path& path);
nlohmann::json read_json(const Path& path);
Config golden_config(const std::string& name);

// `text` with the one place where `from` stands replaced; fails when there is not exactly one.
std::string replaced(const std::string& text, const std::string& from, const std::string& to);

// Name and shape of a tensor, comparable and printable.
using NameAndShape = std::pair<std::string, std::vector<std::int64_t>>;
std::vector<NameAndShape> golden_tensors(const std::string& name);
std::vector<NameAndShape> expected_tensors(const audiocraft::ExpectedState& expected);

// Options as the host fills them in; `changed` overrides defaults.
using Options = std::vector<OptionValue>;
ExportRequest file_request(const Exporter& exporter, const Path& path, const Options& changed = {});
ExportRequest name_request(const Exporter& exporter, const std::string& name,
                           const Options& changed = {});
Component prepare(const Exporter& exporter, const ExportRequest& request);
Probe probe_file(const Exporter& exporter, const Path& path);

// Holds that the package is the one of the golden export `name`: keys, tensors in order with dtype,
// shape and strides, text of the configuration.
void expect_golden_package(const Value& package, const std::string& name);

// The value of the fact, as text; several are joined by '|', none is empty.
std::string fact_value(const std::vector<FitFact>& facts, std::string_view name);

// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  Path operator/(const std::string& name) const { return path_ / name; }

 private:
  Path path_;
};

// Writes `root` as a checkpoint to `path`.
void write_checkpoint(const Path& path, const Value& root);
// The root of a checkpoint as a value, to be changed and written again. Its storages stay in
// `path`.
Value::Dict read_package(const Path& path);
Value::Dict& child(Value::Dict& dict, const std::string& key);
void erase(Value::Dict& dict, const std::string& key);

}  // namespace craftbundle::testing

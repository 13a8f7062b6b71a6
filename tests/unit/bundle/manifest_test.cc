#include "craftbundle/bundle/manifest.h"

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

Manifest sample() {
  Manifest manifest;
  manifest.layout = "audiocraft";
  manifest.producer = "craftbundle 0.1.0";
  ManifestComponent lm;
  lm.role = "lm";
  lm.file = "state_dict.bin";
  lm.size = 5'000'000'000;
  lm.sha256 = std::string(64, 'a');
  lm.source = "checkpoint.th";
  lm.source_kind = "checkpoint";
  lm.exporter = "some_exporter";
  lm.exporter_revision = 3;
  lm.exporter_version = "1.2.3";
  lm.options = {{"state", "best"}};
  lm.summary = {{"family", "X \"quoted\"\n"}};
  lm.requires_ = {{"codebooks", std::int64_t{4}, "n_q"}, {"rate", 50.0, ""}};
  lm.checks = {"all well"};
  lm.warnings = {"beware"};
  manifest.components = {lm};
  FitCheck differs{"codebooks",   FitCheck::Outcome::differs,
                   "lm",          lm.requires_[0],
                   "compression", {"codebooks", std::string("four"), "tensors"}};
  FitCheck unstated{"rate", FitCheck::Outcome::unstated, "lm", lm.requires_[1], "", {}};
  manifest.fit = {differs, unstated};
  manifest.mismatch_allowed = true;
  return manifest;
}

std::string edited(const std::function<void(nlohmann::ordered_json&)>& edit) {
  auto json = nlohmann::ordered_json::parse(to_json(sample()));
  edit(json);
  return json.dump();
}

TEST(Manifest, ReadsWhatItWrites) {
  const std::string text = to_json(sample());
  const Manifest read = parse_manifest(text);
  EXPECT_EQ(to_json(read), text);
  ASSERT_EQ(read.components.size(), 1u);
  const ManifestComponent& lm = read.components[0];
  EXPECT_EQ(lm.size, 5'000'000'000);
  EXPECT_EQ(lm.summary[0].value, "X \"quoted\"\n");
  EXPECT_EQ(lm.requires_[0].value, FactValue(std::int64_t{4}));
  EXPECT_EQ(lm.requires_[1].value, FactValue(50.0));
  EXPECT_EQ(read.fit[0].provided.value, FactValue(std::string("four")));
  EXPECT_EQ(read.fit[1].outcome, FitCheck::Outcome::unstated);
  EXPECT_TRUE(read.mismatch_allowed);
}

TEST(Manifest, IsReadableText) {
  const std::string text = to_json(sample());
  EXPECT_TRUE(text.starts_with("{\n  \"format_version\": 1,\n  \"layout\": \"audiocraft\",\n"));
  EXPECT_TRUE(text.ends_with("}\n"));
}

TEST(Manifest, IsValidJsonWhateverTheTextHolds) {
  Manifest manifest = sample();
  manifest.components[0].source = "caf\xe9.th";
  manifest.components[0].requires_[1].value = std::numeric_limits<double>::infinity();
  const Manifest read = parse_manifest(to_json(manifest));
  EXPECT_EQ(read.components[0].source, "caf\xef\xbf\xbd.th");
  EXPECT_EQ(read.components[0].requires_[1].value, FactValue(std::string("inf")));
}

TEST(Manifest, RefusesWhatIsNoJson) {
  expect_error(ErrorKind::input, "manifest.syntax", HasSubstr("no JSON: byte 2"),
               [] { parse_manifest("{"); });
  expect_error(ErrorKind::input, "manifest.syntax", HasSubstr("no JSON"),
               [] { parse_manifest(""); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("no object"),
               [] { parse_manifest("[]"); });
}

TEST(Manifest, RefusesANewerVersionAndSaysBoth) {
  expect_error(ErrorKind::input, "manifest.version",
               ::testing::AllOf(HasSubstr("format_version is 2"), HasSubstr("up to 1")),
               [] { parse_manifest(edited([](auto& json) { json["format_version"] = 2; })); });
}

TEST(Manifest, NamesThePlaceOfAnError) {
  expect_error(ErrorKind::input, "manifest.missing", HasSubstr("components[0].sha256 is missing"),
               [] { parse_manifest(edited([](auto& j) { j["components"][0].erase("sha256"); })); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("components[0].size is not a size"),
               [] { parse_manifest(edited([](auto& j) { j["components"][0]["size"] = -1; })); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("fit[0].outcome is 'perhaps'"),
               [] { parse_manifest(edited([](auto& j) { j["fit"][0]["outcome"] = "perhaps"; })); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("components[0].requires[0].value"), [] {
    parse_manifest(edited([](auto& j) {
      j["components"][0]["requires"][0]["value"] = std::numeric_limits<std::uint64_t>::max();
    }));
  });
}

TEST(Manifest, FileNamesStayInTheDirectory) {
  for (const char* name : {"", ".", "..", "../x", "/etc/passwd", "a/b"}) {
    expect_error(ErrorKind::input, "manifest.file", HasSubstr("components[0].file"), [&] {
      parse_manifest(edited([&](auto& j) { j["components"][0]["file"] = name; }));
    });
  }
}

TEST(Manifest, IsReadFromADirectory) {
  const testing::TemporaryDirectory directory;
  EXPECT_EQ(read_manifest(directory.path()), std::nullopt);
  testing::write_file(directory / "bundle.json", to_json(sample()));
  const auto manifest = read_manifest(directory.path());
  ASSERT_TRUE(manifest);
  EXPECT_EQ(to_json(*manifest), to_json(sample()));
  testing::write_file(directory / "bundle.json", "nonsense");
  expect_error(ErrorKind::input, "manifest.syntax", HasSubstr("bundle.json: no JSON"),
               [&] { read_manifest(directory.path()); });
}

}  // namespace
}  // namespace craftbundle

#include "craftbundle/detail/bundle/manifest.h"

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
  lm.source = "checkpoint.th";
  lm.source_kind = "checkpoint";
  lm.files_read = {{"config.json", 12, std::string(64, 'c')}, {"sub/vocab.txt", 3, ""}};
  lm.exporter = "some_exporter";
  lm.exporter_revision = 3;
  lm.exporter_version = "1.2.3";
  lm.options = {{"state", "best"}};
  lm.summary = {{"family", "X \"quoted\"\n"}};
  lm.requires_ = {{"codebooks", std::int64_t{4}, "n_q"}, {"rate", 50.0, ""}};
  lm.checks = {"all well"};
  lm.warnings = {"beware"};
  lm.load_with = "X.get_pretrained('{bundle}')";
  manifest.components = {lm};
  manifest.layout_revision = 4;
  manifest.layout_options = {{"shards", "2"}};
  manifest.files = {{"state_dict.bin", 5'000'000'000, std::string(64, 'a'), {"lm"}},
                    {"text/vocab.json", 7, std::string(64, 'b'), {}}};
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
  EXPECT_EQ(lm.load_with, "X.get_pretrained('{bundle}')");
  EXPECT_EQ(read.layout_revision, 4);
  ASSERT_EQ(read.files.size(), 2u);
  EXPECT_EQ(read.files[0].size, 5'000'000'000);
  ASSERT_NE(file_of(read, "lm"), nullptr);
  EXPECT_EQ(file_of(read, "lm")->name, "state_dict.bin");
  EXPECT_EQ(file_of(read, "compression"), nullptr);
  EXPECT_EQ(lm.summary[0].value, "X \"quoted\"\n");
  ASSERT_EQ(lm.files_read.size(), 2u);
  EXPECT_EQ(lm.files_read[0].name, "config.json");
  EXPECT_EQ(lm.files_read[0].size, 12u);
  EXPECT_EQ(lm.files_read[0].sha256, std::string(64, 'c'));
  EXPECT_EQ(lm.files_read[1].sha256, "");
  EXPECT_EQ(lm.requires_[0].value, FactValue(std::int64_t{4}));
  EXPECT_EQ(lm.requires_[1].value, FactValue(50.0));
  EXPECT_EQ(read.fit[0].provided.value, FactValue(std::string("four")));
  EXPECT_EQ(read.fit[1].outcome, FitCheck::Outcome::unstated);
  EXPECT_TRUE(read.mismatch_allowed);
}

TEST(Manifest, IsReadableText) {
  const std::string text = to_json(sample());
  EXPECT_TRUE(text.starts_with("{\n  \"format_version\": 2,\n  \"layout\": \"audiocraft\",\n"));
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
  std::string large = to_json(sample());
  large.insert(large.find("\"size\": ") + 8, "1e999, \"x\": ");
  expect_error(ErrorKind::input, "manifest.syntax", HasSubstr("a number that is too large"),
               [&] { parse_manifest(large); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("no object"),
               [] { parse_manifest("[]"); });
}

TEST(Manifest, DigestsAreLeftOutOnlyWhereNothingWasChecked) {
  Manifest manifest = sample();
  manifest.check = ContentCheck::structure;
  for (ManifestFile& file : manifest.files) file.sha256.clear();
  const std::string text = to_json(manifest);
  EXPECT_EQ(to_json(parse_manifest(text)), text);
  EXPECT_EQ(digest_text(parse_manifest(text).files[0]), "not computed");
  manifest.check = ContentCheck::crc;
  expect_error(ErrorKind::input, "manifest.missing", HasSubstr("files[0].sha256 is missing"),
               [&] { parse_manifest(to_json(manifest)); });
}

TEST(Manifest, RefusesANewerVersionAndSaysBoth) {
  expect_error(ErrorKind::input, "manifest.version",
               ::testing::AllOf(HasSubstr("format_version is 3"), HasSubstr("up to 2")),
               [] { parse_manifest(edited([](auto& json) { json["format_version"] = 3; })); });
}

TEST(Manifest, NamesThePlaceOfAnError) {
  expect_error(ErrorKind::input, "manifest.missing", HasSubstr("files[0].sha256 is missing"),
               [] { parse_manifest(edited([](auto& j) { j["files"][0].erase("sha256"); })); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("files[0].size is not a size"),
               [] { parse_manifest(edited([](auto& j) { j["files"][0]["size"] = -1; })); });
  expect_error(
      ErrorKind::input, "manifest.type",
      HasSubstr("components[0].files_read[0].size is not a size"), [] {
        parse_manifest(edited([](auto& j) { j["components"][0]["files_read"][0]["size"] = "1"; }));
      });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("fit[0].outcome is 'perhaps'"),
               [] { parse_manifest(edited([](auto& j) { j["fit"][0]["outcome"] = "perhaps"; })); });
  expect_error(ErrorKind::input, "manifest.type", HasSubstr("components[0].requires[0].value"), [] {
    parse_manifest(edited([](auto& j) {
      j["components"][0]["requires"][0]["value"] = std::numeric_limits<std::uint64_t>::max();
    }));
  });
}

TEST(Manifest, FileNamesStayInTheDirectory) {
  for (const char* name : {"", ".", "..", "../x", "/etc/passwd", "a/../../b", "a//b", "a/"}) {
    expect_error(ErrorKind::input, "manifest.file", HasSubstr("files[0].name"),
                 [&] { parse_manifest(edited([&](auto& j) { j["files"][0]["name"] = name; })); });
  }
}

// Bundles that were written when a component had one file, and loading it was told in its summary.
TEST(Manifest, OfVersionOneIsReadForEver) {
  const Path bundles = Path(CRAFTBUNDLE_TEST_DATA) / "golden/bundles_v1";
  const auto full = read_manifest(bundles / "full");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->format_version, 1);
  EXPECT_EQ(full->layout, "audiocraft");
  EXPECT_EQ(full->layout_revision, 1);
  EXPECT_EQ(full->producer, "bundlecraft 0.1.0");
  ASSERT_EQ(full->files.size(), 2u);
  EXPECT_EQ(full->files[0].name, "state_dict.bin");
  EXPECT_EQ(full->files[0].roles, std::vector<std::string>{"lm"});
  EXPECT_EQ(full->files[0].size, testing::read_file(bundles / "full/state_dict.bin").size());
  ASSERT_EQ(full->components.size(), 2u);
  EXPECT_EQ(full->components[0].load_with, "MusicGen.get_pretrained('{bundle}')");
  for (const SummaryItem& item : full->components[0].summary) EXPECT_NE(item.name, "load with");
  const auto reference = read_manifest(bundles / "reference");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->components[1].source, "facebook/encodec_32khz");
  // Written again, it is one of today's.
  EXPECT_EQ(parse_manifest(to_json(*full)).files[1].sha256, full->files[1].sha256);
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

TEST(Manifest, NeedNotSayWhichFilesWereRead) {
  const Manifest manifest =
      parse_manifest(edited([](auto& j) { j["components"][0].erase("files_read"); }));
  EXPECT_TRUE(manifest.components.at(0).files_read.empty());
}

}  // namespace
}  // namespace craftbundle

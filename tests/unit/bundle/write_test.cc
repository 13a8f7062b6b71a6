// Where components and bundles may be written, and what is left when they may not. The components
// are made by hand: packages of text, and the smallest golden checkpoint where a file is needed.
#include <sys/stat.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <string>
#include <vector>

#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/embed.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using ::testing::ElementsAre;
using testing::expect_error;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

// The layouts of this build.
const Host& host() {
  static const Host host([] {
    Host::Options options;
    options.search = {{Path(CRAFTBUNDLE_PLUGINS)}, false, false, false};
    return options;
  }());
  return host;
}

ExportReport write_component(const PreparedComponent& component, const Path& target,
                             const PublishOptions& options) {
  return craftbundle::write_component(component, {}, host(), target, options);
}

BundleReport write_bundle(const std::vector<PreparedComponent>& components, const Path& target,
                          const BundleOptions& options) {
  return craftbundle::write_bundle(components, {}, host(), target, options);
}

PreparedComponent component(std::string role, std::string text = "text") {
  ExporterInfo exporter;
  exporter.name = "by_hand";
  Component made;
  made.role = std::move(role);
  made.content = Reference{std::move(text), {}};
  return {std::move(made), exporter, "1.0.0", {}, {}, Source::of_pretrained("name", "name"), {}};
}

PreparedComponent component_from_file(const Path& file) {
  PreparedComponent made = component("lm");
  made.source = Source::of_checkpoint(file.string(), Checkpoint::open(file));
  return made;
}

Path small_checkpoint() {
  return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/pretrained_dac_44khz.bin";
}

std::vector<PreparedComponent> halves(const std::string& text = "text") {
  return {component("lm", text), component("compression", text)};
}

BundleOptions with_force() {
  BundleOptions options;
  options.force = true;
  return options;
}

PublishOptions component_force() { return with_force(); }

std::vector<std::string> names_in(const Path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

unsigned permissions(const Path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777u;
}

TEST(WriteComponent, CreatesParentsAndReports) {
  const TemporaryDirectory directory;
  const Path target = directory / "a/b/x.bin";
  const ExportReport report = write_component(component("lm"), target, {});
  EXPECT_EQ(report.target, target);
  ASSERT_EQ(report.files.size(), 1u);
  EXPECT_EQ(report.files.front().written.bytes, fs::file_size(target));
  EXPECT_THAT(names_in(directory / "a/b"), ElementsAre("x.bin"));
}

TEST(WriteComponent, ReplacesOnlyWithForce) {
  const TemporaryDirectory directory;
  write_file(directory / "x.bin", "old");
  expect_error(ErrorKind::usage, "target.exists", HasSubstr("x.bin' already exists"),
               [&] { write_component(component("lm"), directory / "x.bin", {}); });
  EXPECT_EQ(read_file(directory / "x.bin"), "old");
  write_component(component("lm"), directory / "x.bin", component_force());
  EXPECT_NE(read_file(directory / "x.bin"), "old");
  EXPECT_THAT(directory.names(), ElementsAre("x.bin"));
}

TEST(WriteComponent, RefusesWhatIsNoPlaceForAFile) {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "dir");
  write_file(directory / "file", "");
  fs::create_symlink("elsewhere", directory / "link");
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  const auto write = [&](const Path& target) {
    return [target] { write_component(component("lm"), target, component_force()); };
  };
  expect_error(ErrorKind::usage, "target.empty", HasSubstr("empty"), write(""));
  expect_error(ErrorKind::usage, "target.root", HasSubstr("root"), write("/"));
  expect_error(ErrorKind::usage, "target.directory", HasSubstr("is a directory"),
               write(directory / "dir"));
  expect_error(ErrorKind::usage, "target.directory", HasSubstr("names a directory"),
               write(directory / "new/"));
  expect_error(ErrorKind::usage, "target.link", HasSubstr("symbolic link to 'elsewhere'"),
               write(directory / "link"));
  expect_error(ErrorKind::usage, "target.not_a_file", HasSubstr("no regular file"),
               write(directory / "pipe"));
  expect_error(ErrorKind::usage, "target.parent", HasSubstr("file' is no directory"),
               write(directory / "file/x.bin"));
  expect_error(ErrorKind::usage, "target.parent", HasSubstr("file' is no directory"),
               write(directory / "file/sub/x.bin"));
  expect_error(ErrorKind::usage, "target.name", HasSubstr("has 300 bytes"),
               write(directory / std::string(300, 'x')));
  EXPECT_THAT(directory.names(), ElementsAre("dir", "file", "link", "pipe"));
}

TEST(WriteComponent, NeverReplacesItsSource) {
  const TemporaryDirectory directory;
  fs::copy_file(small_checkpoint(), directory / "x.bin");
  fs::create_hard_link(directory / "x.bin", directory / "same.bin");
  const std::string before = read_file(directory / "x.bin");
  const PreparedComponent prepared = component_from_file(directory / "x.bin");
  for (const char* target : {"x.bin", "./x.bin", "same.bin"}) {
    expect_error(ErrorKind::usage, "target.is_source", HasSubstr("would replace the source"),
                 [&] { write_component(prepared, directory / target, component_force()); });
  }
  EXPECT_EQ(read_file(directory / "x.bin"), before);
}

// The files that weights are averaged from are sources too.
TEST(WriteComponent, NeverReplacesAFileItComputesFrom) {
  const TemporaryDirectory directory;
  const Path golden = Path(CRAFTBUNDLE_TEST_DATA) / "golden/data/yaml_cases_exported.bin";
  const auto weight = [&](const char* name) {
    fs::copy_file(golden, directory / name);
    const auto checkpoint = Checkpoint::open(directory / name);
    const Object state = checkpoint->root().at("best_state");
    return elements_of(checkpoint->tensor((*state.entries().begin()).value));
  };
  PreparedComponent prepared = component("lm");
  Model model;
  model.tensors = {
      {"w", ComputedTensor{DType::float32, average({weight("a.bin"), weight("b.bin")}), "w"}}};
  prepared.component.content = std::move(model);
  const std::string before = read_file(directory / "b.bin");
  for (const char* target : {"a.bin", "b.bin"}) {
    expect_error(ErrorKind::usage, "target.is_source",
                 HasSubstr(std::string(target) + "' would replace the source"),
                 [&] { write_component(prepared, directory / target, component_force()); });
  }
  EXPECT_EQ(read_file(directory / "b.bin"), before);
  write_component(prepared, directory / "c.bin", {});
}

TEST(WriteComponent, RemovesCreatedParentsWhenItFails) {
  const TemporaryDirectory directory;
  Cancellation cancellation;
  cancellation.cancel();
  PublishOptions options;
  options.cancellation = &cancellation;
  expect_error(ErrorKind::interrupted, "run.interrupted", HasSubstr("interrupted"),
               [&] { write_component(component("lm"), directory / "a/b/x.bin", options); });
  EXPECT_THAT(directory.names(), IsEmpty());
}

// Where files lie decides nothing, and is nobody's business.
TEST(DescribeComponent, RecordsFilesByTheirNames) {
  PreparedComponent prepared = component("lm");
  using Type = OptionSpec::Type;
  prepared.exporter.options = {{"average", Type::files, "", "Further ones.", {}},
                               {"more", Type::files, "", "More.", {}},
                               {"state", Type::text, "best", "Which.", {}}};
  prepared.options = {
      {"average", "/home/me/runs/a.th,../b.th,c.th"}, {"more", ""}, {"state", "/x/y,z"}};
  const std::vector<OptionValue> recorded = describe_component(prepared).options;
  ASSERT_EQ(recorded.size(), 3u);
  EXPECT_EQ(recorded[0].value, "a.th,b.th,c.th");
  EXPECT_EQ(recorded[1].value, "");
  EXPECT_EQ(recorded[2].value, "/x/y,z");
  EXPECT_EQ(prepared.options[0].value, "/home/me/runs/a.th,../b.th,c.th");
}

TEST(WriteBundle, HoldsComponentsAndManifest) {
  const TemporaryDirectory directory;
  const BundleReport report = write_bundle(halves(), directory / "new/my_model", {});
  EXPECT_THAT(names_in(directory / "new"), ElementsAre("my_model"));
  EXPECT_THAT(names_in(directory / "new/my_model"),
              ElementsAre("bundle.json", "compression_state_dict.bin", "state_dict.bin"));
  ASSERT_EQ(report.manifest.components.size(), 2u);
  const ManifestComponent& lm = report.manifest.components[0];
  ASSERT_NE(file_of(report.manifest, "lm"), nullptr);
  EXPECT_EQ(file_of(report.manifest, "lm")->name, "state_dict.bin");
  EXPECT_EQ(file_of(report.manifest, "lm")->size,
            fs::file_size(directory / "new/my_model/state_dict.bin"));
  EXPECT_EQ(report.manifest.layout, "audiocraft");
  EXPECT_EQ(lm.source, "name");
  EXPECT_EQ(lm.exporter, "by_hand");
  EXPECT_EQ(read_file(directory / "new/my_model/bundle.json"), to_json(report.manifest));
}

TEST(WriteBundle, HasThePermissionsOfTheUmask) {
  const TemporaryDirectory directory;
  const mode_t old = ::umask(027);
  write_bundle(halves(), directory / "m", {});
  ::umask(old);
  EXPECT_EQ(permissions(directory / "m"), 0750u);
  EXPECT_EQ(permissions(directory / "m/state_dict.bin"), 0640u);
  EXPECT_EQ(permissions(directory / "m/bundle.json"), 0640u);
}

TEST(WriteBundle, GivesTheSameBytesEveryTime) {
  const TemporaryDirectory directory;
  write_bundle(halves(), directory / "a", {});
  write_bundle(halves(), directory / "b", {});
  for (const char* name : {"bundle.json", "state_dict.bin", "compression_state_dict.bin"}) {
    EXPECT_EQ(read_file(directory / "a" / name), read_file(directory / "b" / name)) << name;
  }
}

TEST(WriteBundle, TakesAnEmptyDirectoryAndTrailingSlashes) {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "m");
  write_bundle(halves(), directory / "m//", {});
  EXPECT_EQ(names_in(directory / "m").size(), 3u);
  EXPECT_THAT(directory.names(), ElementsAre("m"));
}

TEST(WriteBundle, ReplacesABundleOnlyWithForce) {
  const TemporaryDirectory directory;
  write_bundle(halves("old"), directory / "m", {});
  const std::string old = read_file(directory / "m/state_dict.bin");
  expect_error(ErrorKind::usage, "target.exists", HasSubstr("already holds a bundle"),
               [&] { write_bundle(halves("new"), directory / "m", {}); });
  EXPECT_EQ(read_file(directory / "m/state_dict.bin"), old);
  write_bundle(halves("new"), directory / "m", with_force());
  EXPECT_NE(read_file(directory / "m/state_dict.bin"), old);
  EXPECT_THAT(directory.names(), ElementsAre("m"));
}

TEST(WriteBundle, ReplacesABundleWithoutManifest) {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "m");
  write_file(directory / "m/state_dict.bin", "downloaded");
  write_bundle(halves(), directory / "m", with_force());
  EXPECT_EQ(names_in(directory / "m").size(), 3u);
}

TEST(WriteBundle, NeverTouchesAnythingElse) {
  const TemporaryDirectory directory;
  fs::create_directories(directory / "foreign");
  write_file(directory / "foreign/notes.txt", "mine");
  write_bundle(halves(), directory / "extended", {});
  write_file(directory / "extended/README.md", "mine");
  write_bundle(halves(), directory / "damaged", {});
  write_file(directory / "damaged/bundle.json", "{");
  write_file(directory / "file", "mine");
  fs::create_directory_symlink("extended", directory / "link");
  const auto names = directory.names();
  const auto write = [&](const Path& target) {
    return [target] { write_bundle(halves(), target, with_force()); };
  };
  expect_error(ErrorKind::usage, "target.foreign", HasSubstr("it holds 'notes.txt'"),
               write(directory / "foreign"));
  expect_error(ErrorKind::usage, "target.foreign", HasSubstr("it holds 'README.md'"),
               write(directory / "extended"));
  expect_error(ErrorKind::usage, "target.foreign", HasSubstr("its manifest cannot be read"),
               write(directory / "damaged"));
  expect_error(ErrorKind::usage, "target.file", HasSubstr("a bundle is a directory"),
               write(directory / "file"));
  expect_error(ErrorKind::usage, "target.link", HasSubstr("symbolic link to 'extended'"),
               write(directory / "link"));
  expect_error(ErrorKind::usage, "target.root", HasSubstr("root directory"), write("//"));
  EXPECT_EQ(directory.names(), names);
  EXPECT_EQ(read_file(directory / "foreign/notes.txt"), "mine");
  EXPECT_EQ(read_file(directory / "extended/README.md"), "mine");
}

TEST(WriteBundle, NeverReplacesASource) {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "m");
  fs::copy_file(small_checkpoint(), directory / "m/state_dict.bin");
  const std::string before = read_file(directory / "m/state_dict.bin");
  expect_error(ErrorKind::usage, "target.is_source", HasSubstr("would replace the source"), [&] {
    write_bundle({component_from_file(directory / "m/state_dict.bin")}, directory / "m",
                 with_force());
  });
  EXPECT_EQ(read_file(directory / "m/state_dict.bin"), before);
}

TEST(WriteBundle, LeavesNothingWhenCancelled) {
  const TemporaryDirectory directory;
  Cancellation cancellation;
  cancellation.cancel();
  BundleOptions options;
  options.cancellation = &cancellation;
  expect_error(ErrorKind::interrupted, "run.interrupted", HasSubstr("interrupted"),
               [&] { write_bundle(halves(), directory / "a/m", options); });
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST(WriteBundle, RemovesWhatKilledRunsLeft) {
  const TemporaryDirectory directory;
  fs::create_directory(directory / ".m.craftbundle-0123abcd");
  write_file(directory / ".m.craftbundle-0123abcd/state_dict.bin", "part");
  // Neither of these is a left-over of this target.
  fs::create_directory(directory / ".other.craftbundle-0123abcd");
  fs::create_directory(directory / ".m.craftbundle-0123abcd-notes");
  write_bundle(halves(), directory / "m", {});
  EXPECT_THAT(directory.names(),
              ElementsAre(".m.craftbundle-0123abcd-notes", ".other.craftbundle-0123abcd", "m"));
}

TEST(WriteBundle, BringsBackABundleThatAKilledRunMovedAside) {
  const TemporaryDirectory directory;
  write_bundle(halves("old"), directory / ".m.craftbundle-replaced", {});
  expect_error(ErrorKind::usage, "target.exists", HasSubstr("already holds a bundle"),
               [&] { write_bundle(halves("new"), directory / "m", {}); });
  EXPECT_THAT(directory.names(), ElementsAre("m"));
  EXPECT_EQ(names_in(directory / "m").size(), 3u);
}

// Holds a write_bundle() open in its first progress report until another one was tried.
class Interloper final : public Sink {
 public:
  explicit Interloper(Path target) : target_(std::move(target)) {}
  void progress(const Progress& /*progress*/) noexcept override {
    if (tried_) return;
    tried_ = true;
    expect_error(ErrorKind::system, "target.busy", HasSubstr("another run"),
                 [&] { write_bundle(halves(), target_, with_force()); });
    write_bundle(halves(), target_.parent_path() / "other", {});
  }
  bool tried() const { return tried_; }

 private:
  Path target_;
  bool tried_ = false;
};

TEST(WriteBundle, RefusesASecondWriterOfOneTarget) {
  const TemporaryDirectory directory;
  Interloper interloper(directory / "m");
  BundleOptions options;
  options.sink = &interloper;
  write_bundle(halves(), directory / "m", options);
  EXPECT_TRUE(interloper.tried());
  EXPECT_THAT(directory.names(), ElementsAre("m", "other"));
}

std::vector<PreparedComponent> misfits() {
  auto components = halves();
  components[0].component.requires_ = {{"codebooks", std::int64_t{4}, "n_q"},
                                       {"rate", std::int64_t{50}, ""}};
  components[1].component.provides = {{"codebooks", std::int64_t{8}, ""},
                                      {"rate", std::int64_t{25}, ""}};
  return components;
}

TEST(WriteBundle, RefusesComponentsThatDoNotFitAndSaysWhy) {
  const TemporaryDirectory directory;
  expect_error(ErrorKind::mismatch, "bundle.mismatch",
               HasSubstr("codebooks: lm needs 4 (n_q), compression has 8; rate: lm needs 50, "
                         "compression has 25"),
               [&] { write_bundle(misfits(), directory / "m", {}); });
  EXPECT_THAT(directory.names(), IsEmpty());
  BundleOptions options;
  options.allow_mismatch = true;
  const BundleReport report = write_bundle(misfits(), directory / "m", options);
  EXPECT_TRUE(report.manifest.mismatch_allowed);
  const auto manifest = read_manifest(directory / "m");
  ASSERT_TRUE(manifest);
  EXPECT_TRUE(manifest->mismatch_allowed);
  ASSERT_EQ(manifest->fit.size(), 2u);
  EXPECT_EQ(manifest->fit[0].outcome, FitCheck::Outcome::differs);
}

TEST(WriteBundle, RefusesWhatCannotBeChecked) {
  const TemporaryDirectory directory;
  auto components = misfits();
  components[1].component.provides.clear();
  expect_error(ErrorKind::mismatch, "bundle.unchecked",
               HasSubstr("lm needs 'codebooks' and 'rate', no other component states any"),
               [&] { write_bundle(components, directory / "m", {}); });
  // One fact that was compared is enough.
  components[1].component.provides = {{"rate", 50.0, ""}};
  const BundleReport report = write_bundle(components, directory / "m", {});
  EXPECT_FALSE(report.manifest.mismatch_allowed);
}

TEST(WriteBundle, WantsDistinctWellFormedRoles) {
  const TemporaryDirectory directory;
  const auto write = [&](std::vector<PreparedComponent> components) {
    return [&, components] { write_bundle(components, directory / "m", {}); };
  };
  expect_error(ErrorKind::usage, "bundle.empty", HasSubstr("at least one component"), write({}));
  expect_error(ErrorKind::usage, "bundle.role", HasSubstr("two components have the role 'lm'"),
               write({component("lm"), component("lm")}));
  expect_error(ErrorKind::plugin, "bundle.role", HasSubstr("exporter 'by_hand'"),
               write({component("../lm")}));
  EXPECT_THAT(directory.names(), IsEmpty());
}

TEST(WriteBundle, LeavesOutWhatLoadersFindElsewhere) {
  const TemporaryDirectory directory;
  std::vector<PreparedComponent> components = halves();
  components.push_back(component("text_encoder"));
  components[0].component.load_with = "X.load('{bundle}')";
  const BundleReport report = write_bundle(components, directory / "b", {});
  EXPECT_THAT(names_in(directory / "b"),
              ElementsAre("bundle.json", "compression_state_dict.bin", "state_dict.bin"));
  EXPECT_THAT(report.warnings,
              ElementsAre("text_encoder is left out: loaders of the layout 'audiocraft' find it by "
                          "its name, or in the bundle when it is made with --embed"));
  ASSERT_EQ(report.manifest.components.size(), 2u);
  EXPECT_EQ(report.manifest.components[0].load_with, "X.load('{bundle}')");
  EXPECT_EQ(report.manifest.components[1].role, "compression");
}

TEST(WriteBundle, ComparesWhatIsLeftOut) {
  const TemporaryDirectory directory;
  std::vector<PreparedComponent> components = halves();
  components.push_back(component("text_encoder"));
  components[0].component.requires_ = {{"width", std::int64_t{8}, "lm"}};
  components[2].component.provides = {{"width", std::int64_t{9}, "text"}};
  expect_error(ErrorKind::mismatch, "bundle.mismatch",
               HasSubstr("width: lm needs 8 (lm), text_encoder has 9 (text)"),
               [&] { write_bundle(components, directory / "b", {}); });
}

TEST(WriteBundle, RefusesNamesWhenItIsToHoldEverything) {
  const TemporaryDirectory directory;
  std::vector<PreparedComponent> components = halves("some/codec");
  components[1].component.fetches = {{"some/codec", "compression"}};
  expect_error(ErrorKind::mismatch, "embed.reference",
               ::testing::StrEq("the compression component is only the name 'some/codec', and its "
                                "weights are not at hand"),
               [&] {
                 craftbundle::write_bundle(components, {"audiocraft", {{"embed", "true"}}}, host(),
                                           directory / "b", {});
               });
}

TEST(Embed, RefusesWhatLoadersTakeByNameOnly) {
  std::vector<PreparedComponent> components = halves("some_codec");
  components[1].component.fetches = {{"some_codec"}};
  expect_error(
      ErrorKind::mismatch, "embed.reference",
      ::testing::StrEq("compression 'some_codec' cannot be put into the bundle: its loader "
                       "takes the name only"),
      [&] { embed(components, {}, host()); });
}

TEST(Fetches, AreWhatTheBundleHasNot) {
  Component lm;
  lm.content = Model();
  lm.fetches = {{"t5-base", "text_encoder"}, {"demucs"}};
  EXPECT_THAT(fetched_for(lm), ElementsAre("t5-base", "demucs"));
  EXPECT_EQ(fetch_warning(lm, fetched_for(lm)),
            "not part of the bundle, fetched when it is loaded unless cached: 't5-base' and "
            "'demucs'");
  BundleContents contents{"audiocraft", {"text_encoder"}};
  EXPECT_THAT(fetched_for(lm, contents), ElementsAre("t5-base", "demucs"));
  contents.has_folder = [](const std::string& name) { return name == "t5-base"; };
  EXPECT_THAT(fetched_for(lm, contents), ElementsAre("demucs"));
  EXPECT_THAT(fetched_for(lm, {"other"}), ElementsAre("t5-base"));
  EXPECT_THAT(fetched_for(lm, {"other", {"text_encoder"}}), IsEmpty());
  EXPECT_EQ(fetch_warning(lm, {}), std::nullopt);
  lm.content = Reference{"name", {}};
  EXPECT_EQ(fetch_warning(lm, fetched_for(lm)), std::nullopt);
}

}  // namespace
}  // namespace craftbundle

// Layouts of plugins, and the files they plan, as users of the host see them.
#include <gtest/gtest.h>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::only;
using testing::read_file;
using testing::TemporaryDirectory;

PreparedComponent named(const std::string& name, const std::string& role = "lm") {
  Component component;
  component.role = role;
  component.content = Reference{name, {}};
  return {component, {}, "1.0.0", {}, {}, Source::of_pretrained("x", "x"), {}};
}

// With and without a C++ runtime of the plugin's own.
class ContentsOfPlugins : public ::testing::TestWithParam<const char*> {
 protected:
  // Of the one file that is planned when writing is to end like this.
  FileContentPtr content(const std::string& end) const {
    return host_.lay_out({"own", {}}, {named(end)}).front().content;
  }
  WriteSummary write(const std::string& end) const {
    OutputFile file(directory_.path(), Durability::no_sync);
    const WriteSummary summary = content(end)->write(file, {});
    file.publish(directory_ / "out", true);
    return summary;
  }

  const TemporaryDirectory directory_;
  const Host host_{only({fixture(GetParam())})};
};

TEST_P(ContentsOfPlugins, AreWritten) {
  EXPECT_EQ(write("well").bytes, 12u);
  EXPECT_EQ(read_file(directory_ / "out"), "own contents");
  EXPECT_EQ(content("well")->size(), std::nullopt);
  EXPECT_TRUE(content("well")->sources().empty());
}

TEST_P(ContentsOfPlugins, WhatTheyThrowIsAnErrorOfThePlugin) {
  const auto culprit = [](const std::string& what) {
    return MatchesRegex(".*/fixture_layouts.*[.]so: layout 'own': " + what);
  };
  expect_error(ErrorKind::plugin, "plugin.exception", culprit("writing went wrong"),
               [&] { write("exception"); });
  expect_error(ErrorKind::plugin, "plugin.exception",
               culprit("an exception that is no std::exception"), [&] { write("number"); });
  expect_error(ErrorKind::plugin, "plugin.exception", culprit("the size is not known"),
               [&] { content("size")->size(); });
  expect_error(ErrorKind::plugin, "plugin.exception", culprit("no such source"),
               [&] { content("sources")->sources(); });
}

TEST_P(ContentsOfPlugins, AnErrorStaysAsItIs) {
  expect_error(ErrorKind::input, "own.code", ::testing::StrEq("it cannot be written"),
               [&] { write("error"); });
}

INSTANTIATE_TEST_SUITE_P(WithTheHostsRuntime, ContentsOfPlugins, ::testing::Values("layouts"));
#ifdef CRAFTBUNDLE_OWN_RUNTIME
INSTANTIATE_TEST_SUITE_P(WithItsOwnRuntime, ContentsOfPlugins,
                         ::testing::Values("layouts_own_runtime"));
#endif

// --- Several in one directory ---

class JoinedLayouts : public ::testing::Test {
 protected:
  // "NAME (ROLES): CONTENTS" of each file.
  std::vector<std::string> plan(const std::string& layout, const std::vector<std::string>& roles,
                                const std::vector<OptionValue>& options = {}) const {
    std::vector<PreparedComponent> components;
    for (const std::string& role : roles) components.push_back(named("well", role));
    std::vector<std::string> files;
    for (const BundleFile& file : host_.lay_out({layout, options}, components)) {
      OutputFile out(directory_.path(), Durability::no_sync);
      file.content->write(out, {});
      out.publish(directory_ / "out", true);
      files.push_back(file.name + " (" + join(file.roles, " ") +
                      "): " + read_file(directory_ / "out"));
    }
    return files;
  }

  std::vector<std::string> sources(const std::string& layout,
                                   const std::vector<std::string>& roles) const {
    std::vector<std::string> found;
    for (const RoleSource& source : host_.sources_in(layout, directory_.path(), roles)) {
      found.push_back(source.role + " " + source.source.name());
    }
    return found;
  }

  void expect_refused(const std::string& code, const std::string& words, const std::string& layout,
                      const std::vector<std::string>& roles,
                      const std::vector<OptionValue>& options = {}) const {
    const ErrorKind kind =
        code == "layout.unknown" || code == "layout.twice" || code == "option.unknown"
            ? ErrorKind::usage
            : ErrorKind::mismatch;
    expect_error(kind, code, ::testing::StrEq(words), [&] { plan(layout, roles, options); });
  }

  const TemporaryDirectory directory_;
  const Host host_{only({fixture("layouts")})};
};

TEST_F(JoinedLayouts, EachPlansWhatItHasAPlaceFor) {
  EXPECT_THAT(plan("own+codec", {"lm", "compression"}),
              ElementsAre("own.file (lm): own contents", "shared.file (): text",
                          "codec.file (compression): text"));
  EXPECT_THAT(plan("codec+own", {"lm", "compression"}),
              ElementsAre("shared.file (): text", "codec.file (compression): text",
                          "own.file (lm): own contents"));
}

TEST_F(JoinedLayouts, EqualFilesAreOne) {
  EXPECT_THAT(plan("codec+beside", {"lm", "compression", "words"}),
              ElementsAre("shared.file (lm words): text", "codec.file (compression): text",
                          "beside.file (lm words): text"));
}

TEST_F(JoinedLayouts, DifferentFilesOfOneNameAreRefused) {
  expect_refused("layout.files",
                 "the layouts cannot lie in one directory: 'codec' and 'beside' each have another "
                 "file 'shared.file'",
                 "codec+beside", {"lm", "compression"}, {{"beside", "other"}});
}

TEST_F(JoinedLayouts, OptionsGoWhereTheyAreDeclared) {
  EXPECT_THAT(plan("own+codec", {"lm", "compression"}, {{"codec", "music"}}),
              ElementsAre("own.file (lm): own contents", "shared.file (): text",
                          "codec.file (compression): music"));
  EXPECT_THAT(plan("codec+beside", {"lm", "compression"}, {{"shared", "same"}, {"beside", "same"}}),
              ElementsAre("shared.file (lm): same", "codec.file (compression): text",
                          "beside.file (lm): same"));
  expect_refused("option.unknown",
                 "layout 'own+codec' has no option 'beside'; it has 'shared' and 'codec'",
                 "own+codec", {"lm", "compression"}, {{"beside", "x"}});
}

TEST_F(JoinedLayouts, WhatNoneHasAPlaceForIsRefused) {
  expect_refused("layout.role", "layout 'own+codec': it has no place for a component 'drums'",
                 "own+codec", {"lm", "compression", "drums"});
  expect_refused("layout.role",
                 "layout 'own+codec': 'codec' has no place for a bundle of 'lm' alone", "own+codec",
                 {"lm"});
  expect_refused("layout.role", "layout 'codec': it has no place for a bundle of 'words' alone",
                 "codec", {"words"});
  expect_refused("layout.twice", "layout 'own+own' names 'own' twice", "own+own", {"lm"});
  expect_refused("layout.unknown", "there is no layout 'x'; there is 'own', 'codec' and 'beside'",
                 "own+x", {"lm"});
  expect_refused("layout.unknown", "there is no layout ''; there is 'own', 'codec' and 'beside'",
                 "own+", {"lm"});
}

TEST_F(JoinedLayouts, WhatALayoutLeavesOutMayHaveNoFile) {
  EXPECT_THAT(plan("codec", {"compression", "words"}),
              ElementsAre("shared.file (): text", "codec.file (compression): text"));
  EXPECT_THAT(host_.layout("codec").leaves_out, ElementsAre("words"));
  EXPECT_EQ(host_.layout("codec").file_for("words"), std::nullopt);
  EXPECT_TRUE(host_.layout("codec+beside").leaves_out.empty());
  EXPECT_EQ(host_.layout("codec+beside").file_for("words"), "words.file");
}

TEST_F(JoinedLayouts, AreOneLayout) {
  const LayoutInfo info = host_.layout("own+codec");
  EXPECT_EQ(info.name, "own+codec");
  EXPECT_EQ(info.revision, 4);
  EXPECT_EQ(info.file_for("lm"), "own.file");
  EXPECT_EQ(info.file_for("compression"), "codec.file");
}

TEST_F(JoinedLayouts, AreReadFromTheFirstThatHasTheComponent) {
  EXPECT_THAT(sources("own+codec", {"compression"}), ElementsAre("compression of-codec"));
  EXPECT_THAT(sources("own+codec", {"lm"}), ElementsAre());
  EXPECT_THAT(sources("codec+beside", {"lm", "compression"}),
              ElementsAre("compression of-codec", "lm of-beside"));
  EXPECT_THAT(sources("beside+codec", {"lm", "compression"}),
              ElementsAre("lm of-beside", "compression of-beside"));
  expect_error(ErrorKind::usage, "layout.unreadable",
               HasSubstr("bundles of layout 'own' can be written, not read"),
               [&] { sources("own", {"lm"}); });
}

}  // namespace
}  // namespace craftbundle

// Layouts of plugins, and the files they plan, as users of the host see them.
#include <gtest/gtest.h>

#include "craftbundle/detail/host/host.h"
#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::only;
using testing::read_file;
using testing::TemporaryDirectory;

PreparedComponent named(const std::string& name) {
  Component component;
  component.role = "lm";
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

}  // namespace
}  // namespace craftbundle

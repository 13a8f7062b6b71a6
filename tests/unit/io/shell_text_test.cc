#include "craftbundle/detail/io/shell_text.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace craftbundle {
namespace {

TEST(ExpandHome, PutsTheHomeDirectoryInFront) {
  ::setenv("HOME", "/home/jane", 1);
  EXPECT_EQ(expand_home("~"), "/home/jane");
  EXPECT_EQ(expand_home("~/x/y"), "/home/jane/x/y");
  const passwd* root = ::getpwnam("root");
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(expand_home("~root/x"), std::string(root->pw_dir) + "/x");
}

TEST(ExpandHome, AsksTheSystemWithoutTheVariable) {
  const passwd* user = ::getpwuid(::getuid());
  if (user == nullptr) GTEST_SKIP() << "the user has no entry";
  ::unsetenv("HOME");
  EXPECT_EQ(expand_home("~/x"), std::string(user->pw_dir) + "/x");
  ::setenv("HOME", "", 1);
  EXPECT_EQ(expand_home("~/x"), std::string(user->pw_dir) + "/x");
}

TEST(ExpandHome, LeavesEverythingElse) {
  ::setenv("HOME", "/home/jane", 1);
  for (const char* path : {"", "x", "x/~", "./~", "/~/x", "~no-such-user-here/x"}) {
    EXPECT_EQ(expand_home(path), path);
  }
}

TEST(ShellVariable, IsFoundWherePeopleWriteIt) {
  EXPECT_EQ(shell_variable("$HOME"), "HOME");
  EXPECT_EQ(shell_variable("$HOME/x"), "HOME");
  EXPECT_EQ(shell_variable("/data/$USER/x"), "USER");
  EXPECT_EQ(shell_variable("out_$RUN_2.bin"), "RUN_2");
}

TEST(ShellVariable, IsNothingElse) {
  for (const char* path :
       {"", "$", "a$", "$1", "$home", "Outer$Inner", "$Title", "${HOME}", "$$"}) {
    EXPECT_EQ(shell_variable(path), std::nullopt) << path;
  }
}

}  // namespace
}  // namespace craftbundle

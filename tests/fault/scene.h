// Commands that change outputs, with what lies there before and after, for tests that stop them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "support/program.h"

namespace craftbundle::testing {

// Files by name with their contents, directories with a '/'.
using Tree = std::map<std::string, std::string>;

inline Tree tree(const Path& root) {
  Tree result;
  for (const auto& entry : boost::filesystem::recursive_directory_iterator(root)) {
    std::string name = entry.path().lexically_relative(root).string();
    const bool is_directory = boost::filesystem::is_directory(entry.symlink_status());
    result[name + (is_directory ? "/" : "")] = is_directory ? "" : read_file(entry.path());
  }
  return result;
}

inline std::string names(const Tree& tree) {
  std::string text;
  for (const auto& [name, contents] : tree) text += name + " ";
  return text;
}

// A command with what it leaves.
struct Job {
  const char* name;
  std::vector<std::string> arguments;
  std::vector<std::string> outputs;  // each appears whole
  std::string old_lm;                // what made the outputs that are there before
  std::string new_lm;
  std::vector<std::string> again = {};  // what makes it write although all is done
};

inline void PrintTo(const Job& job, std::ostream* out) { *out << job.name; }

inline const Job kJobs[] = {
    {"export",
     {"export", "lm.th", "-o", "out.bin", "--force"},
     {"out.bin"},
     "musicgen_train.th",
     "audiogen_train.th"},
    {"bundle",
     {"bundle", "--lm", "lm.th", "--compression", "codec.th", "-o", "model", "--force",
      "--allow-mismatch"},
     {"model"},
     "musicgen_train.th",
     "audiogen_train.th"},
    {"run",
     {"run", "run.yaml"},
     {"codec.bin", "model", "copied"},
     "musicgen_train.th",
     "audiogen_train.th",
     {"--rerun"}},
};

class Scene {
 public:
  explicit Scene(const Job& job) : job_(job) {
    write_file(before_ / "run.yaml", R"(version: 1
vars: {lm: none}
stages:
  codec: {export: codec.th, to: codec.bin}
  model: {bundle: {lm: lm.th, compression: codec}, to: model, allow_mismatch: true}
  copied: {copy: model, to: copied}
)");
    write_file(before_ / "codec.th", read_file(golden("encodec_train.th")));
    take_lm(job.old_lm, before_.path());
    expect_done(before_.path());
    take_lm(job.new_lm, before_.path());
    start_ = tree(before_.path());
    old_ = visible(before_.path());
    TemporaryDirectory after;
    restore(after.path());
    expect_done(after.path());
    end_ = tree(after.path());
    new_ = visible(after.path());
    EXPECT_NE(old_, new_);
  }

  // Everything that lies there after the command, what runs remember included.
  const Tree& end() const { return end_; }
  // Without what runs remember.
  const Tree& before() const { return old_; }
  const Tree& after() const { return new_; }

  static Tree visible(const Path& root) {
    Tree result = tree(root);
    std::erase_if(result, [](const auto& entry) {
      return belongs(entry.first, ".craftbundle") &&
             entry.first.find("-part-") == std::string::npos;
    });
    return result;
  }

  // Makes `directory`, which is empty, what it is before the command.
  void restore(const Path& directory) const {
    for (const auto& [name, contents] : start_) {
      if (name.ends_with('/')) {
        boost::filesystem::create_directories(directory / name);
      } else {
        boost::filesystem::create_directories((directory / name).parent_path());
        write_file(directory / name, contents);
      }
    }
  }

  std::vector<std::string> command() const {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM};
    words.insert(words.end(), job_.arguments.begin(), job_.arguments.end());
    return words;
  }

  void expect_done(const Path& directory, const std::vector<std::string>& further = {}) const {
    std::vector<std::string> words = command();
    words.insert(words.end(), further.begin(), further.end());
    const ProgramResult result = run_program(words, directory);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  // Which outputs are the new ones; each has to be one of the two.
  struct Outputs {
    bool all_new = true;
    bool all_old = true;
  };
  Outputs expect_whole(const Tree& found, const std::string& errors,
                       bool may_be_missing = false) const {
    Outputs outputs;
    for (const std::string& output : job_.outputs) {
      const Tree is = part(found, output);
      const bool is_new = is == part(new_, output);
      const bool is_old = is == part(old_, output);
      EXPECT_TRUE(is_new || is_old || (may_be_missing && is.empty())) << output << " is neither the old nor the new one\n" << errors;
      outputs.all_new = outputs.all_new && is_new;
      outputs.all_old = outputs.all_old && is_old;
    }
    return outputs;
  }

  Tree without_outputs(Tree all) const {
    std::erase_if(all, [&](const auto& entry) {
      return std::ranges::any_of(
          job_.outputs, [&](const std::string& output) { return belongs(entry.first, output); });
    });
    return all;
  }

 private:
  static std::string golden(const std::string& name) {
    return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
  }
  static void take_lm(const std::string& name, const Path& directory) {
    write_file(directory / "lm.th", read_file(golden(name)));
  }

  static Tree part(const Tree& all, const std::string& output) {
    Tree result;
    for (const auto& [name, contents] : all) {
      if (belongs(name, output)) result[name] = contents;
    }
    return result;
  }
  static bool belongs(const std::string& name, const std::string& output) {
    return name == output || name.starts_with(output + "/");
  }

  const Job& job_;
  TemporaryDirectory before_;
  Tree start_;
  Tree end_;
  Tree old_;
  Tree new_;
};

}  // namespace craftbundle::testing

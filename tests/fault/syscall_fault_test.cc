// Each system call of an export, a bundle and a run fails once, with the errors it is known for:
// what was there stays or the whole of the new is there, nothing is left beside it, and the exit
// code tells which.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cctype>
#include <map>
#include <sstream>

#include "support/program.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using testing::ProgramResult;
using testing::read_file;
using testing::run_program;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr const char* kTracer = "/usr/bin/strace";
// How many of the calls of one name fail in turn; the others are like their neighbours.
constexpr int kMostCalls = 20;

std::string golden(const std::string& name) {
  return std::string(CRAFTBUNDLE_TEST_DATA) + "/golden/data/" + name;
}

// Files by name with their contents, directories with a '/'.
using Tree = std::map<std::string, std::string>;

Tree tree(const Path& root) {
  Tree result;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    std::string name = entry.path().lexically_relative(root).string();
    const bool is_directory = fs::is_directory(entry.symlink_status());
    result[name + (is_directory ? "/" : "")] = is_directory ? "" : read_file(entry.path());
  }
  return result;
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
    fs::copy_file(golden("encodec_train.th"), before_ / "codec.th");
    take_lm(job.old_lm, before_.path());
    expect_done(before_.path());
    take_lm(job.new_lm, before_.path());
    old_ = visible(before_.path());
    TemporaryDirectory after;
    restore(after.path());
    expect_done(after.path());
    new_ = visible(after.path());
    EXPECT_NE(old_, new_);
  }

  // How often the program makes `call`, and how many of these the dynamic linker makes first.
  std::pair<int, int> count(const std::string& call) const {
    TemporaryDirectory directory;
    restore(directory.path());
    TemporaryDirectory log;
    const std::string file = (log / "log").string();
    const ProgramResult result = trace({"-o", file}, directory.path());
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    std::istringstream lines(read_file(file));
    int calls = 0;
    int before_main = -1;
    for (std::string line; std::getline(lines, line);) {
      if (before_main < 0 && line.find("rt_sigaction(SIGINT") != std::string::npos) {
        before_main = calls;
      }
      const std::size_t name = line.find_first_not_of("0123456789 ");
      if (name != std::string::npos && line.compare(name, call.size() + 1, call + "(") == 0) {
        ++calls;
      }
    }
    EXPECT_GE(before_main, 0);
    return {calls, before_main};
  }

  void fail(const std::string& call, const std::string& error, int number) const {
    SCOPED_TRACE(call + " number " + std::to_string(number) + " fails with " + error);
    TemporaryDirectory directory;
    restore(directory.path());
    const ProgramResult result =
        trace({"-o", "/dev/null", "-e", "trace=" + call, "-e",
               "inject=" + call + ":error=" + error + ":when=" + std::to_string(number)},
              directory.path());
    ASSERT_EQ(result.signal, 0) << result.errors;
    const Tree found = visible(directory.path());
    bool all_new = true;
    bool all_old = true;
    for (const std::string& output : job_.outputs) {
      const Tree is = part(found, output);
      const bool is_new = is == part(new_, output);
      const bool is_old = is == part(old_, output);
      EXPECT_TRUE(is_new || is_old) << output << " is neither the old nor the new one\n"
                                    << result.errors;
      all_new = all_new && is_new;
      all_old = all_old && is_old;
    }
    if (result.exit_code == 0) {
      EXPECT_TRUE(all_new) << result.errors;
    } else {
      EXPECT_EQ(result.exit_code, 1) << result.errors;
      EXPECT_FALSE(result.errors.empty());
      // What was published stays when only the report cannot be written, and stages that were done
      // before one that failed stay done.
      const bool may_be_new = call == "write" || job_.outputs.size() > 1;
      EXPECT_TRUE(all_old || may_be_new) << result.errors;
    }
    Tree left = without_outputs(found);
    // Of an old directory that could not be removed the user is told.
    std::erase_if(left, [&](const auto& entry) {
      const std::string top = entry.first.substr(0, entry.first.find('/'));
      return top.find(".craftbundle-kept-") != std::string::npos &&
             result.errors.find(top) != std::string::npos;
    });
    if (left == without_outputs(old_)) return;
    // What else could not be removed, the next one removes.
    EXPECT_TRUE(call == "unlink" || call == "unlinkat" || call == "rmdir" || call == "renameat2")
        << "left: " << names(left);
    expect_done(directory.path(), job_.again);
    EXPECT_EQ(names(visible(directory.path())), names(new_));
  }

 private:
  static void take_lm(const std::string& name, const Path& directory) {
    fs::copy_file(golden(name), directory / "lm.th", fs::copy_option::overwrite_if_exists);
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
  Tree without_outputs(Tree all) const {
    std::erase_if(all, [&](const auto& entry) {
      return std::ranges::any_of(
          job_.outputs, [&](const std::string& output) { return belongs(entry.first, output); });
    });
    return all;
  }
  static std::string names(const Tree& tree) {
    std::string text;
    for (const auto& [name, contents] : tree) text += name + " ";
    return text;
  }

  // Without what runs remember, and without times in manifests.
  static Tree visible(const Path& root) {
    Tree result = tree(root);
    std::erase_if(result, [](const auto& entry) {
      return belongs(entry.first, ".craftbundle") &&
             entry.first.find("-part-") == std::string::npos;
    });
    return result;
  }

  void restore(const Path& directory) const {
    for (const auto& [name, contents] : tree(before_.path())) {
      if (name.ends_with('/')) {
        fs::create_directories(directory / name);
      } else {
        fs::create_directories((directory / name).parent_path());
        write_file(directory / name, contents);
      }
    }
  }

  void expect_done(const Path& directory, const std::vector<std::string>& further = {}) const {
    std::vector<std::string> words = command();
    words.insert(words.end(), further.begin(), further.end());
    const ProgramResult result = run_program(words, directory);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  ProgramResult trace(std::vector<std::string> options, const Path& directory) const {
    std::vector<std::string> words = {kTracer, "-f", "-qq"};
    words.insert(words.end(), options.begin(), options.end());
    for (const std::string& word : command()) words.push_back(word);
    return run_program(words, directory);
  }

  std::vector<std::string> command() const {
    std::vector<std::string> words = {CRAFTBUNDLE_PROGRAM};
    words.insert(words.end(), job_.arguments.begin(), job_.arguments.end());
    return words;
  }

  const Job& job_;
  TemporaryDirectory before_;
  Tree old_;
  Tree new_;
};

struct Fault {
  const char* call;
  std::vector<const char*> errors;
};

void PrintTo(const Job& job, std::ostream* out) { *out << job.name; }
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.call; }

class SystemCall : public ::testing::TestWithParam<std::tuple<Job, Fault>> {};

TEST_P(SystemCall, MayFail) {
  const TemporaryDirectory directory;
  if (!fs::exists(kTracer) ||
      run_program({kTracer, "-qq", "-o", "/dev/null", "/bin/true"}, directory.path()).exit_code) {
    GTEST_SKIP() << "needs strace, and to be allowed to trace";
  }
  const auto& [job, fault] = GetParam();
  const Scene scene(job);
  const auto [calls, before_main] = scene.count(fault.call);
  const int step = std::max(1, (calls - before_main) / kMostCalls);
  for (const char* error : fault.errors) {
    for (int number = before_main + 1; number <= calls; number += step) {
      scene.fail(fault.call, error, number);
    }
  }
}

const Job kJobs[] = {
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

const Fault kFaults[] = {
    {"openat", {"EMFILE", "EIO"}},
    {"newfstatat", {"EIO"}},
    {"getdents64", {"EIO"}},
    {"read", {"EIO"}},
    {"pread64", {"EIO", "EINTR"}},
    {"write", {"ENOSPC", "EINTR"}},
    {"copy_file_range", {"EIO", "EXDEV", "ENOSPC"}},
    {"fallocate", {"ENOSPC", "EOPNOTSUPP"}},
    {"fsync", {"EIO"}},
    {"close", {"EIO"}},
    {"flock", {"ENOLCK"}},
    {"linkat", {"EIO", "EPERM"}},
    {"rename", {"EIO"}},
    {"renameat2", {"EIO", "EINVAL"}},
    {"unlink", {"EIO"}},
    {"unlinkat", {"EIO"}},
    {"rmdir", {"EIO"}},
    {"mkdir", {"ENOSPC"}},
    {"fchmod", {"EPERM"}},
    {"clone3", {"EAGAIN"}},
    {"mmap", {"ENOMEM"}},
};

INSTANTIATE_TEST_SUITE_P(
    Each, SystemCall, ::testing::Combine(::testing::ValuesIn(kJobs), ::testing::ValuesIn(kFaults)),
    [](const auto& each) {
      return std::string(std::get<0>(each.param).name) + "_" + std::get<1>(each.param).call;
    });

}  // namespace
}  // namespace craftbundle

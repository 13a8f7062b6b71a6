#include "craftbundle/detail/pipeline/workflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryDirectory;
using testing::write_file;

class WorkflowTest : public ::testing::Test {
 protected:
  Workflow read(const std::string& text, const std::vector<std::string>& settings = {}) {
    write_file(directory / "run.yaml", "version: 1\n" + text);
    ScriptProblems problems;
    script = read_script(directory / "run.yaml", settings, problems);
    Workflow workflow = make_workflow(
        script, standard_stages(host),
        [](const std::string& name) -> std::optional<std::string> {
          return name == "SET" ? std::optional<std::string>("from the environment") : std::nullopt;
        },
        problems);
    messages.clear();
    for (const ScriptProblem& problem : problems.sorted()) {
      messages.push_back(std::to_string(problem.mark.line) + ":" +
                         std::to_string(problem.mark.column) + ": " + problem.message);
    }
    return workflow;
  }

  static std::vector<std::string> names(const Workflow& workflow) {
    std::vector<std::string> result;
    for (const WorkflowStage& stage : workflow.stages) result.push_back(stage.name);
    return result;
  }
  static std::vector<std::string> needs(const Workflow& workflow, const std::string& name) {
    std::vector<std::string> result;
    for (const GraphNode::Need& need : workflow.stages.at(*workflow.find(name)).needs) {
      result.push_back(workflow.stages[need.node].name + (need.output ? "" : " (order)"));
    }
    return result;
  }
  static std::string what(const Workflow& workflow, const std::string& name) {
    return workflow.stages.at(*workflow.find(name)).stage->what();
  }

  TemporaryDirectory directory;
  Script script;
  std::vector<std::string> messages;
  Host host{[] {
    Host::Options options;
    options.search.environment = options.search.user = options.search.installed = false;
    return options;
  }()};
};

TEST_F(WorkflowTest, VariablesNestAndComeFromTheEnvironment) {
  const Workflow workflow = read(R"(
vars: {runs: {small: 9f2c}, size: small, base: '${oc.env:SET}', other: '${oc.env:UNSET,"a, b"}'}
stages:
  a: {command: [echo, '${runs.${size}}', '${base}', '${other}', '\${plain}']}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_EQ(what(workflow, "a"), "echo 9f2c *** a, b ${plain}");
}

TEST_F(WorkflowTest, ValuesStayAsTyped) {
  const Workflow workflow = read(R"(
vars: {version: 1.10, flag: no, exponent: 1e3}
stages:
  a: {command: [echo, '${version}', '${flag}', '${exponent}']}
)");
  EXPECT_EQ(what(workflow, "a"), "echo 1.10 no 1e3");
}

TEST_F(WorkflowTest, SettingsReplaceVariables) {
  const Workflow workflow = read(R"(
vars: {a: {b: 1}, list: [x]}
stages:
  "s-${item}":
    matrix: {item: '${list}'}
    command: [echo, '${a.b}']
)",
                                 {"a.b=2", "list=[y, z]"});
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow), ElementsAre("s-y", "s-z"));
  EXPECT_EQ(what(workflow, "s-y"), "echo 2");
}

TEST_F(WorkflowTest, MatrixWithIncludeAndExclude) {
  const Workflow workflow = read(R"(
stages:
  "s-${size}-${state}":
    matrix:
      size: [small, large]
      state: [best, ema]
      exclude: [{size: large, state: ema}]
      include: [{size: small, extra: more}, {size: huge, state: last}]
    command: [echo, "${size}"]
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow),
              ElementsAre("s-small-best", "s-small-ema", "s-large-best", "s-huge-last"));
}

TEST_F(WorkflowTest, NamesWithoutAxesGetThem) {
  const Workflow workflow = read(R"(
stages:
  s: {matrix: {a: [1, 2], b: [x]}, command: [echo]}
  t: {needs: s, command: [echo]}
)");
  EXPECT_THAT(names(workflow), ElementsAre("s@1-x", "s@2-x", "t"));
  EXPECT_THAT(needs(workflow, "t"), ElementsAre("s@1-x (order)", "s@2-x (order)"));
}

TEST_F(WorkflowTest, ConditionsLeaveOutWhatNeedsThem) {
  const Workflow workflow = read(R"(
stages:
  "a-${n}": {matrix: {n: [1, 2]}, when: "${n} == 1", copy: run.yaml, to: "a-${n}"}
  "b-${n}": {matrix: {n: [1, 2]}, copy: "a-${n}", to: "b-${n}"}
  c: {checksum: "b-*", to: sums}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_EQ(to_text(*workflow.stages.at(*workflow.find("a-2")).left_out), "when: ${n} == 1");
  EXPECT_EQ(to_text(*workflow.stages.at(*workflow.find("b-2")).left_out),
            "needs a-2, which is left out");
  EXPECT_THAT(needs(workflow, "c"), ElementsAre("b-1"));
}

TEST_F(WorkflowTest, StagesAreConnectedByNamesOutputsAndPaths) {
  const Workflow workflow = read(R"(
stages:
  last: {needs: "c*", command: [cat, "${stage:copy}"]}
  by-path: {copy: out/x, to: out/y}
  copy: {copy: run.yaml, to: out/x}
  pack: {archive: out, to: all.tar}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow), ElementsAre("copy", "last", "by-path", "pack"));
  EXPECT_THAT(needs(workflow, "last"), ElementsAre("copy"));
  EXPECT_THAT(needs(workflow, "by-path"), ElementsAre("copy"));
  EXPECT_THAT(needs(workflow, "pack"), ElementsAre("copy", "by-path"));
}

TEST_F(WorkflowTest, IncludedFilesComeFirstAndGiveWay) {
  write_file(directory / "common.yaml",
             "version: 1\nvars: {a: 1, m: {x: 1, y: 1}}\nstages: {first: {command: [one]}}\n");
  const Workflow workflow = read(R"(
include: common.yaml
vars: {m: {y: 2}}
stages: {second: {command: [echo, '${a}', '${m.x}', '${m.y}']}}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow), ElementsAre("first", "second"));
  EXPECT_EQ(what(workflow, "second"), "echo 1 1 2");
}

TEST_F(WorkflowTest, AnchorsAndMergeKeys) {
  const Workflow workflow = read(R"(
stages:
  a: &base {command: [echo, one], retries: 2}
  b: {<<: *base, retries: 3}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_EQ(workflow.stages[1].retries, 3);
  EXPECT_EQ(what(workflow, "b"), "echo one");
}

TEST_F(WorkflowTest, ProblemsOfAMatrixAreToldOnce) {
  read(R"(
stages:
  "s-${n}": {matrix: {n: [1, 2, 3]}, copy: "x-${m}", to: "y-${n}"}
)");
  EXPECT_THAT(messages,
              ElementsAre(HasSubstr("4:44: 'x-${m}' uses the variable 'm', which does not exist")));
}

TEST_F(WorkflowTest, AnswersForAliasBombs) {
  std::string text = "vars:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "  a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) text += ", " + before;
    text += "]\n";
  }
  read(text + "stages: {a: {command: [echo]}}\n");
  EXPECT_THAT(messages, ElementsAre(HasSubstr("has too many values")));
}

TEST_F(WorkflowTest, CaretsStandBelowTheCulprit) {
  write_file(directory / "run.yaml", "version: 1\nstages:\n  a: {command: [x], retires: 1}\n");
  ScriptProblems problems;
  const Script one = read_script(directory / "run.yaml", {}, problems);
  make_workflow(
      one, standard_stages(host), [](const auto&) { return std::nullopt; }, problems);
  ASSERT_EQ(problems.sorted().size(), 1u);
  const std::string text = to_text(problems.sorted()[0], one.sources);
  EXPECT_THAT(text, HasSubstr(":3:21: unknown key 'retires'"));
  EXPECT_THAT(text, HasSubstr("\n   3 |   a: {command: [x], retires: 1}\n"
                              "     |                     ^~~~~~~\n"
                              "  hint: did you mean 'retries'?\n"));
}

TEST(Duration, ReadsTimes) {
  EXPECT_EQ(parse_duration("45"), 45);
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("2d"), 2 * 86400);
  for (const char* wrong : {"", "0", "h", "1h30", "-5s", "5 m", "1x", "1000000d"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace craftbundle

#include "craftbundle/detail/pipeline/workflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/filesystem/operations.hpp>

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
    hints.clear();
    others.clear();
    for (const ScriptProblem& problem : problems.sorted()) {
      hints.push_back(problem.hint);
      others.push_back(problem.others);
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
  std::vector<std::string> hints;
  std::vector<std::vector<std::string>> others;
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

TEST_F(WorkflowTest, AMistakeInAMatrixIsOneProblem) {
  read(R"(
stages:
  "a-${n}": {matrix: {n: [x, y, z]}, retries: '${n}', command: [echo, '${n}', '${m}']}
  "b-${n}": {matrix: {n: [1, 2, v]}, retries: '${n}', timeout: 'u${n}', command: [echo]}
)");
  EXPECT_THAT(messages,
              ElementsAre("4:47: 'retries' is 'x', expected a number from 0 to 100",
                          "4:79: '${m}' uses the variable 'm', which does not exist",
                          "5:47: 'retries' is 'v', expected a number from 0 to 100",
                          "5:64: 'timeout' is 'u1', expected a time like 90s, 10m or 1h30m"));
  EXPECT_THAT(others, ElementsAre(ElementsAre("a-y", "a-z"), IsEmpty(), IsEmpty(),
                                  ElementsAre("b-2", "b-v")));
}

TEST_F(WorkflowTest, NamesThatAreNotThereAreSuggested) {
  read(R"(
stages:
  "lm-${n}": {matrix: {n: [small, large]}, command: [echo]}
  m: {matrix: {n: [a, b]}, command: [echo]}
  u: {needs: [lm-smal, 'ml-*', lm, n@a], command: [echo]}
  v: {archive: 'lm-s-*', to: x.zip}
  w: {command: [echo, '${stage:lm-smal}', '${stage:lm}']}
)");
  EXPECT_THAT(
      hints, ElementsAre("did you mean 'lm-small'?", "did you mean 'lm-*'?", "did you mean 'lm-*'?",
                         "did you mean 'm@a'?", "did you mean 'lm-*'?", "did you mean 'lm-small'?",
                         "did you mean 'lm-${n}'?"));
}

TEST_F(WorkflowTest, StagesAreNamedAsInScripts) {
  const Workflow workflow = read(R"(
stages:
  "lm-${n}": {matrix: {n: [a, b]}, command: [echo]}
  m: {matrix: {n: [a, b]}, command: [echo]}
)");
  const auto named = [&](const std::string& text) {
    std::vector<std::string> result;
    for (const std::size_t stage : workflow.named(text)) {
      result.push_back(workflow.stages[stage].name);
    }
    return result;
  };
  EXPECT_THAT(named("lm-a"), ElementsAre("lm-a"));
  EXPECT_THAT(named("lm-${n}"), ElementsAre("lm-a", "lm-b"));
  EXPECT_THAT(named("m"), ElementsAre("m@a", "m@b"));
  EXPECT_THAT(named("*a"), ElementsAre("lm-a", "m@a"));
  EXPECT_THAT(named("lm"), IsEmpty());
  EXPECT_EQ(workflow.suggestion("lm", true), "did you mean 'lm-*'?");
  EXPECT_EQ(workflow.suggestion("entirely-different", true), "");
}

TEST_F(WorkflowTest, AMatrixIsTakenOver) {
  const Workflow workflow = read(R"(
stages:
  "a-${n}": {matrix: {n: [x, y], include: [{n: x, more: 1}]}, command: [echo], outputs: ['${n}']}
  "b-${n}": {matrix: "a-${n}", checksum: "a-${n}", to: "${n}.sum"}
  c: {matrix: "b-${n}", command: [echo, "${n}"]}
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow), ElementsAre("a-x", "a-y", "b-x", "b-y", "c@x-1", "c@y"));
  EXPECT_THAT(needs(workflow, "b-y"), ElementsAre("a-y"));
  read(R"(
stages:
  "a-${n}": {matrix: {n: [x]}, command: [echo]}
  b: {matrix: "a-${m}", command: [echo]}
  c: {matrix: d, command: [echo]}
  d: {matrix: c, command: [echo]}
  e: {matrix: f, command: [echo]}
  f: {command: [echo]}
  g: {matrix: entirely-different, command: [echo]}
)");
  EXPECT_THAT(messages,
              ElementsAre("5:15: 'matrix' is 'a-${m}', which is no stage as it is written here",
                          "6:15: stages take over each other's matrix in a circle",
                          "7:15: stages take over each other's matrix in a circle",
                          "8:15: stage 'f' has no matrix to take over",
                          "10:15: 'matrix' is 'entirely-different', which is no stage as it is "
                          "written here"));
  EXPECT_EQ(hints.front(), "did you mean 'a-${n}'?");
}

TEST_F(WorkflowTest, GlobsAreAxes) {
  for (const char* name : {"runs/b/checkpoint.th", "runs/a/checkpoint.th", "runs/c/other.th",
                           "runs/.d/checkpoint.th", "e_1.th", "e_2.th"}) {
    boost::filesystem::create_directories((directory / name).parent_path());
    write_file(directory / name, "x");
  }
  const Workflow workflow = read(R"(
stages:
  "a-${run}":
    matrix: {run: {glob: 'runs/*/checkpoint.th'}}
    command: [cat, "runs/${run}/checkpoint.th"]
  "b-${n}":
    matrix: {n: {glob: 'e_*.th'}, exclude: [{n: 2}]}
    command: [echo]
)");
  EXPECT_THAT(messages, IsEmpty());
  EXPECT_THAT(names(workflow), ElementsAre("a-a", "a-b", "b-1"));
  EXPECT_EQ(what(workflow, "a-b"), "cat runs/b/checkpoint.th");
  read(R"(
stages:
  a: {matrix: {n: {glob: 'x/*'}, m: {glob: '*/*'}, o: {glob: e_1.th}, p: 'e_*', q: {a: b}}, command: [echo]}
)");
  EXPECT_THAT(messages, ElementsAre("4:26: no file is called 'x/*'",
                                    "4:44: the glob of axis 'm' needs one '*', for its values",
                                    "4:62: the glob of axis 'o' needs one '*', for its values",
                                    "4:74: axis 'p' needs a list of at least one value",
                                    "4:84: axis 'q' needs a list of at least one value"));
  EXPECT_EQ(hints.at(3), "files are looked for with {glob: 'e_*'}");
}

TEST_F(WorkflowTest, HintsForThoseWhoKnowOtherTools) {
  read(R"(
stages:
  "a-${{ matrix.n }}": {matrix: {n: [x]}, command: [echo]}
  b: {command: [echo, '${matrix.n}', '${HOME}', '${env:HOME}', '${{ env.HOME }}', '${lower}']}
  c: {cmd: make, deps: [x], outs: [y]}
  d: {command: [echo], outs: [y], foreach: [a]}
jobs: {}
retries: 2
)");
  EXPECT_THAT(hints,
              ElementsAre("variables and axes are named alone: ${n}",
                          "variables and axes are named alone: ${n}",
                          "a variable of the environment is ${oc.env:HOME}",
                          "a variable of the environment is ${oc.env:HOME}",
                          "a variable of the environment is ${oc.env:HOME}",
                          "add it to 'vars', or as an axis of the stage's 'matrix'",
                          "a program is 'command: [PROGRAM, WORD, ...]', or a text with "
                          "'shell: true'",
                          "what a command makes is in 'outputs'",
                          "a stage for each value has 'matrix: {item: [VALUES]}' and uses ${item}",
                          "what is done is in 'stages'",
                          "it belongs into a stage: 'stages: {NAME: {..., retries: ...}}'"));
}

TEST_F(WorkflowTest, VariablesInFlowMapsNeedQuotes) {
  read("stages:\n  a: {bundle: {lm: x-${n}/y, compression: c}, to: x}\n");
  EXPECT_THAT(messages, ElementsAre("3:20: '${' cannot stand in a value without quotes inside of "
                                    "{...} or [...]"));
  EXPECT_THAT(hints, ElementsAre("write \"x-${n}/y\", in quotes"));
  read("stages:\n  a: {command: [echo, ${a.${b}}]}\n");
  EXPECT_THAT(hints, ElementsAre("write \"${a.${b}}\", in quotes"));
  read("stages:\n  a: {command: [echo, x}\n");
  EXPECT_THAT(hints, ElementsAre(""));
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

// The runner with stages that are functions: no disk, no plugins.
#include "craftbundle/detail/pipeline/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using Need = GraphNode::Need;

class Work final : public StageWork {
 public:
  using Action = std::function<void(const Cancellation&)>;

  void run(std::size_t stage, StageReport& report, Sink& /*sink*/,
           const Cancellation& cancellation) override {
    {
      const std::lock_guard lock(mutex_);
      order_.push_back(stage);
      busiest_ = std::max(busiest_, ++busy_);
    }
    const auto end = [&] {
      const std::lock_guard lock(mutex_);
      --busy_;
    };
    try {
      if (const auto action = actions.find(stage); action != actions.end()) {
        action->second(cancellation);
      }
    } catch (...) {
      end();
      throw;
    }
    end();
    report.state = StageState::done;
  }

  std::map<std::size_t, Action> actions;
  std::vector<std::size_t> order() const { return order_; }
  int busiest() const { return busiest_; }

 private:
  std::mutex mutex_;
  std::vector<std::size_t> order_;
  int busy_ = 0;
  int busiest_ = 0;
};

class Observer final : public RunObserver {
 public:
  void started(std::size_t /*stage*/, int /*attempt*/, std::uint64_t /*bytes*/) noexcept override {
    ++starts;
  }
  void progress(std::size_t /*stage*/, const Progress& /*progress*/) noexcept override {}
  void log(std::size_t /*stage*/, LogLevel /*level*/,
           std::string_view /*message*/) noexcept override {}
  void retrying(std::size_t /*stage*/, const Error& /*error*/,
                std::chrono::milliseconds /*pause*/) noexcept override {
    ++retries;
  }
  void finished(std::size_t /*stage*/, const StageReport& /*report*/) noexcept override { ++ends; }

  int starts = 0;
  int retries = 0;
  int ends = 0;
};

RunnerStage stage(std::vector<Need> needs = {}) {
  RunnerStage result;
  result.needs = std::move(needs);
  return result;
}

[[noreturn]] void fail(const Cancellation& /*cancellation*/) {
  throw Error(ErrorKind::system, "test.failed", "no luck");
}

class RunnerTest : public ::testing::Test {
 protected:
  std::vector<StageState> run(const std::vector<RunnerStage>& stages, RunnerOptions options = {}) {
    reports.resize(stages.size());
    for (std::size_t i = 0; i < stages.size(); ++i) reports[i].name = "s" + std::to_string(i);
    options.retry_pause = 1ms;
    run_stages(stages, work, observer, options, reports);
    std::vector<StageState> states;
    for (const StageReport& report : reports) states.push_back(report.state);
    return states;
  }

  Work work;
  Observer observer;
  std::vector<StageReport> reports;
};

TEST_F(RunnerTest, RunsInOrderOfTheScript) {
  const auto states = run({stage(), stage({{0}}), stage(), stage({{1}, {2}})});
  EXPECT_THAT(work.order(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(states, ::testing::Each(StageState::done));
  EXPECT_EQ(observer.starts, 4);
  EXPECT_EQ(observer.ends, 4);
}

TEST_F(RunnerTest, NoMoreThanJobsAtATime) {
  std::vector<RunnerStage> stages(12, stage());
  for (std::size_t i = 0; i < stages.size(); ++i) {
    work.actions[i] = [](const Cancellation&) { std::this_thread::sleep_for(5ms); };
  }
  RunnerOptions options;
  options.jobs = 3;
  run(stages, options);
  EXPECT_LE(work.busiest(), 3);
  EXPECT_EQ(work.order().size(), 12u);
}

TEST_F(RunnerTest, TwoStagesMeetWithTwoJobs) {
  // Each waits for the other, so they can only end together.
  std::atomic<int> there = 0;
  const auto meet = [&](const Cancellation& cancellation) {
    ++there;
    while (there < 2) {
      cancellation.check();
      std::this_thread::sleep_for(1ms);
    }
  };
  work.actions = {{0, meet}, {1, meet}};
  RunnerOptions options;
  options.jobs = 2;
  EXPECT_THAT(run({stage(), stage()}, options), ::testing::Each(StageState::done));
}

TEST_F(RunnerTest, AFailureEndsTheRun) {
  work.actions[0] = fail;
  EXPECT_THAT(run({stage(), stage(), stage({{0}})}),
              ElementsAre(StageState::failed, StageState::not_run, StageState::not_run));
  ASSERT_TRUE(reports[0].error);
  EXPECT_EQ(reports[0].error->code(), "test.failed");
}

TEST_F(RunnerTest, KeepGoingRunsWhatDoesNotNeedIt) {
  work.actions[0] = fail;
  RunnerOptions options;
  options.keep_going = true;
  EXPECT_THAT(
      run({stage(), stage(), stage({{0}}), stage({{2}})}, options),
      ElementsAre(StageState::failed, StageState::done, StageState::blocked, StageState::blocked));
  EXPECT_THAT(reports[2].reasons, ElementsAre("needs s0, which failed"));
  EXPECT_THAT(reports[3].reasons, ElementsAre("needs s2, which is blocked"));
}

TEST_F(RunnerTest, AnAllowedFailureHoldsOnlyWhatUsesIt) {
  work.actions[0] = fail;
  std::vector<RunnerStage> stages = {stage(), stage({{0, false}}), stage({{0, true}})};
  stages[0].may_fail = true;
  EXPECT_THAT(run(stages), ElementsAre(StageState::failed, StageState::done, StageState::blocked));
}

TEST_F(RunnerTest, TriesAgain) {
  int attempts = 0;
  work.actions[0] = [&](const Cancellation& cancellation) {
    if (++attempts < 3) fail(cancellation);
  };
  std::vector<RunnerStage> stages = {stage()};
  stages[0].retries = 5;
  EXPECT_THAT(run(stages), ElementsAre(StageState::done));
  EXPECT_EQ(reports[0].attempts, 3);
  EXPECT_EQ(observer.retries, 2);
  EXPECT_FALSE(reports[0].error);
}

TEST_F(RunnerTest, WhatCannotGetBetterIsNotTriedAgain) {
  work.actions[0] = [](const Cancellation&) {
    throw Error(ErrorKind::input, "test.input", "is no checkpoint");
  };
  std::vector<RunnerStage> stages = {stage()};
  stages[0].retries = 5;
  run(stages);
  EXPECT_EQ(reports[0].attempts, 1);
}

TEST_F(RunnerTest, TimeLimitsEndAttempts) {
  work.actions[0] = [](const Cancellation& cancellation) {
    while (true) {
      cancellation.check();
      std::this_thread::sleep_for(1ms);
    }
  };
  std::vector<RunnerStage> stages = {stage()};
  stages[0].timeout = 30ms;
  EXPECT_THAT(run(stages), ElementsAre(StageState::failed));
  EXPECT_EQ(reports[0].error->code(), "run.timeout");
  EXPECT_EQ(reports[0].error->message(), "took longer than 0.030000 s, which 'timeout' allows");
}

TEST_F(RunnerTest, CancellationInterruptsAndStartsNothing) {
  Cancellation cancellation;
  work.actions[0] = [&](const Cancellation& own) {
    cancellation.cancel();
    while (true) {
      own.check();
      std::this_thread::sleep_for(1ms);
    }
  };
  RunnerOptions options;
  options.cancellation = &cancellation;
  EXPECT_THAT(run({stage(), stage()}, options),
              ElementsAre(StageState::interrupted, StageState::not_run));
}

TEST_F(RunnerTest, ExceptionsOfOtherTypesAreFailures) {
  work.actions[0] = [](const Cancellation&) { throw std::runtime_error("oops"); };
  run({stage()});
  EXPECT_EQ(reports[0].error->code(), "run.internal");
}

TEST_F(RunnerTest, SettledStagesAreNotRun) {
  reports.resize(2);
  reports[0].state = StageState::up_to_date;
  EXPECT_THAT(run({stage(), stage({{0}})}), ElementsAre(StageState::up_to_date, StageState::done));
  EXPECT_THAT(work.order(), ElementsAre(1));
}

TEST_F(RunnerTest, ManyStages) {
  std::vector<RunnerStage> stages(2000);
  for (std::size_t i = 1; i < stages.size(); ++i) stages[i].needs = {{(i - 1) / 2}};
  RunnerOptions options;
  options.jobs = 4;
  EXPECT_THAT(run(stages, options), ::testing::Each(StageState::done));
}

}  // namespace
}  // namespace craftbundle

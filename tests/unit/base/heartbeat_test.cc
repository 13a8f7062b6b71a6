#include "craftbundle/detail/base/heartbeat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace craftbundle {
namespace {

// What was reported, as "TASK DONE/TOTAL".
class Listener final : public Sink {
 public:
  void progress(const Progress& progress) noexcept override {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::string(progress.task) + " " + std::to_string(progress.done) + "/" +
                       std::to_string(progress.total));
  }
  std::vector<std::string> reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }
  void wait_for(std::size_t count) const {
    while (reports().size() < count) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> reports_;
};

TEST(Heartbeat, ReportsAStepThatTakesLongToItsEnd) {
  Listener listener;
  {
    Heartbeat beat(listener, "loading", 100);
    listener.wait_for(1);
    beat.at(40);
    listener.wait_for(listener.reports().size() + 2);
    // The end is not there before it is.
    beat.at(500);
    listener.wait_for(listener.reports().size() + 2);
  }
  const std::vector<std::string> reports = listener.reports();
  EXPECT_EQ(reports.front(), "loading 0/100");
  EXPECT_THAT(reports, ::testing::Contains("loading 40/100"));
  EXPECT_THAT(reports, ::testing::Contains("loading 99/100"));
  EXPECT_THAT(reports, ::testing::Contains("loading 100/100").Times(1));
  EXPECT_EQ(reports.back(), "loading 100/100");
}

TEST(Heartbeat, SaysNothingOfAStepThatIsOverInAMoment) {
  Listener listener;
  { const Heartbeat beat(listener, "loading", 100); }
  EXPECT_THAT(listener.reports(), ::testing::IsEmpty());
}

TEST(Heartbeat, DoesNotReportTheEndOfAStepThatFailed) {
  Listener listener;
  try {
    const Heartbeat beat(listener, "loading", 0);
    listener.wait_for(2);
    throw std::runtime_error("failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_THAT(listener.reports(), ::testing::Each("loading 0/1"));
}

}  // namespace
}  // namespace craftbundle

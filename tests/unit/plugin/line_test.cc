#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "bundlecraft/plugin/plugin.h"
#include "support/error_matchers.h"

namespace bundlecraft {
namespace {

using testing::expect_error;

// Throws whatever `what` does.
class Throwing final : public Exporter {
 public:
  explicit Throwing(void (*what)()) : what_(what) {}
  ExporterInfo info() const override {
    what_();
    return {};
  }
  Probe probe(const Source& /*source*/) const override {
    what_();
    return {};
  }
  Component prepare(const ExportRequest& /*request*/, ExportContext& /*context*/) const override {
    what_();
    return {};
  }

 private:
  void (*what_)();
};

// A kind of stage that creates a file for the stage "one" and finds a fault in others.
class Counting final : public StageKind {
 public:
  StageKindInfo info() const override {
    StageKindInfo info;
    info.name = "counting";
    return info;
  }
  StageOutcome run(const StageRequest& request, StageContext& context) const override {
    if (request.stage == "one") context.create("");
    throw Error(ErrorKind::mismatch, "count.wrong", "there are not " + request.stage);
  }
};

LineFailure failure_of(void (*what)()) {
  const detail::GuardedExporter exporter(std::make_unique<Throwing>(what));
  LineFailure failure;
  exporter.probe(Source::of_pretrained("x", "x"), failure);
  return failure;
}

TEST(GuardedExporter, TurnsAnErrorIntoAValueAndBack) {
  const LineFailure failure = failure_of(
      [] { throw Error(ErrorKind::input, "my.code", "the file is odd", "take another"); });
  ASSERT_TRUE(failure.failed);
  EXPECT_EQ(failure.hint, "take another");
  expect_error(ErrorKind::input, "my.code", ::testing::Eq("the file is odd"),
               [&] { failure.raise(); });
}

TEST(GuardedExporter, TurnsOtherExceptionsIntoValues) {
  const LineFailure standard = failure_of([] { throw std::runtime_error("bad day"); });
  ASSERT_TRUE(standard.failed);
  expect_error(ErrorKind::plugin, "plugin.exception", ::testing::Eq("bad day"),
               [&] { standard.raise(); });
  const LineFailure number = failure_of([] { throw 7; });
  ASSERT_TRUE(number.failed);
  expect_error(ErrorKind::plugin, "plugin.exception",
               ::testing::Eq("an exception that is no std::exception"), [&] { number.raise(); });
  const LineFailure memory = failure_of([] { throw std::bad_alloc(); });
  ASSERT_TRUE(memory.failed);
  expect_error(ErrorKind::plugin, "plugin.memory", ::testing::Eq("out of memory"),
               [&] { memory.raise(); });
}

TEST(GuardedExporter, ReportsNoFailureWithoutOne) {
  EXPECT_FALSE(failure_of([] {}).failed);
}

class Counter final : public LineRegistrar {
 public:
  void add(std::unique_ptr<LineExporter> exporter) noexcept override { count += exporter ? 1 : 0; }
  void add(std::unique_ptr<LineStageKind> kind) noexcept override { kinds += kind ? 1 : 0; }
  int count = 0;
  int kinds = 0;
};

TEST(Registrar, RefusesNothing) {
  Counter counter;
  Registrar registrar(counter);
  registrar.add(std::make_unique<Throwing>([] {}));
  EXPECT_EQ(counter.count, 1);
  expect_error(ErrorKind::plugin, "plugin.entry", ::testing::HasSubstr("null"),
               [&] { registrar.add(std::unique_ptr<const Exporter>()); });
  EXPECT_EQ(counter.count, 1);
  EXPECT_EQ(counter.kinds, 0);
  registrar.add(std::make_unique<Counting>());
  EXPECT_EQ(counter.kinds, 1);
  expect_error(ErrorKind::plugin, "plugin.entry",
               ::testing::HasSubstr("kind of stage that is null"),
               [&] { registrar.add(std::unique_ptr<const StageKind>()); });
  EXPECT_EQ(counter.kinds, 1);
}

TEST(GuardedStageKind, TurnsWhatItThrowsIntoValues) {
  const detail::GuardedStageKind kind(std::make_unique<Counting>());
  LineFailure failure;
  EXPECT_EQ(kind.info(failure).name, "counting");
  EXPECT_FALSE(failure.failed);
  StageRequest request;
  request.stage = "one";
  struct Nothing final : StageContext {
    Sink& sink() override { return Sink::none(); }
    const Cancellation& cancellation() const override { return Cancellation::never(); }
    std::shared_ptr<const Checkpoint> open(const Path&) override { return nullptr; }
    OutputFile& create(const std::string&) override { throw std::bad_alloc(); }
  } context;
  kind.run(request, context, failure);
  ASSERT_TRUE(failure.failed);
  expect_error(ErrorKind::plugin, "plugin.memory", ::testing::Eq("out of memory"),
               [&] { failure.raise(); });
  request.stage = "two";
  failure = {};
  kind.run(request, context, failure);
  ASSERT_TRUE(failure.failed);
  expect_error(ErrorKind::mismatch, "count.wrong", ::testing::Eq("there are not two"),
               [&] { failure.raise(); });
}

TEST(InterfaceId, NamesVersionHeadersAndRuntime) {
  EXPECT_THAT(kInterfaceId, ::testing::MatchesRegex("[0-9.]+-[0-9a-f]+-lib[a-z0-9+-]+"));
}

}  // namespace
}  // namespace bundlecraft

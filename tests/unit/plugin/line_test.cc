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
  int count = 0;
};

TEST(Registrar, RefusesNothing) {
  Counter counter;
  Registrar registrar(counter);
  registrar.add(std::make_unique<Throwing>([] {}));
  EXPECT_EQ(counter.count, 1);
  expect_error(ErrorKind::plugin, "plugin.entry", ::testing::HasSubstr("null"),
               [&] { registrar.add(nullptr); });
  EXPECT_EQ(counter.count, 1);
}

TEST(InterfaceId, NamesVersionHeadersAndRuntime) {
  EXPECT_THAT(kInterfaceId, ::testing::MatchesRegex("[0-9.]+-[0-9a-f]+-lib[a-z0-9+-]+"));
}

}  // namespace
}  // namespace bundlecraft

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "craftbundle/detail/plugin/plugin.h"
#include "support/error_matchers.h"

namespace craftbundle {
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

// Loads what `make` makes.
class Loading final : public CodecLoader {
 public:
  explicit Loading(std::unique_ptr<Codec> (*make)()) : make_(make) {}
  CodecLoaderInfo info() const override { return {{"loading", "Loads."}, {"tone"}}; }
  std::unique_ptr<Codec> load(const Model& /*model*/,
                              const CodecOptions& /*options*/) const override {
    return make_();
  }

 private:
  std::unique_ptr<Codec> (*make_)();
};

void probe_that_throws(void (*what)()) {
  const Guarded<Exporter> exporter(std::make_unique<Throwing>(what));
  exporter.call(
      [](const Exporter& object) { return object.probe(Source::of_pretrained("x", "x")); });
}

TEST(Guarded, PassesOnAnErrorAsItIs) {
  try {
    probe_that_throws(
        [] { throw Error(ErrorKind::input, "my.code", "the file is odd", "take another"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.code(), "my.code");
    EXPECT_EQ(error.message(), "the file is odd");
    EXPECT_EQ(error.hint(), "take another");
  }
}

TEST(Guarded, TurnsOtherExceptionsIntoErrors) {
  expect_error(ErrorKind::plugin, "plugin.exception", ::testing::Eq("bad day"),
               [] { probe_that_throws([] { throw std::runtime_error("bad day"); }); });
  expect_error(ErrorKind::plugin, "plugin.exception",
               ::testing::Eq("an exception that is no std::exception"),
               [] { probe_that_throws([] { throw 7; }); });
  expect_error(ErrorKind::system, "run.memory", ::testing::Eq("out of memory"),
               [] { probe_that_throws([] { throw std::bad_alloc(); }); });
}

TEST(Guarded, ReturnsWhatTheObjectReturns) {
  probe_that_throws([] {});
  const Guarded<StageKind> kind(std::make_unique<Counting>());
  EXPECT_EQ(kind.call([](const StageKind& object) { return object.info().name; }), "counting");
  EXPECT_TRUE(static_cast<bool>(kind));
  EXPECT_FALSE(static_cast<bool>(Guarded<Codec>(nullptr)));
}

TEST(Guarded, CallsWithTheGuardThatItWasGiven) {
  static int calls = 0;
  const detail::Guard counting = [](void (*body)(void*), void* state) noexcept {
    ++calls;
    return detail::guard(body, state);
  };
  const Guarded<CodecLoader> loader(
      std::make_unique<Loading>([]() -> std::unique_ptr<Codec> { return nullptr; }), counting);
  EXPECT_EQ(loader.call([](const CodecLoader& object) { return object.load(Model(), {}); }),
            nullptr);
  EXPECT_EQ(calls, 1);
  // What it makes belongs to the same library.
  loader.adopt(std::make_unique<Counting>()).call([](const StageKind& object) {
    return object.info();
  });
  EXPECT_EQ(calls, 2);
}

TEST(Registrar, TakesEachKindAndRefusesNothing) {
  Registrar registrar;
  registrar.add(std::make_unique<Throwing>([] {}));
  registrar.add(std::unique_ptr<const StageKind>(std::make_unique<Counting>()));
  registrar.add(std::make_unique<Loading>([]() -> std::unique_ptr<Codec> { return nullptr; }));
  const auto refuses = [&](const std::string& what, auto null) {
    expect_error(ErrorKind::plugin, "plugin.entry", ::testing::Eq(what),
                 [&] { registrar.add(std::move(null)); });
  };
  refuses("a null exporter was added", std::unique_ptr<const Exporter>());
  refuses("a null stage was added", std::unique_ptr<Counting>());
  refuses("a null codec was added", std::unique_ptr<CodecLoader>());
  std::apply([](const auto&... offers) { EXPECT_EQ((offers.size() + ...), 3u); }, registrar.take());
}

TEST(Guarded, PassesWhatTheHostThrowsInsideOfACall) {
  const Guarded<StageKind> kind(std::make_unique<Counting>());
  struct Nothing final : StageContext {
    Sink& sink() override { return Sink::none(); }
    const Cancellation& cancellation() const override { return Cancellation::never(); }
    std::shared_ptr<const Checkpoint> open(const Path&) override { return nullptr; }
    SafetensorsModel open_safetensors(const Path&) override { return {}; }
    std::shared_ptr<const InputFile> open_file(const Path&) override { return nullptr; }
    OutputFile& create(const std::string&) override { throw std::bad_alloc(); }
  } context;
  const auto run = [&](const char* stage) {
    StageRequest request;
    request.stage = stage;
    kind.call([&](const StageKind& object) { return object.run(request, context); });
  };
  expect_error(ErrorKind::system, "run.memory", ::testing::Eq("out of memory"),
               [&] { run("one"); });
  expect_error(ErrorKind::mismatch, "count.wrong", ::testing::Eq("there are not two"),
               [&] { run("two"); });
}

TEST(InterfaceId, NamesVersionHeadersRuntimeAndBoost) {
  EXPECT_THAT(kInterfaceId,
              ::testing::MatchesRegex("[0-9.]+-[0-9a-f]{16}-lib[a-z0-9+-]+-boost[0-9]+"));
}

}  // namespace
}  // namespace craftbundle

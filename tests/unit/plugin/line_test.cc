#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "craftbundle/plugin/plugin.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

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

// Loads what `load` makes.
class Loading final : public CodecLoader {
 public:
  explicit Loading(std::unique_ptr<Codec> (*make)()) : make_(make) {}
  CodecLoaderInfo info() const override { return {"loading", "Loads.", {"tone"}}; }
  std::unique_ptr<Codec> load(const Value& /*package*/,
                              const CodecOptions& /*options*/) const override {
    return make_();
  }

 private:
  std::unique_ptr<Codec> (*make_)();
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

TEST(GuardedExporter, KeepsContextsAndTheCulprit) {
  const LineFailure failure = failure_of([] {
    Error error(ErrorKind::usage, "option.value", "'x' is odd");
    throw error.about("option:dtype").add_context("xp.cfg").add_context("a.th");
  });
  ASSERT_TRUE(failure.failed);
  try {
    failure.raise();
  } catch (const Error& error) {
    EXPECT_EQ(error.subject(), "option:dtype");
    EXPECT_EQ(error.message(), "a.th: xp.cfg: 'x' is odd");
    EXPECT_EQ(error.message_within("a.th"), "xp.cfg: 'x' is odd");
  }
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
  void add(std::unique_ptr<LineCodecLoader> loader) noexcept override { codecs += loader ? 1 : 0; }
  int count = 0;
  int kinds = 0;
  int codecs = 0;
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
  registrar.add(std::make_unique<Loading>([]() -> std::unique_ptr<Codec> { return nullptr; }));
  EXPECT_EQ(counter.codecs, 1);
  expect_error(ErrorKind::plugin, "plugin.entry",
               ::testing::Eq("a loader of codecs that is null was added"),
               [&] { registrar.add(std::unique_ptr<const CodecLoader>()); });
  EXPECT_EQ(counter.codecs, 1);
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

// A codec of one property that throws whatever it is asked to do.
class Stubborn final : public Codec {
 public:
  const CodecProperties& properties() const override {
    static const CodecProperties properties = [] {
      CodecProperties stated;
      stated.engine = "stubbornness";
      return stated;
    }();
    return properties;
  }
  Latent encode_latent(const Audio& /*audio*/) const override { throw std::runtime_error("a"); }
  Codes encode(const Audio& /*audio*/, std::int64_t codebooks) const override {
    throw std::runtime_error("b" + std::to_string(codebooks));
  }
  Latent decode_latent(const Codes& /*codes*/) const override { throw std::runtime_error("c"); }
  Audio decode(const Codes& /*codes*/) const override { throw std::runtime_error("d"); }
  void save(OutputFile& /*file*/) const override {
    throw Error(ErrorKind::usage, "codec.save", "will not");
  }
};

TEST(GuardedCodecLoader, TurnsWhatItThrowsIntoValues) {
  const auto failure_of_load = [](std::unique_ptr<Codec> (*load)()) {
    LineFailure failure;
    const detail::GuardedCodecLoader loader(std::make_unique<Loading>(load));
    EXPECT_EQ(loader.info(failure).name, "loading");
    EXPECT_FALSE(failure.failed);
    EXPECT_EQ(loader.load(Value(), {}, failure), nullptr);
    EXPECT_TRUE(failure.failed);
    return failure;
  };
  const LineFailure null = failure_of_load([]() -> std::unique_ptr<Codec> { return nullptr; });
  expect_error(ErrorKind::plugin, "plugin.codec", ::testing::Eq("a codec that is null was made"),
               [&] { null.raise(); });
  const LineFailure refused = failure_of_load([]() -> std::unique_ptr<Codec> {
    throw Error(ErrorKind::input, "codec.unsupported", "not this one");
  });
  expect_error(ErrorKind::input, "codec.unsupported", ::testing::Eq("not this one"),
               [&] { refused.raise(); });
  const LineFailure number = failure_of_load([]() -> std::unique_ptr<Codec> { throw 7; });
  expect_error(ErrorKind::plugin, "plugin.exception",
               ::testing::Eq("an exception that is no std::exception"), [&] { number.raise(); });
}

TEST(GuardedCodec, TurnsWhatItThrowsIntoValues) {
  LineFailure failure;
  const detail::GuardedCodecLoader loader(std::make_unique<Loading>(
      []() -> std::unique_ptr<Codec> { return std::make_unique<Stubborn>(); }));
  const std::unique_ptr<LineCodec> codec = loader.load(Value(), {}, failure);
  ASSERT_NE(codec, nullptr);
  EXPECT_EQ(codec->properties(failure).engine, "stubbornness");
  EXPECT_FALSE(failure.failed);
  const auto message_of = [](auto&& call) {
    LineFailure thrown;
    call(thrown);
    EXPECT_TRUE(thrown.failed);
    return thrown.code + ": " + thrown.message;
  };
  EXPECT_EQ(message_of([&](LineFailure& f) { codec->encode_latent({}, f); }),
            "plugin.exception: a");
  EXPECT_EQ(message_of([&](LineFailure& f) { codec->encode({}, 5, f); }), "plugin.exception: b5");
  EXPECT_EQ(message_of([&](LineFailure& f) { codec->decode_latent({}, f); }),
            "plugin.exception: c");
  EXPECT_EQ(message_of([&](LineFailure& f) { codec->decode({}, f); }), "plugin.exception: d");
  const testing::TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  EXPECT_EQ(message_of([&](LineFailure& f) { codec->save(file, f); }), "codec.save: will not");
}

TEST(InterfaceId, NamesVersionHeadersAndRuntime) {
  EXPECT_THAT(kInterfaceId, ::testing::MatchesRegex("[0-9.]+-[0-9a-f]+-lib[a-z0-9+-]+"));
}

}  // namespace
}  // namespace craftbundle

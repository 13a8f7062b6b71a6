// Plugins that are not part of the installation run where they can do no harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cstdlib>
#include <thread>

#include "fixtures.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::expect_error;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::only;
using testing::RecordingSink;
using ::testing::StartsWith;
using testing::TemporaryDirectory;

class Apart : public ::testing::Test {
 protected:
  Host::Options options() {
    Host::Options options = only({fixture("unruly"), fixture("good")});
    options.sink = &sink_;
    options.scan_limit = 2s;
    options.call_limit = 2s;
    return options;
  }
  Source checkpoint(const Host& host, Value::Dict entries) {
    const Path path = directory_ / ("c" + std::to_string(count_++) + ".th");
    testing::write_checkpoint(path, std::move(entries));
    return Source::of_checkpoint(path.filename().string(), host.open(path));
  }
  // One that both "tone" and "unruly" see something in.
  Source acts(const Host& host, const std::string& function, const std::string& how) {
    return checkpoint(host,
                      {{"tone", std::int64_t{30}}, {"unruly", std::int64_t{20}}, {function, how}});
  }
  std::string culprit(const std::string& what) const {
    return boost::filesystem::canonical(fixture("unruly/fixture_unruly.so")).string() + ": " + what;
  }

  TemporaryDirectory directory_;
  RecordingSink sink_;
  int count_ = 0;
};

struct End {
  const char* how;
  const char* words;
  const char* code;
};

class Ends : public Apart, public ::testing::WithParamInterface<End> {};

TEST_P(Ends, OfProbeLeaveTheOthers) {
  const Host host(options());
  const PreparedComponent prepared =
      host.prepare({acts(host, "probe", GetParam().how), {}, {}, {}});
  EXPECT_EQ(prepared.exporter.name, "tone");
  EXPECT_THAT(sink_.warnings(),
              ::testing::Contains("exporter 'unruly' cannot be asked: " +
                                  culprit("exporter 'unruly': probe() ") + GetParam().words));
}

TEST_P(Ends, OfPrepareAreErrors) {
  const Host host(options());
  const Source source = acts(host, "prepare", GetParam().how);
  expect_error(ErrorKind::plugin, GetParam().code,
               culprit("exporter 'unruly': prepare() ") + GetParam().words, [&] {
                 host.prepare({source, {}, "unruly", {}});
               });
}

INSTANTIATE_TEST_SUITE_P(
    , Ends,
    ::testing::Values(
        End{"crash", "crashed with signal SIGSEGV", "plugin.crash"},
        End{"abort", "crashed with signal SIGABRT; the last it printed: a number is odd\\n\\x1B[2J",
            "plugin.crash"},
        End{"divide", "crashed with signal SIGFPE", "plugin.crash"},
        End{"overflow", "crashed with signal SIGSEGV", "plugin.crash"},
        End{"exit", "ended the process, with exit status 0", "plugin.exit"},
        End{"quick exit", "ended the process, with exit status 0", "plugin.exit"},
        End{"end", "ended the process, with exit status 0", "plugin.exit"},
        End{"loop", "did not finish within 2000 ms", "plugin.hang"},
        End{"wait", "did not finish within 2000 ms", "plugin.hang"}),
    [](const auto& tried) {
      std::string name = tried.param.how;
      std::ranges::replace(name, ' ', '_');
      return name;
    });

TEST_F(Apart, CopiesThatOnlyWaitAreReplaced) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a copy computes for the sanitizer while it waits";
#endif
  const Path mark = directory_ / "mark";
  ASSERT_EQ(::setenv("UNRULY_MARK", mark.c_str(), 1), 0);
  Host::Options patient = options();
  patient.call_limit = 60s;
  const Host host(patient);
  EXPECT_EQ(host.prepare({acts(host, "prepare", "wait once"), {}, "unruly", {}}).exporter.name,
            "unruly");
  EXPECT_TRUE(boost::filesystem::exists(mark));
}

TEST_F(Apart, DoesWhatPluginsOfTheInstallationDo) {
  const Host host(options());
  const Source source = acts(host, "prepare", "print");
  const PreparedComponent prepared = host.prepare({source, {}, "unruly", {}});
  EXPECT_EQ(prepared.component.role, "compression");
  EXPECT_EQ(prepared.probe.confidence, 20);
  EXPECT_EQ(prepared.probe.reason, "has the key 'unruly'");
  // Told once, though it is called twice.
  EXPECT_EQ(std::ranges::count(sink_.warnings(), "prepares\\x1B[2J"), 1);
  EXPECT_THAT(prepared.component.warnings, ElementsAre("clears the screen\\x1B[2J"));
}

TEST_F(Apart, CountsWhatAProbeHasReadAsRead) {
  boost::filesystem::create_directory(directory_ / "source");
  testing::write_file(directory_ / "source/unruly.txt", "this");
  const Host host(options());
  const auto directory = std::make_shared<const SourceDirectory>(directory_ / "source");
  const PreparedComponent prepared =
      host.prepare({Source::of_directory("source", directory), {}, {}, {}});
  EXPECT_EQ(prepared.probe.reason, "reads this");
  ASSERT_EQ(prepared.read.size(), 1u);
  EXPECT_EQ(prepared.read[0].name, "unruly.txt");
}

TEST_F(Apart, AsksOneThatDoesNotEndOnce) {
  const Host host(options());
  const Source source = acts(host, "probe", "loop");
  host.probe(source);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<Candidate> again = host.probe(acts(host, "probe", "print"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  const auto unruly = std::ranges::find(again, "unruly", &Candidate::exporter);
  ASSERT_NE(unruly, again.end());
  EXPECT_EQ(unruly->probe.confidence, 0);
  EXPECT_THAT(unruly->probe.reason, HasSubstr("probe() did not finish within 2000 ms"));
}

TEST_F(Apart, HeedsTheCancellationOfTheHostAndOfAStage) {
  Cancellation cancellation;
  Host::Options options = this->options();
  options.cancellation = &cancellation;
  options.call_limit = 1h;
  const Host host(std::move(options));
  const Source source = acts(host, "prepare", "loop");
  const auto prepare = [&] { host.prepare({source, {}, "unruly", {}}); };
  Cancellation of_stage;
  {
    const StageScope scope(&of_stage, {});
    std::jthread later([&] {
      std::this_thread::sleep_for(100ms);
      of_stage.cancel();
    });
    expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_, prepare);
  }
  {
    const StageScope scope(nullptr, 50ms);
    expect_error(ErrorKind::plugin, "plugin.hang",
                 culprit("exporter 'unruly': prepare() did not finish within 50 ms"), prepare);
  }
  std::jthread later([&] {
    std::this_thread::sleep_for(100ms);
    cancellation.cancel();
  });
  expect_error(ErrorKind::interrupted, "run.interrupted", ::testing::_, prepare);
}

TEST_F(Apart, GoesOnInOtherThreads) {
  const Host host(options());
  const Source bad = acts(host, "prepare", "crash");
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    const Source good = acts(host, "prepare", "print");
    threads.emplace_back([&host, good] {
      for (int round = 0; round < 5; ++round) {
        EXPECT_EQ(host.prepare({good, {}, "unruly", {}}).exporter.name, "unruly");
      }
    });
  }
  for (int round = 0; round < 5; ++round) {
    expect_error(ErrorKind::plugin, "plugin.crash", HasSubstr("prepare() crashed"), [&] {
      host.prepare({bad, {}, "unruly", {}});
    });
  }
}

TEST_F(Apart, AppliesToLayouts) {
  const Host host(options());
  EXPECT_EQ(host.recognize({"unruly.lm"}), "unruly");
  EXPECT_EQ(host.recognize({"recognize.crash", "unruly.lm"}), std::nullopt);
  EXPECT_THAT(sink_.warnings(),
              ElementsAre("layout 'unruly' cannot be asked: " +
                          culprit("layout 'unruly': recognize() crashed with signal SIGSEGV")));
  expect_error(ErrorKind::plugin, "plugin.exit",
               culprit("layout 'unruly': sources() ended the process, with exit status 0"),
               [&] { host.sources_in("unruly", "exit", {}); });
  Component named;
  named.role = "lm";
  named.content = Reference{"x", {}};
  const PreparedComponent component{named, {}, "1.0.0", {}, {}, Source::of_pretrained("x", "x"),
                                    {}};
  expect_error(ErrorKind::plugin, "plugin.crash",
               culprit("layout 'unruly': plan() crashed with signal SIGFPE"), [&] {
                 host.lay_out({"unruly", {{"how", "divide"}}}, {component});
               });
  EXPECT_EQ(host.lay_out({"unruly", {}}, {component}).size(), 1u);
}

}  // namespace
}  // namespace craftbundle

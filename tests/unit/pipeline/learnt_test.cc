#include "craftbundle/detail/pipeline/learnt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/filesystem.hpp>
#include <thread>

#include "craftbundle/detail/pipeline/contents.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr auto kUntilTimesTell = 60ms;

class Notes : public Sink {
 public:
  void log(LogLevel level, std::string_view message) noexcept override {
    EXPECT_EQ(level, LogLevel::debug);
    texts.emplace_back(message);
  }
  std::vector<std::string> texts;
};

class LearntTest : public ::testing::Test {
 protected:
  static Learnt example() {
    Learnt learnt;
    learnt.files["/a/b.th"] = {"/a/b.th", 12, -5, 7, 99, "zip:ab", 3};
    learnt.files["/a/caf\u00e9"] = {"/a/caf\u00e9", 1, 2, 3, 4, "sha256:cd", 5};
    learnt.forecasts["print"] = {{1ull << 40, {"lm by exporter x: \"quotes\"\n"}},
                                 {{"/a/b.th", 12, -5, 7, 99, "", 3}},
                                 {{"/a", "names"}}};
    return learnt;
  }

  std::optional<Learnt> read() { return read_learnt(directory.path(), notes); }

  TemporaryDirectory directory;
  Path file = directory / "learnt";
  Notes notes;
};

TEST_F(LearntTest, ReadsWhatItWrote) {
  write_learnt(example(), directory.path(), notes);
  EXPECT_EQ(read(), example());
  EXPECT_THAT(notes.texts, IsEmpty());
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(LearntTest, NothingIsKeptWhereNothingWasRun) {
  write_learnt(example(), directory / "none", notes);
  EXPECT_FALSE(fs::exists(directory / "none"));
  EXPECT_EQ(read_learnt(directory / "none", notes), std::nullopt);
  EXPECT_THAT(notes.texts, IsEmpty());
}

TEST_F(LearntTest, CutShortItIsNotUsed) {
  write_learnt(example(), directory.path(), notes);
  const std::string text = read_file(file);
  for (std::size_t length = 0; length < text.size(); ++length) {
    write_file(file, text.substr(0, length));
    EXPECT_EQ(read(), std::nullopt) << length;
    EXPECT_THAT(notes.texts, ElementsAre(HasSubstr("is damaged"))) << length;
    notes.texts.clear();
  }
}

TEST_F(LearntTest, ChangedItIsNotUsed) {
  write_learnt(example(), directory.path(), notes);
  const std::string text = read_file(file);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    write_file(file, changed);
    EXPECT_EQ(read(), std::nullopt) << i;
  }
  write_file(file, std::string(100, '\0'));
  EXPECT_EQ(read(), std::nullopt);
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_EQ(read(), std::nullopt);
  write_learnt(example(), directory.path(), notes);
  EXPECT_THAT(notes.texts.back(), HasSubstr("what was learnt is not kept: "));
}

class ForecastsTest : public ::testing::Test {
 protected:
  ForecastsTest() {
    write_file(file, "text");
    std::this_thread::sleep_for(kUntilTimesTell);
  }

  Forecast forecast() const {
    Forecast forecast{7, {"note"}};
    forecast.opened.emplace();
    forecast.opened->push_back(std::make_shared<const InputFile>(file));
    return forecast;
  }

  // What a run that has made forecast() leaves for the next one.
  std::map<std::string, LearntForecast> learnt() const {
    Forecasts forecasts({});
    forecasts.add("print", forecast());
    return forecasts.learnt();
  }

  TemporaryDirectory directory;
  Path file = directory / "file";
};

TEST_F(ForecastsTest, HoldWhileFilesAreAsTheyWere) {
  Forecasts next(learnt());
  EXPECT_EQ(next.find("other"), nullptr);
  const Forecast* found = next.find("print");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->bytes, 7u);
  EXPECT_THAT(found->notes, ElementsAre("note"));
  EXPECT_FALSE(found->opened);
  EXPECT_EQ(next.learnt(), learnt());
}

TEST_F(ForecastsTest, WhatNobodyAsksForIsForgotten) {
  EXPECT_THAT(Forecasts(learnt()).learnt(), IsEmpty());
}

TEST_F(ForecastsTest, TouchedFilesAreLookedAtAgain) {
  const auto before = learnt();
  fs::last_write_time(file, 1000);
  EXPECT_EQ(Forecasts(before).find("print"), nullptr);
}

TEST_F(ForecastsTest, ReplacedFilesAreLookedAtAgain) {
  const auto before = learnt();
  const std::time_t time = fs::last_write_time(file);
  write_file(directory / "other", "TEXT");
  fs::last_write_time(directory / "other", time);
  fs::rename(directory / "other", file);
  EXPECT_EQ(Forecasts(before).find("print"), nullptr);
  fs::remove(file);
  EXPECT_EQ(Forecasts(before).find("print"), nullptr);
}

TEST_F(ForecastsTest, WhatAppearsBesideAFileIsLookedAt) {
  const auto before = learnt();
  EXPECT_NE(Forecasts(before).find("print"), nullptr);
  write_file(directory / "config.json", "{}");
  EXPECT_EQ(Forecasts(before).find("print"), nullptr);
}

TEST_F(ForecastsTest, AnotherDiskIsLookedAtAgain) {
  auto before = learnt();
  before.at("print").opened.front().device += 1;
  EXPECT_EQ(Forecasts(before).find("print"), nullptr);
}

TEST_F(ForecastsTest, WhatWasWrittenJustNowIsNotKept) {
  write_file(file, "more");
  Forecasts forecasts({});
  forecasts.add("print", forecast());
  EXPECT_NE(forecasts.find("print"), nullptr);  // in this run it is good
  EXPECT_THAT(forecasts.learnt(), IsEmpty());
}

TEST_F(ForecastsTest, WhatWasReplacedMeanwhileIsNotKept) {
  Forecast made = forecast();
  fs::rename(file, directory / "away");
  fs::copy_file(directory / "away", file);
  std::this_thread::sleep_for(kUntilTimesTell);
  Forecasts forecasts({});
  forecasts.add("print", std::move(made));
  EXPECT_THAT(forecasts.learnt(), IsEmpty());
}

}  // namespace
}  // namespace craftbundle

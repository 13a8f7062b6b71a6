#include "craftbundle/detail/io/buffer_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "craftbundle/detail/base/error.h"
#include "support/error_matchers.h"

namespace craftbundle {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using testing::expect_error;

constexpr std::size_t kLarge = BufferRing::kBufferSize;

void push(BufferRing& ring, char letter, std::size_t size) {
  std::ranges::fill(ring.room().first(size), static_cast<std::byte>(letter));
  ring.push(size);
}

// Keeps what it is given.
struct Record {
  BufferRing::Use use() {
    return [this](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      threads.insert(std::this_thread::get_id());
    };
  }
  std::string text;
  std::set<std::thread::id> threads;
};

TEST(BufferRing, EachUseSeesAllPiecesInOrder) {
  Record one;
  Record other;
  BufferRing ring({one.use(), other.use()});
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const char letter = static_cast<char>('a' + i % 26);
    const std::size_t size = i % 3 == 0 ? 7 : kLarge - static_cast<std::size_t>(i);
    push(ring, letter, size);
    expected.append(size, letter);
  }
  ring.finish();
  EXPECT_TRUE(one.text == expected);
  EXPECT_TRUE(other.text == expected);
}

TEST(BufferRing, SmallPiecesNeedNoThread) {
  Record record;
  BufferRing ring({record.use()});
  for (const char letter : std::string("abcdefgh")) push(ring, letter, 1);
  EXPECT_EQ(record.text, "abcdefgh");
  EXPECT_THAT(record.threads, ElementsAre(std::this_thread::get_id()));
}

TEST(BufferRing, LargePiecesAreUsedBesideTheOwnerAndOneAnother) {
  std::mutex mutex;
  std::condition_variable changed;
  int arrived = 0;
  // Ends only once all three are there.
  const auto meet = [&] {
    std::unique_lock lock(mutex);
    ++arrived;
    changed.notify_all();
    changed.wait(lock, [&] { return arrived == 3; });
  };
  BufferRing ring(
      {[&](std::span<const std::byte>) { meet(); }, [&](std::span<const std::byte>) { meet(); }});
  push(ring, 'x', kLarge);
  meet();
  ring.finish();
}

TEST(BufferRing, OwnUseIsOfTheOwnerAndBesideTheOthers) {
  Record own;
  Record other;
  BufferRing ring({other.use()}, own.use());
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const char letter = static_cast<char>('a' + i);
    const std::size_t size = i % 3 == 0 ? 7 : kLarge;
    push(ring, letter, size);
    expected.append(size, letter);
    EXPECT_EQ(own.text.size(), expected.size());  // without waiting
  }
  ring.finish();
  EXPECT_TRUE(own.text == expected);
  EXPECT_TRUE(other.text == expected);
  EXPECT_THAT(own.threads, ElementsAre(std::this_thread::get_id()));
}

TEST(BufferRing, WhatTheOwnUseThrowsEndsTheRing) {
  BufferRing ring({[](std::span<const std::byte>) {}}, [](std::span<const std::byte>) {
    throw Error(ErrorKind::system, "io.enospc", "full");
  });
  expect_error(ErrorKind::system, "io.enospc", Eq("full"), [&] { push(ring, 'x', kLarge); });
}

TEST(BufferRing, TheOwnerWaitsForASlowUse) {
  std::size_t used = 0;
  BufferRing ring({[&](std::span<const std::byte> bytes) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // What is used is not being filled.
    EXPECT_TRUE(std::ranges::all_of(bytes, [&](std::byte byte) { return byte == bytes[0]; }));
    used += bytes.size();
  }});
  for (int i = 0; i < 30; ++i) push(ring, static_cast<char>('a' + i % 26), kLarge);
  ring.finish();
  EXPECT_EQ(used, 30 * kLarge);
}

TEST(BufferRing, WhatAUseThrowsReachesTheOwner) {
  for (const std::size_t size : {std::size_t{1}, kLarge}) {
    Record record;
    int pieces = 0;
    BufferRing ring({record.use(), [&](std::span<const std::byte>) {
                       if (++pieces == 3) {
                         throw Error(ErrorKind::system, "io.enospc", "no space", "make room");
                       }
                     }});
    const auto check = [](const auto& action) {
      expect_error(ErrorKind::system, "io.enospc", Eq("no space"), action);
    };
    check([&] {
      while (true) push(ring, 'x', size);
    });
    check([&] { ring.finish(); });
    EXPECT_EQ(pieces, 3) << "nothing follows a failure";
  }
}

TEST(BufferRing, GivesUpWhatNobodyHasBegun) {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_begun = false;
  bool is_let_go = false;
  int pieces = 0;
  {
    BufferRing ring({[&](std::span<const std::byte>) {
      std::unique_lock lock(mutex);
      ++pieces;
      is_begun = true;
      changed.notify_all();
      changed.wait(lock, [&] { return is_let_go; });
    }});
    for (int i = 0; i < 3; ++i) push(ring, 'x', kLarge);
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return is_begun; });
    // The ring goes before the piece is used: the next ones are not begun.
    lock.unlock();
    std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const std::lock_guard guard(mutex);
      is_let_go = true;
      changed.notify_all();
    }).detach();
  }
  EXPECT_EQ(pieces, 1);
}

TEST(BufferRing, WorksWithoutThreads) {
  Record one;
  Record other;
  BufferRing ring({one.use(), other.use()});
  pthread_attr_t before;
  pthread_attr_t too_large;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(::pthread_getattr_default_np(&too_large), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&too_large, std::size_t{1} << 50), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&too_large), 0);
  push(ring, 'a', kLarge);
  ASSERT_EQ(::pthread_setattr_default_np(&before), 0);
  push(ring, 'b', kLarge);
  ring.finish();
  EXPECT_TRUE(one.text == std::string(kLarge, 'a') + std::string(kLarge, 'b'));
  EXPECT_TRUE(other.text == one.text);
  EXPECT_THAT(one.threads, ElementsAre(std::this_thread::get_id()));
}

}  // namespace
}  // namespace craftbundle

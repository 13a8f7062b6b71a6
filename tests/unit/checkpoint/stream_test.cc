#include "stream.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace bundlecraft {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ByteStream, GivesEverythingInOrder) {
  ByteStream stream(3, 7);
  std::string expected;
  std::string received;
  for (int i = 0; i < 500; ++i) expected += std::to_string(i) + ",";
  stream.run(
      [](ByteStream& out) {
        for (int i = 0; i < 500; ++i) out.append(std::to_string(i) + ",");
      },
      [&](std::span<const std::byte> bytes) {
        EXPECT_LE(bytes.size(), 7U);
        received += text_of(bytes);
      });
  EXPECT_EQ(received, expected);
}

TEST(ByteStream, NothingProducedIsNothingConsumed) {
  ByteStream stream(2, 7);
  stream.run([](ByteStream&) {}, [](std::span<const std::byte>) { FAIL(); });
}

TEST(ByteStream, RoomIsAtLeastWhatIsAskedFor) {
  ByteStream stream(2, 8);
  std::string received;
  stream.run(
      [](ByteStream& out) {
        out.append("abc");
        const auto room = out.room(6);
        EXPECT_EQ(room.size(), 8U);
        room[0] = std::byte{'d'};
        out.filled(1);
      },
      [&](std::span<const std::byte> bytes) { received += text_of(bytes) + "|"; });
  EXPECT_EQ(received, "abc|d|");
}

TEST(ByteStream, ProducersFailureReachesTheCaller) {
  ByteStream stream(2, 4);
  EXPECT_THROW(stream.run(
                   [](ByteStream& out) {
                     out.append("0123456789");
                     throw std::domain_error("produce");
                   },
                   [](std::span<const std::byte>) {}),
               std::domain_error);
}

// The producer would never end by itself: it has to be stopped.
TEST(ByteStream, ConsumersFailureStopsTheProducer) {
  ByteStream stream(2, 4);
  EXPECT_THROW(stream.run(
                   [](ByteStream& out) {
                     while (true) out.append("x");
                   },
                   [](std::span<const std::byte>) { throw std::domain_error("consume"); }),
               std::domain_error);
}

}  // namespace
}  // namespace bundlecraft

#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/pipeline/journal.h"
#include "fuzz_target.h"
#include "support/temporary_directory.h"

// A record of a stage: what can be read can be written, and reads as the same; anything else is no
// record.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace craftbundle;
  static const testing::TemporaryDirectory directory;
  static Journal journal(directory / "state");
  static const bool prepared = [] {
    StageRecord first;
    first.stage = "a";
    journal.write(first);
    return true;
  }();
  if (!prepared) __builtin_trap();
  const Path file = directory / "state/stages/a.json";
  testing::write_file(file, {reinterpret_cast<const char*>(data), size});
  const std::optional<StageRecord> record = journal.read("a");
  if (!record) return 0;
  journal.write(*record);
  const std::string once = testing::read_file(file);
  journal.write(*journal.read("a"));
  if (testing::read_file(file) != once) __builtin_trap();
  return 0;
}

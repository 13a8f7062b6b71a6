// Writes a package of some megabytes, for publish_fault_test:
//   publish SOURCE TARGET replace|keep unnamed|hidden
// Exit status 1 with "code: message" on standard output when it fails.
#include <iostream>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "unit/checkpoint/fake_checkpoint.h"

int main(int argc, char** argv) try {
  using namespace craftbundle;
  if (argc != 5) return 2;
  const auto source = testing::FakeCheckpoint::open(argv[1]);
  const Path target(argv[2]);
  const bool replace = std::string(argv[3]) == "replace";
  const bool hidden = std::string(argv[4]) == "hidden";
  OutputFile file(target.parent_path(), Durability::sync,
                  hidden ? OutputFile::Temporary::hidden : OutputFile::Temporary::unnamed);
  // One storage goes from file to file, the other, whose checksum is unknown, through the program.
  const std::uint64_t half = source->file().size() / 2;
  Storage unchecked = source->storage("1", DType::uint8, half, half);
  unchecked.crc = std::nullopt;
  write_package(Value::List{testing::make_tensor(source->storage("0", DType::uint8, 0, half)),
                            testing::make_tensor(unchecked)},
                file, {});
  file.publish(target, replace);
  return 0;
} catch (const craftbundle::Error& error) {
  std::cout << error.code() << ": " << error.what() << '\n';
  return 1;
}

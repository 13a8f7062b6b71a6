// Misuse that the public headers refuse. MISUSE chooses one; 0 is none, and compiles.
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/object.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/output_file.h"

namespace craftbundle {

void misuse([[maybe_unused]] const InputFile& input, [[maybe_unused]] OutputFile& output) {
#if MISUSE == 1
  // Two owners of one file that is not complete yet.
  OutputFile copy(output);
#elif MISUSE == 2
  InputFile copy(input);
#elif MISUSE == 3
  // An error that says nothing.
  throw Error(ErrorKind::input, "zip.crc");
#elif MISUSE == 4
  // Kind and code are not texts that can be swapped.
  throw Error("zip.crc", ErrorKind::input, "the CRC differs");
#elif MISUSE == 5
  // A node of no tree.
  Object object;
#elif MISUSE == 6
  // A number has no bytes before somebody says which.
  output.write(1234);
#endif
}

}  // namespace craftbundle

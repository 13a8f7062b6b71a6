// Tells checkpoints from the files that people confuse with them.
#pragma once

#include "bundlecraft/io/input_file.h"

namespace bundlecraft {

enum class FileFormat { zip, legacy };

// Looks at the first bytes. Throws Error(input, "format.*") that says what the file is and what to
// do, for everything that torch.save did not write.
FileFormat recognize(const InputFile& file);

}  // namespace bundlecraft

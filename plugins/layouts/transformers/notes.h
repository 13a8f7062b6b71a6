// What users of some releases of transformers have to know.
#pragma once

#include <string_view>

namespace craftbundle::transformers {

// huggingface/transformers issue 45647.
inline constexpr std::string_view kMelodyNote =
    "transformers 4.54 to 4.57 and 5.1 to 5.17 drop text and melody when they generate with a "
    "cache: use another release, or pass use_cache=False to generate()";

}  // namespace craftbundle::transformers

// README.md of a folder, as model hubs show it.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"
#include "part.h"

namespace craftbundle::transformers {

struct CardFacts {
  std::string model_class;  // "MusicgenForConditionalGeneration"
  std::string license;
  bool melody = false;
  bool generates = false;  // a language model
};

std::string card_text(const std::vector<Component>& components, const CardFacts& facts,
                      const std::string& use);

}  // namespace craftbundle::transformers

// Names of pretrained codecs that AudioCraft resolves itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/audiocraft_rules/facts.h"

namespace craftbundle::encodec {

struct Pretrained {
  std::string_view name;
  audiocraft::CodecFigures figures;
};

// The codec of this name, if its figures are known.
const Pretrained* find_pretrained(std::string_view name);
std::vector<std::string> pretrained_names();

// What AudioCraft would make of a name.
struct NameVerdict {
  int confidence = 0;  // as in Probe
  std::string reason;
  std::string hint;  // for names that are refused
};
NameVerdict judge_name(const std::string& name);

}  // namespace craftbundle::encodec

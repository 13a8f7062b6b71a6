// What is computed in vector registers, with those that every processor has and with the widest of
// this one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wide.h"

namespace craftbundle::testing {

// While it lives, loops run in wide registers or not.
class Registers {
 public:
  explicit Registers(bool wide) : before_(std::exchange(use_wide_registers, wide)) {}
  ~Registers() { use_wide_registers = before_; }
  Registers(const Registers&) = delete;
  Registers& operator=(const Registers&) = delete;

  // false, and true where the processor has them.
  static std::vector<bool> all() {
    return has_wide_registers() ? std::vector<bool>{false, true} : std::vector<bool>{false};
  }

 private:
  bool before_;
};

inline std::string registers_text(bool wide) { return wide ? "wide registers" : "baseline"; }

}  // namespace craftbundle::testing

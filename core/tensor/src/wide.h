// Loops over many elements, compiled once for any processor of the architecture and once for the
// wide registers that most have.
//
// The compiler's own vectors, chosen at run time by hand: `target_clones` needs ifunc, which
// sanitizers run before they are ready and musl does not have; Highway would be one more library,
// and its bfloat16 of Debian 12 cuts off where PyTorch rounds. AVX2 is all there is beyond the
// baseline: the loops are then faster than memory. On other architectures the baseline is taken;
// that of aarch64 has NEON.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace craftbundle {

#if defined(__x86_64__)
// AVX2 and F16C. Not every compiler's __builtin_cpu_supports() knows the latter.
inline bool has_wide_registers() {
  unsigned int a = 0;
  unsigned int b = 0;
  unsigned int features = 0;
  unsigned int d = 0;
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0 && __get_cpuid(1, &a, &b, &features, &d) != 0 &&
         (features & bit_F16C) != 0;
}

// Not fused multiply-adds: they would change the bits of sums.
template <typename Loop, typename... Arguments>
__attribute__((target("avx2"))) void run_loop_wide(Arguments... arguments) {
  Loop::run(arguments...);
}
#else
inline bool has_wide_registers() { return false; }
#endif

// Tests turn it off to see what other machines compute. Not while another thread computes.
inline bool use_wide_registers = has_wide_registers();

// Calls Loop::run(arguments...), which must be `always_inline` to be compiled for both.
template <typename Loop, typename... Arguments>
void run_loop(Arguments... arguments) {
#if defined(__x86_64__)
  if (use_wide_registers) return run_loop_wide<Loop>(arguments...);
#endif
  Loop::run(arguments...);
}

}  // namespace craftbundle

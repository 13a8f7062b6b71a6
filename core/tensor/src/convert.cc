#include "craftbundle/detail/tensor/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "craftbundle/detail/base/error.h"
#include "wide.h"

namespace craftbundle {
namespace {

// Made for vectors: no branches, and signed integers, which every processor can compare.

// condition ? yes : no, which would become a branch where one of them is computed with floats.
inline std::int32_t choose(bool condition, std::int32_t yes, std::int32_t no) {
  return no ^ ((yes ^ no) & -static_cast<std::int32_t>(condition));
}

// binary16: 1 sign, 5 exponent, 10 fraction. Its subnormal numbers are multiples of 2^-24.
struct Half {
  static constexpr std::int32_t kInfinity = 0x7C00;
  std::uint16_t bits;

  explicit operator double() const {
    const std::int32_t size = bits & 0x7FFF;
    const std::int32_t sign = (bits & 0x8000) << 16;
    const std::int32_t wide = size << 13;
    const auto subnormal = std::bit_cast<std::int32_t>(static_cast<float>(size) * 0x1p-24f);
    const std::int32_t finite = choose(size < 0x0400, subnormal, wide + 0x38000000);
    return std::bit_cast<float>(finite | choose(size < 0x7C00, 0, 0x7F800000) | sign);
  }

  static Half from(float number) {
    const auto all = std::bit_cast<std::int32_t>(number);
    const std::int32_t size = all & 0x7FFFFFFF;
    const std::int32_t even = (size >> 13) & 1;
    const std::int32_t normal = (size - 0x38000000 + 0xFFF + even) >> 13;
    // Adding 0.5 leaves multiples of 2^-24 in the last bits, rounded by the machine.
    const std::int32_t subnormal = std::bit_cast<std::int32_t>(std::bit_cast<float>(size) + 0.5f) -
                                   std::bit_cast<std::int32_t>(0.5f);
    const std::int32_t rounded = choose(size < 0x38800000, subnormal, std::min(normal, kInfinity));
    const std::int32_t quiet = choose(size > 0x7F800000, 0x0200, 0);  // not a number
    return {static_cast<std::uint16_t>(rounded | quiet | ((all >> 16) & 0x8000))};
  }
};

// The upper half of a float32.
struct BFloat16 {
  std::uint16_t bits;

  explicit operator double() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

  static BFloat16 from(float number) {
    const auto all = std::bit_cast<std::uint32_t>(number);
    const std::uint32_t even = (all >> 16) & 1u;
    const std::uint32_t rounded = (all + 0x7FFFu + even) >> 16;
    return {static_cast<std::uint16_t>((all & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC0u : rounded)};
  }
};

// Whatever is not 0 is true.
struct Bool {
  std::uint8_t byte;

  explicit operator double() const { return byte != 0 ? 1 : 0; }

  static Bool from(double number) { return {static_cast<std::uint8_t>(number != 0 ? 1 : 0)}; }
};

template <typename T>
T convert(double number) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T::from(static_cast<float>(number));
  } else if constexpr (std::is_same_v<T, Bool>) {
    return T::from(number);
  } else if constexpr (std::is_integral_v<T>) {
    // 2^digits is a double; what does not fit would be undefined.
    constexpr double kEnd = 2.0 * static_cast<double>(T{1} << (std::numeric_limits<T>::digits - 1));
    if (!(number < kEnd)) return number >= kEnd ? std::numeric_limits<T>::max() : T{0};
    if (number <= static_cast<double>(std::numeric_limits<T>::min())) {
      return std::numeric_limits<T>::min();
    }
    return static_cast<T>(number);
  } else {
    return static_cast<T>(number);
  }
}

// Calls `use` with an object of the C++ type of `dtype`.
template <typename Use>
void with_type(DType dtype, Use&& use) {
  switch (dtype) {
    case DType::float64:
      return use(double{});
    case DType::float32:
      return use(float{});
    case DType::float16:
      return use(Half{});
    case DType::bfloat16:
      return use(BFloat16{});
    case DType::int64:
      return use(std::int64_t{});
    case DType::int32:
      return use(std::int32_t{});
    case DType::int16:
      return use(std::int16_t{});
    case DType::int8:
      return use(std::int8_t{});
    case DType::uint8:
      return use(std::uint8_t{});
    case DType::boolean:
      return use(Bool{});
    case DType::uint16:
      return use(std::uint16_t{});
    case DType::uint32:
      return use(std::uint32_t{});
    case DType::uint64:
      return use(std::uint64_t{});
    default:
      throw Error(ErrorKind::internal, "tensor.convert",
                  "elements of type " + std::string(name(dtype)) + " are no numbers here");
  }
}

template <typename T>
[[gnu::always_inline]] inline T element_at(const std::byte* bytes, std::size_t i) {
  T element;
  std::memcpy(&element, bytes + i * sizeof element, sizeof element);
  return element;
}

template <typename T>
[[gnu::always_inline]] inline void put(std::byte* bytes, std::size_t i, T element) {
  std::memcpy(bytes + i * sizeof element, &element, sizeof element);
}

template <typename T>
struct Decode {
  [[gnu::always_inline]] static void run(const std::byte* __restrict from, double* __restrict to,
                                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<double>(element_at<T>(from, i));
  }
};

template <typename T>
struct Encode {
  [[gnu::always_inline]] static void run(const double* __restrict from, std::byte* __restrict to,
                                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(to, i, convert<T>(from[i]));
  }
};

template <typename T>
struct Narrow {
  [[gnu::always_inline]] static void run(const std::byte* __restrict from, std::byte* __restrict to,
                                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(to, i, T::from(element_at<float>(from, i)));
  }
};

#if defined(__x86_64__)
// The processor's own conversion keeps the bits of what is not a number, which Half does not.
__attribute__((target("avx,f16c"))) std::size_t narrow_by_eights(const std::byte* from,
                                                                 std::byte* to, std::size_t count) {
  const __m128i sign = _mm_set1_epi16(static_cast<std::int16_t>(0x8000));
  const __m128i payload = _mm_set1_epi16(0x01FF);
  const __m128i infinity = _mm_set1_epi16(0x7C00);
  const std::size_t whole = count - count % 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    const __m256 numbers = _mm256_loadu_ps(reinterpret_cast<const float*>(from) + i);
    const __m128i halves = _mm256_cvtps_ph(numbers, _MM_FROUND_TO_NEAREST_INT);
    const __m128i odd = _mm_cmpgt_epi16(_mm_andnot_si128(sign, halves), infinity);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + i / 8,
                     _mm_andnot_si128(_mm_and_si128(odd, payload), halves));
  }
  return whole;
}
#endif

// A floating type, as the bits of its elements.
template <typename T>
struct Floating {
  T magnitude;  // masks the sign off
  T infinity;   // magnitude of an infinite number
};

// 1 for a negative number, by its sign bit.
template <typename Bits>
[[gnu::always_inline]] inline auto sign_bit(Bits number) {
  using Unsigned = std::make_unsigned_t<Bits>;
  return static_cast<Unsigned>(static_cast<Unsigned>(number) >> std::numeric_limits<Bits>::digits);
}

// Counts in numbers as wide as the elements, of which so few are taken that none overflows. A
// comparison that implies another would become a branch.
template <typename Bits>
struct Count {
  static constexpr std::size_t kMost = 1 << 15;

  [[gnu::always_inline]] static void run(const std::byte* bytes, std::size_t count,
                                         Floating<Bits> type, ValueCounts* counts) {
    std::make_unsigned_t<Bits> beyond = 0;
    std::make_unsigned_t<Bits> infinite_or_beyond = 0;
    std::make_unsigned_t<Bits> zero = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto bits = static_cast<Bits>(element_at<Bits>(bytes, i) & type.magnitude);
      const auto below = static_cast<Bits>(type.infinity - bits);
      beyond += sign_bit(below);
      infinite_or_beyond += sign_bit(static_cast<Bits>(below - 1));
      zero += sign_bit(static_cast<Bits>(bits - 1));
    }
    counts->elements += count;
    counts->not_a_number += beyond;
    counts->infinite += infinite_or_beyond - beyond;
    counts->zero += zero;
  }
};

// Calls `use` with the description of a floating type; returns whether `dtype` is one.
template <typename Use>
bool with_bits(DType dtype, Use&& use) {
  switch (dtype) {
    case DType::float64:
      use(Floating<std::int64_t>{std::numeric_limits<std::int64_t>::max(), 0x7FF0LL << 48});
      return true;
    case DType::float32:
      use(Floating<std::int32_t>{0x7FFFFFFF, 0x7F800000});
      return true;
    case DType::float16:
      use(Floating<std::int16_t>{0x7FFF, 0x7C00});
      return true;
    case DType::bfloat16:
      use(Floating<std::int16_t>{0x7FFF, 0x7F80});
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_convertible(DType dtype) {
  switch (dtype) {
    case DType::complex128:
    case DType::complex64:
    case DType::complex32:
    case DType::float8_e5m2:
    case DType::float8_e4m3fn:
    case DType::float8_e5m2fnuz:
    case DType::float8_e4m3fnuz:
    case DType::float8_e8m0fnu:
      return false;
    default:
      return true;
  }
}

void decode(DType dtype, std::span<const std::byte> bytes, std::span<double> numbers) {
  with_type(dtype, [&]<typename T>(T) {
    run_loop<Decode<T>>(bytes.data(), numbers.data(), numbers.size());
  });
}

void encode(DType dtype, std::span<const double> numbers, std::span<std::byte> bytes) {
  with_type(dtype, [&]<typename T>(T) {
    run_loop<Encode<T>>(numbers.data(), bytes.data(), numbers.size());
  });
}

void recode(DType from, std::span<const std::byte> bytes, DType to, std::span<std::byte> out) {
  const std::size_t count = bytes.size() / item_size(from);
  if (from == DType::float32 && to == DType::float16) {
    std::size_t done = 0;
#if defined(__x86_64__)
    if (use_wide_registers) done = narrow_by_eights(bytes.data(), out.data(), count);
#endif
    return run_loop<Narrow<Half>>(bytes.data() + done * 4, out.data() + done * 2, count - done);
  }
  if (from == DType::float32 && to == DType::bfloat16) {
    return run_loop<Narrow<BFloat16>>(bytes.data(), out.data(), count);
  }
  std::array<double, 1024> numbers;  // stay in the first-level cache
  for (std::size_t done = 0; done < count;) {
    const auto piece = std::span(numbers).first(std::min(numbers.size(), count - done));
    decode(from, bytes.subspan(done * item_size(from), piece.size() * item_size(from)), piece);
    encode(to, piece, out.subspan(done * item_size(to), piece.size() * item_size(to)));
    done += piece.size();
  }
}

void count_values(DType dtype, std::span<const std::byte> bytes, ValueCounts& counts) {
  const bool is_floating = with_bits(dtype, [&]<typename Bits>(Floating<Bits> type) {
    const std::size_t count = bytes.size() / sizeof(Bits);
    for (std::size_t done = 0; done < count;) {
      const std::size_t piece = std::min(Count<Bits>::kMost, count - done);
      run_loop<Count<Bits>>(bytes.data() + done * sizeof(Bits), piece, type, &counts);
      done += piece;
    }
  });
  if (is_floating) return;
  std::vector<double> numbers(bytes.size() / item_size(dtype));
  decode(dtype, bytes, numbers);
  counts.elements += numbers.size();
  counts.zero += static_cast<std::uint64_t>(std::count(numbers.begin(), numbers.end(), 0.0));
}

}  // namespace craftbundle

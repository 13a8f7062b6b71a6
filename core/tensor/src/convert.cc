#include "craftbundle/detail/tensor/convert.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "craftbundle/detail/base/error.h"

namespace craftbundle {
namespace {

// binary16: 1 sign, 5 exponent, 10 fraction. Its subnormal numbers are multiples of 2^-24.
struct Half {
  std::uint16_t bits;

  explicit operator double() const {
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
    const std::uint32_t fraction = bits & 0x3FFu;
    if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
    if (exponent == 0) {
      const float size = static_cast<float>(fraction) * 0x1p-24f;
      return sign != 0 ? -size : size;
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  }

  static Half from(float number) {
    const auto all = std::bit_cast<std::uint32_t>(number);
    const auto sign = static_cast<std::uint16_t>((all >> 16) & 0x8000u);
    const std::uint32_t size = all & 0x7FFFFFFFu;
    const auto make = [&](std::uint32_t rest) {
      return Half{static_cast<std::uint16_t>(sign | rest)};
    };
    if (size > 0x7F800000u) return make(0x7E00u);   // not a number
    if (size >= 0x477FF000u) return make(0x7C00u);  // rounds to 65520 or more
    if (size < 0x38800000u) {
      // Subnormal: adding 0.5 leaves multiples of 2^-24 in the last bits, rounded by the machine.
      const float shifted = std::bit_cast<float>(size) + 0.5f;
      return make(std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f));
    }
    const std::uint32_t even = (size >> 13) & 1u;
    return make((size - 0x38000000u + 0xFFFu + even) >> 13);
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
    if ((all & 0x7FFFFFFFu) > 0x7F800000u) return {0x7FC0u};
    const std::uint32_t even = (all >> 16) & 1u;
    return {static_cast<std::uint16_t>((all + 0x7FFFu + even) >> 16)};
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

// `magnitude` masks the sign off, `infinity` is the magnitude of an infinite number.
template <typename Bits>
void count(std::span<const std::byte> bytes, Bits magnitude, Bits infinity, ValueCounts& counts) {
  std::uint64_t above = 0;
  std::uint64_t equal = 0;
  std::uint64_t zero = 0;
  const std::size_t elements = bytes.size() / sizeof(Bits);
  for (std::size_t i = 0; i < elements; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
    bits = static_cast<Bits>(bits & magnitude);
    above += bits > infinity ? 1 : 0;
    equal += bits == infinity ? 1 : 0;
    zero += bits == 0 ? 1 : 0;
  }
  counts.elements += elements;
  counts.not_a_number += above;
  counts.infinite += equal;
  counts.zero += zero;
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
  with_type(dtype, [&]<typename T>(T element) {
    const std::byte* from = bytes.data();
    for (double& number : numbers) {
      std::memcpy(&element, from, sizeof element);
      from += sizeof element;
      number = static_cast<double>(element);
    }
  });
}

void encode(DType dtype, std::span<const double> numbers, std::span<std::byte> bytes) {
  with_type(dtype, [&]<typename T>(T element) {
    std::byte* to = bytes.data();
    for (const double number : numbers) {
      element = convert<T>(number);
      std::memcpy(to, &element, sizeof element);
      to += sizeof element;
    }
  });
}

void count_values(DType dtype, std::span<const std::byte> bytes, ValueCounts& counts) {
  switch (dtype) {
    case DType::float64:
      return count<std::uint64_t>(bytes, ~std::uint64_t{0} >> 1, 0x7FF0ULL << 48, counts);
    case DType::float32:
      return count<std::uint32_t>(bytes, 0x7FFFFFFFu, 0x7F800000u, counts);
    case DType::float16:
      return count<std::uint16_t>(bytes, 0x7FFFu, 0x7C00u, counts);
    case DType::bfloat16:
      return count<std::uint16_t>(bytes, 0x7FFFu, 0x7F80u, counts);
    default:
      break;
  }
  std::vector<double> numbers(bytes.size() / item_size(dtype));
  decode(dtype, bytes, numbers);
  counts.elements += numbers.size();
  counts.zero += static_cast<std::uint64_t>(std::count(numbers.begin(), numbers.end(), 0.0));
}

}  // namespace craftbundle

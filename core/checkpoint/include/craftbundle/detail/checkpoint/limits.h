// Bounds on what a checkpoint may ask of its reader. Every number a file supplies is held against
// one of these, or against the bytes that are really there, before memory is reserved or a loop
// starts. docs/checkpoint_safety.md lists them for users.
#pragma once

#include <cstddef>
#include <cstdint>

namespace craftbundle::limits {

inline constexpr std::uint64_t kArchiveRecords = 1'000'000;  // real: below 10 000
inline constexpr std::uint64_t kRecordNameBytes = 512;
inline constexpr std::uint64_t kPickleBytes = 256ULL << 20;  // real: a few MiB
inline constexpr std::uint64_t kInflateRatio = 200;
inline constexpr std::uint64_t kInflatedStorage = 256ULL << 20;  // deflated: held in memory
inline constexpr std::uint64_t kPickleOpcodes = 64'000'000;
inline constexpr std::uint64_t kPickleStack = 1'000'000;
inline constexpr std::uint64_t kPickleMemo = 16'000'000;
inline constexpr std::uint64_t kPickleNames = 100'000;  // distinct; real: below 100
inline constexpr std::uint64_t kObjectNodes = 32'000'000;
inline constexpr std::uint64_t kIntegerDigits = 1'000;  // larger: only the size is kept
inline constexpr std::size_t kTensorDimensions = 8;
inline constexpr std::size_t kTensorNameBytes = 512;
// The first is the reference implementation's.
inline constexpr std::uint64_t kSafetensorsHeader = 100'000'000;
inline constexpr std::uint64_t kSafetensorsIndex = 100'000'000;  // bytes, as above
inline constexpr std::uint64_t kSafetensorsTensors = 1'000'000;  // a file; real: below 10 000
inline constexpr std::size_t kSafetensorsShards = 1'000;         // all are open at once
inline constexpr std::size_t kIndexDepth = 16;
inline constexpr std::size_t kExportedDepth = 64;  // nesting of the exported part
inline constexpr std::size_t kPrintedDepth = 32;

}  // namespace craftbundle::limits

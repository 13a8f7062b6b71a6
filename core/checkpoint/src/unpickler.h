// The pickle machine: runs the data part of a pickle, protocols 0 to 5, into an ObjectTree.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "craftbundle/detail/io/input_file.h"
#include "object_tree.h"

namespace craftbundle {

// The bytes of a pickle. Either all of them are there, or they are fetched from a file as the
// machine gets to them, since only the machine finds out where a pickle ends.
class PickleInput {
 public:
  explicit PickleInput(std::string bytes);
  // The pickle begins at `begin`. `file` must outlive this.
  PickleInput(const InputFile& file, std::uint64_t begin);

  std::size_t position() const { return position_; }
  // Bytes that exist after position().
  std::uint64_t left() const { return total_ - position_; }

  // The next `count` bytes, then behind them. REQUIRES: count <= left().
  std::string_view take(std::size_t count) {
    if (bytes_.size() - position_ < count) fetch(count);
    position_ += count;
    return std::string_view(bytes_).substr(position_ - count, count);
  }
  // Bytes that were taken before.
  std::string_view taken(std::size_t begin, std::size_t count) const {
    return std::string_view(bytes_).substr(begin, count);
  }
  // The bytes up to the next newline, then behind it; false when there is none.
  bool take_line(std::string_view& line);

  // What was taken, without the rest. The input is used up.
  std::string release();

 private:
  void fetch(std::size_t count);

  std::string bytes_;
  std::size_t position_ = 0;
  std::uint64_t total_ = 0;
  const InputFile* file_ = nullptr;
  std::uint64_t begin_ = 0;
};

struct Pickle {
  std::shared_ptr<const ObjectTree> tree;
  std::uint64_t size = 0;  // bytes up to and including STOP
  int protocol = 0;
};

// Runs one pickle. Throws Error(input): "pickle.*" when it is damaged, "limit.*" when it exceeds a
// bound.
Pickle read_pickle(PickleInput input);

}  // namespace craftbundle

// The bytes of a package, produced in one pass over its sources.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appender.h"
#include "package_plan.h"
#include "zip_writer.h"

namespace craftbundle {

class PackageStream {
 public:
  explicit PackageStream(const Value& root);

  const PackagePlan& plan() const { return plan_; }
  std::uint64_t file_size() const { return layout_.file_size(); }

  // What write() copies from its sources.
  std::vector<OutputFile::Copied> copied() const;

  // Appends the whole file to `file`, checking the CRC-32 of every storage it reads.
  void write(OutputFile& file, const WriteOptions& options) const;

 private:
  PackagePlan plan_;
  std::string pickle_;
  ZipLayout layout_;
};

}  // namespace craftbundle

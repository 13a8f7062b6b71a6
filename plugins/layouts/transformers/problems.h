// Everything that transformers cannot express, collected and said at once.
#pragma once

#include <string>
#include <vector>

namespace craftbundle::transformers {

class Problems {
 public:
  // `key` of the configuration, what it says, and what transformers' classes do.
  void differs(const std::string& key, const std::string& found, const std::string& expected,
               const std::string& help = {});
  void add(std::string problem, const std::string& help = {});
  void append(const Problems& others);
  bool empty() const { return problems_.empty(); }

  // Throws Error(mismatch, "layout.unsupported") with all of them.
  void refuse_any() const;

 private:
  std::vector<std::string> problems_;
  std::vector<std::string> helps_;
};

}  // namespace craftbundle::transformers

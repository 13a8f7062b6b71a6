#include "problems.h"

#include <algorithm>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::transformers {

void Problems::differs(const std::string& key, const std::string& found,
                       const std::string& expected, const std::string& help) {
  add(key + " is " + printable(found, 80) + ", expected " + expected, help);
}

void Problems::add(std::string problem, const std::string& help) {
  problems_.push_back(std::move(problem));
  if (!help.empty() && std::ranges::count(helps_, help) == 0) helps_.push_back(help);
}

void Problems::append(const Problems& others) {
  problems_.insert(problems_.end(), others.problems_.begin(), others.problems_.end());
  for (const std::string& help : others.helps_) {
    if (std::ranges::count(helps_, help) == 0) helps_.push_back(help);
  }
}

void Problems::refuse_any() const {
  if (problems_.empty()) return;
  throw Error(ErrorKind::mismatch, "layout.unsupported",
              "transformers cannot express this model: " + join(problems_, "; "),
              helps_.empty() ? "choose another layout" : join(helps_, "; "));
}

}  // namespace craftbundle::transformers

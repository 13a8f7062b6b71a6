#include "layouts/transformers/names.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "craftbundle/detail/base/error.h"

namespace craftbundle::transformers {
namespace {

// The numbers from `first` on.
class Counting final : public Elements {
 public:
  Counting(std::vector<std::int64_t> shape, double first)
      : shape_(std::move(shape)), first_(first) {}
  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return DType::float32; }
  std::vector<Storage> sources() const override { return {}; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    for (double& number : out) number = first_ + static_cast<double>(first++);
  }

 private:
  std::vector<std::int64_t> shape_;
  double first_;
};

NamedTensor tensor(const std::string& name, std::vector<std::int64_t> shape, double first = 0) {
  return {name, ComputedTensor{DType::float32, std::make_shared<Counting>(std::move(shape), first),
                               name}};
}

std::vector<double> numbers(const NamedTensor& named) {
  const ElementsPtr elements = elements_of(named);
  std::vector<double> all(static_cast<std::size_t>(elements->size()));
  elements->read(0, all);
  return all;
}

std::vector<std::string> names(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> result;
  for (const NamedTensor& named : tensors) result.push_back(named.name);
  return result;
}

NameTable table() {
  NameTable table;
  table.split("layers.<n>.in_proj", {"l.<n>.q", "l.<n>.k", "l.<n>.v"});
  table.rename("layers.<n>.norm.<word>", "l.<n>.n.<word>");
  table.ours_only("window", tensor("window", {2}, 7).tensor);
  table.theirs_only("positions", tensor("positions", {3}, 1).tensor);
  table.theirs_only("ignored.<word>");
  return table;
}

using Names = std::vector<std::string>;

TEST(NameTable, RenamesSplitsLeavesOutAndMakes) {
  const auto theirs =
      table().to_theirs({tensor("layers.10.in_proj", {6, 2}), tensor("layers.10.norm.bias", {2}),
                         tensor("window", {2})});
  EXPECT_EQ(names(theirs), (Names{"l.10.q", "l.10.k", "l.10.v", "l.10.n.bias", "positions"}));
  EXPECT_EQ(numbers(theirs[1]), (std::vector<double>{4, 5, 6, 7}));
  EXPECT_EQ(theirs[2].shape(), (std::vector<std::int64_t>{2, 2}));
}

TEST(NameTable, TheWayBackGivesTheSameTensors) {
  const auto ours = table().to_ours({tensor("l.1.v", {1, 2}, 4), tensor("l.1.q", {1, 2}, 0),
                                     tensor("positions", {3}), tensor("l.1.k", {1, 2}, 2),
                                     tensor("ignored.x", {1}), tensor("l.1.n.weight", {2})});
  EXPECT_EQ(names(ours), (Names{"layers.1.norm.weight", "layers.1.in_proj", "window"}));
  EXPECT_EQ(numbers(ours[1]), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(numbers(ours[2]), (std::vector<double>{7, 8}));
}

TEST(NameTable, RefusesNamesThatNoLineHas) {
  try {
    table().to_theirs({tensor("layers.x.in_proj", {3}), tensor("layers.1.norm", {3})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "layout.tensors");
    EXPECT_EQ(error.kind(), ErrorKind::mismatch);
    EXPECT_EQ(error.message(),
              "2 tensors have no place in transformers' form of the model: 'layers.x.in_proj' and "
              "'layers.1.norm'");
  }
  try {
    table().to_ours({tensor("l.1.n.a.b", {3})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
  }
}

TEST(NameTable, RefusesPartsWithoutTheOthers) {
  try {
    table().to_ours({tensor("l.1.q", {1, 2}), tensor("l.1.v", {1, 2})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "1 of the 3 parts of 'layers.1.in_proj' are missing");
  }
}

TEST(NameTable, AliasesAreRowsOfOurTensors) {
  const auto aliases = table().aliases(
      {tensor("layers.0.in_proj", {6, 2}), tensor("window", {2}), tensor("other", {1})});
  ASSERT_EQ(aliases.size(), 3U);
  EXPECT_EQ(aliases[2].name, "l.0.v");
  EXPECT_EQ(aliases[2].tensor, "layers.0.in_proj");
  EXPECT_EQ(aliases[2].first_row, 4);
  EXPECT_EQ(aliases[2].rows, 2);
}

TEST(Names, AreTakenUnderAPrefixAndPutInOrder) {
  std::vector<NamedTensor> tensors = {tensor("a.x", {1}), tensor("b.x", {1}), tensor("a.y", {1})};
  EXPECT_EQ(names(under("a.", tensors)), (Names{"x", "y"}));
  EXPECT_EQ(names(prefixed("c.", tensors)), (Names{"c.a.x", "c.b.x", "c.a.y"}));
  order_by({"a.y", "a.x"}, tensors);
  EXPECT_EQ(names(tensors), (Names{"a.y", "a.x", "b.x"}));
}

}  // namespace
}  // namespace craftbundle::transformers

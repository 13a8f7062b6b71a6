#include "contents.h"

#include <optional>
#include <set>
#include <unordered_set>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"

namespace craftbundle::app {
namespace {

// A file can hold any number of dicts of tensors; a list of more helps nobody.
constexpr std::size_t kShownStateDicts = 32;

std::optional<Tensor> tensor_of(const Checkpoint& checkpoint, Object object) {
  if (!Checkpoint::is_tensor(object)) return std::nullopt;
  try {
    return checkpoint.tensor(object);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void count_tensors(const Checkpoint& checkpoint, Object top, TopLevelKey& key) {
  std::set<std::string> storages;
  for_each_reachable(top, [&](Object object) {
    const auto tensor = tensor_of(checkpoint, object);
    if (!tensor) return true;
    ++key.tensors;
    if (storages.insert(tensor->storage.key).second) key.bytes += tensor->storage.bytes;
    return false;
  });
}

StateDict describe_state(const Checkpoint& checkpoint, Object dict, std::string where) {
  StateDict state{std::move(where), 0, 0, {}};
  for (const auto [key, value] : dict.entries()) {
    const auto tensor = tensor_of(checkpoint, value);
    if (!tensor) continue;
    ++state.tensors;
    const std::uint64_t elements = element_count(tensor->layout.shape).value_or(0);
    state.parameters += elements;
    state.by_dtype[std::string(name(tensor->dtype))] += elements * item_size(tensor->dtype);
  }
  return state;
}

std::vector<StateDict> find_state_dicts(const Checkpoint& checkpoint) {
  struct Place {
    Object dict;
    std::string where;
  };
  std::vector<StateDict> found;
  std::unordered_set<std::uint32_t> seen;
  std::vector<Place> open = {{checkpoint.root(), ""}};
  while (!open.empty() && found.size() < kShownStateDicts) {
    const Place place = std::move(open.back());
    open.pop_back();
    if (!place.dict.is(Kind::dict) || !seen.insert(place.dict.id()).second) continue;
    StateDict state = describe_state(checkpoint, place.dict, place.where);
    if (state.tensors > 0) found.push_back(std::move(state));
    const DictView entries = place.dict.entries();
    // Reversed, so that the stack gives them back in their order.
    for (std::size_t i = entries.size(); i-- > 0;) {
      const auto [key, value] = entries.entry(i);
      if (!key.is(Kind::string) || !value.is(Kind::dict)) continue;
      open.push_back({value, place.where + "[" + craftbundle::quoted(key.as_string(), 60) + "]"});
    }
  }
  return found;
}

}  // namespace

Contents look_into(const Checkpoint& checkpoint) {
  Contents contents;
  if (checkpoint.root().is(Kind::dict)) {
    for (const auto [key, value] : checkpoint.root().entries()) {
      TopLevelKey entry;
      entry.key = key.is(Kind::string) ? printable(key.as_string(), 60) : describe(key);
      entry.what = describe(value);
      count_tensors(checkpoint, value, entry);
      contents.keys.push_back(std::move(entry));
    }
  }
  contents.state_dicts = find_state_dicts(checkpoint);
  return contents;
}

}  // namespace craftbundle::app

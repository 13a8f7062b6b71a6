#include "weights.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/json/json.h"
#include "craftbundle/detail/plugin/source_directory.h"

namespace craftbundle {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kIndex = ".index.json";
constexpr std::string_view kBare = "the state dict";
constexpr std::array<std::string_view, 5> kTorchEndings = {".bin", ".pt", ".pth", ".ckpt", ".th"};
// Dicts in dicts further down hold states of optimizers, not of models.
constexpr std::size_t kDepth = 4;
constexpr std::size_t kMostDicts = 64;

Error refuse(std::string_view check, std::string message, std::string hint = {}) {
  return Error(ErrorKind::input, "weights." + std::string(check), std::move(message),
               std::move(hint));
}

ReadFile read_file(std::shared_ptr<const InputFile> file) {
  std::string name = file->path().filename().string();
  return {std::move(name), false, std::move(file)};
}

template <typename Owner>
ReadFile read_file_of(const std::shared_ptr<const Owner>& owner) {
  return read_file({owner, &owner->file()});
}

WeightDict dict_of(const std::shared_ptr<const Checkpoint>& checkpoint, Object dict,
                   std::string where) {
  WeightDict found{std::move(where), {}};
  for (const DictView::Entry entry : dict.entries()) {
    if (!entry.key.is(Kind::string) || !Checkpoint::is_tensor(entry.value)) continue;
    found.entries.push_back(
        {std::string(entry.key.as_string()), checkpoint, entry.value, std::nullopt});
  }
  return found;
}

// The dicts of tensors that text keys lead to, in the order of the file.
std::vector<WeightDict> dicts_of(const std::shared_ptr<const Checkpoint>& checkpoint) {
  struct Place {
    Object dict;
    std::string where;
    std::size_t depth = 0;
  };
  std::vector<WeightDict> found;
  std::unordered_set<std::uint32_t> seen;
  std::vector<Place> open = {{checkpoint->root(), {}, 0}};
  while (!open.empty() && found.size() < kMostDicts) {
    const Place place = std::move(open.back());
    open.pop_back();
    if (!place.dict.is(Kind::dict) || !seen.insert(place.dict.id()).second) continue;
    WeightDict dict =
        dict_of(checkpoint, place.dict, place.where.empty() ? std::string(kBare) : place.where);
    if (!dict.entries.empty()) found.push_back(std::move(dict));
    if (place.depth == kDepth) continue;
    const DictView entries = place.dict.entries();
    // Reversed, so that the stack gives them back in their order.
    for (std::size_t i = entries.size(); i-- > 0;) {
      const auto [key, value] = entries.entry(i);
      if (!key.is(Kind::string) || !value.is(Kind::dict)) continue;
      open.push_back({value, place.where + "[" + craftbundle::quoted(key.as_string(), 60) + "]",
                      place.depth + 1});
    }
  }
  return found;
}

WeightDict dict_of(std::vector<NamedTensor> tensors) {
  WeightDict dict{std::string(kBare), {}};
  for (NamedTensor& named : tensors) {
    dict.entries.push_back({std::move(named.name), nullptr, std::nullopt, std::move(named.tensor)});
  }
  return dict;
}

// File by file: {"weight_map": {TENSOR: FILE}}, as transformers writes it beside shards of
// torch.save.
Weights open_index(const Path& path, const Host& host) {
  const auto index = std::make_shared<const InputFile>(path);
  const Json json = parse_json(text_of(*index, kMaxReadTextBytes), "weights");
  const auto bad_index = [&](const std::string& what) {
    return refuse("index", path_text(path) + ": " + what,
                  "get the index and all its files again, from one place");
  };
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw bad_index("has no 'weight_map' that gives a file for each tensor");
  }
  std::map<std::string, std::set<std::string>> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || !is_relative_name(file.get<std::string>())) {
      throw bad_index("gives no plain file name for " + craftbundle::quoted(tensor));
    }
    names[file.get<std::string>()].insert(tensor);
  }
  Weights weights;
  weights.files.push_back(read_file(index));
  WeightDict all{std::string(kBare), {}};
  for (const auto& [name, wanted] : names) {
    const std::shared_ptr<const Checkpoint> shard = host.open(path.parent_path() / name);
    weights.files.push_back(read_file_of(shard));
    std::size_t there = 0;
    if (shard->root().is(Kind::dict)) {
      for (WeightDict::Entry& entry : dict_of(shard, shard->root(), {}).entries) {
        if (!wanted.contains(entry.name)) continue;
        ++there;
        all.entries.push_back(std::move(entry));
      }
    }
    if (there != wanted.size()) {
      throw bad_index("gives " + counted(wanted.size(), "tensor") + " to " +
                      craftbundle::quoted(name) + ", which has " + std::to_string(there) +
                      " of them");
    }
  }
  if (!all.entries.empty()) weights.dicts.push_back(std::move(all));
  return weights;
}

Weights open_safetensors(const Path& path) {
  Weights weights;
  if (path.extension() == ".json") {
    SafetensorsModel model = open_safetensors_index(path);
    weights.files.push_back(read_file(std::make_shared<const InputFile>(path)));
    for (const auto& file : model.files) weights.files.push_back(read_file_of(file));
    weights.dicts.push_back(dict_of(std::move(model.tensors)));
  } else {
    const std::shared_ptr<const Safetensors> file = Safetensors::open(path);
    weights.files.push_back(read_file_of(file));
    weights.dicts.push_back(dict_of(file->tensors()));
  }
  if (weights.dicts.front().entries.empty()) weights.dicts.clear();
  return weights;
}

// Of the files in a directory the one that holds the model.
std::string choose_file(const Path& path) {
  const std::vector<std::string> files = SourceDirectory(path).files();
  const auto with = [&](const auto& ends) {
    std::vector<std::string> found;
    std::ranges::copy_if(files, std::back_inserter(found), ends);
    return found;
  };
  const std::array<std::vector<std::string>, 4> kinds = {
      with([](const std::string& name) {
        return name.ends_with(std::string(kSafetensors) + std::string(kIndex));
      }),
      with([](const std::string& name) { return name.ends_with(kSafetensors); }),
      with([](const std::string& name) { return name.ends_with(kIndex); }),
      with([](const std::string& name) {
        return std::ranges::any_of(kTorchEndings,
                                   [&](std::string_view end) { return name.ends_with(end); });
      })};
  for (const std::vector<std::string>& found : kinds) {
    if (found.size() == 1) return found.front();
    if (found.size() > 1) {
      throw refuse("directory", path_text(path) + " holds " + list_text(found),
                   "name the file that holds the weights");
    }
  }
  throw refuse("directory",
               path_text(path) + " holds no file of tensors" +
                   (files.empty() ? ", it is empty" : ", it holds " + list_text(files)),
               "name the file that holds the weights");
}

Weights open_file(const Path& path, const Host& host) {
  const std::string name = path.filename().string();
  if (name.ends_with(std::string(kSafetensors) + std::string(kIndex)) ||
      name.ends_with(kSafetensors)) {
    return open_safetensors(path);
  }
  if (name.ends_with(kIndex)) return open_index(path, host);
  std::shared_ptr<const Checkpoint> checkpoint;
  try {
    checkpoint = host.open(path);
  } catch (const Error& error) {
    if (error.code() != "format.safetensors") throw;
    return open_safetensors(path);
  }
  Weights weights;
  weights.dicts = dicts_of(checkpoint);
  weights.files.push_back(read_file_of(checkpoint));
  return weights;
}

}  // namespace

TensorContent WeightDict::tensor_of(const Entry& entry) {
  if (entry.tensor) return *entry.tensor;
  return with_context([&] { return craftbundle::quoted(entry.name); },
                      [&] { return entry.checkpoint->tensor(*entry.object); });
}

Weights open_weights(const Path& path, const Host& host) {
  boost::system::error_code ignored;
  const Path file =
      boost::filesystem::is_directory(path, ignored) ? path / choose_file(path) : path;
  Weights weights = open_file(file, host);
  if (weights.dicts.empty()) {
    throw refuse("none", path_text(file) + ": holds no dict of tensors",
                 "give the file that holds the weights");
  }
  return weights;
}

}  // namespace craftbundle

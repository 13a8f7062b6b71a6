#include "layouts/audiocraft/layout.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <utility>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle::audiocraft {
namespace {

Value* find(Value::Dict& dict, std::string_view key) {
  const auto found =
      std::ranges::find(dict, key, [](const auto& entry) { return std::string_view(entry.first); });
  return found == dict.end() ? nullptr : &found->second;
}

// Puts `value` where the source's file had the key, else to the place a fresh package has it.
void put(Value::Dict& package, std::string_view key, Value value, std::size_t place) {
  if (Value* there = find(package, key)) {
    *there = std::move(value);
    return;
  }
  package.emplace(package.begin() + static_cast<std::ptrdiff_t>(std::min(place, package.size())),
                  std::string(key), std::move(value));
}

// {best_state, xp.cfg, version, exported}, as export_lm() and export_encodec() of AudioCraft.
Value::Dict package_of(const Model& model) {
  Value::Dict state;
  state.reserve(model.tensors.size());
  for (const NamedTensor& named : model.tensors) {
    std::visit([&](const auto& tensor) { state.emplace_back(named.name, Value(tensor)); },
               named.tensor);
  }
  Value::Dict package = model.extra;
  put(package, kBestStateKey, std::move(state), 0);
  put(package, kConfigKey, model.config.text(), 1);
  if (!find(package, kVersionKey)) put(package, kVersionKey, std::string(kAudioCraftVersion), 2);
  put(package, kExportedKey, true, package.size());
  return package;
}

// {pretrained, exported, version}, as export_pretrained_compression_model().
Value::Dict package_of(const Reference& reference) {
  Value::Dict package = reference.extra;
  put(package, kPretrainedKey, reference.name, 0);
  put(package, kExportedKey, true, 1);
  if (!find(package, kVersionKey)) put(package, kVersionKey, std::string(kAudioCraftVersion), 2);
  return package;
}

bool holds_tensors(std::optional<Object> value) {
  return value && value->is(Kind::dict) && value->size() > 0 &&
         Checkpoint::is_tensor(value->entries().entry(0).value);
}

RoleSource source_of(const Path& file, std::string role, LayoutContext& context) {
  const std::shared_ptr<const Checkpoint> checkpoint = context.open(file);
  const Object root = checkpoint->root();
  RoleSource source{std::move(role),
                    Source::of_checkpoint(file.string(), checkpoint),
                    {file.filename().string()}};
  const bool exported = root.is(Kind::dict) &&
                        (root.contains(kPretrainedKey) || holds_tensors(root.find(kBestStateKey)));
  if (!exported) {
    source.misplaced = Error(ErrorKind::mismatch, "package.not_exported",
                             "is no exported file: its tensors do not lie in " +
                                 quoted(kBestStateKey) + ", where loaders look for them",
                             "'craftbundle export' makes an exported file of it");
  }
  return source;
}

}  // namespace

Value package_of(const Component& component) {
  return std::visit([](const auto& content) { return Value(package_of(content)); },
                    component.content);
}

LayoutInfo AudiocraftLayout::info() const {
  LayoutInfo info;
  info.name = "audiocraft";
  info.summary = "What AudioCraft loads: a package for torch.load for each component";
  info.parts = {
      {"lm", "state_dict.bin"}, {"compression", "compression_state_dict.bin"}, {"*", "*.bin"}};
  return info;
}

std::vector<BundleFile> AudiocraftLayout::plan(const std::vector<Component>& components,
                                               const std::vector<OptionValue>& /*options*/,
                                               LayoutContext& /*context*/) const {
  const LayoutInfo own = info();
  std::vector<BundleFile> files;
  for (const Component& component : components) {
    files.push_back(
        {*own.file_for(component.role), {component.role}, torch_package(package_of(component))});
  }
  return files;
}

std::vector<RoleSource> AudiocraftLayout::sources(const Path& place,
                                                  const std::vector<std::string>& roles,
                                                  LayoutContext& context) const {
  boost::system::error_code ignored;
  if (!boost::filesystem::is_directory(place, ignored)) return {source_of(place, {}, context)};
  const LayoutInfo own = info();
  std::vector<std::string> wanted = roles;
  if (wanted.empty()) wanted = {"lm", "compression"};
  std::vector<RoleSource> sources;
  for (const std::string& role : wanted) {
    const Path file = place / *own.file_for(role);
    if (boost::filesystem::exists(file, ignored)) sources.push_back(source_of(file, role, context));
  }
  return sources;
}

}  // namespace craftbundle::audiocraft

#include "layouts/audiocraft/layout.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <utility>

#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/detail/base/text.h"
#include "layouts/audiocraft/text_encoder.h"

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

// A bundle that is to hold everything holds no names.
void refuse_reference(const Component& component) {
  const auto* reference = std::get_if<Reference>(&component.content);
  if (reference == nullptr || component.fetches.empty()) return;
  throw Error(ErrorKind::mismatch, "embed.reference",
              "the " + component.role + " component is only the name " + quoted(reference->name) +
                  ", and its weights are not at hand",
              "give its weights, or leave --embed out");
}

// What loads the bundle from within: AudioCraft looks for the folder of the text encoder in the
// working directory.
std::string load_offline(std::string load_with) {
  constexpr std::string_view kPlace = "{bundle}";
  const std::size_t place = load_with.find(kPlace);
  if (place != std::string::npos) load_with.replace(place, kPlace.size(), ".");
  if (!load_with.starts_with("from ")) {
    load_with = "from audiocraft.models import " + load_with.substr(0, load_with.find('.')) + "; " +
                load_with;
  }
  return "import os; os.environ['HF_HUB_OFFLINE'] = '1'; os.chdir('{bundle}'); " + load_with;
}

}  // namespace

Value package_of(const Component& component) {
  return std::visit([](const auto& content) { return Value(package_of(content)); },
                    component.content);
}

LayoutInfo AudiocraftLayout::info() const {
  LayoutInfo info;
  info.name = "audiocraft";
  info.revision = 2;
  info.summary = "What AudioCraft loads: a package for torch.load for each component";
  info.parts = {
      {"lm", "state_dict.bin"}, {"compression", "compression_state_dict.bin"}, {"*", "*.bin"}};
  info.leaves_out = {std::string(kTextEncoderRole)};
  info.options = {{std::string(kEmbedOption),
                   OptionSpec::Type::boolean,
                   "false",
                   "write the text encoder too, as a folder that loaders find without the network",
                   {}}};
  return info;
}

std::vector<BundleFile> AudiocraftLayout::plan(const std::vector<Component>& components,
                                               const std::vector<OptionValue>& options,
                                               LayoutContext& /*context*/) const {
  const LayoutInfo own = info();
  const bool embed = option_value(options, kEmbedOption) == "true";
  const auto lm = std::ranges::find(components, kLanguageModelRole, &Component::role);
  std::vector<BundleFile> files;
  for (const Component& component : components) {
    if (const auto file = own.file_for(component.role)) {
      if (embed) refuse_reference(component);
      files.push_back({*file, {component.role}, torch_package(package_of(component))});
    }
  }
  const auto text = std::ranges::find(components, kTextEncoderRole, &Component::role);
  if (!embed || text == components.end()) return files;
  plan_text_encoder(*text, lm == components.end() ? nullptr : lm->model(), files);
  if (lm != components.end() && !lm->load_with.empty()) {
    std::ranges::find(files, *own.file_for(lm->role), &BundleFile::name)->use =
        load_offline(lm->load_with);
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
  if (wanted.empty()) {
    wanted = {std::string(kLanguageModelRole), std::string(kCompressionRole),
              std::string(kTextEncoderRole)};
  }
  std::vector<RoleSource> sources;
  for (const std::string& role : wanted) {
    if (const auto name = own.file_for(role)) {
      const Path file = place / *name;
      if (boost::filesystem::exists(file, ignored)) {
        sources.push_back(source_of(file, role, context));
      }
    } else if (role == kTextEncoderRole) {
      const Path lm = place / *own.file_for(kLanguageModelRole);
      if (!boost::filesystem::exists(lm, ignored)) continue;
      if (auto source = read_text_encoder(place, *context.open(lm), context)) {
        sources.push_back(*std::move(source));
      }
    }
  }
  return sources;
}

}  // namespace craftbundle::audiocraft

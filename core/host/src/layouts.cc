// Layouts: planning and reading bundles.
#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <iterator>
#include <set>
#include <span>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/host/library.h"
#include "offers.h"

namespace craftbundle {
namespace {

using FoundLayouts = std::vector<FoundOffer<LayoutInfo>>;

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool takes_family(const LayoutInfo& layout, const std::string& family) {
  return std::ranges::any_of(
      layout.families, [&](const std::string& taken) { return taken == "*" || taken == family; });
}

std::vector<LayoutInfo> infos_of(const FoundLayouts& layouts) {
  std::vector<LayoutInfo> infos;
  for (const auto& layout : layouts) infos.push_back(*layout.info);
  return infos;
}

bool leaves_out(const LayoutInfo& layout, const std::string& role) {
  return std::ranges::count(layout.leaves_out, role) != 0;
}

// The components that a layout plans files for, or says itself that it leaves out.
std::vector<Component> components_for(const LayoutInfo& layout,
                                      const std::vector<PreparedComponent>& components) {
  std::vector<Component> taken;
  bool any_place = false;
  for (const PreparedComponent& prepared : components) {
    const bool has_place = layout.file_for(prepared.component.role).has_value();
    any_place = any_place || has_place;
    if (has_place || leaves_out(layout, prepared.component.role)) {
      taken.push_back(prepared.component);
    }
  }
  if (!any_place) taken.clear();
  return taken;
}

// Everything that the layouts, together called `name`, have no place for.
void check_places(const std::string& name, const FoundLayouts& layouts,
                  const std::vector<PreparedComponent>& components) {
  std::vector<std::string> problems;
  std::string code;
  const auto called = [&](const LayoutInfo& layout) {
    return layouts.size() == 1 ? std::string("it") : quoted(layout.name);
  };
  for (const PreparedComponent& prepared : components) {
    const Component& component = prepared.component;
    const Model* model = component.model();
    bool has_place = false;
    for (const auto& layout : layouts) {
      const LayoutInfo& info = *layout.info;
      if (leaves_out(info, component.role)) has_place = true;
      if (!info.file_for(component.role)) continue;
      has_place = true;
      if (model == nullptr || takes_family(info, model->family)) continue;
      code = "layout.family";
      problems.push_back(component.role + " is a model of " + quoted(model->family) + ", " +
                         called(info) + " takes " + list_text(info.families));
    }
    if (has_place) continue;
    code = "layout.role";
    problems.push_back("it has no place for a component " + quoted(component.role));
  }
  for (const auto& layout : layouts) {
    if (!problems.empty() || !components_for(*layout.info, components).empty()) continue;
    code = "layout.role";
    std::vector<std::string> roles;
    for (const PreparedComponent& prepared : components) roles.push_back(prepared.component.role);
    problems.push_back(called(*layout.info) + " has no place for a bundle of " + list_text(roles) +
                       " alone");
  }
  if (problems.empty()) return;
  throw Error(ErrorKind::mismatch, code, "layout " + quoted(name) + ": " + join(problems, "; "),
              "choose another layout; 'craftbundle plugins list' shows them");
}

// Regular files of the directory and of those in it, by their relative names, sorted.
std::vector<std::string> files_in(const Path& directory) {
  namespace fs = boost::filesystem;
  constexpr std::size_t kMostFiles = 10'000;
  std::vector<std::string> files;
  boost::system::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() > 1) entry.disable_recursion_pending();
    boost::system::error_code ignored;
    if (!fs::is_regular_file(entry->path(), ignored)) continue;
    files.push_back(entry->path().lexically_relative(directory).string());
    if (files.size() == kMostFiles) break;
  }
  std::ranges::sort(files);
  return files;
}

// What a layout has opened in a directory belongs to every component that it found there.
void add_files_read(const std::vector<ReadFile>& read, const Path& directory,
                    std::vector<RoleSource>& sources) {
  const Path from = absolute_path(directory).lexically_normal();
  for (const ReadFile& file : read) {
    const std::string name =
        absolute_path(file.file->path()).lexically_normal().lexically_relative(from).string();
    if (!is_relative_name(name)) continue;
    for (RoleSource& source : sources) {
      if (std::ranges::count(source.files, name) == 0) source.files.push_back(name);
    }
  }
}

// Those of `given` that the layout declares.
std::vector<OptionValue> options_for(const LayoutInfo& layout,
                                     const std::vector<OptionValue>& given) {
  std::vector<OptionValue> own;
  std::ranges::copy_if(given, std::back_inserter(own), [&](const OptionValue& option) {
    return std::ranges::count(layout.options, option.name, &OptionSpec::name) != 0;
  });
  return own;
}

std::string sha256_of(const FileContent& content, const Cancellation& cancellation) {
  OutputFile file(boost::filesystem::temp_directory_path(), Durability::no_sync);
  file.hash_contents();
  content.write(file, {{}, &Sink::none(), &cancellation});
  return file.sha256();
}

bool are_same(const FileContent& one, const FileContent& other, const Cancellation& cancellation) {
  const auto size = one.size();
  const auto other_size = other.size();
  if (size && other_size && *size != *other_size) return false;
  return sha256_of(one, cancellation) == sha256_of(other, cancellation);
}

// The files of one layout.
struct PlannedLayout {
  std::string name;
  std::vector<BundleFile> files;
};

// All of them in one directory.
std::vector<BundleFile> merge(std::vector<PlannedLayout> layouts,
                              const Cancellation& cancellation) {
  std::vector<BundleFile> merged = std::move(layouts.front().files);
  std::vector<std::string> from(merged.size(), layouts.front().name);  // for each its layout
  std::vector<std::string> problems;
  for (PlannedLayout& layout : std::span(layouts).subspan(1)) {
    for (BundleFile& file : layout.files) {
      const auto there =
          std::ranges::find(merged, lower_case(file.name),
                            [](const BundleFile& one) { return lower_case(one.name); });
      if (there == merged.end()) {
        merged.push_back(std::move(file));
        from.push_back(layout.name);
      } else if (there->name == file.name &&
                 are_same(*there->content, *file.content, cancellation)) {
        for (std::string& role : file.roles) {
          if (std::ranges::count(there->roles, role) == 0) there->roles.push_back(std::move(role));
        }
        there->warnings.insert(there->warnings.end(), file.warnings.begin(), file.warnings.end());
        if (there->use.empty()) there->use = std::move(file.use);
      } else {
        problems.push_back(quoted(from[static_cast<std::size_t>(there - merged.begin())]) +
                           " and " + quoted(layout.name) + " each have another file " +
                           quoted(file.name));
      }
    }
  }
  if (problems.empty()) return merged;
  throw Error(ErrorKind::mismatch, "layout.files",
              "the layouts cannot lie in one directory: " + join(problems, "; "),
              "write them one by one, each into a directory of its own");
}

// What a layout plans is called as its layout is: it may be of a class of the plugin's.
class GuardedContent final : public FileContent {
 public:
  GuardedContent(Guarded<FileContent> content, std::string culprit)
      : content_(std::move(content)), culprit_(std::move(culprit)) {}

  std::optional<std::uint64_t> size() const override {
    return call(content_, culprit_, "size()",
                [](const FileContent& content) { return content.size(); });
  }
  WriteSummary write(OutputFile& file, const WriteOptions& options) const override {
    return call(content_, culprit_, "write()",
                [&](const FileContent& content) { return content.write(file, options); });
  }
  std::vector<const InputFile*> sources() const override {
    return call(content_, culprit_, "sources()",
                [](const FileContent& content) { return content.sources(); });
  }
  std::vector<OutputFile::Copied> copied() const override {
    return call(content_, culprit_, "copied()",
                [](const FileContent& content) { return content.copied(); });
  }

 private:
  Guarded<FileContent> content_;
  std::string culprit_;
};

}  // namespace

std::optional<std::string> find_problem(const std::vector<BundleFile>& files) {
  if (files.empty()) return "planned no file";
  std::set<std::string> seen = {std::string(kManifestFile)};
  for (const BundleFile& file : files) {
    if (!is_relative_name(file.name)) return "planned a file " + quoted(file.name);
    if (!seen.insert(lower_case(file.name)).second) {
      return "planned two files " + quoted(file.name) + ", or one of the manifest's name";
    }
    if (file.content == nullptr) return "planned nothing for the file " + quoted(file.name);
  }
  return std::nullopt;
}

// What a layout may use of the host while it plans and reads.
class Host::PlanContext final : public ReadingContext<LayoutContext> {
 public:
  explicit PlanContext(const Host& host)
      : PlanContext(host, *host.options_.sink, host.cancellation()) {}
  PlanContext(const Host& host, Sink& sink, const Cancellation& cancellation)
      : ReadingContext(
            Path(), [&host](const Path& path) { return host.open(path); }, sink, cancellation),
        host_(host) {}
  FileContentPtr program(const Component& component) override {
    host_.require_codec(component);
    return written_by(
        [&host = host_, component](OutputFile& file) { host.load_codec(component)->save(file); });
  }

 private:
  const Host& host_;
};

std::vector<LayoutInfo> Host::layouts() const {
  std::vector<LayoutInfo> layouts;
  for (const auto& offer : offers<LayoutInfo>()) layouts.push_back(*offer.info);
  return layouts;
}

FoundOffer<LayoutInfo> Host::find_layout(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& offer : offers<LayoutInfo>()) {
    if (offer.info->name == name) return offer;
    names.push_back(offer.info->name);
  }
  throw Error(ErrorKind::usage, "layout.unknown",
              "there is no layout " + quoted(name) +
                  (names.empty() ? "; no plugin offers one" : "; there is " + list_text(names, 32)),
              did_you_mean(name, names));
}

FoundLayouts Host::find_layouts(const std::string& name) const {
  FoundLayouts found;
  for (const std::string& part : layouts_in(name)) {
    const FoundOffer<LayoutInfo> offer = find_layout(part);
    for (const auto& other : found) {
      if (other.info != offer.info) continue;
      throw Error(ErrorKind::usage, "layout.twice",
                  "layout " + quoted(name) + " names " + quoted(part) + " twice", "name it once");
    }
    found.push_back(offer);
  }
  return found;
}

LayoutInfo Host::layout(const std::string& name) const {
  return join_layouts(name, infos_of(find_layouts(name)));
}

std::vector<BundleFile> Host::plan(const FoundOffer<LayoutInfo>& offer,
                                   const std::vector<Component>& components,
                                   const std::vector<OptionValue>& options) const {
  const auto plan_in = [&](PlanContext& context) {
    return call(object<Layout>(offer), culprit(offer), "plan()",
                [&](const Layout& layout) { return layout.plan(components, options, context); });
  };
  rehearse(*offer.plugin, culprit(offer), "plan()", [&] {
    PlanContext context(*this, Sink::none(), Cancellation::never());
    if (find_problem(plan_in(context))) return;
  });
  PlanContext context(*this);
  std::vector<BundleFile> files = plan_in(context);
  if (const auto problem = find_problem(files)) {
    throw Error(ErrorKind::plugin, "plugin.layout", culprit(offer) + " " + *problem);
  }
  for (BundleFile& file : files) {
    escape(file);
    file.content = std::make_shared<GuardedContent>(
        object<Layout>(offer).adopt(std::move(file.content)), culprit(offer));
  }
  return files;
}

std::vector<BundleFile> Host::lay_out(const LayoutChoice& choice,
                                      const std::vector<PreparedComponent>& prepared) const {
  const FoundLayouts layouts = find_layouts(choice.name);
  const std::string what = "layout " + quoted(choice.name);
  check_options(what, join_layouts(choice.name, infos_of(layouts)).options, choice.options);
  check_places(choice.name, layouts, prepared);
  std::vector<PlannedLayout> planned;
  for (const auto& offer : layouts) {
    const LayoutInfo& info = *offer.info;
    const auto options = check_options(what, info.options, options_for(info, choice.options));
    planned.push_back({info.name, plan(offer, components_for(info, prepared), options)});
  }
  return merge(std::move(planned), cancellation());
}

// A layout that cannot be asked recognizes nothing.
Probe Host::ask(const FoundOffer<LayoutInfo>& offer, const std::vector<std::string>& files) const {
  const auto recognize = [&] {
    return call(object<Layout>(offer), culprit(offer), "recognize()",
                [&](const Layout& layout) { return layout.recognize(files); });
  };
  try {
    rehearse(*offer.plugin, culprit(offer), "recognize()", recognize);
    return recognize();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted || is_fault_of_machine(error)) throw;
    const std::string reason = "cannot be asked: " + error.message();
    options_.sink->log(LogLevel::warning, "layout " + quoted(offer.info->name) + " " + reason);
    return {0, reason};
  }
}

std::optional<std::string> Host::recognize(const std::vector<std::string>& files) const {
  std::optional<std::string> best;
  int confidence = 0;
  for (const auto& offer : offers<LayoutInfo>()) {
    // A layout whose files are not there need not be asked, nor its library mapped.
    const bool possible = std::ranges::any_of(offer.info->parts, [&](const LayoutInfo::Part& part) {
      return std::ranges::count(files, part.file) != 0;
    });
    if (!possible) continue;
    const Probe probe = ask(offer, files);
    if (probe.confidence <= confidence) continue;
    best = offer.info->name;
    confidence = probe.confidence;
  }
  return best;
}

std::optional<std::string> Host::layout_of(const Path& directory) const {
  return recognize(files_in(directory));
}

std::vector<RoleSource> Host::sources_in(const std::string& name, const Path& place,
                                         const std::vector<std::string>& roles) const {
  std::vector<RoleSource> found;
  std::optional<Error> unreadable;
  bool any_read = false;
  std::vector<std::string> missing = roles;
  for (const auto& offer : find_layouts(name)) {
    // The first that has a component is the one it is read from.
    if (!roles.empty() && missing.empty()) break;
    const auto sources_by = [&](PlanContext& context) {
      return call(object<Layout>(offer), culprit(offer), "sources()",
                  [&](const Layout& layout) { return layout.sources(place, missing, context); });
    };
    PlanContext context(*this);
    try {
      rehearse(*offer.plugin, culprit(offer), "sources()", [&] {
        PlanContext apart(*this, Sink::none(), Cancellation::never());
        sources_by(apart);
      });
      std::vector<RoleSource> sources = sources_by(context);
      any_read = true;
      add_files_read(context.reader().read(), place, sources);
      for (RoleSource& source : sources) {
        if (std::ranges::count(found, source.role, &RoleSource::role) != 0) continue;
        std::erase(missing, source.role);
        found.push_back(std::move(source));
      }
    } catch (const Error& error) {
      if (error.code() != "layout.unreadable") throw;
      unreadable = error;
    }
  }
  if (!any_read && unreadable) throw *unreadable;
  return found;
}

std::vector<std::pair<std::string, std::vector<TensorAlias>>> Host::aliases(
    const Model& model) const {
  std::vector<std::pair<std::string, std::vector<TensorAlias>>> aliases;
  for (const auto& offer : offers<LayoutInfo>()) {
    if (!takes_family(*offer.info, model.family)) continue;
    const auto aliases_by = [&] {
      return call(object<Layout>(offer), culprit(offer), "aliases()",
                  [&](const Layout& layout) { return layout.aliases(model); });
    };
    rehearse(*offer.plugin, culprit(offer), "aliases()", aliases_by);
    aliases.emplace_back(offer.info->name, aliases_by());
  }
  return aliases;
}

}  // namespace craftbundle

// Layouts: planning and reading bundles.
#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/host/library.h"
#include "offers.h"

namespace craftbundle {
namespace {

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

// Everything that `layout` has no place for.
void check_places(const LayoutInfo& layout, const std::vector<PreparedComponent>& components) {
  std::vector<std::string> problems;
  std::string code;
  for (const PreparedComponent& prepared : components) {
    const Component& component = prepared.component;
    const Model* model = component.model();
    if (!layout.file_for(component.role)) {
      code = "layout.role";
      problems.push_back("it has no place for a component " + quoted(component.role));
    } else if (model != nullptr && !takes_family(layout, model->family)) {
      code = "layout.family";
      problems.push_back(component.role + " is a model of " + quoted(model->family) +
                         ", it takes " + list_text(layout.families));
    }
  }
  if (problems.empty()) return;
  throw Error(ErrorKind::mismatch, code,
              "layout " + quoted(layout.name) + ": " + join(problems, "; "),
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

// What a layout plans is called as its layout is: it may be of a class of the plugin's.
class GuardedContent final : public FileContent {
 public:
  GuardedContent(Guarded<FileContent> content, std::string culprit)
      : content_(std::move(content)), culprit_(std::move(culprit)) {}

  std::optional<std::uint64_t> size() const override {
    return call(content_, culprit_, [](const FileContent& content) { return content.size(); });
  }
  WriteSummary write(OutputFile& file, const WriteOptions& options) const override {
    return call(content_, culprit_,
                [&](const FileContent& content) { return content.write(file, options); });
  }
  std::vector<const InputFile*> sources() const override {
    return call(content_, culprit_, [](const FileContent& content) { return content.sources(); });
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
      : ReadingContext(
            Path(), [&host](const Path& path) { return host.open(path); }, *host.options_.sink,
            *host.options_.cancellation),
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

const LayoutInfo& Host::layout(const std::string& name) const { return *find_layout(name).info; }

std::vector<BundleFile> Host::lay_out(const LayoutChoice& choice,
                                      const std::vector<PreparedComponent>& prepared) const {
  const FoundOffer<LayoutInfo> offer = find_layout(choice.name);
  const LayoutInfo& info = *offer.info;
  const std::vector<OptionValue> options =
      check_options("layout " + quoted(info.name), info.options, choice.options);
  check_places(info, prepared);
  std::vector<Component> components;
  for (const PreparedComponent& one : prepared) components.push_back(one.component);
  PlanContext context(*this);
  const Guarded<Layout>& object = this->object<Layout>(offer);
  std::vector<BundleFile> files = call(object, culprit(offer), [&](const Layout& layout) {
    return layout.plan(components, options, context);
  });
  if (const auto problem = find_problem(files)) {
    throw Error(ErrorKind::plugin, "plugin.layout", culprit(offer) + " " + *problem);
  }
  for (BundleFile& file : files) {
    file.content =
        std::make_shared<GuardedContent>(object.adopt(std::move(file.content)), culprit(offer));
  }
  return files;
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
    const Probe probe = call(object<Layout>(offer), culprit(offer),
                             [&](const Layout& layout) { return layout.recognize(files); });
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
  const FoundOffer<LayoutInfo> offer = find_layout(name);
  PlanContext context(*this);
  std::vector<RoleSource> found =
      call(object<Layout>(offer), culprit(offer),
           [&](const Layout& layout) { return layout.sources(place, roles, context); });
  add_files_read(context.reader().read(), place, found);
  return found;
}

std::vector<std::pair<std::string, std::vector<TensorAlias>>> Host::aliases(
    const Model& model) const {
  std::vector<std::pair<std::string, std::vector<TensorAlias>>> aliases;
  for (const auto& offer : offers<LayoutInfo>()) {
    if (!takes_family(*offer.info, model.family)) continue;
    aliases.emplace_back(offer.info->name,
                         call(object<Layout>(offer), culprit(offer),
                              [&](const Layout& layout) { return layout.aliases(model); }));
  }
  return aliases;
}

}  // namespace craftbundle

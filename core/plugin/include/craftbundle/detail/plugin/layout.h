// What a plugin implements to add a layout: which files a bundle has, and what is in each.
//
// Exporters make models, layouts give them names and places. A layout never opens output files: it
// plans them, and the host writes what was planned.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/file_content.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/plugin/offer.h"

namespace CRAFTBUNDLE_API craftbundle {

// The one that is taken when nobody names one.
inline constexpr std::string_view kDefaultLayout = "audiocraft";
// In which the host says what a bundle holds, beside the files of any layout.
inline constexpr std::string_view kManifestFile = "bundle.json";

// An option of layouts that can hold what loaders otherwise fetch: "true" puts it into the bundle.
inline constexpr std::string_view kEmbedOption = "embed";

// Layouts of one bundle, in the order in which they are written: "audiocraft+transformers". Their
// files lie in one directory; equal names must be equal files.
std::vector<std::string> layouts_in(std::string_view name);
// Whether `layout` is one of them.
bool joins_layout(std::string_view name, std::string_view layout);

struct LayoutInfo : OfferInfo {
  static constexpr std::string_view kKind = "layout";

  // A file by which a component is known in a directory of this layout. The role "*" stands for
  // every other one, and '*' in its file for the role; all others belong to a complete bundle.
  struct Part {
    std::string role;
    std::string file;

    template <typename Self, typename Visit>
    static void visit(Self& self, Visit&& field) {
      field({"role"}, self.role);
      field({"file"}, self.file);
    }
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::vector<std::string> families = {"*"};  // Model::family of what it can lay out; "*": any
  std::vector<Part> parts;
  // Roles of components that its loaders can find elsewhere. plan() leaves them out, or, when an
  // option says so, plans files for them.
  std::vector<std::string> leaves_out = {};

  // The part's file for a component of this role; nullopt when the layout has no place for it, or
  // leaves it out.
  std::optional<std::string> file_for(std::string_view role) const;

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"families", "takes models of"}, self.families);
    field({"parts", "files"}, self.parts);
    field({"leaves_out", "leaves out"}, self.leaves_out);
  }
  friend bool operator==(const LayoutInfo&, const LayoutInfo&) = default;
};

// `layouts` of one bundle as one of this name: a role may have its place in any of them; the
// revision is the sum of theirs. REQUIRES: there is one.
LayoutInfo join_layouts(std::string_view name, const std::vector<LayoutInfo>& layouts);

// A file of a bundle.
struct BundleFile {
  // Relative to the bundle's directory; '/' may separate directories. Names differ in more than
  // case, and none is that of the manifest.
  std::string name;
  std::vector<std::string> roles;  // of the components in it; empty: of the bundle as a whole
  FileContentPtr content;
  // The line of code that uses it where no other loader of the bundle does; {bundle} stands for it.
  std::string use = {};
  // What those who use the bundle should know of it, one clause each.
  std::vector<std::string> warnings = {};
};

// A component of a bundle that is read.
struct RoleSource {
  std::string role;  // empty: the file does not tell
  Source source;
  std::vector<std::string> files;  // that it lies in, relative to the directory; the first names it
  // Why the layout's loaders cannot take it as it lies there, although an exporter can.
  std::optional<Error> misplaced = std::nullopt;
};

// A name that a layout has for rows of one of a model's tensors: what transformers calls q_proj is
// the first third of AudioCraft's in_proj_weight.
struct TensorAlias {
  std::string name;
  std::string tensor;          // of the model; empty: names that begin so are of other components
  std::int64_t first_row = 0;  // of `rows`
  std::int64_t rows = 0;       // all of them for a tensor under another name
};

// Services of the host. Relative paths start in the current directory.
class LayoutContext : public HostContext {
 public:
  // The network of `component` as a program (Codec::save); it is built when the file is written.
  // Throws Error(plugin, "codec.none") when no plugin runs models of its family, and Error(input,
  // "codec.unsupported") for a reference. REQUIRES: one of the components that are laid out.
  virtual FileContentPtr program(const Component& component) = 0;
};

// Implemented by plugins, as Exporter. Thread: all functions may be called concurrently.
class Layout {
 public:
  using Offer = Layout;
  using Info = LayoutInfo;
  virtual ~Layout() = default;
  virtual LayoutInfo info() const = 0;

  // The files of a bundle of `components`, one for each role, or of a single one. Throws
  // Error(mismatch, "layout.*") that lists everything this layout cannot express, each with what
  // was found and what would help.
  virtual std::vector<BundleFile> plan(const std::vector<Component>& components,
                                       const std::vector<OptionValue>& options,
                                       LayoutContext& context) const = 0;

  // The layout's own names for the tensors of `model`, for what refers to tensors by these: an
  // adapter that was trained with another library. By default: none.
  virtual std::vector<TensorAlias> aliases(const Model& model) const;

  // How sure it is that a directory that holds these files (regular ones, relative) is one of its
  // own, and why. By default: whether the file of a part is there.
  virtual Probe recognize(const std::vector<std::string>& files) const;

  // The components in `place`: of a directory those of `roles`, or of its parts when none is named;
  // of a single file the one in it. Not checked: that is for the exporters. What is not there is
  // left out. By default: throws Error(usage, "layout.unreadable"), as for a layout that is only
  // written.
  virtual std::vector<RoleSource> sources(const Path& place, const std::vector<std::string>& roles,
                                          LayoutContext& context) const;
};

}  // namespace craftbundle

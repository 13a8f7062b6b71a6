#include "craftbundle/host/library.h"

#include <boost/dll/shared_library.hpp>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/host/elf.h"
#include "plugin_info.h"
#include "trust.h"

namespace craftbundle {
namespace {

Error plugin_error(std::string_view code, const Path& library, const std::string& what,
                   std::string hint = {}) {
  return Error(ErrorKind::plugin, code, what, std::move(hint)).add_context(path_text(library));
}

// The dynamic linker's own words in Boost.DLL's message.
std::string_view linker_words(std::string_view message) {
  constexpr std::string_view kBefore = "dlerror system message: ";
  const std::size_t begin = message.find(kBefore);
  if (begin == std::string_view::npos) return message;
  message.remove_prefix(begin + kBefore.size());
  return message.substr(0, message.rfind("): "));
}

// The dynamic linker's reasons have no code, only text, so here, and only here, text decides.
Error translate(const Path& library, std::string_view message) {
  std::string_view reason = linker_words(message);
  const std::string own_name = library.string() + ": ";
  if (reason.starts_with(own_name)) reason.remove_prefix(own_name.size());
  const auto contains = [&](std::string_view text) {
    return reason.find(text) != std::string_view::npos;
  };
  const std::string what = "cannot be loaded: " + printable(reason, 1'000);
  if (contains("undefined symbol")) {
    return plugin_error("plugin.undefined_symbol", library, what,
                        "link the plugin with -Wl,-z,defs to see what is missing");
  }
  if (contains("cannot open shared object file")) {
    return plugin_error("plugin.missing_dependency", library, what, "install the library it needs");
  }
  return plugin_error("plugin.load", library, what);
}

boost::dll::shared_library map_library(const Path& library) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  try {
    return boost::dll::shared_library(library, rtld_now | rtld_local);
  } catch (const boost::system::system_error& error) {
    throw translate(library, error.what());
  }
}

// Text from a descriptor, read with a bound.
std::string text_of(const Path& library, const char* text, std::size_t limit,
                    const std::string& field) {
  if (text == nullptr)
    throw plugin_error("plugin.descriptor", library, "its " + field + " is null");
  const std::size_t size = ::strnlen(text, limit + 1);
  if (size > limit) {
    throw plugin_error("plugin.descriptor", library,
                       "its " + field + " is longer than " + std::to_string(limit) +
                           " bytes: " + quoted(std::string_view(text, limit), 40));
  }
  if (!is_utf8(std::string_view(text, size))) {
    throw plugin_error("plugin.descriptor", library,
                       "its " + field + " is not UTF-8: " + quoted(std::string_view(text, size)));
  }
  return std::string(text, size);
}

// Field by field, so that nothing is read whose meaning is not sure yet.
PluginInfo judge(const Path& library, const PluginDescriptor& descriptor) {
  const std::string rebuild = "build the plugin again with the Craftbundle that is installed here";
  if (std::memcmp(descriptor.magic, kPluginMagic, sizeof kPluginMagic) != 0) {
    throw plugin_error("plugin.descriptor", library,
                       "its descriptor begins with " +
                           quoted(std::string_view(descriptor.magic, sizeof descriptor.magic)) +
                           ", expected " +
                           quoted(std::string_view(kPluginMagic, sizeof kPluginMagic)));
  }
  if (descriptor.abi_version != kPluginAbiVersion) {
    throw plugin_error("plugin.abi", library,
                       "was built for plugin ABI version " +
                           std::to_string(descriptor.abi_version) +
                           ", this Craftbundle has version " + std::to_string(kPluginAbiVersion),
                       rebuild);
  }
  if (descriptor.struct_size != sizeof(PluginDescriptor)) {
    throw plugin_error("plugin.abi", library,
                       "its descriptor has " + std::to_string(descriptor.struct_size) +
                           " bytes, this Craftbundle's has " +
                           std::to_string(sizeof(PluginDescriptor)),
                       rebuild);
  }
  PluginInfo info;
  info.interface_id =
      text_of(library, descriptor.interface_id, kMaxInterfaceIdBytes, "interface id");
  if (info.interface_id != kInterfaceId) throw interface_error(library, info.interface_id);
  info.name = text_of(library, descriptor.name, kMaxNameBytes, "name");
  if (!is_name(info.name)) {
    throw plugin_error(
        "plugin.descriptor", library,
        "its name is " + quoted(info.name) +
            ", expected a letter and then letters, digits, '_' or '-', in lower case");
  }
  info.version = text_of(library, descriptor.version, kMaxVersionBytes, "version");
  if (!is_version(info.version)) {
    throw plugin_error("plugin.descriptor", library,
                       "its version is " + quoted(info.version) + ", expected one like '1.2.3'");
  }
  if (descriptor.entry == nullptr) {
    throw plugin_error("plugin.descriptor", library, "its entry function is null");
  }
  return info;
}

class Collector final : public LineRegistrar {
 public:
  void add(std::unique_ptr<LineExporter> exporter) noexcept override {
    exporters.push_back(std::move(exporter));
  }
  void add(std::unique_ptr<LineStageKind> kind) noexcept override {
    stages.push_back(std::move(kind));
  }
  void add(std::unique_ptr<LineCodecLoader> loader) noexcept override {
    codecs.push_back(std::move(loader));
  }
  std::vector<std::unique_ptr<LineExporter>> exporters;
  std::vector<std::unique_ptr<LineStageKind>> stages;
  std::vector<std::unique_ptr<LineCodecLoader>> codecs;
};

[[noreturn]] void entry_failed(const Path& library, const std::string& reason) {
  throw plugin_error("plugin.entry", library,
                     "its entry function failed: " + printable(reason, 1'000));
}

Collector run_entry(const Path& library, const PluginDescriptor& descriptor) {
  Collector collector;
  LineFailure failure;
  try {
    descriptor.entry(&collector, &failure);
  } catch (const std::exception& error) {
    entry_failed(library, std::string("it threw ") + error.what());
  } catch (...) {
    entry_failed(library, "it threw something that is no std::exception");
  }
  if (failure.failed) entry_failed(library, failure.message);
  return collector;
}

class MappedLibrary final : public PluginLibrary {
 public:
  MappedLibrary(Path path, const PluginDescriptor& descriptor)
      : path_(std::move(path)), info_(judge(path_, descriptor)) {
    Collector offered = run_entry(path_, descriptor);
    exporters_ = std::move(offered.exporters);
    stages_ = std::move(offered.stages);
    codecs_ = std::move(offered.codecs);
    for (const auto& exporter : exporters_) {
      info_.exporters.push_back(described<ExporterInfo>(exporter, "an exporter"));
    }
    for (const auto& stage : stages_) {
      info_.stages.push_back(described<StageKindInfo>(stage, "a kind of stage"));
    }
    for (const auto& codec : codecs_) {
      info_.codecs.push_back(described<CodecLoaderInfo>(codec, "a loader of codecs"));
    }
    if (const std::optional<std::string> problem = find_problem(info_)) {
      throw plugin_error("plugin.info", path_, "the plugin " + *problem);
    }
  }

  const Path& path() const override { return path_; }
  const PluginInfo& info() const override { return info_; }
  const std::vector<std::unique_ptr<LineExporter>>& exporters() const override {
    return exporters_;
  }
  const std::vector<std::unique_ptr<LineStageKind>>& stages() const override { return stages_; }
  const std::vector<std::unique_ptr<LineCodecLoader>>& codecs() const override { return codecs_; }

 private:
  template <typename Info, typename Offered>
  Info described(const Offered& offered, const std::string& what) const {
    if (!offered) throw plugin_error("plugin.info", path_, "the plugin registers nothing");
    LineFailure failure;
    Info info = offered->info(failure);
    if (!failure.failed) return info;
    throw plugin_error("plugin.info", path_,
                       what + " cannot describe itself: " + printable(failure.message, 1'000));
  }

  Path path_;
  PluginInfo info_;
  std::vector<std::unique_ptr<LineExporter>> exporters_;
  std::vector<std::unique_ptr<LineStageKind>> stages_;
  std::vector<std::unique_ptr<LineCodecLoader>> codecs_;
};

// What became of a library that was mapped. Kept for ever: its code must outlive everything that
// came from it, and its entry runs once.
struct Mapping {
  boost::dll::shared_library handle;
  std::shared_ptr<const PluginLibrary> library;
  std::optional<Error> refusal;
};

void open(const Path& library, Mapping& mapping) {
  if (!mapping.handle.has(kPluginSymbol)) {
    throw plugin_error("plugin.no_entry", library,
                       "is no exporter plugin: it has no symbol " + quoted(kPluginSymbol));
  }
  const auto& descriptor = mapping.handle.get<const PluginDescriptor>(kPluginSymbol);
  mapping.library = std::make_shared<const MappedLibrary>(library, descriptor);
}

}  // namespace

Path check_library_file(const Path& library) {
  const Path real = real_path(library);
  check_elf(real);
  check_trusted(real);
  return real;
}

std::shared_ptr<const PluginLibrary> PluginLibrary::load(const Path& library) {
  const Path real = check_library_file(library);
  static std::mutex& mutex = *new std::mutex;
  static auto& mappings = *new std::map<std::string, Mapping>;
  const std::lock_guard lock(mutex);
  boost::dll::shared_library handle = map_library(real);
  const auto [place, is_new] = mappings.try_emplace(real.string());
  Mapping& mapping = place->second;
  if (is_new) {
    mapping.handle = std::move(handle);
    try {
      open(real, mapping);
    } catch (const Error& error) {
      mapping.refusal = error;
    }
  }
  if (mapping.refusal) throw Error(*mapping.refusal);
  return mapping.library;
}

}  // namespace craftbundle

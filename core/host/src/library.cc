#include "craftbundle/detail/host/library.h"

#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/elf.h"
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
Error translate(const Path& library, const Path& mapped_as, std::string_view message) {
  std::string_view reason = linker_words(message);
  const std::string own_name = mapped_as.string() + ": ";
  if (reason.starts_with(own_name)) reason.remove_prefix(own_name.size());
  const auto contains = [&](std::string_view text) {
    return reason.find(text) != std::string_view::npos;
  };
  const std::string what = "cannot be loaded: " + printable(reason, 1'000);
  const auto machine = [&](int error_number) {
    const Error error = system_error(error_number, path_text(library));
    return Error(error.kind(), error.code(), what).add_context(path_text(library));
  };
  if (contains("Input/output error")) return machine(EIO);
  if (contains("Too many open files")) return machine(EMFILE);
  if (contains("Cannot allocate memory")) return machine(ENOMEM);
  // Without a reason of its own when memory is short.
  if (reason.ends_with("failed to map segment from shared object")) return machine(ENOMEM);
  if (contains("undefined symbol")) {
    return plugin_error("plugin.undefined_symbol", library, what,
                        "link the plugin with -Wl,-z,defs to see what is missing");
  }
  if (contains("cannot open shared object file")) {
    return plugin_error("plugin.missing_dependency", library, what, "install the library it needs");
  }
  return plugin_error("plugin.load", library, what);
}

// Maps the file that was judged, not what its name has come to mean.
boost::dll::shared_library map_library(const TrustedFile& file) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  const Path name = finds_by_origin(file.open()) ? file.pinned_by_directory() : file.pinned();
  try {
    return boost::dll::shared_library(name, rtld_now | rtld_local);
  } catch (const boost::system::system_error& error) {
    throw translate(file.path(), name, error.what());
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
  const auto text = [](const auto& magic) { return std::string_view(magic.data(), magic.size()); };
  if (descriptor.magic != kPluginMagic) {
    throw plugin_error("plugin.descriptor", library,
                       "its descriptor begins with " + quoted(text(descriptor.magic)) +
                           ", expected " + quoted(text(kPluginMagic)));
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

Offers run_entry(const Path& library, const PluginDescriptor& descriptor) {
  Registrar registrar;
  std::optional<Error> failure;
  // A plugin without the macro may throw here.
  const std::optional<Error> thrown =
      detail::guarded(&detail::guard, [&] { descriptor.entry(&registrar, &failure); });
  if (thrown) failure = thrown;
  if (failure) {
    if (is_fault_of_machine(*failure)) throw failure->add_context(path_text(library));
    throw plugin_error("plugin.entry", library,
                       "its entry function failed: " + printable(failure->message(), 1'000));
  }
  return registrar.take();
}

template <typename Offer>
std::vector<typename Offer::Info> described(const Path& library,
                                            const std::vector<Guarded<Offer>>& offers) {
  std::vector<typename Offer::Info> infos;
  for (const Guarded<Offer>& offer : offers) {
    try {
      infos.push_back(offer.call([](const Offer& object) { return object.info(); }));
    } catch (Error& error) {
      if (is_fault_of_machine(error)) throw error.add_context(path_text(library));
      throw plugin_error("plugin.info", library,
                         "its " + std::string(Offer::Info::kKind) + " " +
                             std::to_string(infos.size() + 1) +
                             " cannot describe itself: " + printable(error.message(), 1'000));
    }
  }
  return infos;
}

// What became of a library that was mapped. Kept for ever: its code must outlive everything that
// came from it, and its entry runs once.
struct Mapping {
  // The dynamic linker remembers the directory of a library by its descriptor.
  std::unique_ptr<const TrustedFile> file;
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
  mapping.library = std::make_shared<const PluginLibrary>(library, descriptor);
}

}  // namespace

PluginLibrary::PluginLibrary(Path path, const PluginDescriptor& descriptor)
    : path_(std::move(path)),
      info_(judge(path_, descriptor)),
      offers_(run_entry(path_, descriptor)) {
  info_.all = std::apply(
      [&](const auto&... offers) { return OfferInfos{described(path_, offers)...}; }, offers_);
  if (const std::optional<std::string> problem = find_problem(info_)) {
    throw plugin_error("plugin.info", path_, "the plugin " + *problem);
  }
}

Path check_library_file(const Path& library) {
  const TrustedFile file(library);
  check_elf(file.open());
  return file.path();
}

std::shared_ptr<const PluginLibrary> PluginLibrary::load(const Path& library) {
  auto file = std::make_unique<const TrustedFile>(library);
  check_elf(file->open());
  static std::mutex& mutex = *new std::mutex;
  static auto& mappings = *new std::map<std::string, Mapping>;
  const std::lock_guard lock(mutex);
  const std::string name = file->path().string();
  // One that is mapped already is not mapped again: the dynamic linker would remember it by a
  // descriptor that is closed then, and take it for the next library that gets the same one.
  if (!mappings.contains(name)) {
    boost::dll::shared_library handle = map_library(*file);
    file->check_unchanged();
    Mapping& mapping = mappings[name];
    mapping.file = std::move(file);
    mapping.handle = std::move(handle);
    try {
      open(mapping.file->path(), mapping);
    } catch (const std::exception&) {
      mapping.refusal = current_error();
    }
  }
  const Mapping& mapping = mappings.at(name);
  if (mapping.refusal) throw Error(*mapping.refusal);
  return mapping.library;
}

}  // namespace craftbundle

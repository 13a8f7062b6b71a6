// The line between host and plugin libraries.
//
// A plugin is a MODULE library with exactly one exported symbol, the constant `craftbundle_plugin`
// of type PluginDescriptor. The host judges that struct field by field before it calls anything.
// Behind it the interface is C++, so host and plugin must agree on it exactly: kInterfaceId.
//
// The host calls objects of a plugin through Guarded only: nothing that they throw leaves the
// plugin's code but as a value. Libraries are never unloaded, so no object outlives its library.
//
//   // plugin.cc, the whole file:
//   #include "craftbundle/plugin.h"
//   #include "my_exporter.h"
//   CRAFTBUNDLE_PLUGIN("my_codec", "1.0.0", registrar) {
//     registrar.add(std::make_unique<MyExporter>());
//   }
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/fault.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"
#include "craftbundle/detail/plugin/interface_id.h"
#include "craftbundle/detail/plugin/layout.h"
#include "craftbundle/detail/plugin/stage_kind.h"

namespace CRAFTBUNDLE_API craftbundle {

// Every kind of offer, each with something of its own. Whatever is done for each kind (descriptions
// and their rules, sidecars, lists, checks) walks such a tuple.
template <template <typename> typename Of>
using OfEachKind = std::tuple<Of<Exporter>, Of<StageKind>, Of<CodecLoader>, Of<Layout>>;

namespace detail {

// Calls `body(state)` and returns what it threw.
using Guard = std::optional<Error> (*)(void (*body)(void*), void* state) noexcept;

// Every library has its own copy, so that what a plugin throws is caught by the plugin's code,
// whatever its runtime and the visibility of its types.
[[gnu::visibility("hidden")]] inline std::optional<Error> guard(void (*body)(void*),
                                                                void* state) noexcept {
  try {
    body(state);
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return memory_error();
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::not_enough_memory) return memory_error();
    if (error.code() == std::errc::resource_unavailable_try_again) {
      return thread_error(error.code());
    }
    return Error(ErrorKind::plugin, "plugin.exception", error.what());
  } catch (const std::exception& error) {
    return Error(ErrorKind::plugin, "plugin.exception", error.what());
  } catch (...) {
    return Error(ErrorKind::plugin, "plugin.exception", "an exception that is no std::exception");
  }
}

template <typename Body>
std::optional<Error> guarded(Guard guard, Body&& body) noexcept {
  return guard([](void* state) { (*static_cast<std::remove_reference_t<Body>*>(state))(); }, &body);
}

}  // namespace detail

// An object of a plugin, and the only way to call it.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::shared_ptr<const T> object, detail::Guard guard = &detail::guard)
      : object_(std::move(object)), guard_(guard) {}

  explicit operator bool() const { return object_ != nullptr; }

  // Returns `body(object)`, by value. Throws Error: one that the object's code threw, or what
  // became of another exception: memory_error(), thread_error(), or of kind plugin
  // ("plugin.exception"). REQUIRES: there is an object.
  template <typename Body>
  auto call(Body&& body) const {
    std::optional<std::decay_t<std::invoke_result_t<Body&, const T&>>> result;
    const std::optional<Error> failure =
        detail::guarded(guard_, [&] { result.emplace(body(*object_)); });
    if (failure) throw Error(*failure);
    return *std::move(result);
  }

  // The same for an object that this one's library made.
  template <typename Made>
  Guarded<Made> adopt(std::unique_ptr<Made> made) const {
    return Guarded<Made>(std::move(made), guard_);
  }
  template <typename Made>
  Guarded<Made> adopt(std::shared_ptr<const Made> made) const {
    return Guarded<Made>(std::move(made), guard_);
  }

 private:
  std::shared_ptr<const T> object_;
  detail::Guard guard_;
};

template <typename Offer>
using OffersOfKind = std::vector<Guarded<Offer>>;
using Offers = OfEachKind<OffersOfKind>;

// What a plugin's entry sees; collects what the library offers.
class Registrar {
 public:
  // `object` is of a class derived from one of those that are offers.
  template <typename T>
  void add(std::unique_ptr<T> object) {
    using Offer = typename T::Offer;
    if (!object) {
      throw Error(ErrorKind::plugin, "plugin.entry",
                  "a null " + std::string(Offer::Info::kKind) + " was added");
    }
    std::get<OffersOfKind<Offer>>(offers_).emplace_back(std::move(object), &detail::guard);
  }

  // For the host.
  Offers take() { return std::move(offers_); }

 private:
  Offers offers_;
};

// First field of the exported symbol. Never changes.
inline constexpr std::array<char, 8> kPluginMagic = {'C', 'R', 'F', 'T', 'B', 'N', 'D', 'L'};
// Layout of PluginDescriptor. The first three fields keep their place in every version.
inline constexpr std::uint32_t kPluginAbiVersion = 1;
inline constexpr char kPluginSymbol[] = "craftbundle_plugin";

// The exported symbol: plain data that can be read from any version. Strings are NUL-terminated,
// owned by the library.
struct PluginDescriptor {
  std::array<char, 8> magic;
  std::uint32_t abi_version;
  std::uint32_t struct_size;
  const char* interface_id;  // kInterfaceId of the headers the plugin was compiled with
  const char* name;          // "^[a-z][a-z0-9_-]*$"
  const char* version;       // of the plugin, "1.2.3"
  // Registers what the library offers. Never throws; on failure sets *failure and nothing it added
  // is used. Called once, from one thread.
  void (*entry)(Registrar* registrar, std::optional<Error>* failure);
};

}  // namespace craftbundle

// Defines the exported symbol. The body that follows has `registrar`, a Registrar&.
// NOLINTBEGIN(bugprone-macro-parentheses): it is the name of a parameter.
#define CRAFTBUNDLE_PLUGIN(plugin_name, plugin_version, registrar)                            \
  static void craftbundle_plugin_register(::craftbundle::Registrar& registrar);               \
  static void craftbundle_plugin_entry(::craftbundle::Registrar* offers,                      \
                                       std::optional<::craftbundle::Error>* failure) {        \
    *failure = ::craftbundle::detail::guarded(&::craftbundle::detail::guard,                  \
                                              [&] { craftbundle_plugin_register(*offers); }); \
  }                                                                                           \
  extern "C" __attribute__((visibility("default"), used))                                     \
  const ::craftbundle::PluginDescriptor craftbundle_plugin = {                                \
      ::craftbundle::kPluginMagic,                                                            \
      ::craftbundle::kPluginAbiVersion,                                                       \
      sizeof(::craftbundle::PluginDescriptor),                                                \
      ::craftbundle::kInterfaceId,                                                            \
      plugin_name,                                                                            \
      plugin_version,                                                                         \
      &craftbundle_plugin_entry};                                                             \
  static void craftbundle_plugin_register(::craftbundle::Registrar& registrar)
// NOLINTEND(bugprone-macro-parentheses)

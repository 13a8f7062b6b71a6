// What a plugin says of itself must follow the rules of plugin.h and offer.h, whether it comes
// from the library or from its sidecar.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/sidecar.h"

namespace craftbundle {

inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxVersionBytes = 64;
inline constexpr std::size_t kMaxInterfaceIdBytes = 200;

// "^[a-z][a-z0-9_-]*$", at most kMaxNameBytes.
bool is_name(std::string_view text);

// Begins with a digit; digits, letters, '.', '+', '-', '~' follow; at most kMaxVersionBytes.
bool is_version(std::string_view text);

// The first rule that `info` breaks, as a sentence without subject; nullopt: none.
std::optional<std::string> find_problem(const PluginInfo& info);

// "plugin.interface": a library built with other headers, both sides stated.
Error interface_error(const Path& library, const std::string& found);

// Why `value` is none for `option` ("expected true or false"); nullopt: it is one.
std::optional<std::string> find_problem(const OptionSpec& option, const std::string& value);

// Whether `pattern` (AcceptedSource::names) takes the pretrained name `name`.
bool matches(std::string_view pattern, std::string_view name);

// Whether a directory of `files` has all that `accepted` names.
bool fits(const AcceptedSource& accepted, const std::vector<std::string>& files);

}  // namespace craftbundle

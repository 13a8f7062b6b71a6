// Calling what plugins offer, by its description.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/host/library.h"
#include "craftbundle/detail/plugin/plugin.h"
#include "remote_codec.h"

namespace craftbundle {

// The declared options with the values given, else their defaults. `what` has them, for messages:
// "exporter 'x'". Throws Error(usage): "option.unknown", "option.value", "option.duplicate".
std::vector<OptionValue> check_options(const std::string& what,
                                       const std::vector<OptionSpec>& declared,
                                       const std::vector<OptionValue>& given);

// Where relative paths start that an exporter of `source` opens; nullopt: nowhere.
std::optional<Path> directory_of(const Source& source);

// The value of an option of type files with absolute paths; relative ones start in `directory`,
// empty: in the current one.
std::string absolute_files(const std::string& value, const Path& directory);

// Whether a library belongs to this installation, or to the build tree this program runs in.
bool is_own(const Path& library);

// Why `files` cannot be those of one bundle, if they cannot.
std::optional<std::string> find_problem(const std::vector<BundleFile>& files);

// Confidence from which an exporter knows what it sees (Probe).
inline constexpr int kSureConfidence = 50;

// Who is to blame: "/path/x.so: exporter 'x'".
template <typename Info>
std::string culprit(const FoundOffer<Info>& offer) {
  return path_text(offer.plugin->library) + ": " + std::string(Info::kKind) + " " +
         quoted(offer.info->name);
}

template <typename Offer>
const Guarded<Offer>& Host::object(const FoundOffer<typename Offer::Info>& offer) const {
  const std::vector<typename Offer::Info>& infos =
      std::get<InfosOfKind<Offer>>(offer.plugin->info.all);
  const auto place = static_cast<std::size_t>(offer.info - infos.data());
  return load(*offer.plugin).template offers<Offer>()[place];
}

}  // namespace craftbundle

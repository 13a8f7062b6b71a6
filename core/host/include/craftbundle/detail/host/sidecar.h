// The description of a plugin library that lies beside it, so that listing and choosing map no
// code: `mulaw.plugin.yaml` beside `mulaw.so`. Written by the scanner at build time
// (craftbundle_add_plugin).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/plugin/plugin.h"

namespace CRAFTBUNDLE_API craftbundle {

template <typename Offer>
using InfosOfKind = std::vector<typename Offer::Info>;
using OfferInfos = OfEachKind<InfosOfKind>;

// What a library says of itself.
struct PluginInfo {
  std::string name;
  std::string version;
  std::string interface_id;
  OfferInfos all = {};

  // Those of one kind: offers<ExporterInfo>().
  template <typename Info>
  const std::vector<Info>& offers() const {
    return std::get<std::vector<Info>>(all);
  }

  // Calls `visit(infos)` for each kind, with the vector of its descriptions.
  template <typename Visit>
  void for_each_kind(Visit&& visit) const {
    std::apply([&](const auto&... infos) { (visit(infos), ...); }, all);
  }

  friend bool operator==(const PluginInfo&, const PluginInfo&) = default;
};

// "dir/mulaw.plugin.yaml" for "dir/mulaw.so".
Path sidecar_path(const Path& library);

std::string to_sidecar(const PluginInfo& info);

// Throws Error(plugin, "plugin.sidecar") with file, line and column when `text` is no sidecar.
PluginInfo parse_sidecar(std::string_view text, const Path& file);

}  // namespace craftbundle

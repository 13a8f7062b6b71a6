#include "craftbundle/detail/api/json.h"

#include <cmath>
#include <optional>
#include <type_traits>

namespace craftbundle {
namespace {

// Of a tensor that lies in a file as it is, where: "swapped" says that its byte order is foreign to
// this machine. Compressed records have no such place.
Json place_json(const Tensor& tensor) {
  const Storage& storage = tensor.storage;
  if (storage.deflated) return {};
  return {{"path", storage.owner->file().path().string()},
          {"offset", storage.file_offset + static_cast<std::uint64_t>(tensor.layout.offset) *
                                               item_size(tensor.dtype)},
          {"strides", tensor.layout.strides},
          {"swapped", storage.swapped}};
}

Json storage_json(const TensorGroup& group, std::size_t i, const std::optional<StorageUse>& use) {
  if (!use) return {};
  Json shared = Json::array();
  for (const std::size_t other : use->shared) shared.push_back(group.tensors[other].name);
  return {
      {"key", use->key},           {"offset", use->offset},
      {"elements", use->elements}, {"contiguous", use->contiguous},
      {"shared_with", shared},     {"file", place_json(std::get<Tensor>(group.tensors[i].tensor))}};
}

Json group_json(const TensorGroup& group, const std::string& pattern) {
  const std::vector<std::optional<StorageUse>> uses = storages_of(group);
  Json json;
  json["component"] = group.name.empty() ? Json() : Json(group.name);
  json["tensors"] = Json::array();
  for (std::size_t i = 0; i < group.tensors.size(); ++i) {
    const ListedTensor& tensor = group.tensors[i];
    if (!is_meant(tensor.name, pattern)) continue;
    Json one = {{"name", tensor.name}};
    one.update(tensor_json(tensor.tensor));
    one["bytes"] = bytes_of(tensor.tensor);
    one["storage"] = storage_json(group, i, uses[i]);
    json["tensors"].push_back(std::move(one));
  }
  json["not_readable"] = group.refused;
  return json;
}

Json field_json(const std::string& text) { return text; }
Json field_json(int number) { return number; }

// A list, a word, or a description by its fields.
template <typename T>
Json field_json(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return to_string(value);
  } else if constexpr (requires { value.begin(); }) {
    Json json = Json::array();
    for (const auto& item : value) json.push_back(field_json(item));
    return json;
  } else {
    Json json;
    visit_fields(value, [&](const Field& field, const auto& member) {
      json[std::string(field.key)] = field_json(member);
    });
    return json;
  }
}

Json plugin_json(const FoundPlugin& plugin) {
  Json json;
  json["name"] = plugin.info.name;
  json["version"] = plugin.info.version;
  json["library"] = plugin.library.string();
  json["origin"] = plugin.origin;
  plugin.info.for_each_kind([&]<typename Info>(const std::vector<Info>& infos) {
    json[plural<Info>()] = field_json(infos);
  });
  return json;
}

void add_shared(const std::vector<WrittenFile>& files, Json& json) {
  if (const std::uint64_t shared = shared_bytes(files); shared > 0) json["shared_bytes"] = shared;
}

}  // namespace

Json export_json(const ExportReport& report, const std::string& layout) {
  Json json = component_json(report.component);
  std::uint64_t bytes = 0;
  std::uint64_t tensors = 0;
  for (const WrittenFile& file : report.files) {
    bytes += file.written.bytes;
    tensors += file.written.tensors;
  }
  json["file"] = report.target.string();
  json["size"] = bytes;
  json["tensors"] = tensors;
  if (report.files.size() > 1) {
    json["files"] = json_list(report.files, [](const WrittenFile& file) -> Json {
      return {{"name", file.name}, {"size", file.written.bytes}};
    });
  }
  json["layout"] = layout;
  if (report.check == ContentCheck::structure) json["check"] = "structure";
  add_shared(report.files, json);
  return json;
}

Json bundle_json(const BundleReport& report) {
  Json json = {{"directory", report.directory.string()},
               {"manifest", manifest_json(report.manifest)},
               {"warnings", report.warnings}};
  add_shared(report.files, json);
  return json;
}

Json verification_json(const Path& path, const Verification& found) {
  Json json;
  json["path"] = path.string();
  json["bytes"] = found.bytes;
  json["sound"] = found.is_sound();
  if (found.depth == VerifyOptions::Depth::structure) json["check"] = "structure";
  json["findings"] = json_list(found.findings, [](const Finding& finding) -> Json {
    return {{"outcome", to_string(finding.outcome)},
            {"file", finding.where},
            {"code", finding.code},
            {"text", finding.text},
            {"hint", finding.hint}};
  });
  json["loaders"] = Json::array();
  for (const VerifiedComponent& component : found.components) {
    for (const LoaderAnswer& answer : component.loaders) {
      json["loaders"].push_back({{"file", component.file},
                                 {"loader", answer.loader},
                                 {"loads", answer.loads},
                                 {"needs_network", answer.needs_network},
                                 {"words", answer.words}});
    }
  }
  const std::optional<bool> offline = found.is_offline();
  json["offline"] = offline ? Json(*offline) : Json(nullptr);
  json["fetches"] = found.fetched;
  json["not_compared"] = json_list(found.not_compared(), [](const FitCheck* check) -> Json {
    return {{"fact", check->name},
            {"component", check->required_by},
            {"needs", to_string(check->required.value)},
            {"found_in", check->required.origin}};
  });
  if (!found.differences.empty()) json["differences"] = Json::array();
  for (const TensorDifference& difference : found.differences) {
    json["differences"].push_back({{"file", difference.file},
                                   {"tensor", difference.name},
                                   {"type", difference.what},
                                   {"elements", difference.elements},
                                   {"largest", difference.absolute},
                                   {"relative", difference.relative}});
  }
  return json;
}

Json codec_json(const std::string& file, const std::string& input, const CodecTrial& trial) {
  const CodecRun& run = *trial.run;
  const CodecProperties& codec = trial.properties;
  Json json;
  json["file"] = file;
  json["engine"] = codec.engine;
  json["device"] = codec.device;
  json["input"] = input;
  json["sample_rate"] = codec.sample_rate;
  json["channels"] = codec.channels;
  json["seconds"] = run.seconds;
  json["frames"] = run.frames;
  json["codebooks"] = Json::array();
  for (std::size_t i = 0; i < run.use.size(); ++i) {
    const bool is_multi = !codec.frames_per_code.empty();
    json["codebooks"].push_back(
        {{"used", run.use[i].used},
         {"entries", codec.cardinality},
         {"bits_per_code", run.use[i].entropy},
         {"frames_per_code", is_multi ? codec.frames_per_code[i] : 1},
         {"bits_per_second_so_far", bits_per_second(codec, static_cast<std::int64_t>(i) + 1)}});
  }
  json["bits_per_second"] = run.bits_per_second;
  json["si_snr_db"] = std::isfinite(run.si_snr) ? Json(run.si_snr) : Json();
  json["repeats"] = codec.varies.empty();
  json["codes_per_second"] = run.codes_per_second();
  json["encode_times_real_time"] = run.encode_speed();
  json["decode_times_real_time"] = run.decode_speed();
  return json;
}

Json tensor_json(const TensorContent& tensor) {
  return {{"type", name(dtype_of(tensor))}, {"shape", shape_of(tensor)}};
}

Json tensors_json(const std::string& given, const std::vector<TensorGroup>& groups,
                  const std::string& pattern) {
  return {{"source", given}, {"groups", json_list(groups, [&](const TensorGroup& group) {
                                return group_json(group, pattern);
                              })}};
}

Json plugins_json(const Host& host) {
  Json json;
  json["plugins"] = json_list(host.plugins(), plugin_json);
  json["refused"] = json_list(host.refused(), [](const RefusedPlugin& refused) -> Json {
    return {{"library", refused.library.string()},
            {"origin", refused.origin},
            {"code", refused.code},
            {"reason", refused.reason}};
  });
  return json;
}

Json offers_json(const Host& host, const std::string& name) {
  Json json;
  PluginInfo().for_each_kind([&]<typename Info>(const std::vector<Info>&) {
    Json& list = json[plural<Info>()] = Json::array();
    for (const FoundOffer<Info>& offer : host.offers<Info>()) {
      if (offer.info->name != name && offer.plugin->info.name != name) continue;
      list.push_back(field_json(*offer.info));
    }
  });
  return json;
}

}  // namespace craftbundle

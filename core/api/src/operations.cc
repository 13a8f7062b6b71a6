#include "operations.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <limits>
#include <thread>

#include "config_json.h"
#include "craftbundle/detail/api/choice.h"
#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/codec_trial.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/pipeline/verify_page.h"
#include "craftbundle/detail/tensor/dtype_words.h"
#include "options.h"

namespace craftbundle {
namespace {

// What several operations share ------------------------------------------------------------------

ContentCheck take_check(Options& options) {
  return options.one_of("check", {"crc", "structure"}) == "crc" ? ContentCheck::crc
                                                                : ContentCheck::structure;
}

Durability take_durability(Options& options) {
  return options.flag("no-sync") ? Durability::no_sync : Durability::sync;
}

Extents take_extents(Options& options) {
  return options.flag("no-clone") ? Extents::own : Extents::shared;
}

PublishOptions take_target(Options& options, const OperationContext& context) {
  return {.force = options.flag("force"),
          .durability = take_durability(options),
          .sink = &context.sink,
          .cancellation = &context.cancellation,
          .check = take_check(options),
          .extents = take_extents(options)};
}

LayoutChoice take_layout(Options& options) {
  LayoutChoice layout;
  if (std::string name = options.text("layout"); !name.empty()) layout.name = std::move(name);
  layout.options = options.values("layout-option");
  const std::string size = options.text("shard-size");
  if (!size.empty()) layout.options.push_back({"shard-size", size});
  return layout;
}

// "half" is float16.
std::string take_dtype(Options& options) {
  const std::string word = options.text("dtype");
  const std::optional<DType> dtype = dtype_from_word(word);
  return dtype ? std::string(name(*dtype)) : word;
}

SourceWords take_weights(Options& options) {
  SourceWords words;
  words.xps = options.text("xps");
  words.state = options.text("state");
  words.dtype = take_dtype(options);
  words.dtype_of = options.text("dtype-of");
  words.average = options.texts("average");
  words.merge = options.texts("merge");
  words.fold_weight_norm = options.flag("fold-weight-norm");
  words.config_from = options.text("config-from");
  words.as_is = options.flag("as-is");
  return words;
}

SourceOptions take_lookup(Options& options) {
  SourceWords words;
  words.xps = options.text("xps");
  return words.lookup();
}

OperationEnd ended(Json result) { return {std::move(result), {}}; }

// Looking -----------------------------------------------------------------------------------------

OperationEnd inspect_operation(Options& options, const OperationContext& context) {
  const std::string given = options.required("source");
  const SourceOptions lookup = take_lookup(options);
  options.finish();
  if (const std::optional<Path> directory = bundle_of(given, lookup, context.host)) {
    return ended(
        parse_json(bundle_json(*directory, inspect_bundle(*directory, context.host)), "result"));
  }
  return ended(parse_json(to_json(inspect(context.host, given, lookup)), "result"));
}

// Of a bundle its component of the role, of anything else all.
std::vector<TensorGroup> groups_of(const std::string& given, const SourceOptions& lookup,
                                   const std::string& role, const Host& host) {
  std::vector<TensorGroup> groups = list_tensors(given, lookup, host);
  if (role.empty() || (groups.size() == 1 && groups.front().name.empty())) return groups;
  std::vector<std::string> roles;
  for (const TensorGroup& group : groups) roles.push_back(group.name);
  std::erase_if(groups, [&](const TensorGroup& group) { return group.name != role; });
  if (!groups.empty()) return groups;
  throw Error(ErrorKind::usage, "source.role",
              craftbundle::quoted(given) + " holds no component " + craftbundle::quoted(role),
              "it holds " + list_text(roles));
}

OperationEnd tensors_operation(Options& options, const OperationContext& context) {
  const std::string given = options.required("source");
  const SourceOptions lookup = take_lookup(options);
  const std::string role = options.text("component");
  const std::string pattern = options.text("pattern");
  options.finish();
  return ended(tensors_json(given, groups_of(given, lookup, role, context.host), pattern));
}

OperationEnd config_operation(Options& options, const OperationContext& context) {
  const std::string given = options.required("source");
  SourceOptions lookup = take_lookup(options);
  lookup.role = options.text("component");
  options.finish();
  const Config config = config_of(resolve_source(given, lookup, context.host), context.host);
  return ended({{"text", config.text()}, {"root", config_json(config)}});
}

// Writing -----------------------------------------------------------------------------------------

std::vector<NamedTensor> chosen_tensors(const std::vector<TensorGroup>& groups,
                                        const std::vector<std::string>& names) {
  std::vector<NamedTensor> chosen;
  std::set<std::string> missing(names.begin(), names.end());
  for (const TensorGroup& group : groups) {
    for (const ListedTensor& tensor : group.tensors) {
      if (names.empty() || missing.erase(tensor.name) > 0) {
        chosen.push_back({tensor.name, tensor.tensor});
      }
    }
  }
  if (missing.empty()) return chosen;
  const std::vector<std::string> list(missing.begin(), missing.end());
  throw Error(ErrorKind::usage, "tensors.unknown", "there is no tensor " + list_text(list));
}

OperationEnd extract_operation(Options& options, const OperationContext& context) {
  const std::string given = options.required("source");
  const Path output = options.required("output");
  const SourceOptions lookup = take_lookup(options);
  const std::string role = options.text("component");
  const std::vector<std::string> names = options.texts("tensors");
  const PublishOptions publish = take_target(options, context);
  options.finish();
  const std::vector<NamedTensor> tensors =
      chosen_tensors(groups_of(given, lookup, role, context.host), names);
  OutputFile file(output.has_parent_path() ? output.parent_path() : Path("."), publish.durability);
  file.set_extents(publish.extents);
  const WriteSummary written = write_safetensors(tensors, {}, file,
                                                 {.task = output.filename().string(),
                                                  .sink = publish.sink,
                                                  .cancellation = publish.cancellation,
                                                  .check = publish.check});
  publish.cancellation->check();
  file.publish(output, publish.force);
  return ended({{"file", output.string()}, {"size", written.bytes}, {"tensors", written.tensors}});
}

OperationEnd export_operation(Options& options, const OperationContext& context) {
  const std::string source = options.required("source");
  const std::string role = options.text("component");
  const std::string exporter = options.text("exporter");
  const std::vector<OptionValue> own = options.values("option");
  const SourceWords words = take_weights(options);
  ExportJob job;
  job.output = options.required("output");
  job.layout = take_layout(options);
  job.publish = take_target(options, context);
  options.finish();
  job.component = choose(source, words, role, exporter, own, context.host);
  return ended(export_json(export_component(context.host, job), job.layout.name));
}

OperationEnd bundle_operation(Options& options, const OperationContext& context) {
  SourceWords words;
  words.xps = options.text("xps");
  words.state = options.text("state");
  words.dtype = take_dtype(options);
  words.several = true;
  BundleJob job;
  job.output = options.required("output");
  job.layout = take_layout(options);
  job.allow_mismatch = options.flag("allow-mismatch");
  job.embed = options.flag("embed");
  job.publish = take_target(options, context);
  std::vector<Options> components = options.objects("components");
  options.finish();
  if (components.empty()) {
    throw Error(ErrorKind::usage, "bundle.empty", "no component was given",
                "name the sources of its components");
  }
  for (Options& component : components) {
    const std::string role = component.required("role");
    const std::string source = component.required("source");
    const std::string exporter = component.text("exporter");
    const std::vector<OptionValue> own = component.values("option");
    component.finish();
    job.components.push_back(choose(source, words, role, exporter, own, context.host));
  }
  return ended(bundle_json(bundle(context.host, job)));
}

OperationEnd convert_operation(Options& options, const OperationContext& context) {
  ConvertJob job;
  job.bundle = options.required("bundle");
  job.output = options.required("output");
  job.layout = take_layout(options);
  job.allow_mismatch = options.flag("allow-mismatch");
  job.embed = options.flag("embed");
  job.publish = take_target(options, context);
  options.finish();
  return ended(bundle_json(convert(context.host, job)));
}

// Checking, running, listing ----------------------------------------------------------------------

// As `verify --run`: a test signal through the codec.
std::optional<CodecTrialOptions> take_trial(Options& options, const OperationContext& context) {
  for (const char* name : {"seconds", "codebooks", "device", "threads"}) options.need(name, "run");
  CodecTrialOptions trial;
  trial.seconds = options.real("seconds", 0.1, 3600, trial.seconds);
  trial.pieces.codebooks = options.number("codebooks", 1, std::numeric_limits<int>::max(), 0);
  trial.pieces.cancellation = &context.cancellation;
  if (std::string device = options.text("device"); !device.empty()) trial.codec.device = device;
  trial.codec.threads = options.number("threads", 1, std::numeric_limits<int>::max(), 0);
  trial.sink = &context.sink;
  if (!options.flag("run")) return std::nullopt;
  return trial;
}

struct TriedCodec {
  std::string file;
  CodecTrial trial = {};
  // For a page.
  Recording original = {};
  Recording decoded = {};
};

TriedCodec code_test_signal(const Verification& found, CodecTrialOptions options,
                            const Host& host) {
  const VerifiedComponent& component = codec_of(found, host);
  TriedCodec tried = {component.file};
  options.input = [&](const CodecProperties& codec) {
    tried.original = tried.decoded = Recording(codec.sample_rate, codec.channels);
    return std::make_unique<RecordingReader>(
        test_signal(codec.sample_rate, codec.channels, options.seconds), tried.original);
  };
  options.write = [&](const Audio& audio) { tried.decoded.add(audio); };
  tried.trial = try_codec(*component.prepared, component.file, host, options);
  return tried;
}

OperationEnd verify_operation(Options& options, const OperationContext& context) {
  VerifyJob job;
  job.source = options.required("source");
  if (const std::string against = options.text("against"); !against.empty()) job.against = against;
  job.check = take_check(options);
  job.as_is = options.flag("as-is");
  job.sink = &context.sink;
  job.cancellation = &context.cancellation;
  const std::optional<CodecTrialOptions> trial = take_trial(options, context);
  const bool page = options.flag("page");
  options.finish();
  Verification found = verify(context.host, job);
  std::optional<TriedCodec> tried;
  // Weights that are not what they should be are not computed with.
  if (trial && found.is_sound()) {
    tried = code_test_signal(found, *trial, context.host);
    const std::vector<Finding>& shown = tried->trial.findings;
    found.findings.insert(found.findings.end(), shown.begin(), shown.end());
  }
  Json json = verification_json(job.source, found);
  std::optional<CodecPage> codec;
  if (tried && tried->trial.run) {
    json["codec"] = codec_json(tried->file, kTestSignal, tried->trial);
    codec.emplace(CodecPage{kTestSignal, tried->trial.properties, *tried->trial.run,
                            tried->original, tried->decoded});
  }
  if (page) json["page"] = verify_page(job.source, found, codec ? &*codec : nullptr);
  return ended(std::move(json));
}

OperationEnd run_operation(Options& options, const OperationContext& context) {
  constexpr int kMostJobs = 256;
  RunJob job;
  job.script = options.required("script");
  for (const OptionValue& setting : options.values("set")) {
    job.settings.push_back(setting.name + "=" + setting.value);
  }
  job.state_directory = options.text("state-dir");
  job.only = options.texts("only");
  job.until = options.texts("until");
  job.rerun = options.flag("rerun");
  job.force = options.flag("force");
  job.keep_going = options.flag("keep-going");
  job.jobs = options.number("jobs", 0, kMostJobs, 0);
  if (job.jobs == 0) job.jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  job.check = take_check(options);
  job.durability = take_durability(options);
  job.extents = take_extents(options);
  job.sink = &context.sink;
  job.cancellation = &context.cancellation;
  const bool page = options.flag("page");
  options.finish();
  const RunReport report = run(context.host, job);
  std::optional<Error> error = failure(report);
  // Stages that have not begun tell nothing.
  if (error ? error->kind() == ErrorKind::interrupted : context.cancellation.cancelled()) {
    error.emplace(ErrorKind::interrupted, "run.interrupted", "the run was interrupted",
                  "run it again to go on");
  }
  Json json = parse_json(to_json(report), "result");
  if (page) json["page"] = to_html(report);
  return {std::move(json), std::move(error)};
}

OperationEnd plugins_operation(Options& options, const OperationContext& context) {
  const std::string name = options.text("name");
  options.finish();
  return ended(name.empty() ? plugins_json(context.host) : offers_json(context.host, name));
}

struct Operation {
  std::string_view name;
  OperationEnd (*perform)(Options& options, const OperationContext& context);
};

constexpr std::array kOperations = {
    Operation{"inspect", inspect_operation}, Operation{"tensors", tensors_operation},
    Operation{"config", config_operation},   Operation{"extract", extract_operation},
    Operation{"export", export_operation},   Operation{"bundle", bundle_operation},
    Operation{"convert", convert_operation}, Operation{"verify", verify_operation},
    Operation{"run", run_operation},         Operation{"plugins", plugins_operation},
};

}  // namespace

OperationEnd perform(std::string_view operation, const Json& options,
                     const OperationContext& context) {
  const auto* const found = std::ranges::find(kOperations, operation, &Operation::name);
  if (found == kOperations.end()) {
    std::vector<std::string> names;
    for (const Operation& known : kOperations) names.emplace_back(known.name);
    throw Error(ErrorKind::usage, "operation.unknown",
                "there is no operation " + craftbundle::quoted(operation),
                "there are " + list_text(names, names.size()));
  }
  Options taken(options);
  return found->perform(taken, context);
}

}  // namespace craftbundle

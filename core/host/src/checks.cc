#include "checks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <deque>
#include <set>
#include <span>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/host/codec_check.h"
#include "craftbundle/detail/host/elf.h"
#include "craftbundle/detail/host/library.h"
#include "craftbundle/detail/host/reading.h"
#include "offers.h"
#include "plugin_info.h"
#include "remote_codec.h"
#include "sidecar_file.h"

namespace craftbundle {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

using Kind = AcceptedSource::Kind;

// A context that opens files from `directory` on and remembers nothing for long.
template <typename Context>
class CheckContext : public ReadingContext<Context> {
 public:
  explicit CheckContext(std::optional<Path> directory)
      : ReadingContext<Context>(std::move(directory), &Checkpoint::open, Sink::none(),
                                Cancellation::never()) {}
};

const std::vector<std::string>& odd_names() {
  static const std::vector<std::string> names = {"",
                                                 "x",
                                                 "no/such-model",
                                                 "a b",
                                                 "../../etc/passwd",
                                                 "//x",
                                                 "*",
                                                 "\x1b]0;x\x07",
                                                 "\xff\xfe",
                                                 std::string("a\0b", 3),
                                                 "%s%n",
                                                 "x/y/z/w",
                                                 "\u202eevil",
                                                 std::string(5'000, 'a')};
  return names;
}

// Things where exporters look for their own, with values that are none.
std::vector<Value> odd_values() {
  const auto dict = [](Value::Dict entries) { return Value(std::move(entries)); };
  const Value empty = dict({});
  Value deep = "end";
  for (int i = 0; i < 40; ++i) deep = dict({{"best_state", std::move(deep)}});
  Value::Dict many;
  for (int i = 0; i < 5'000; ++i)
    many.emplace_back("key" + std::to_string(i), Value(std::int64_t{i}));
  const std::string large_numbers =
      "sample_rate: 99999999999999999999\nchannels: -1\ndim: 1000000000\nn_q: 0\n";
  return {
      Value(),
      Value(std::int64_t{1}),
      Value("text"),
      Value(Value::List{}),
      Value(Value::List{empty, Value("best_state")}),
      empty,
      dict({{"", dict({{"", empty}})}}),
      dict({{"best_state", Value()}}),
      dict({{"best_state", empty}, {"xp.cfg", ""}}),
      dict({{"best_state", empty}, {"xp.cfg", "a: [1, 2"}, {"version", "1"}, {"exported", true}}),
      dict({{"best_state", dict({{"model", empty}})}, {"xp.cfg", empty}}),
      dict({{"best_state", dict({{"model", "x"}})}, {"xp.cfg", large_numbers}}),
      dict({{"best_state", Value(Value::List{})}, {"xp.cfg", Value(std::int64_t{3})}}),
      dict({{"best_state", dict({{"a", Value(std::int64_t{1})}})},
            {"xp.cfg", large_numbers},
            {"version", "1"},
            {"exported", true}}),
      dict({{"pretrained", Value(std::int64_t{5})}, {"exported", true}, {"version", "1"}}),
      dict({{"pretrained", std::string(5'000, 'a')}, {"exported", true}, {"version", "1"}}),
      dict({{"state_dict", "x"}, {"metadata", dict({{"kwargs", Value()}})}}),
      dict({{"state_dict", empty}, {"metadata", dict({{"kwargs", empty}})}}),
      Value(std::move(many)),
      std::move(deep),
  };
}

// Every source that this exporter's kinds allow: made-up names, its own names, the files that can
// be opened, and the directories whose files it names.
std::vector<Source> sources_for(const ExporterInfo& info, const std::vector<std::string>& files) {
  std::vector<Source> result;
  for (const AcceptedSource& accepted : info.accepts) {
    if (accepted.kind == Kind::pretrained) {
      for (const std::string& name : odd_names())
        result.push_back(Source::of_pretrained(name, name));
      for (const std::string& name : accepted.names) {
        result.push_back(Source::of_pretrained(name, name));
      }
      continue;
    }
    for (const std::string& file : files) {
      try {
        if (accepted.kind == Kind::directory) {
          boost::system::error_code ignored;
          if (!boost::filesystem::is_directory(file, ignored)) continue;
          const auto directory = std::make_shared<const SourceDirectory>(file);
          if (!fits(accepted, directory->files())) continue;
          result.push_back(Source::of_directory(file, directory));
          continue;
        }
        result.push_back(Source::of_checkpoint(file, Checkpoint::open(file)));
      } catch (const Error& error) {
        // Not a checkpoint: no exporter ever sees it.
        if (error.kind() != ErrorKind::input) throw;
      }
    }
  }
  return result;
}

std::string place(const ExporterInfo& info, const Source& source) {
  return "exporter " + quoted(info.name) + ", source " + quoted(source.given()) + ": ";
}

// What `action` throws.
template <typename Action>
std::optional<Error> thrown_by(Action&& action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

// Calls `visit(exporter, info, source)` for each pair until one fails. `function` is what it calls.
template <typename Visit>
CheckOutcome for_each_source(const CheckRun& run, const std::string& function, Visit&& visit) {
  const auto loaded = PluginLibrary::load(run.library);
  const std::vector<ExporterInfo>& infos = loaded->info().offers<ExporterInfo>();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    for (const Source& source : sources_for(infos[i], run.files)) {
      run.log.begin("exporter " + quoted(infos[i].name) + ": " + function, source.given());
      if (CheckOutcome outcome = visit(loaded->offers<Exporter>()[i], infos[i], source)) {
        return place(infos[i], source) + *outcome;
      }
    }
  }
  return std::nullopt;
}

CheckOutcome check_file(const CheckRun& run) {
  check_library_file(run.library);
  return std::nullopt;
}

CheckOutcome check_one_symbol(const CheckRun& run) {
  const std::vector<std::string> exported = read_elf_names(run.library).exported;
  if (exported == std::vector<std::string>{kPluginSymbol}) return std::nullopt;
  return exported.empty() ? "it exports nothing" : "it exports " + list_text(exported);
}

CheckOutcome check_loads(const CheckRun& run) {
  PluginLibrary::load(run.library);
  return std::nullopt;
}

CheckOutcome check_sidecar(const CheckRun& run) {
  const std::optional<PluginInfo> described = read_sidecar(run.library);
  if (!described) return path_text(sidecar_path(run.library)) + " is missing";
  check_same(run.library, *described, PluginLibrary::load(run.library)->info());
  return std::nullopt;
}

// Whether each offer of a kind describes itself as it did when the library was loaded.
template <typename Offer>
CheckOutcome check_info_again(const PluginLibrary& library) {
  using Info = typename Offer::Info;
  const std::vector<Info>& infos = library.info().offers<Info>();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    const Info again =
        library.offers<Offer>()[i].call([](const Offer& offer) { return offer.info(); });
    if (again == infos[i]) continue;
    return std::string(Info::kKind) + " " + quoted(again.name) +
           " describes itself in another way each time";
  }
  return std::nullopt;
}

CheckOutcome check_info(const CheckRun& run) {
  const auto loaded = PluginLibrary::load(run.library);
  CheckOutcome outcome;
  std::apply(
      [&]<typename... Offer>(const std::vector<Guarded<Offer>>&...) {
        ((outcome = outcome ? outcome : check_info_again<Offer>(*loaded)), ...);
      },
      loaded->all());
  return outcome;
}

CheckOutcome check_probe(const CheckRun& run) {
  return for_each_source(
      run, "probe()",
      [](const Guarded<Exporter>& exporter, const ExporterInfo&,
         const Source& source) -> CheckOutcome {
        const auto probe = [&] {
          return exporter.call([&](const Exporter& asked) { return asked.probe(source); });
        };
        Probe first;
        Probe second;
        if (const auto error = thrown_by([&] { first = probe(), second = probe(); })) {
          return "probe() threw: " + error->message();
        }
        if (first.confidence < 0 || first.confidence > 100) {
          return "probe() is confident by " + std::to_string(first.confidence) +
                 ", expected 0 to 100";
        }
        if (first.reason.empty()) return "probe() gives no reason";
        if (first.confidence != second.confidence || first.reason != second.reason) {
          return "probe() answers in another way each time";
        }
        return std::nullopt;
      });
}

Component prepare_by_default(const Guarded<Exporter>& exporter, const ExporterInfo& info,
                             const Source& source) {
  ExportRequest request{source, {}};
  for (const OptionSpec& option : info.options) {
    request.options.push_back({option.name, option.default_value});
  }
  CheckContext<ExportContext> context(directory_of(source));
  Component component =
      exporter.call([&](const Exporter& asked) { return asked.prepare(request, context); });
  // As the host does.
  if (auto* model = std::get_if<Model>(&component.content); model && model->family.empty()) {
    model->family = info.name;
  }
  return component;
}

// What an error says when it is not about the input, as it should be.
CheckOutcome problem_of(const Error& error, const std::string& function) {
  if (error.kind() != ErrorKind::plugin && error.kind() != ErrorKind::internal &&
      !error.message().empty()) {
    return std::nullopt;
  }
  return function + " threw " + quoted(error.code()) + ": " + error.message() +
         "; expected an Error of kind input";
}

CheckOutcome check_prepare(const CheckRun& run) {
  std::set<std::string> unused;
  for (const ExporterInfo& info : PluginLibrary::load(run.library)->info().offers<ExporterInfo>()) {
    unused.insert(info.name);
  }
  CheckOutcome outcome = for_each_source(
      run, "prepare()",
      [&](const Guarded<Exporter>& exporter, const ExporterInfo& info,
          const Source& source) -> CheckOutcome {
        Component component;
        if (const auto error =
                thrown_by([&] { component = prepare_by_default(exporter, info, source); })) {
          return problem_of(*error, "prepare()");
        }
        if (const auto problem = find_problem(component)) {
          return "prepare() makes a component whose facts are none: " + *problem;
        }
        if (source.kind() != Kind::pretrained) unused.erase(info.name);
        if (component.role == info.component) return std::nullopt;
        return "prepare() makes the role " + quoted(component.role) + ", expected " +
               quoted(info.component);
      });
  for (const std::string& name : unused) {
    run.not_checked.push_back("exporter " + quoted(name) +
                              " has made no component of a file: give a source that it takes");
  }
  return outcome;
}

// Runs `action`, which must throw an Error of this kind and code.
template <typename Action>
CheckOutcome expect_refusal(ErrorKind kind, const std::string& code, const std::string& what,
                            Action&& action) {
  std::string found = "none was thrown";
  try {
    action();
  } catch (const Error& error) {
    if (error.kind() == kind && error.code() == code) return std::nullopt;
    found = "found " + quoted(error.code()) + ": " + error.message();
  }
  return what + ": expected an Error of kind " + std::string(to_string(kind)) + " and code " +
         quoted(code) + ", " + found;
}

Audio made_up_audio(std::int64_t channels, std::int64_t samples) {
  Audio audio{1, channels, samples, {}};
  for (std::int64_t i = 0; i < channels * samples; ++i) {
    audio.data.push_back(static_cast<float>(i * 7919 % 2003) / 2003 - 0.5f);
  }
  return audio;
}

// RemoteCodec holds what comes back against the properties.
CheckOutcome try_codec(const Codec& codec, const std::vector<FitFact>& stated) {
  constexpr std::int64_t kFrames = 20;
  const CodecProperties& properties = codec.properties();
  const std::int64_t step = frame_step(properties);
  const std::int64_t frames = (kFrames + step - 1) / step * step;
  const std::int64_t samples = frames * properties.hop_length + properties.hop_length / 2;
  const Audio audio = made_up_audio(properties.channels, samples);
  codec.encode_latent(audio);
  Codes codes = codec.encode(audio, 0);
  codec.encode(audio, 1);
  codec.decode_latent(codes);
  codec.decode(codes);
  const auto misshapen = made_up_audio(properties.channels + 1, samples);
  if (CheckOutcome outcome = expect_refusal(ErrorKind::usage, "codec.shape",
                                            "encode() of audio with a channel too many",
                                            [&] { codec.encode(misshapen, 0); })) {
    return outcome;
  }
  if (codes.data.empty())
    return "encode() makes no codes of " + std::to_string(samples) + " samples";
  const std::int64_t held =
      properties.frames_per_code.empty() ? 1 : properties.frames_per_code.front();
  std::fill_n(codes.data.begin(), held, properties.cardinality);
  if (CheckOutcome outcome =
          expect_refusal(ErrorKind::input, "codec.code", "decode() of a code that is none",
                         [&] { codec.decode(codes); })) {
    return outcome;
  }
  std::string faults;
  for (const CodecFault& fault : check_codec(codec, stated)) {
    faults += (faults.empty() ? "" : "; ") + fault.text;
  }
  return faults.empty() ? CheckOutcome() : faults;
}

// Models that no exporter makes.
std::vector<Model> odd_models() {
  std::vector<Model> models(1);
  for (const char* text : {"a: 1\n", "a: {b: [1, null, x]}\nc: ???\n", "sample_rate: -1\n"}) {
    models.emplace_back().config = Config::from_yaml(text);
  }
  Tensor nothing;
  nothing.layout = {{0}, {1}, 0};
  models.emplace_back().tensors = {{"a", nothing}, {"b.weight", nothing}};
  return models;
}

// What is loaded must work; what is not must be refused for a reason.
CheckOutcome try_model(const Guarded<CodecLoader>& loader, const Model& model, bool& was_made,
                       const std::vector<FitFact>& stated = {}) {
  const auto load = [&](const CodecOptions& options) {
    return loader.call([&](const CodecLoader& asked) { return asked.load(model, options); });
  };
  std::unique_ptr<Codec> codec;
  if (const auto error = thrown_by([&] { codec = load({}); })) return problem_of(*error, "load()");
  was_made = true;
  try {
    const RemoteCodec remote(loader.adopt(std::move(codec)), "the codec");
    if (CheckOutcome outcome = try_codec(remote, stated)) return outcome;
  } catch (const Error& error) {
    return error.message();
  }
  return expect_refusal(ErrorKind::usage, "codec.device", "load() for a device that is none", [&] {
    CodecOptions options;
    options.device = "no-such-device:7";
    load(options);
  });
}

CheckOutcome check_codecs(const CheckRun& run) {
  const auto loaded = PluginLibrary::load(run.library);
  for (std::size_t i = 0; i < loaded->offers<CodecLoader>().size(); ++i) {
    const CodecLoaderInfo& info = loaded->info().offers<CodecLoaderInfo>()[i];
    const Guarded<CodecLoader>& loader = loaded->offers<CodecLoader>()[i];
    const std::string call = "codec " + quoted(info.name) + ": load() and what it makes";
    bool was_made = false;
    for (const Model& model : odd_models()) {
      run.log.begin(call, "a model of no exporter");
      bool ignored = false;
      if (CheckOutcome outcome = try_model(loader, model, ignored)) {
        return "codec " + quoted(info.name) + ", a model of no exporter: " + *outcome;
      }
    }
    const CheckOutcome outcome = for_each_source(
        run, "prepare()",
        [&](const Guarded<Exporter>& exporter, const ExporterInfo& made_by,
            const Source& source) -> CheckOutcome {
          if (std::ranges::count(info.exporters, made_by.name) == 0) return std::nullopt;
          Component component;
          const auto refused =
              thrown_by([&] { component = prepare_by_default(exporter, made_by, source); });
          if (refused || component.model() == nullptr) return std::nullopt;
          run.log.begin(call, source.given());
          return try_model(loader, *component.model(), was_made, component.provides);
        });
    if (outcome) return "codec " + quoted(info.name) + ", " + *outcome;
    if (was_made) continue;
    const std::vector<ExporterInfo>& own = loaded->info().offers<ExporterInfo>();
    const bool could_be = std::ranges::any_of(own, [&](const ExporterInfo& exporter) {
      return std::ranges::count(info.exporters, exporter.name) != 0;
    });
    run.not_checked.push_back("codec " + quoted(info.name) + " was not made: " +
                              (could_be ? "give a source that is exported by "
                                        : "this library has none of its exporters, ") +
                              list_text(info.exporters));
  }
  return std::nullopt;
}

// Takes what a stage writes and throws it away.
class CheckStageContext final : public CheckContext<StageContext> {
 public:
  CheckStageContext() : CheckContext(Path()) {}
  OutputFile& create(const std::string& /*name*/) override {
    return files_.emplace_back(boost::filesystem::temp_directory_path(), Durability::no_sync);
  }

 private:
  std::deque<OutputFile> files_;
};

CheckOutcome check_stages(const CheckRun& run) {
  const auto loaded = PluginLibrary::load(run.library);
  for (std::size_t i = 0; i < loaded->offers<StageKind>().size(); ++i) {
    const StageKindInfo& info = loaded->info().offers<StageKindInfo>()[i];
    bool was_done = false;
    for (const std::string& file : run.files) {
      StageRequest request{"check", {file}, {}};
      for (const OptionSpec& option : info.options) {
        request.options.push_back({option.name, option.default_value});
      }
      CheckStageContext context;
      run.log.begin("stage " + quoted(info.name) + ": run()", file);
      const auto do_it = [&](const StageKind& stage) { return stage.run(request, context); };
      const auto error = thrown_by([&] { loaded->offers<StageKind>()[i].call(do_it); });
      was_done = was_done || !error;
      if (!error) continue;
      if (CheckOutcome outcome = problem_of(*error, "run()")) {
        return "stage " + quoted(info.name) + ", " + quoted(file) + ": " + *outcome;
      }
    }
    if (!was_done) {
      run.not_checked.push_back("stage " + quoted(info.name) +
                                " has done nothing: give a file that it takes");
    }
  }
  return std::nullopt;
}

class LayoutCheckContext final : public CheckContext<LayoutContext> {
 public:
  LayoutCheckContext() : CheckContext(Path()) {}
  FileContentPtr program(const Component& /*component*/) override { return text_file({}); }
};

CheckOutcome check_plan(const Guarded<Layout>& layout, const LayoutInfo& info,
                        const Component& component, bool& was_planned) {
  std::vector<OptionValue> options;
  for (const OptionSpec& spec : info.options) options.push_back({spec.name, spec.default_value});
  LayoutCheckContext context;
  std::vector<BundleFile> files;
  const auto plan = [&](const Layout& asked) { return asked.plan({component}, options, context); };
  if (const auto error = thrown_by([&] { files = layout.call(plan); })) {
    return problem_of(*error, "plan()");
  }
  if (const auto problem = find_problem(files)) return "plan() " + *problem;
  was_planned = true;
  return std::nullopt;
}

// What the layout says of directories and files that may be anything.
CheckOutcome check_reading(const CheckRun& run, const Guarded<Layout>& layout,
                           const std::string& culprit) {
  for (const std::string& file : run.files) {
    run.log.begin(culprit + "sources()", file);
    LayoutCheckContext context;
    const auto read = [&](const Layout& asked) { return asked.sources(file, {}, context); };
    const auto error = thrown_by([&] { layout.call(read); });
    if (!error) continue;
    if (CheckOutcome outcome = problem_of(*error, "sources()")) {
      return culprit + quoted(file) + ": " + *outcome;
    }
  }
  return std::nullopt;
}

// The component that each exporter of the plugin makes of each source, by the layout's families.
CheckOutcome check_plans_of_sources(const CheckRun& run, const Guarded<Layout>& layout,
                                    const LayoutInfo& info, bool& was_planned) {
  return for_each_source(
      run, "prepare()",
      [&](const Guarded<Exporter>& exporter, const ExporterInfo& made_by,
          const Source& source) -> CheckOutcome {
        Component component;
        const auto refused =
            thrown_by([&] { component = prepare_by_default(exporter, made_by, source); });
        if (refused || !info.file_for(component.role)) return std::nullopt;
        if (auto* model = std::get_if<Model>(&component.content); model && model->family.empty()) {
          model->family = made_by.name;
        }
        run.log.begin("layout " + quoted(info.name) + ": plan()", source.given());
        return check_plan(layout, info, component, was_planned);
      });
}

CheckOutcome check_layouts(const CheckRun& run) {
  const auto loaded = PluginLibrary::load(run.library);
  for (std::size_t i = 0; i < loaded->offers<Layout>().size(); ++i) {
    const LayoutInfo& info = loaded->info().offers<LayoutInfo>()[i];
    const Guarded<Layout>& layout = loaded->offers<Layout>()[i];
    const auto recognize = [&](const std::vector<std::string>& names) {
      return layout.call([&](const Layout& asked) { return asked.recognize(names); });
    };
    const std::string culprit = "layout " + quoted(info.name) + ": ";
    bool was_planned = false;
    run.log.begin(culprit + "recognize()", "names of files");
    if (recognize({}).confidence != 0) return culprit + "recognize() takes an empty directory";
    for (const LayoutInfo::Part& part : info.parts) {
      const int confidence = recognize({part.file}).confidence;
      if (confidence < 0 || confidence > 100) {
        return culprit + "recognize() is sure by " + std::to_string(confidence) +
               ", expected 0 to 100";
      }
      Component component;
      component.role = part.role == "*" ? "other" : part.role;
      std::vector<Model> models = odd_models();
      for (Model& model : models) {
        if (info.families.front() != "*") model.family = info.families.front();
        component.content = std::move(model);
        run.log.begin(culprit + "plan()", "a model of no exporter");
        if (CheckOutcome outcome = check_plan(layout, info, component, was_planned)) {
          return culprit + *outcome;
        }
      }
      component.content = Reference{"org/name", {}};
      run.log.begin(culprit + "plan()", "the name of a model");
      if (CheckOutcome outcome = check_plan(layout, info, component, was_planned)) {
        return culprit + *outcome;
      }
    }
    if (CheckOutcome outcome = check_plans_of_sources(run, layout, info, was_planned)) {
      return culprit + *outcome;
    }
    if (CheckOutcome outcome = check_reading(run, layout, culprit)) return outcome;
    if (!was_planned) {
      run.not_checked.push_back("layout " + quoted(info.name) +
                                " has planned nothing: give a source of a component that it takes");
    }
  }
  return std::nullopt;
}

// A checkpoint in the old form of torch.save, whose dict has itself under the key "a".
constexpr std::string_view kHoldsItself =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  // the magic number
    "\x80\x02M\xe9\x03."                                         // version 1001
    "\x80\x02}."                                                 // of the system: nothing
    "\x80\x02}q\x00X\x01\x00\x00\x00"
    "ah\x00s."
    "\x80\x02]."sv;  // no storages

struct Check {
  std::string_view name;
  std::string_view description;
  CheckOutcome (*run)(const CheckRun& run);
};

constexpr Check kChecks[] = {
    {"file", "The file is a complete library for this machine that nobody else can write.",
     &check_file},
    {"one-symbol", "The library exports craftbundle_plugin and nothing else.", &check_one_symbol},
    {"loads",
     "The library loads with all symbols bound, and its descriptor and entry are accepted.",
     &check_loads},
    {"sidecar", "The file NAME.plugin.yaml lies beside the library and says what it says.",
     &check_sidecar},
    {"info", "info() says the same whenever it is called.", &check_info},
    {"probe",
     "probe() answers 0 to 100 with a reason for any source, always the same, and never throws.",
     &check_probe},
    {"prepare",
     "prepare() makes the role it announced, or refuses with an Error that is about the source.",
     &check_prepare},
    {"codecs",
     "load() makes a codec that does what its properties and its component's facts state, or "
     "refuses with an Error that is about the model.",
     &check_codecs},
    {"stages", "run() of a stage does its work for any file, or refuses with an Error.",
     &check_stages},
    {"layouts",
     "plan() gives files that a bundle can have, or refuses with an Error that is about the "
     "component.",
     &check_layouts},
    {kQuietCheck, "Nothing is printed to standard output.", nullptr},
};

}  // namespace

std::vector<PluginCheck> all_checks() {
  std::vector<PluginCheck> result;
  for (const Check& check : kChecks) {
    result.push_back({std::string(check.name), std::string(check.description), false, {}});
  }
  return result;
}

CheckOutcome run_check(const CheckRun& run, const std::string& name) {
  const auto* const check = std::find_if(std::begin(kChecks), std::end(kChecks),
                                         [&](const Check& c) { return c.name == name; });
  if (check == std::end(kChecks) || check->run == nullptr) return "there is no such check";
  try {
    return check->run(run);
  } catch (const Error& error) {
    return error.message();
  }
}

namespace {

constexpr std::size_t kMostOutput = 200;

// The beginning of a value as Python writes it.
std::string words(const Value& value) {
  constexpr std::size_t kMostItems = 6;
  constexpr std::size_t kLongest = 300;
  std::string text;
  const auto add_item = [&](std::size_t place, const std::string& item) {
    if (place <= kMostItems && text.size() < kLongest) {
      text += (place == 0 ? "" : ", ") + (place == kMostItems ? "..." : item);
    }
  };
  if (const auto* dict = value.get_if<Value::Dict>()) {
    for (std::size_t i = 0; i < std::min(dict->size(), kMostItems + 1); ++i) {
      add_item(i, quoted((*dict)[i].first, 40) + ": " + words((*dict)[i].second));
    }
    return "{" + text + "}";
  }
  if (const auto* list = value.get_if<Value::List>()) {
    for (std::size_t i = 0; i < std::min(list->size(), kMostItems + 1); ++i) {
      add_item(i, words((*list)[i]));
    }
    return "[" + text + "]";
  }
  if (const auto* string = value.get_if<std::string>()) return quoted(*string, 80);
  if (const auto* number = value.get_if<std::int64_t>()) return std::to_string(*number);
  if (const auto* flag = value.get_if<bool>()) return *flag ? "True" : "False";
  return "None";
}

Path output_of(const Path& log) { return log.string() + ".output"; }

// What a check could write before it died: no more than can be read back.
std::string beginning_of(const Path& path, std::size_t limit) {
  try {
    const InputFile file(path);
    std::string text(std::min<std::uint64_t>(file.size(), limit), '\0');
    file.read(0, std::as_writable_bytes(std::span(text)));
    return text;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

void CheckLog::clear() const {
  for (const Path& file : {path_, output_of(path_)}) {
    boost::system::error_code ignored;
    boost::filesystem::remove(file, ignored);
  }
}

void CheckLog::catch_output() const {
  const int fd = ::open(output_of(path_).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw system_error(errno, path_text(output_of(path_)));
  ::dup2(fd, STDOUT_FILENO);
  ::close(fd);
}

void CheckLog::begin(const std::string& call, const std::string& input) const {
  const std::string text = call + '\n' + input;
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) throw system_error(errno, path_text(path_));
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
  ::close(fd);
}

std::string CheckLog::last_call() const {
  const std::string text = beginning_of(path_, 10'000);
  const std::size_t end = text.find('\n');
  if (end == std::string::npos) return {};
  return printable(text.substr(0, end)) + " of " + quoted(text.substr(end + 1));
}

std::string CheckLog::last_input() const {
  const std::string text = beginning_of(path_, 10'000);
  const std::size_t end = text.find('\n');
  return end == std::string::npos ? std::string() : text.substr(end + 1);
}

std::string CheckLog::output() const { return beginning_of(output_of(path_), kMostOutput); }

Path OddSources::keep(const std::string& input) {
  if (std::ranges::count(files_, Path(input)) == 0) return {};
  kept_.emplace_back(input);
  return input;
}

OddSources::OddSources(const std::optional<PluginInfo>& info) {
  boost::system::error_code failure;
  directory_ = boost::filesystem::temp_directory_path(failure) /
               boost::filesystem::unique_path("craftbundle-check-%%%%%%%%%%%%", failure);
  if (!failure) boost::filesystem::create_directory(directory_, failure);
  if (failure) throw system_error(failure.value(), "a directory for temporary files");
  for (const Value& value : odd_values()) {
    const Path file = directory_ / (std::to_string(files_.size()) + ".th");
    OutputFile output(directory_, Durability::no_sync);
    write_package(value, output, {});
    output.publish(file, false);
    add(file, words(value));
  }
  OutputFile output(directory_, Durability::no_sync);
  output.write(kHoldsItself);
  add(directory_ / "holds_itself.th", "a dict that holds itself under the key 'a'");
  output.publish(files_.back(), false);
  if (!info) return;
  for (const ExporterInfo& exporter : info->offers<ExporterInfo>()) {
    for (const AcceptedSource& accepted : exporter.accepts) {
      if (accepted.kind == AcceptedSource::Kind::directory) add_directories(accepted);
    }
  }
}

// Directories that have all files that `accepted` names, with something else in them than they
// should have.
void OddSources::add_directories(const AcceptedSource& accepted) {
  const std::vector<std::string> contents = {
      "",
      "{}",
      "[]",
      "text \xff",
      R"({"sample_rate": 1e999, "n_q": -1, "model_type": ["x"], "weight_map": {"a": "../a"}})",
      std::string(100'000, '['),
      "\x02\0\0\0\0\0\0\0{}"s,                // a safetensors file of no tensors
      "\xff\xff\xff\xff\xff\xff\xff\x7f{}"s,  // one with a header of 8 EiB
      std::string(kHoldsItself),
  };
  for (const std::string& content : contents) {
    const Path directory = directory_ / ("directory_" + std::to_string(files_.size()));
    boost::system::error_code failure;
    boost::filesystem::create_directory(directory, failure);
    if (failure) throw system_error(failure.value(), path_text(directory));
    for (std::string name : accepted.names) {
      for (std::size_t star = name.find('*'); star != std::string::npos; star = name.find('*')) {
        name.replace(star, 1, "odd");
      }
      OutputFile output(directory, Durability::no_sync);
      output.write(content);
      output.publish(directory / name, true);
    }
    add(directory, "files " + list_text(accepted.names) + " that hold " + quoted(content, 80));
  }
}

void OddSources::add(Path file, std::string holds) {
  files_.push_back(std::move(file));
  holds_.push_back(std::move(holds));
}

std::string OddSources::holds(const Path& file) const {
  const auto found = std::ranges::find(files_, file);
  return found == files_.end() ? std::string()
                               : holds_[static_cast<std::size_t>(found - files_.begin())];
}

OddSources::~OddSources() {
  boost::system::error_code ignored;
  if (kept_.empty()) {
    boost::filesystem::remove_all(directory_, ignored);
    return;
  }
  for (const Path& file : files_) {
    if (std::ranges::count(kept_, file) == 0) boost::filesystem::remove_all(file, ignored);
  }
  CheckLog(log()).clear();
}

}  // namespace craftbundle

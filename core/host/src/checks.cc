#include "checks.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <deque>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/checkpoint/package.h"
#include "craftbundle/host/elf.h"
#include "craftbundle/host/library.h"
#include "remote_codec.h"
#include "sidecar_file.h"

namespace craftbundle {
namespace {

using Kind = AcceptedSource::Kind;
using namespace std::string_view_literals;

class CheckContext final : public ExportContext {
 public:
  Sink& sink() override { return Sink::none(); }
  const Cancellation& cancellation() const override { return Cancellation::never(); }
  std::shared_ptr<const Checkpoint> open(const Path& path) override {
    return Checkpoint::open(path);
  }
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

// Every source that this exporter's kinds allow: made-up names, its own names, and the files that
// can be opened.
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

// Calls `visit(exporter, info, source)` for each pair until one fails.
template <typename Visit>
CheckOutcome for_each_source(const Path& library, const std::vector<std::string>& files,
                             Visit&& visit) {
  const auto loaded = PluginLibrary::load(library);
  for (std::size_t i = 0; i < loaded->exporters().size(); ++i) {
    const ExporterInfo& info = loaded->info().exporters[i];
    for (const Source& source : sources_for(info, files)) {
      if (CheckOutcome outcome = visit(*loaded->exporters()[i], info, source)) {
        return place(info, source) + *outcome;
      }
    }
  }
  return std::nullopt;
}

CheckOutcome check_file(const Path& library, const std::vector<std::string>& /*files*/) {
  check_library_file(library);
  return std::nullopt;
}

CheckOutcome check_one_symbol(const Path& library, const std::vector<std::string>& /*files*/) {
  const std::vector<std::string> exported = read_elf_names(library).exported;
  if (exported == std::vector<std::string>{kPluginSymbol}) return std::nullopt;
  return exported.empty() ? "it exports nothing" : "it exports " + list_text(exported);
}

CheckOutcome check_loads(const Path& library, const std::vector<std::string>& /*files*/) {
  PluginLibrary::load(library);
  return std::nullopt;
}

CheckOutcome check_sidecar(const Path& library, const std::vector<std::string>& /*files*/) {
  const std::optional<PluginInfo> described = read_sidecar(library);
  if (!described) return path_text(sidecar_path(library)) + " is missing";
  check_same(library, *described, PluginLibrary::load(library)->info());
  return std::nullopt;
}

CheckOutcome check_info(const Path& library, const std::vector<std::string>& /*files*/) {
  const auto loaded = PluginLibrary::load(library);
  for (std::size_t i = 0; i < loaded->exporters().size(); ++i) {
    LineFailure failure;
    const ExporterInfo again = loaded->exporters()[i]->info(failure);
    if (failure.failed) failure.raise();
    if (!(again == loaded->info().exporters[i])) {
      return "exporter " + quoted(again.name) + " describes itself in another way each time";
    }
  }
  for (std::size_t i = 0; i < loaded->stages().size(); ++i) {
    LineFailure failure;
    const StageKindInfo again = loaded->stages()[i]->info(failure);
    if (failure.failed) failure.raise();
    if (!(again == loaded->info().stages[i])) {
      return "stage " + quoted(again.name) + " describes itself in another way each time";
    }
  }
  for (std::size_t i = 0; i < loaded->codecs().size(); ++i) {
    LineFailure failure;
    const CodecLoaderInfo again = loaded->codecs()[i]->info(failure);
    if (failure.failed) failure.raise();
    if (!(again == loaded->info().codecs[i])) {
      return "codec " + quoted(again.name) + " describes itself in another way each time";
    }
  }
  return std::nullopt;
}

CheckOutcome check_probe(const Path& library, const std::vector<std::string>& files) {
  return for_each_source(
      library, files,
      [](const LineExporter& exporter, const ExporterInfo&, const Source& source) -> CheckOutcome {
        LineFailure failure;
        const Probe first = exporter.probe(source, failure);
        const Probe second = exporter.probe(source, failure);
        if (failure.failed) return "probe() threw: " + failure.message;
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

Component prepare_by_default(const LineExporter& exporter, const ExporterInfo& info,
                             const Source& source, LineFailure& failure) {
  ExportRequest request{source, {}};
  for (const OptionSpec& option : info.options) {
    request.options.push_back({option.name, option.default_value});
  }
  CheckContext context;
  return exporter.prepare(request, context, failure);
}

// What a failure says when it is not about the input, as it should be.
CheckOutcome problem_of(const LineFailure& failure, const std::string& function) {
  if (!failure.failed || (failure.kind != ErrorKind::plugin &&
                          failure.kind != ErrorKind::internal && !failure.message.empty())) {
    return std::nullopt;
  }
  return function + " threw " + quoted(failure.code) + ": " + failure.message +
         "; expected an Error of kind input";
}

CheckOutcome check_prepare(const Path& library, const std::vector<std::string>& files) {
  return for_each_source(library, files,
                         [](const LineExporter& exporter, const ExporterInfo& info,
                            const Source& source) -> CheckOutcome {
                           LineFailure failure;
                           const Component component =
                               prepare_by_default(exporter, info, source, failure);
                           if (!failure.failed && component.role != info.component) {
                             return "prepare() makes the role " + quoted(component.role) +
                                    ", expected " + quoted(info.component);
                           }
                           return problem_of(failure, "prepare()");
                         });
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
CheckOutcome try_codec(const Codec& codec) {
  constexpr std::int64_t kFrames = 20;
  const CodecProperties& properties = codec.properties();
  const std::int64_t samples = kFrames * properties.hop_length + properties.hop_length / 2;
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
  codes.data.front() = properties.cardinality;
  return expect_refusal(ErrorKind::input, "codec.code", "decode() of a code that is none",
                        [&] { codec.decode(codes); });
}

// What is loaded must work; what is not must be refused for a reason.
CheckOutcome try_package(const LineCodecLoader& loader, const Value& package) {
  LineFailure failure;
  std::unique_ptr<LineCodec> codec = loader.load(package, {}, failure);
  if (failure.failed) return problem_of(failure, "load()");
  try {
    const RemoteCodec remote(std::move(codec), "the codec");
    if (CheckOutcome outcome = try_codec(remote)) return outcome;
  } catch (const Error& error) {
    return error.message();
  }
  return expect_refusal(ErrorKind::usage, "codec.device", "load() for a device that is none", [&] {
    CodecOptions options;
    options.device = "no-such-device:7";
    LineFailure refused;
    loader.load(package, options, refused);
    if (refused.failed) refused.raise();
  });
}

CheckOutcome check_codecs(const Path& library, const std::vector<std::string>& files) {
  const auto loaded = PluginLibrary::load(library);
  for (std::size_t i = 0; i < loaded->codecs().size(); ++i) {
    const CodecLoaderInfo& info = loaded->info().codecs[i];
    const LineCodecLoader& loader = *loaded->codecs()[i];
    for (const Value& package : odd_values()) {
      if (CheckOutcome outcome = try_package(loader, package)) {
        return "codec " + quoted(info.name) + ", a package of no exporter: " + *outcome;
      }
    }
    const CheckOutcome outcome = for_each_source(
        library, files,
        [&](const LineExporter& exporter, const ExporterInfo& made_by,
            const Source& source) -> CheckOutcome {
          if (std::ranges::count(info.exporters, made_by.name) == 0) return std::nullopt;
          LineFailure failure;
          const Component component = prepare_by_default(exporter, made_by, source, failure);
          return failure.failed ? std::nullopt : try_package(loader, component.package);
        });
    if (outcome) return "codec " + quoted(info.name) + ", " + *outcome;
  }
  return std::nullopt;
}

// Takes what a stage writes and throws it away.
class CheckStageContext final : public StageContext {
 public:
  Sink& sink() override { return Sink::none(); }
  const Cancellation& cancellation() const override { return Cancellation::never(); }
  std::shared_ptr<const Checkpoint> open(const Path& path) override {
    return Checkpoint::open(path);
  }
  OutputFile& create(const std::string& /*name*/) override {
    return files_.emplace_back(boost::filesystem::temp_directory_path(), Durability::no_sync);
  }

 private:
  std::deque<OutputFile> files_;
};

CheckOutcome check_stages(const Path& library, const std::vector<std::string>& files) {
  const auto loaded = PluginLibrary::load(library);
  for (std::size_t i = 0; i < loaded->stages().size(); ++i) {
    const StageKindInfo& info = loaded->info().stages[i];
    for (const std::string& file : files) {
      StageRequest request{"check", {file}, {}};
      for (const OptionSpec& option : info.options) {
        request.options.push_back({option.name, option.default_value});
      }
      CheckStageContext context;
      LineFailure failure;
      loaded->stages()[i]->run(request, context, failure);
      if (CheckOutcome outcome = problem_of(failure, "run()")) {
        return "stage " + quoted(info.name) + ", " + quoted(file) + ": " + *outcome;
      }
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
  CheckOutcome (*run)(const Path& library, const std::vector<std::string>& files);
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
     "load() makes a codec whose results are what its properties state, or refuses with an Error "
     "that "
     "is about the package.",
     &check_codecs},
    {"stages", "run() of a stage does its work for any file, or refuses with an Error.",
     &check_stages},
};

}  // namespace

std::vector<PluginCheck> all_checks() {
  std::vector<PluginCheck> result;
  for (const Check& check : kChecks) {
    result.push_back({std::string(check.name), std::string(check.description), false, {}});
  }
  return result;
}

CheckOutcome run_check(const Path& library, const std::string& name,
                       const std::vector<std::string>& sources) {
  const auto* const check = std::find_if(std::begin(kChecks), std::end(kChecks),
                                         [&](const Check& c) { return c.name == name; });
  if (check == std::end(kChecks)) return "there is no such check";
  try {
    return check->run(library, sources);
  } catch (const Error& error) {
    return error.message();
  }
}

OddSources::OddSources() {
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
    files_.push_back(file);
  }
  OutputFile output(directory_, Durability::no_sync);
  output.write(kHoldsItself);
  files_.push_back(directory_ / "holds_itself.th");
  output.publish(files_.back(), false);
}

OddSources::~OddSources() {
  boost::system::error_code ignored;
  boost::filesystem::remove_all(directory_, ignored);
}

}  // namespace craftbundle

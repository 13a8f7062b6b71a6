// craftbundle verify: whether a bundle is sound, what loads it, and whether its codec works.
#include <algorithm>
#include <boost/filesystem.hpp>
#include <cmath>
#include <memory>
#include <optional>

#include "arguments.h"
#include "audio.h"
#include "commands.h"
#include "craftbundle/codec.h"
#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/pipeline/verify_page.h"
#include "report.h"
#include "style.h"
#include "table.h"
#include "usage.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Reads every byte, unless --check structure is given. Nothing in the files is run or imported;
--run computes with LibTorch, in this process. Exit code 4 when something does not hold.
)";

constexpr const char* kExamples = R"(
Examples:
  craftbundle verify my_model
  craftbundle verify my_model --run
  craftbundle verify my_model --run speech.wav -o decoded.wav
  craftbundle verify my_model --run --report page.html
  craftbundle verify small.bin --against xps/77aa/checkpoint.th)";

struct Arguments {
  std::string source;
  bool json = false;
  bool run = false;
  std::string audio;   // --run FILE
  std::string output;  // -o
  bool force = false;
  std::string device = "cpu";
  int threads = 0;
  std::int64_t codebooks = 0;
  double seconds = 10;
  std::string against;
  std::string report;  // --report
  CheckArguments check;
  bool as_is = false;
  bool strict = false;
};

// What running the codec showed.
struct CodecReport {
  std::string file;
  std::string input;
  CodecTrial trial;
  // For a page.
  Recording original = {};
  Recording decoded = {};
};

CodecReport run_codec(const Arguments& arguments, const Verification& found, Session& session) {
  const VerifiedComponent& component = codec_of(found, session.host());
  CodecReport report;
  report.file = component.file;
  report.input = arguments.audio.empty() ? kTestSignal : arguments.audio;
  std::optional<AudioWriter> writer;
  CodecTrialOptions options;
  options.codec = {arguments.device, arguments.threads};
  options.seconds = arguments.seconds;
  options.sink = &session.console();
  options.pieces.codebooks = arguments.codebooks;
  options.pieces.cancellation = &session.cancellation();
  options.input = [&](const CodecProperties& codec) -> std::unique_ptr<AudioReader> {
    if (!arguments.output.empty()) {
      writer.emplace(arguments.output, codec.sample_rate, codec.channels, arguments.force);
    }
    std::unique_ptr<AudioReader> reader =
        arguments.audio.empty() ? test_signal(codec.sample_rate, codec.channels, arguments.seconds)
                                : open_audio(std::make_shared<const InputFile>(arguments.audio));
    if (arguments.report.empty()) return reader;
    report.original = report.decoded = Recording(codec.sample_rate, codec.channels);
    return std::make_unique<RecordingReader>(std::move(reader), report.original);
  };
  options.write = [&](const Audio& audio) {
    if (writer) writer->write(audio);
    if (!arguments.report.empty()) report.decoded.add(audio);
  };
  report.trial = try_codec(*component.prepared, component.file, session.host(), options);
  if (writer && report.trial.run) writer->finish();
  return report;
}

std::string decibels(double value) {
  return std::isfinite(value) ? fixed_text(value, 2) + " dB" : "none: silence";
}

// "500 frames of 4, 1.00 kbit/s"
std::string codes_text(const CodecProperties& codec, const CodecRun& run) {
  std::string text = grouped(static_cast<std::uint64_t>(run.frames)) + " frames of " +
                     std::to_string(run.codebooks);
  if (!codec.frames_per_code.empty()) {
    std::vector<std::string> rates;
    for (std::int64_t book = 0; book < run.codebooks; ++book) {
      rates.push_back(std::to_string(codec.frames_per_code[static_cast<std::size_t>(book)]));
    }
    text += ", a code for " + join(rates, ", ") + " of them";
  }
  return text + ", " + fixed_text(run.bits_per_second / 1000, 2) + " kbit/s";
}

std::string codec_text(const CodecReport& report) {
  const CodecRun& run = *report.trial.run;
  const CodecProperties& codec = report.trial.properties;
  Table table;
  table.add({"computed by", codec.engine + " on " + codec.device});
  table.add({"audio", printable(report.input) + ", " + fixed_text(run.seconds, 2) + " s at " +
                          std::to_string(codec.sample_rate) + " Hz, " +
                          counted(static_cast<std::uint64_t>(codec.channels), "channel")});
  table.add({"codes", codes_text(codec, run)});
  table.add({"SI-SNR", decibels(run.si_snr)});
  table.add({"encode", fixed_text(run.encode_speed(), 1) + " times real time, " +
                           grouped(static_cast<std::uint64_t>(run.codes_per_second())) +
                           " codes a second"});
  table.add({"decode", fixed_text(run.decode_speed(), 1) + " times real time"});
  if (!codec.varies.empty()) table.add({"repeats", "no: " + codec.varies});
  if (!codec.whole_input.empty() && run.seconds > PieceOptions().seconds) {
    table.add({"pieces", "coded in pieces of " + fixed_text(PieceOptions().seconds, 0) + " s; " +
                             codec.whole_input});
  }
  std::string text = "codec of " + printable(report.file) + "\n" + table.text();
  // The last column is the bit rate when no further codebooks are used.
  Table use({"codebook", "entries used", "bits a code", "kbit/s so far"});
  for (std::size_t i = 0; i < run.use.size(); ++i) {
    use.add({std::to_string(i),
             std::to_string(run.use[i].used) + " of " + std::to_string(codec.cardinality),
             fixed_text(run.use[i].entropy, 2),
             fixed_text(bits_per_second(codec, static_cast<std::int64_t>(i) + 1) / 1000, 2)});
  }
  return text + use.text();
}

std::string findings_text(const Verification& found) {
  Table table;
  for (std::size_t i = 0; i < found.findings.size(); ++i) {
    const Finding& finding = found.findings[i];
    const bool failed = finding.outcome == Finding::Outcome::fails;
    const bool warns = finding.outcome == Finding::Outcome::warns;
    std::string text = finding.text;
    if (failed) text += " [" + finding.code + "]";
    table.add({failed  ? paint(Tone::error, "FAILED")
               : warns ? paint(Tone::warning, "warning")
                       : paint(Tone::good, "ok"),
               finding.where.empty() ? "bundle" : finding.where, text});
    // Once for failures of a kind.
    const bool last = i + 1 == found.findings.size() || found.findings[i + 1].hint != finding.hint;
    if (last && !finding.hint.empty())
      table.add({"", "", paint(Tone::hint, "hint:") + " " + finding.hint});
  }
  return table.text();
}

std::string loaders_text(const Verification& found) {
  Table table({"loader", "file", "loads", ""});
  for (const VerifiedComponent& component : found.components) {
    for (const LoaderAnswer& answer : component.loaders) {
      const char* loads = !answer.loads ? "no" : answer.needs_network ? "with network" : "yes";
      table.add({printable(answer.loader), component.file, loads, printable(answer.words, 400)});
    }
  }
  return found.any_prepared() ? table.text() : std::string();
}

std::string not_compared_text(const Verification& found) {
  std::string text;
  for (const FitCheck* check : found.not_compared()) {
    text += "not compared: " + to_string(*check) + "\n";
  }
  return text;
}

std::string offline_text(const Verification& found) {
  if (!found.any_prepared()) return {};
  if (!found.fetched.empty()) return "offline: no, fetches " + join(found.fetched, ", ") + "\n";
  return found.is_offline() ? "offline: yes\n" : "offline: not known, a model was taken as it is\n";
}

// The tensors that differ most come first; equal ones are counted.
std::string differences_text(std::vector<TensorDifference> differences) {
  if (differences.empty()) return {};
  constexpr std::size_t kShown = 12;
  const std::size_t equal = std::erase_if(
      differences, [](const TensorDifference& difference) { return difference.absolute == 0; });
  std::ranges::stable_sort(differences, std::ranges::greater(), &TensorDifference::relative);
  Table table({"tensor", "type", "largest error", "relative (RMS)"});
  for (std::size_t i = 0; i < std::min(kShown, differences.size()); ++i) {
    const TensorDifference& difference = differences[i];
    table.add({printable(difference.name), difference.what, error_text(difference.absolute),
               error_text(difference.relative)});
  }
  std::string text = "against the original\n";
  if (!differences.empty()) text += table.text();
  if (differences.size() > kShown) {
    text += "  and " + std::to_string(differences.size() - kShown) +
            " tensors that differ less; --json has all\n";
  }
  if (equal > 0) {
    text +=
        "  " + std::to_string(equal) + (equal == 1 ? " tensor is" : " tensors are") + " equal\n";
  }
  return text;
}

std::string summary_line(const Verification& found, bool strict) {
  const auto count = [&](Finding::Outcome outcome) { return found.count(outcome); };
  const std::uint64_t failed = count(Finding::Outcome::fails);
  const std::uint64_t warnings = count(Finding::Outcome::warns);
  std::string text = failed > 0
                         ? paint(Tone::error, "failed:") + " " + std::to_string(failed) + " of " +
                               std::to_string(failed + count(Finding::Outcome::holds)) +
                               " checks do not hold"
                         : paint(Tone::good, "verified:") + " " +
                               std::to_string(count(Finding::Outcome::holds)) + " checks hold";
  if (warnings > 0) {
    text += ", " + counted(warnings, "warning");
    if (strict) text += ", with --strict a failure";
  }
  if (found.depth == VerifyOptions::Depth::structure) text += "; the contents were not checked";
  return text + "\n";
}

std::string to_text(const Arguments& arguments, const Verification& found,
                    const std::optional<CodecReport>& codec) {
  const Path path = arguments.source;
  std::string text =
      path_text(path) + ": " + human_bytes(found.bytes) + "\n" + findings_text(found);
  text += loaders_text(found) + offline_text(found) + not_compared_text(found) +
          differences_text(found.differences);
  const bool ran = codec && codec->trial.run;
  if (ran) text += codec_text(*codec);
  if (arguments.run && !ran) text += "the codec was not run, as checks do not hold\n";
  return text + summary_line(found, arguments.strict);
}

// "verify --run my_model": what follows --run is the bundle when nothing else is.
void settle_source(Arguments& arguments) {
  if (arguments.source.empty()) std::swap(arguments.source, arguments.audio);
  if (arguments.source.empty()) {
    throw Error(ErrorKind::usage, "usage.arguments", "no bundle or file was given to verify",
                "'craftbundle verify --help' shows how");
  }
  boost::system::error_code failure;
  if (!boost::filesystem::exists(arguments.source, failure)) {
    const auto target = boost::filesystem::read_symlink(arguments.source, failure);
    if (!failure) {
      throw Error(ErrorKind::input, "source.dangling",
                  path_text(arguments.source) + " is a link to " + quoted(target.string(), 4096) +
                      ", which does not exist",
                  "copy what it links to as well");
    }
    throw Error(ErrorKind::input, "source.not_found", path_text(arguments.source) + " is not there",
                "give the directory of a bundle, or an exported file");
  }
  if (!arguments.audio.empty() && !boost::filesystem::exists(arguments.audio, failure)) {
    throw Error(ErrorKind::input, "source.not_found", path_text(arguments.audio) + " is not there",
                "give an audio file, or none for a test signal");
  }
}

void write_page(const Arguments& arguments, const Verification& found,
                const std::optional<CodecReport>& codec) {
  std::optional<CodecPage> page;
  if (codec && codec->trial.run) {
    page.emplace(CodecPage{codec->input, codec->trial.properties, *codec->trial.run,
                           codec->original, codec->decoded});
  }
  const Path target = arguments.report;
  OutputFile file(target.has_parent_path() ? target.parent_path() : Path("."), Durability::no_sync);
  file.write(verify_page(arguments.source, found, page ? &*page : nullptr));
  // As a report of a run, it is made anew each time.
  file.publish(target, true);
}

int run(Arguments arguments, Session& session) {
  settle_source(arguments);
  VerifyJob job = {.source = arguments.source,
                   .check = arguments.check.check(),
                   .sink = &session.console(),
                   .cancellation = &session.cancellation()};
  if (!arguments.against.empty()) job.against = arguments.against;
  job.as_is = arguments.as_is;
  Verification found = verify(session.host(), job);
  std::optional<CodecReport> codec;
  // Weights that are not what they should be are not computed with.
  if (arguments.run && found.is_sound()) {
    codec = run_codec(arguments, found, session);
    const std::vector<Finding>& shown = codec->trial.findings;
    found.findings.insert(found.findings.end(), shown.begin(), shown.end());
  }
  const bool sound =
      found.is_sound() && !(arguments.strict && found.count(Finding::Outcome::warns) > 0);
  if (!arguments.report.empty()) write_page(arguments, found, codec);
  if (arguments.json) {
    Json json = verification_json(arguments.source, found);
    if (codec && codec->trial.run)
      json["codec"] = codec_json(codec->file, codec->input, codec->trial);
    session.print(json_document(json));
  } else if (!session.quiet() || !sound) {
    session.print(to_text(arguments, found, codec));
  }
  return sound ? kExitDone : kExitMismatch;
}

}  // namespace

void add_verify(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("verify", "Check a bundle or exported file, up to running it");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("source", arguments->source, "Bundle directory or exported file")
      ->type_name("DIR|FILE");
  CLI::Option* run_option =
      sub->add_option("--run", arguments->audio,
                      "Encode and decode audio with the codec: a file, or else a test signal")
          ->expected(0, 1)
          ->type_name("[AUDIO]");
  sub->add_option("-o,--output", arguments->output, "Write the decoded audio to this WAV file")
      ->type_name("WAV")
      ->check(no_standard_output("the report is there"))
      ->needs(run_option);
  sub->add_flag("--force", arguments->force, "Replace the WAV file that is there");
  sub->add_option("--seconds", arguments->seconds, "Length of the test signal")
      ->check(CLI::Range(0.1, 3600.0))
      ->type_name("S")
      ->needs(run_option);
  sub->add_option("--codebooks", arguments->codebooks, "Use only the first N of its codebooks")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->needs(run_option);
  sub->add_option("--device", arguments->device, "Where to compute: cpu, cuda:0")
      ->type_name("DEVICE")
      ->needs(run_option);
  sub->add_option("--threads", arguments->threads, "Threads to compute with")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->needs(run_option);
  sub->add_flag("--as-is", arguments->as_is,
                "What was exported with --as-is; a bundle says so itself");
  sub->add_option("--against", arguments->against,
                  "Report the error of each tensor against this file or directory")
      ->type_name("ORIGINAL");
  sub->add_option(
         "--report", arguments->report,
         "Write a page for browsers: checks, sizes, errors, and the codec's audio with --run")
      ->type_name("HTML");
  arguments->check.declare(
      *sub, "What is checked: every byte, or only the structure, for which no tensor is read");
  sub->add_flag("--strict", arguments->strict, "Exit code 4 for warnings, too");
  sub->add_flag("--json", arguments->json, "Print JSON");
  std::string checks = "\nChecks:\n";
  for (const VerifyCheck& check : verify_checks()) {
    checks += "  " + std::string(check.name) + std::string(12 - check.name.size(), ' ') +
              std::string(check.description) + "\n";
  }
  sub->footer(kFooter + checks + kExamples);
  sub->callback([arguments, run_option, &command] {
    arguments->run = run_option->count() > 0;
    command.json = arguments->json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app

// Plants one fault at a time into a sound bundle, and asks what `craftbundle verify` says of it:
// every failure it reports, word for word, and nothing else. And that it says nothing of what is
// sound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>
#include <sstream>
#include <utility>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/io/sha256.h"
#include "support/program.h"
#include "unit/checkpoint/pickle_pieces.h"
#include "unit/checkpoint/zip_builder.h"
#include "unit/checkpoint/zip_reader.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
namespace pickles = testing::pickles;
using nlohmann::json;
using testing::BuiltZip;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::read_file;
using testing::ReadRecord;
using testing::TemporaryDirectory;
using testing::write_file;

constexpr const char* kLm = "state_dict.bin";
constexpr const char* kCodec = "compression_state_dict.bin";
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Path golden(const std::string& name) { return Path(CRAFTBUNDLE_TEST_DATA) / "golden/data" / name; }

// --- Planting ----------------------------------------------------------------------------------

// A tensor of these numbers.
class Numbers final : public Elements {
 public:
  Numbers(std::vector<std::int64_t> shape, DType dtype, std::vector<double> numbers)
      : shape_(std::move(shape)), dtype_(dtype), numbers_(std::move(numbers)) {}

  const std::vector<std::int64_t>& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  void read(std::uint64_t first, std::span<double> out, StorageReader& /*from*/) const override {
    std::copy_n(numbers_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }
  std::vector<Storage> sources() const override { return {}; }

 private:
  std::vector<std::int64_t> shape_;
  DType dtype_;
  std::vector<double> numbers_;
};

Value zeros(DType dtype, std::vector<std::int64_t> shape) {
  std::vector<double> numbers(static_cast<std::size_t>(element_count(shape).value()));
  return ComputedTensor{
      dtype, std::make_shared<Numbers>(std::move(shape), dtype, std::move(numbers)), {}};
}

// The tensor with its first `count` elements replaced.
Value with_elements(const Value& tensor, std::size_t count, double number) {
  const ElementsPtr elements = elements_of(tensor);
  std::vector<double> numbers(static_cast<std::size_t>(elements->size()));
  elements->read(0, numbers);
  std::fill_n(numbers.begin(), count, number);
  const DType dtype = elements->dtype();
  return ComputedTensor{
      dtype, std::make_shared<Numbers>(elements->shape(), dtype, std::move(numbers)), {}};
}

// The first rows of the tensor.
Value rows(const Value& tensor, std::int64_t count) {
  Tensor part = *tensor.get_if<Tensor>();
  part.layout.shape.front() = count;
  return part;
}

Value& entry(Value::Dict& dict, const std::string& key) {
  for (auto& [name, value] : dict) {
    if (name == key) return value;
  }
  throw std::runtime_error("there is no " + key);
}

void remove(Value::Dict& dict, const std::string& key) {
  if (std::erase_if(dict, [&](const auto& item) { return item.first == key; }) != 1) {
    throw std::runtime_error("there is no " + key);
  }
}

void write(const Path& target, const Value& root) {
  OutputFile file(target.parent_path(), Durability::no_sync);
  write_package(root, file, {});
  file.publish(target, true);
}

using Change = std::function<void(Value::Dict&)>;

// The exported file is written again with its dict changed, and is a sound file of other contents.
void change(const Path& file, const Change& change) {
  const auto checkpoint = Checkpoint::open(file);
  auto root = *to_value(checkpoint->root(), *checkpoint, "").get_if<Value::Dict>();
  change(root);
  write(file, root);
}

void change_tensors(const Path& file, const Change& change_state) {
  change(file, [&](Value::Dict& root) {
    auto state = *entry(root, "best_state").get_if<Value::Dict>();
    change_state(state);
    entry(root, "best_state") = state;
  });
}

// `text` with what stands in it once replaced.
std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t place = text.find(what);
  if (place == std::string::npos || text.find(what, place + 1) != std::string::npos) {
    throw std::runtime_error("not there once: " + what);
  }
  return text.replace(place, what.size(), by);
}

void change_config(const Path& file, const std::string& what, const std::string& by) {
  change(file, [&](Value::Dict& root) {
    Value& config = entry(root, "xp.cfg");
    config = replaced(*config.get_if<std::string>(), what, by);
  });
}

void flip(const Path& file, std::size_t place) {
  std::string bytes = read_file(file);
  bytes.at(place) ^= 1;
  write_file(file, bytes);
}

// Where the data of the record whose name ends so begins.
std::size_t place_of(const Path& file, const std::string& record) {
  for (const ReadRecord& known : testing::read_zip(read_file(file))) {
    if (known.name.ends_with(record)) return known.data_offset;
  }
  throw std::runtime_error("no record " + record);
}

// The file as another zip tool packs it, with the records changed.
void repack(const Path& file, const std::function<void(BuiltZip&)>& change) {
  BuiltZip zip;
  for (const ReadRecord& record : testing::read_zip(read_file(file))) {
    zip.records.push_back({record.name, record.data});
  }
  change(zip);
  write_file(file, zip.bytes());
}

// Does `change` to the pickle of the file.
void change_pickle(const Path& file, const std::function<void(std::string&)>& change) {
  repack(file, [&](BuiltZip& zip) {
    for (auto& record : zip.records) {
      if (!record.name.ends_with("/data.pkl")) continue;
      std::string pickle = record.data;
      change(pickle);
      record = {record.name, pickle};
    }
  });
}

// Adds the key 'extra' with what `value` pushes.
void add_to_pickle(const Path& file, const std::string& value) {
  change_pickle(file, [&](std::string& pickle) {
    pickle.pop_back();
    pickle += pickles::str("extra") + value + "s.";
  });
}

// --- Looking -----------------------------------------------------------------------------------

// The rows of `outcome` ("FAILED", "warning") in what verify prints, as "FILE: TEXT", with their
// hints below them.
std::string rows_of(const std::string& output, const std::string& outcome) {
  std::string found;
  bool taken = false;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    line.erase(0, begin);
    if (line.starts_with("hint: ")) {
      if (taken) found += "  " + line + "\n";
      continue;
    }
    taken = begin == 2 && line.starts_with(outcome + "  ");
    if (!taken) continue;
    const std::size_t where = line.find_first_not_of(' ', outcome.size());
    const std::size_t end = line.find("  ", where);
    const std::size_t text = line.find_first_not_of(' ', end);
    found += line.substr(where, end - where) + ": " + line.substr(text) + "\n";
  }
  return found;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++found;
  }
  return found;
}

// A sound bundle of two files as Python exports them and model hubs keep them.
class Verify : public ::testing::Test {
 protected:
  Verify() {
    fs::create_directory(model());
    fs::copy_file(golden("musicgen_exported.bin"), model() / kLm);
    fs::copy_file(golden("encodec_exported.bin"), model() / kCodec);
  }

  Path model() const { return directory_ / "m"; }

  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle");
    return testing::run_program(arguments, directory_.path());
  }

  // What verify fails of the model, when that is why it ends.
  std::string failures() const {
    const ProgramResult result = run({"verify", "m"});
    EXPECT_EQ(result.exit_code, 4) << result.output << result.errors;
    EXPECT_EQ(result.errors, "");
    const auto failed = std::to_string(count(result.output, "\n  FAILED  "));
    EXPECT_THAT(result.output, HasSubstr("\nfailed: " + failed + " of "));
    return rows_of(result.output, "FAILED");
  }

  TemporaryDirectory directory_;
};

// --- What to do, as it stands below what was found ----------------------------------------------

const std::string kMakeAgain =
    "  hint: make the file again from its checkpoint or pretrained name with 'craftbundle "
    "export'\n";
const std::string kGetAgain =
    "  hint: get the file again from where the bundle was made, or make the bundle again\n";
const std::string kManifestAgain =
    "  hint: get bundle.json again from where the bundle was made; without it all else is still "
    "checked\n";
const std::string kCopyIt = "  hint: copy the file into the directory, or make the bundle again\n";
const std::string kDamaged = "  hint: the file is damaged; get it again from where it came from\n";
const std::string kAddTheKey =
    "  hint: the model cannot be built without it: add the key, with the value used in training\n";
const std::string kOtherModel =
    "  hint: the tensors and xp.cfg come from different models, or xp.cfg was edited after "
    "training\n";
const std::string kConfigFrom =
    "  hint: weights without a configuration: say with --config-from which model has it, a bundle, "
    "an exported file, a checkpoint or a configuration as YAML\n";
const std::string kOddElements =
    "  hint: the training diverged, or numbers were too large for the type: export another "
    "checkpoint\n";
const std::string kBelongTogether = "  hint: make the bundle of components that belong together\n";

// Warnings that every model here has, and every bundle that another tool wrote.
const std::string kFetched =
    "state_dict.bin: not part of the bundle, fetched when it is loaded unless cached: 't5-base'\n";
const std::string kNoManifest =
    "bundle: there is no bundle.json to compare sizes and SHA-256 with\n";

// --- Faults of the files -----------------------------------------------------------------------

struct Fault {
  std::string name;
  std::function<void(const Path& model)> plant;
  std::string failures;  // rows that fail
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class Planted : public Verify, public ::testing::WithParamInterface<Fault> {};

TEST_P(Planted, FaultIsFound) {
  GetParam().plant(model());
  EXPECT_EQ(failures(), GetParam().failures);
}

std::string name_of(const ::testing::TestParamInfo<Fault>& instance) { return instance.param.name; }

std::vector<Fault> container_faults() {
  return {
      {"BitOfAWeight", [](const Path& m) { flip(m / kLm, place_of(m / kLm, "/data/7") + 3); },
       "state_dict.bin: record 'data/7': CRC-32 is 3806348276, the directory says 2032012849 "
       "[zip.crc]\n"
       "  hint: the file is damaged; get or make it again\n"},
      {"BitOfThePickle", [](const Path& m) { flip(m / kLm, place_of(m / kLm, "/data.pkl") + 500); },
       "state_dict.bin: record 'data.pkl': CRC-32 is 156148327, the directory says 182854040 "
       "[zip.crc]\n"
       "  hint: the file is damaged; get or make it again\n"},
      {"CutOff", [](const Path& m) { write_file(m / kLm, read_file(m / kLm).substr(0, 100'000)); },
       "state_dict.bin: the end of the archive is missing: 97.7 KiB are only a part of it "
       "[zip.truncated]\n"
       "  hint: get the file again; the download or copy stopped early\n"},
      {"Empty", [](const Path& m) { write_file(m / kLm, ""); },
       "state_dict.bin: is empty [format.empty]\n"
       "  hint: the download or copy of it failed; get it again\n"},
      {"Text", [](const Path& m) { write_file(m / kLm, "These are the weights.\n"); },
       "state_dict.bin: is text: 'These are the weights.' [format.text]\n"
       "  hint: give a checkpoint that torch.save wrote\n"},
      {"WebPage",
       [](const Path& m) {
         write_file(m / kLm, "<!doctype html>\n<html><head><title>404</title></head></html>\n");
       },
       "state_dict.bin: is a web page, probably the answer to a download that failed "
       "[format.html]\n"
       "  hint: download the file again; it may need a login or another address\n"},
      {"PointerOfGitLfs",
       [](const Path& m) {
         write_file(
             m / kLm,
             "version https://git-lfs.github.com/spec/v1\noid sha256:"
             "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n");
       },
       "state_dict.bin: is a pointer of Git LFS; the file itself was not downloaded "
       "[format.lfs_pointer]\n"
       "  hint: run 'git lfs pull' in its repository\n"},
      {"TorchScript",
       [](const Path& m) {
         write_file(m / kLm, BuiltZip{{{"net/data.pkl", pickles::protocol2("}")},
                                       {"net/code/__torch__.py", "class M(Module): pass\n"},
                                       {"net/constants.pkl", pickles::protocol2(")")},
                                       {"net/version", "3\n"}}}
                                 .bytes());
       },
       "state_dict.bin: is a TorchScript program, which holds code instead of a checkpoint "
       "[format.torchscript]\n"
       "  hint: give the checkpoint that the program was made from\n"},
      {"TwoArchives",
       [](const Path& m) { write_file(m / kLm, read_file(m / kLm) + read_file(m / kCodec)); },
       "state_dict.bin: the file has two directories, and readers disagree about which counts "
       "[zip.ambiguous]\n"
       "  hint: it holds several archives: give the file that one of them was saved as\n"},
      {"RecordGone",
       [](const Path& m) {
         repack(m / kLm, [](BuiltZip& zip) {
           std::erase_if(zip.records,
                         [](const auto& record) { return record.name.ends_with("/data/7"); });
         });
       },
       "state_dict.bin: best_state['transformer.layers.0.self_attn.out_proj.weight']: the file has "
       "no data for storage '7' [tensor.missing_record]\n" +
           kDamaged},
      {"RecordCutOff",
       [](const Path& m) {
         repack(m / kLm, [](BuiltZip& zip) {
           for (auto& record : zip.records) {
             if (record.name.ends_with("/data/7")) record = {record.name, record.data.substr(1)};
           }
         });
       },
       "state_dict.bin: best_state['transformer.layers.0.self_attn.out_proj.weight']: storage '7' "
       "of 1024 x float16 needs 2048 bytes, the file has 2047 [tensor.record_size]\n" +
           kDamaged},
      {"Directory",
       [](const Path& m) {
         fs::remove(m / kLm);
         fs::create_directory(m / kLm);
       },
       "state_dict.bin: is a directory, expected a file [io.not_a_file]\n" + kMakeAgain},
  };
}
INSTANTIATE_TEST_SUITE_P(Container, Planted, ::testing::ValuesIn(container_faults()), name_of);

std::vector<Fault> pickle_faults() {
  return {
      {"CallOfTheShell",
       [](const Path& m) {
         add_to_pickle(m / kLm, pickles::call("os", "system", pickles::str("true")));
       },
       "state_dict.bin: would run code when Python loads it: names os.system (['extra']) "
       "[pickle.unsafe]\n"
       "  hint: do not load it in Python; get the file from someone you trust\n"},
      {"CallInTheWeights",
       [](const Path& m) {
         change_pickle(m / kCodec, [](std::string& pickle) {
           pickle.pop_back();
           pickle += pickles::str("best_state") +
                     pickles::call("builtins", "eval", pickles::str("0")) + "s.";
         });
       },
       "compression_state_dict.bin: would run code when Python loads it: names builtins.eval "
       "(['best_state']) [pickle.unsafe]\n"
       "  hint: do not load it in Python; get the file from someone you trust\n"
       "compression_state_dict.bin: the file has the key 'best_state' twice "
       "[package.duplicate_key]\n" +
           kMakeAgain},
      {"UnknownClass",
       [](const Path& m) {
         add_to_pickle(m / kLm, pickles::call("my_project.models", "Sampler", ""));
       },
       "state_dict.bin: names my_project.models.Sampler (['extra']), which no loader of models "
       "knows [pickle.unknown_name]\n"
       "  hint: 'craftbundle export' makes a copy of it without what is not part of the model\n"},
      {"EndMissing",
       [](const Path& m) {
         change_pickle(m / kLm, [](std::string& pickle) { pickle.resize(900); });
       },
       "state_dict.bin: data.pkl: byte 870 of the pickle: needs 35 bytes, but only 25 are left "
       "[pickle.truncated]\n" +
           kDamaged},
      {"UnknownInstruction",
       [](const Path& m) {
         change_pickle(m / kLm, [](std::string& pickle) { pickle[2] = '\x7f'; });
       },
       "state_dict.bin: data.pkl: byte 2 of the pickle: unknown opcode 0x7f [pickle.opcode]\n" +
           kDamaged},
  };
}
INSTANTIATE_TEST_SUITE_P(Pickle, Planted, ::testing::ValuesIn(pickle_faults()), name_of);

// --- Faults of what they hold ------------------------------------------------------------------

Fault in_package(std::string name, const char* file, const Change& how, std::string failures) {
  return {std::move(name), [=](const Path& m) { change(m / file, how); }, std::move(failures)};
}

std::vector<Fault> package_faults() {
  return {
      in_package(
          "NoState", kLm, [](Value::Dict& root) { remove(root, "best_state"); },
          "state_dict.bin: no exporter understands 'm/state_dict.bin': language_model (0%): the "
          "file is a dict with 'xp.cfg', 'version' and 'exported' [exporter.none]\n" +
              kMakeAgain),
      in_package(
          "EmptyState", kLm, [](Value::Dict& root) { entry(root, "best_state") = Value::Dict(); },
          "state_dict.bin: best_state is empty, expected tensors by name [state.empty]\n" +
              kMakeAgain),
      in_package(
          "NoConfiguration", kLm, [](Value::Dict& root) { remove(root, "xp.cfg"); },
          "state_dict.bin: the package has no 'xp.cfg', the text of the configuration "
          "[config.missing]\n" +
              kMakeAgain),
      in_package(
          "ConfigurationIsANumber", kCodec,
          [](Value::Dict& root) { entry(root, "xp.cfg") = std::int64_t{7}; },
          "compression_state_dict.bin: xp.cfg: the configuration is int 7; expected an OmegaConf "
          "DictConfig or ListConfig, a dict or a list [config.type]\n" +
              kMakeAgain),
      in_package(
          "NotExported", kLm, [](Value::Dict& root) { entry(root, "exported") = false; },
          "state_dict.bin: 'exported' is False, expected True [package.field]\n" + kMakeAgain),
      in_package(
          "VersionIsANumber", kLm, [](Value::Dict& root) { entry(root, "version") = 1.4; },
          "state_dict.bin: 'version' is float 1.4, expected the version of AudioCraft as text "
          "[package.field]\n" +
              kMakeAgain),
      in_package(
          "StateInModel", kLm,
          [](Value::Dict& root) {
            entry(root, "best_state") = Value::Dict{{"model", entry(root, "best_state")}};
          },
          "state_dict.bin: best_state['model'] is dict of 36, expected a tensor [state.value]\n" +
              kMakeAgain),
      in_package(
          "TensorIsANumber", kCodec,
          [](Value::Dict& root) {
            auto state = *entry(root, "best_state").get_if<Value::Dict>();
            entry(state, "decoder.model.15.conv.conv.bias") = 0.5;
            entry(root, "best_state") = state;
          },
          "compression_state_dict.bin: best_state['decoder.model.15.conv.conv.bias'] is float 0.5, "
          "expected a tensor [state.value]\n" +
              kMakeAgain),
      in_package(
          "StateOnly", kLm,
          [](Value::Dict& root) { root = *entry(root, "best_state").get_if<Value::Dict>(); },
          "state_dict.bin: no exporter understands 'm/state_dict.bin': language_model (0%): the "
          "file is a bare state dict of 36 entries, without a configuration [exporter.none]\n" +
              kConfigFrom),
      in_package(
          "NameNobodyResolves", kCodec,
          [](Value::Dict& root) {
            root = {{"pretrained", "dac_16khz"}, {"exported", true}, {"version", "1.4.0a2"}};
          },
          "compression_state_dict.bin: no exporter understands 'm/compression_state_dict.bin': dac "
          "(0%): a reference to a pretrained model: 'dac_16khz' is a DAC that AudioCraft has no "
          "name for; encodec (0%): a reference to a pretrained model: 'dac_16khz' names a DAC, not "
          "an EnCodec [exporter.none]\n" +
              kMakeAgain),
      in_package(
          "NameIsANumber", kCodec,
          [](Value::Dict& root) {
            root = {{"pretrained", std::int64_t{32}}, {"exported", true}, {"version", "1.4.0a2"}};
          },
          "compression_state_dict.bin: no exporter understands 'm/compression_state_dict.bin': a "
          "reference to a pretrained model without a name [exporter.none]\n" +
              kMakeAgain),
      {"TrainingCheckpoint",
       [](const Path& m) {
         fs::remove(m / kLm);
         fs::copy_file(golden("musicgen_train.th"), m / kLm);
       },
       "state_dict.bin: is no exported file: its tensors do not lie in 'best_state', where loaders "
       "look for them [package.not_exported]\n"
       "  hint: 'craftbundle export' makes an exported file of it\n"},
      {"WeightsOfAnotherLibrary",
       [](const Path& m) {
         fs::remove(m / kCodec);
         fs::copy_file(golden("dac_weights.pth"), m / kCodec);
       },
       "compression_state_dict.bin: is no exported file: its tensors do not lie in 'best_state', "
       "where loaders look for them [package.not_exported]\n"
       "  hint: 'craftbundle export' makes an exported file of it\n"
       "bundle: does not fit: sample_rate: lm needs 32000 (sample_rate in xp.cfg), compression has "
       "44100 (dac in xp.cfg) [bundle.mismatch]\n" +
           kBelongTogether},
      {"TwiceTheSameHalf",
       [](const Path& m) {
         fs::remove(m / kCodec);
         fs::copy_file(m / kLm, m / kCodec);
       },
       "compression_state_dict.bin: 'm/compression_state_dict.bin' is no component 'compression' "
       "but a component 'lm': language_model (100%): xp.cfg has lm_model: transformer_lm (solver "
       "musicgen): a language model [exporter.component]\n"
       "  hint: the files are mixed up: give each the name of its component, or make the bundle "
       "again\n"},
  };
}
INSTANTIATE_TEST_SUITE_P(Package, Planted, ::testing::ValuesIn(package_faults()), name_of);

Fault in_config(std::string name, const char* file, const std::string& what, const std::string& by,
                std::string failures) {
  return {std::move(name), [=](const Path& m) { change_config(m / file, what, by); },
          std::move(failures)};
}

// What the builders of AudioCraft read (models/builders.py, models/loaders.py).
std::vector<Fault> config_faults() {
  return {
      in_config("NoDecoder", kCodec,
                "  decoder:\n    trim_right_ratio: 1.0\n    final_activation: null\n"
                "    final_activation_params: null\n",
                "",
                "compression_state_dict.bin: xp.cfg has no 'seanet.decoder', which AudioCraft "
                "needs [config.missing]\n" +
                    kAddTheKey),
      in_config("NoQuantizer", kCodec, "rvq:\n", "other:\n",
                "compression_state_dict.bin: xp.cfg has no 'rvq', which encodec.quantizer needs "
                "[config.missing]\n" +
                    kAddTheKey),
      in_config("NoSampleRate", kCodec, "  quantizer: rvq\n  sample_rate: ${sample_rate}\n",
                "  quantizer: rvq\n",
                "compression_state_dict.bin: config key 'encodec.sample_rate' is not in the "
                "configuration [config.missing]\n" +
                    kMakeAgain),
      in_config("NoWidth", kLm, "  dim: 32\n", "",
                "state_dict.bin: config key 'transformer_lm.dim' is not in the configuration "
                "[config.missing]\n" +
                    kMakeAgain),
      in_config("NoPattern", kLm, "codebooks_pattern:\n  modeling: delay\n", "codebooks_pattern:\n",
                "state_dict.bin: xp.cfg has no 'codebooks_pattern.modeling', which AudioCraft's "
                "loader needs [config.missing]\n" +
                    kAddTheKey),
      in_config("NoGuidance", kLm, "  inference_coef: 3.0\n", "",
                "state_dict.bin: xp.cfg has no 'classifier_free_guidance.inference_coef', which "
                "AudioCraft's loader needs [config.missing]\n" +
                    kAddTheKey),
      in_config("NoDuration", kLm, "  segment_duration: 2\n", "",
                "state_dict.bin: xp.cfg has no 'dataset.segment_duration', which AudioCraft's "
                "loader needs [config.missing]\n" +
                    kAddTheKey),
      in_config("NoConditioners", kLm, "\nconditioners:\n", "\nno_conditioners:\n",
                "state_dict.bin: xp.cfg has no 'conditioners', which AudioCraft's loader needs "
                "[config.missing]\n" +
                    kAddTheKey),
      in_config("NoFuser", kLm, "\nfuser:\n", "\nno_fuser:\n",
                "state_dict.bin: xp.cfg has no 'fuser', which AudioCraft's loader needs "
                "[config.missing]\n" +
                    kAddTheKey),
      in_config("NoDropout", kLm, "attribute_dropout: {}\n", "",
                "state_dict.bin: xp.cfg has no 'attribute_dropout', which AudioCraft's loader "
                "needs [config.missing]\n" +
                    kAddTheKey),
      in_config("TextForANumber", kLm, "  num_heads: 2\n", "  num_heads: two\n",
                "state_dict.bin: config key 'transformer_lm.num_heads' is str; expected an int of "
                "at most 64 bits [config.type]\n" +
                    kMakeAgain),
      in_config("NumberForASection", kCodec, "  encoder: {}\n", "  encoder: 3\n",
                "compression_state_dict.bin: xp.cfg: seanet.encoder is no mapping, expected {} or "
                "the settings of the encoder [config.value]\n" +
                    kMakeAgain),
      in_config("NoHeads", kLm, "  num_heads: 2\n", "  num_heads: 0\n",
                "state_dict.bin: xp.cfg: transformer_lm.num_heads is 0, expected 1 to 1024 "
                "[config.value]\n" +
                    kMakeAgain),
      in_config("HeadsDoNotDivideTheWidth", kLm, "  num_heads: 2\n", "  num_heads: 5\n",
                "state_dict.bin: xp.cfg: transformer_lm.dim is 32, no multiple of the 5 of "
                "transformer_lm.num_heads [config.value]\n" +
                    kMakeAgain),
      in_config("DelaysOfFewerCodebooks", kLm, "    - 2\n    - 3\n    flatten_first",
                "    - 2\n    flatten_first",
                "state_dict.bin: xp.cfg: codebooks_pattern.delay.delays has 3 items, expected 4 "
                "for transformer_lm.n_q [config.value]\n" +
                    kMakeAgain),
      in_config("RenormalizeWhileCausal", kCodec, "  causal: false\n  renormalize: false\n",
                "  causal: true\n  renormalize: true\n",
                "compression_state_dict.bin: xp.cfg: encodec.renormalize and encodec.causal are "
                "both true, which exclude each other [config.value]\n" +
                    kMakeAgain),
      in_config("InterpolationLeadsNowhere", kCodec,
                "  quantizer: rvq\n  sample_rate: ${sample_rate}\n",
                "  quantizer: rvq\n  sample_rate: ${nowhere.rate}\n",
                "compression_state_dict.bin: config key 'encodec.sample_rate': the interpolation "
                "'nowhere.rate' refers to a key that does not exist [config.interpolation]\n" +
                    kMakeAgain),
      in_config("InterpolationInACircle", kCodec, "\nsample_rate: 32000\n",
                "\nsample_rate: ${encodec.sample_rate}\n",
                "compression_state_dict.bin: config key 'encodec.sample_rate': the interpolation "
                "'${sample_rate}' refers to itself [config.interpolation]\n" +
                    kMakeAgain),
      in_config("NoYaml", kLm, "  num_heads: 2\n", "  num_heads: [2\n",
                "state_dict.bin: xp.cfg: line 276, column 13: expected ',' or the end of the "
                "collection, found ':' "
                "[config.syntax]\n" +
                    kMakeAgain),
      in_config("NoYamlInACodec", kCodec, "rvq:\n", "rvq: [\n",
                "compression_state_dict.bin: xp.cfg: line 329, column 12: expected ',' or the "
                "end of the collection, found ':' [config.syntax]\n" +
                    kMakeAgain),
      in_config(
          "NoNameOfTheModel", kLm, "lm_model: transformer_lm\n", "",
          "state_dict.bin: xp.cfg has no 'lm_model', which AudioCraft needs [config.missing]\n" +
              kAddTheKey),
      in_package(
          "NothingOfAModel", kCodec, [](Value::Dict& root) { entry(root, "xp.cfg") = "seed: 1\n"; },
          "bundle: whether the components fit cannot be told: lm needs 'codebooks', 'cardinality', "
          "'renormalize', 'sample_rate', 'channels' and 'text_width', no other component states "
          "any "
          "of it "
          "[bundle.unchecked]\n" +
              kBelongTogether),
      in_config(
          "OtherModel", kCodec, "compression_model: encodec\n", "compression_model: vocos\n",
          "compression_state_dict.bin: xp.cfg has compression_model: vocos (solver compression): a "
          "codec, not an EnCodec [package.unknown]\n"
          "  hint: 'craftbundle plugins list' shows which exporter takes it\n"),
  };
}
INSTANTIATE_TEST_SUITE_P(Config, Planted, ::testing::ValuesIn(config_faults()), name_of);

Fault in_tensors(std::string name, const char* file, const Change& how, std::string failures) {
  return {std::move(name), [=](const Path& m) { change_tensors(m / file, how); },
          std::move(failures)};
}

void remove_last_codebook(Value::Dict& state) {
  std::erase_if(state,
                [](const auto& item) { return item.first.starts_with("quantizer.vq.layers.3."); });
}

std::vector<Fault> tensor_faults() {
  const Change without = [](Value::Dict& state) {
    remove(state, "decoder.model.15.conv.conv.bias");
  };
  const Change with_another = [](Value::Dict& state) {
    state.emplace_back("decoder.model.16.weight", zeros(DType::float32, {2}));
  };
  const Change reshape = [](Value::Dict& state) {
    entry(state, "encoder.model.0.conv.conv.bias") = zeros(DType::float32, {3});
  };
  return {
      in_tensors("Missing", kCodec, without,
                 "compression_state_dict.bin: best_state does not hold the tensors that xp.cfg "
                 "describes: 1 missing ('decoder.model.15.conv.conv.bias') [state.tensors]\n" +
                     kOtherModel),
      in_tensors("Unexpected", kCodec, with_another,
                 "compression_state_dict.bin: best_state does not hold the tensors that xp.cfg "
                 "describes: 1 unexpected ('decoder.model.16.weight') [state.tensors]\n" +
                     kOtherModel),
      in_tensors("OfAnotherShape", kCodec, reshape,
                 "compression_state_dict.bin: best_state does not hold the tensors that xp.cfg "
                 "describes: 1 of another shape ('encoder.model.0.conv.conv.bias' is [3], expected "
                 "[2]) [state.tensors]\n" +
                     kOtherModel),
      in_tensors(
          "AllAtOnce", kCodec,
          [=](Value::Dict& state) {
            without(state);
            with_another(state);
            reshape(state);
          },
          "compression_state_dict.bin: best_state does not hold the tensors that xp.cfg describes: "
          "1 missing ('decoder.model.15.conv.conv.bias'); 1 unexpected "
          "('decoder.model.16.weight'); 1 of another shape ('encoder.model.0.conv.conv.bias' is "
          "[3], expected [2]) [state.tensors]\n" +
              kOtherModel),
      in_tensors(
          "Integers", kLm,
          [](Value::Dict& state) { entry(state, "out_norm.weight") = zeros(DType::int32, {32}); },
          "state_dict.bin: best_state does not hold the tensors that xp.cfg describes: 1 of "
          "another type ('out_norm.weight' is int32, expected floating point) [state.tensors]\n" +
              kOtherModel),
      in_tensors("CodebookMissing", kCodec, remove_last_codebook,
                 "compression_state_dict.bin: best_state does not hold the tensors that xp.cfg "
                 "describes: 4 missing ('quantizer.vq.layers.3._codebook.inited', "
                 "'quantizer.vq.layers.3._codebook.cluster_size', "
                 "'quantizer.vq.layers.3._codebook.embed', "
                 "'quantizer.vq.layers.3._codebook.embed_avg') [state.tensors]\n" +
                     kOtherModel),
      in_tensors(
          "OfAnotherModel", kLm,
          [](Value::Dict& state) {
            for (auto& [name, value] : state) name = "model." + name;
          },
          "state_dict.bin: its tensors have other names than those of the model [state.tensors]\n"
          "  hint: 'craftbundle export' makes a file of it that loads\n"),
  };
}
INSTANTIATE_TEST_SUITE_P(Tensors, Planted, ::testing::ValuesIn(tensor_faults()), name_of);

std::vector<Fault> value_faults() {
  const auto spoil = [](const std::string& name, std::size_t count, double number) {
    return [=](Value::Dict& state) {
      Value& tensor = entry(state, name);
      tensor = with_elements(tensor, count, number);
    };
  };
  const std::string embedding = "emb.2.weight";
  return {
      in_tensors("NotANumber", kLm, spoil(embedding, 1, kNaN),
                 "state_dict.bin: 1 of 1056 elements of 'emb.2.weight' is not a number "
                 "[values.not_a_number]\n" +
                     kOddElements),
      in_tensors("Infinite", kCodec, spoil("quantizer.vq.layers.1._codebook.embed", 5, kInfinity),
                 "compression_state_dict.bin: 5 of 512 elements of "
                 "'quantizer.vq.layers.1._codebook.embed' are infinite [values.infinite]\n" +
                     kOddElements),
      in_tensors(
          "Both", kLm,
          [=](Value::Dict& state) {
            spoil(embedding, 7, -kInfinity)(state);
            spoil(embedding, 3, kNaN)(state);
          },
          "state_dict.bin: 3 of 1056 elements of 'emb.2.weight' are not a number "
          "[values.not_a_number]\n"
          "state_dict.bin: 4 of 1056 elements of 'emb.2.weight' are infinite [values.infinite]\n" +
              kOddElements),
      {"InATransposedTensor",
       [=](const Path& m) {
         change_tensors(m / kLm, spoil("linears.0.weight", 2, kNaN));
         change_tensors(m / kLm, [](Value::Dict& state) {
           Value& value = entry(state, "linears.0.weight");
           Tensor tensor = *value.get_if<Tensor>();
           tensor.layout.strides = {1, 32};
           value = tensor;
         });
       },
       "state_dict.bin: 2 of 1024 elements of 'linears.0.weight' are not a number "
       "[values.not_a_number]\n" +
           kOddElements},
      in_tensors(
          "TwentyTensors", kCodec,
          [](Value::Dict& state) {
            for (std::size_t i = 0; i < 20; ++i) {
              state[i].second = with_elements(state[i].second, 1, kNaN);
            }
          },
          "compression_state_dict.bin: 1 of 2 elements of 'encoder.model.0.conv.conv.bias' is not "
          "a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of 'encoder.model.0.conv.conv.weight_g' is "
          "not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 14 elements of 'encoder.model.0.conv.conv.weight_v' is "
          "not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 1 elements of 'encoder.model.1.block.1.conv.conv.bias' "
          "is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 1 elements of "
          "'encoder.model.1.block.1.conv.conv.weight_g' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 6 elements of "
          "'encoder.model.1.block.1.conv.conv.weight_v' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of 'encoder.model.1.block.3.conv.conv.bias' "
          "is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of "
          "'encoder.model.1.block.3.conv.conv.weight_g' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of "
          "'encoder.model.1.block.3.conv.conv.weight_v' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 4 elements of 'encoder.model.3.conv.conv.bias' is not "
          "a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 4 elements of 'encoder.model.3.conv.conv.weight_g' is "
          "not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 64 elements of 'encoder.model.3.conv.conv.weight_v' is "
          "not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of 'encoder.model.4.block.1.conv.conv.bias' "
          "is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 2 elements of "
          "'encoder.model.4.block.1.conv.conv.weight_g' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 24 elements of "
          "'encoder.model.4.block.1.conv.conv.weight_v' is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 1 of 4 elements of 'encoder.model.4.block.3.conv.conv.bias' "
          "is not a number [values.not_a_number]\n"
          "compression_state_dict.bin: 4 more tensors have such elements [values.more]\n" +
              kOddElements),
  };
}
INSTANTIATE_TEST_SUITE_P(Values, Planted, ::testing::ValuesIn(value_faults()), name_of);

std::vector<Fault> fit_faults() {
  return {
      {"Codebooks",
       [](const Path& m) {
         change_config(m / kCodec, "rvq:\n  n_q: 4\n", "rvq:\n  n_q: 3\n");
         change_tensors(m / kCodec, remove_last_codebook);
       },
       "bundle: does not fit: codebooks: lm needs 4 (transformer_lm.n_q in xp.cfg), compression "
       "has 3 (rvq.n_q in xp.cfg) [bundle.mismatch]\n" +
           kBelongTogether +
           "bundle: does not fit: codebooks: lm needs 4 (4 tensors emb.*.weight), compression has "
           "3 (rvq.n_q in xp.cfg) [bundle.mismatch]\n" +
           kBelongTogether},
      {"Cardinality",
       [](const Path& m) {
         change_config(m / kCodec, "  bins: 32\n", "  bins: 16\n");
         change_tensors(m / kCodec, [](Value::Dict& state) {
           for (auto& [name, value] : state) {
             if (name.ends_with(".cluster_size") || name.find(".embed") != std::string::npos) {
               value = rows(value, 16);
             }
           }
         });
       },
       "bundle: does not fit: cardinality: lm needs 32 (transformer_lm.card in xp.cfg), "
       "compression has 16 (rvq.bins in xp.cfg) [bundle.mismatch]\n" +
           kBelongTogether +
           "bundle: does not fit: cardinality: lm needs 32 (rows of the tensors emb.*.weight, less "
           "the special token), compression has 16 (rvq.bins in xp.cfg) [bundle.mismatch]\n" +
           kBelongTogether},
      in_config("SampleRate", kCodec, "\nsample_rate: 32000\n", "\nsample_rate: 24000\n",
                "bundle: does not fit: sample_rate: lm needs 32000 (sample_rate in xp.cfg), "
                "compression has 24000 (encodec.sample_rate in xp.cfg) [bundle.mismatch]\n" +
                    kBelongTogether),
      in_config("Renormalize", kCodec, "  renormalize: false\n", "  renormalize: true\n",
                "bundle: does not fit: renormalize: lm needs no (AudioCraft's language models take "
                "codes without a scale), compression has yes (encodec.renormalize in xp.cfg) "
                "[bundle.mismatch]\n" +
                    kBelongTogether),
      in_config("Channels", kLm, "\nchannels: 1\n", "\nchannels: 2\n",
                "bundle: does not fit: channels: lm needs 2 (channels in xp.cfg), compression has "
                "1 (encodec.channels in xp.cfg) [bundle.mismatch]\n" +
                    kBelongTogether),
      {"HalfMissing", [](const Path& m) { fs::remove(m / kCodec); },
       "compression_state_dict.bin: is missing: the bundle has no component 'compression' "
       "[bundle.incomplete]\n" +
           kCopyIt},
  };
}
INSTANTIATE_TEST_SUITE_P(Fit, Planted, ::testing::ValuesIn(fit_faults()), name_of);

// --- Faults of bundles with a manifest ---------------------------------------------------------

// A bundle that Craftbundle wrote.
class VerifyOwn : public Verify {
 protected:
  VerifyOwn() {
    fs::remove_all(model());
    const ProgramResult made =
        run({"bundle", "--lm", golden("musicgen_train.th").string(), "--compression",
             golden("encodec_train.th").string(), "-o", "m"});
    if (made.exit_code != 0) throw std::runtime_error(made.errors);
  }

  Path manifest() const { return model() / "bundle.json"; }

  void change_manifest(const std::function<void(json&)>& change) const {
    json manifest_json = json::parse(read_file(manifest()));
    change(manifest_json);
    write_file(manifest(), manifest_json.dump());
  }

  std::string size(const char* file) const { return std::to_string(fs::file_size(model() / file)); }
  std::string sha256(const char* file) const { return sha256_of_text(read_file(model() / file)); }
};

TEST_F(VerifyOwn, FindsAFileMissing) {
  fs::remove(model() / kCodec);
  EXPECT_EQ(failures(),
            "compression_state_dict.bin: is missing, the manifest has it as component "
            "'compression' [manifest.missing]\n" +
                kGetAgain);
}

TEST_F(VerifyOwn, FindsAnotherSize) {
  const std::string found = size(kLm);
  change_manifest([](json& manifest) { manifest["files"][0]["size"] = 1234; });
  EXPECT_EQ(failures(), "state_dict.bin: has " + found +
                            " bytes, the manifest says 1234 [manifest.size]\n" + kGetAgain);
}

TEST_F(VerifyOwn, FindsAnotherHash) {
  const std::string other(64, 'a');
  change_manifest([&](json& manifest) { manifest["files"][1]["sha256"] = other; });
  EXPECT_EQ(failures(), "compression_state_dict.bin: has the SHA-256 " + sha256(kCodec) +
                            ", the manifest says " + other + " [manifest.sha256]\n" + kGetAgain);
}

// One bit of the data: two ways to find it, both told.
TEST_F(VerifyOwn, FindsDamageTwice) {
  const std::string stated = sha256(kLm);
  flip(model() / kLm, place_of(model() / kLm, "/data/7") + 3);
  EXPECT_EQ(failures(),
            "state_dict.bin: has the SHA-256 " + sha256(kLm) + ", the manifest says " + stated +
                " [manifest.sha256]\n" + kGetAgain +
                "state_dict.bin: record 'data/7': CRC-32 is 3806348276, the directory says "
                "2032012849 [zip.crc]\n  hint: the file is damaged; get or make it again\n");
}

TEST_F(VerifyOwn, FindsFilesSwapped) {
  const std::string lm = size(kLm);
  const std::string codec = size(kCodec);
  fs::rename(model() / kLm, model() / "other");
  fs::rename(model() / kCodec, model() / kLm);
  fs::rename(model() / "other", model() / kCodec);
  EXPECT_EQ(failures(),
            "state_dict.bin: has " + codec + " bytes, the manifest says " + lm +
                " [manifest.size]\n" + kGetAgain +
                "state_dict.bin: 'm/state_dict.bin' is no component 'lm' but a component "
                "'compression': encodec (100%): xp.cfg has compression_model: encodec (solver "
                "compression): a codec [exporter.component]\n"
                "  hint: the files are mixed up: give each the name of its component, or make the "
                "bundle again\n"
                "compression_state_dict.bin: has " +
                lm + " bytes, the manifest says " + codec + " [manifest.size]\n" + kGetAgain +
                "compression_state_dict.bin: 'm/compression_state_dict.bin' is no component "
                "'compression' but a component 'lm': language_model (100%): xp.cfg has lm_model: "
                "transformer_lm (solver musicgen): a language model [exporter.component]\n"
                "  hint: the files are mixed up: give each the name of its component, or make the "
                "bundle again\n");
}

TEST_F(VerifyOwn, FindsAManifestThatIsNoJson) {
  write_file(manifest(), "{\"format_version\": 1, ");
  EXPECT_EQ(failures(), "bundle.json: no JSON: byte 23 [manifest.syntax]\n" + kManifestAgain);
}

TEST_F(VerifyOwn, FindsAManifestOfTheFuture) {
  change_manifest([](json& manifest) { manifest["format_version"] = 3; });
  EXPECT_EQ(failures(),
            "bundle.json: format_version is 3, this program reads up to 2 [manifest.version]\n"
            "  hint: use a newer craftbundle\n");
}

TEST_F(VerifyOwn, FindsAManifestWithoutAHash) {
  change_manifest([](json& manifest) { manifest["files"][0].erase("sha256"); });
  EXPECT_EQ(failures(),
            "bundle.json: files[0].sha256 is missing [manifest.missing]\n" + kManifestAgain);
}

TEST_F(VerifyOwn, FindsAManifestThatLeavesTheDirectory) {
  change_manifest([](json& manifest) { manifest["files"][0]["name"] = "../state_dict.bin"; });
  EXPECT_EQ(failures(),
            "bundle.json: files[0].name is no file name: '../state_dict.bin' [manifest.file]\n" +
                kManifestAgain);
}

TEST_F(VerifyOwn, FindsAFileThatTheManifestDoesNotHave) {
  change_manifest([](json& manifest) { manifest["components"].erase(1); });
  EXPECT_EQ(failures(),
            "compression_state_dict.bin: is there, but the manifest has no word of it "
            "[manifest.unstated]\n"
            "  hint: remove what does not belong to the bundle, or make the bundle again\n");
}

TEST_F(VerifyOwn, FindsAnEmptyManifest) {
  change_manifest([](json& manifest) {
    manifest["components"].clear();
    manifest["files"].clear();
  });
  fs::remove(model() / kLm);
  fs::remove(model() / kCodec);
  EXPECT_EQ(failures(),
            "state_dict.bin: is missing: the bundle has no component 'lm' [bundle.incomplete]\n"
            "compression_state_dict.bin: is missing: the bundle has no component 'compression' "
            "[bundle.incomplete]\n" +
                kCopyIt);
}

TEST_F(VerifyOwn, FindsAMismatchThatWasAllowed) {
  fs::remove_all(model());
  ASSERT_EQ(run({"bundle", "--lm", golden("musicgen_train.th").string(), "--compression",
                 "dac_44khz", "--allow-mismatch", "-o", "m"})
                .exit_code,
            0);
  EXPECT_EQ(
      failures(),
      "bundle: does not fit: codebooks: lm needs 4 (transformer_lm.n_q in xp.cfg), compression has "
      "9 (figures of dac_44khz) [bundle.mismatch]\n"
      "bundle: does not fit: cardinality: lm needs 32 (transformer_lm.card in xp.cfg), compression "
      "has 1024 (figures of dac_44khz) [bundle.mismatch]\n" +
          kBelongTogether +
          "bundle: does not fit: sample_rate: lm needs 32000 (sample_rate in xp.cfg), compression "
          "has 44100 (figures of dac_44khz) [bundle.mismatch]\n" +
          kBelongTogether +
          "bundle: does not fit: codebooks: lm needs 4 (4 tensors emb.*.weight), compression has 9 "
          "(figures of dac_44khz) [bundle.mismatch]\n"
          "bundle: does not fit: cardinality: lm needs 32 (rows of the tensors emb.*.weight, less "
          "the special token), compression has 1024 (figures of dac_44khz) [bundle.mismatch]\n" +
          kBelongTogether);
}

// --- Soundness ---------------------------------------------------------------------------------

TEST_F(VerifyOwn, TakesIt) {
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(rows_of(result.output, "FAILED"), "");
  EXPECT_EQ(rows_of(result.output, "warning"), kFetched);
  EXPECT_THAT(result.output, HasSubstr("\nverified: "));
}

TEST_F(Verify, TakesABundleOfAnotherTool) {
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(rows_of(result.output, "FAILED"), "");
  EXPECT_EQ(rows_of(result.output, "warning"), kNoManifest + kFetched);
}

TEST_F(Verify, TakesACodecAlone) {
  fs::remove(model() / kLm);
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(rows_of(result.output, "FAILED"), "");
  EXPECT_EQ(
      rows_of(result.output, "warning"),
      kNoManifest + "state_dict.bin: is missing: the bundle has no component 'lm'\n" + kCopyIt);
}

TEST_F(Verify, WarnsOfATensorOfZeros) {
  change_tensors(model() / kLm, [](Value::Dict& state) {
    entry(state, "out_norm.weight") = zeros(DType::float16, {32});
  });
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(
      rows_of(result.output, "warning"),
      kNoManifest + kFetched + "state_dict.bin: all 32 elements of 'out_norm.weight' are zero\n");
}

TEST_F(Verify, WarnsOfBytesBehindTheArchive) {
  write_file(model() / kLm, read_file(model() / kLm) + "xyz");
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(rows_of(result.output, "warning"),
            kNoManifest + kFetched + "state_dict.bin: 3 bytes after the archive\n");
}

// A checkpoint that can be exported, but not yet loaded.
TEST_F(Verify, WarnsOfACheckpointOfATraining) {
  const ProgramResult result = run({"verify", golden("encodec_train.th").string()});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(rows_of(result.output, "warning"),
            "encodec_train.th: is no exported file: its tensors do not lie in 'best_state', where "
            "loaders look for them\n"
            "  hint: 'craftbundle export' makes an exported file of it\n"
            "encodec_train.th: torch.load refuses it: it names 'omegaconf.dictconfig.DictConfig', "
            "'omegaconf.base.ContainerMetadata', 'typing.Any', ... and 7 more\n");
}

TEST_F(Verify, RefusesADirectoryWithoutBundle) {
  fs::remove(model() / kLm);
  fs::remove(model() / kCodec);
  const ProgramResult result = run({"verify", "m"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors,
            "error: m: no bundle: neither bundle.json nor state_dict.bin nor "
            "compression_state_dict.bin nor checkpoint.th is there [bundle.none]\n"
            "  hint: name the directory of a bundle, or a checkpoint file\n");
}

TEST_F(Verify, RefusesADirectoryOfATraining) {
  fs::create_directory(directory_ / "xp");
  fs::copy_file(golden("musicgen_train.th"), directory_ / "xp/checkpoint.th");
  const ProgramResult result = run({"verify", "xp"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.errors,
            "error: xp: holds checkpoint.th, which is no bundle yet [bundle.none]\n"
            "  hint: make one of it with 'craftbundle bundle', or name the file\n");
}

// Files of a PyTorch before 1.6 are no zip files.
TEST_F(Verify, WarnsOfAFileWithoutSums) {
  const ProgramResult result = run({"verify", golden("layout_legacy_train.th").string()});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(
      rows_of(result.output, "warning"),
      HasSubstr("layout_legacy_train.th: has no CRC-32 by which damage of the tensors could "
                "be seen\n"));
}

// Bytes that the command reads, whatever from.
std::uint64_t bytes_read_by(const std::string& command, const Path& directory) {
  const ProgramResult result =
      testing::run_program({"sh", "-c", command + " > /dev/null && cat /proc/$$/io"}, directory);
  const std::string what = "rchar: ";
  const std::size_t place = result.output.find(what);
  return place == std::string::npos ? 0 : std::stoull(result.output.substr(place + what.size()));
}

TEST_F(VerifyOwn, ReadsEachByteOnce) {
  const std::string program = std::string(CRAFTBUNDLE_PROGRAM_DIRECTORY) + "/craftbundle ";
  change(model() / kCodec,
         [](Value::Dict& root) { root.emplace_back("more", zeros(DType::float32, {6 << 20})); });
  ASSERT_EQ(run({"bundle", "--lm", (model() / kLm).string(), "--compression",
                 (model() / kCodec).string(), "-o", "made"})
                .exit_code,
            0);
  const std::uint64_t structure = bytes_read_by(program + "inspect made", directory_.path());
  if (structure == 0) GTEST_SKIP() << "this kernel does not count what processes read";
  const std::uint64_t all = bytes_read_by(program + "verify made", directory_.path());
  const std::uint64_t size =
      fs::file_size(directory_ / "made" / kLm) + fs::file_size(directory_ / "made" / kCodec);
  ASSERT_GT(size, std::uint64_t{24} << 20);
  EXPECT_GE(all - structure, size);
  EXPECT_LT(all - structure, size + size / 10);
}

// One file of every family there is.
class VerifyFile : public Verify, public ::testing::WithParamInterface<std::string> {};

TEST_P(VerifyFile, IsSound) {
  std::string file = golden(GetParam()).string();
  if (!GetParam().ends_with(".bin")) {
    const ProgramResult exported = run({"export", file, "-o", "exported.bin"});
    ASSERT_EQ(exported.exit_code, 0) << exported.errors;
    file = "exported.bin";
  }
  const ProgramResult result = run({"verify", file});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.errors, "");
  EXPECT_THAT(result.output, Not(HasSubstr("FAILED")));
  EXPECT_THAT(result.output, HasSubstr("\nverified: "));
}

INSTANTIATE_TEST_SUITE_P(
    Families, VerifyFile,
    ::testing::Values("musicgen_train.th", "musicgen_exported.bin", "musicgen_melody_train.th",
                      "musicgen_stereo_train.th", "musicgen_fsdp_train.th", "audiogen_train.th",
                      "magnet_train.th", "jasco_train.th", "jasco_exported.bin", "encodec_train.th",
                      "encodec_renorm_exported.bin", "encodec_causal_24khz_exported.bin",
                      "encodec_groupnorm_train.th", "encodec_exported.bin",
                      "layout_legacy_train.th", "layout_proto4_train.th", "layout_t27_train.th",
                      "compression_from_exported.bin", "pretrained_encodec_32khz.bin",
                      "pretrained_dac_44khz.bin", "dac_weights.pth"),
    [](const auto& instance) { return instance.param.substr(0, instance.param.find('.')); });

// --- Output for programs -----------------------------------------------------------------------

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

TEST_F(VerifyOwn, JsonHoldsEverything) {
  const ProgramResult result = run({"verify", "m", "--against", "m", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const json report = json::parse(result.output);
  EXPECT_THAT(keys_of(report), ElementsAre("bytes", "differences", "fetches", "findings", "loaders",
                                           "not_compared", "offline", "path", "sound"));
  EXPECT_EQ(report.at("path"), "m");
  EXPECT_EQ(report.at("bytes"), fs::file_size(model() / kLm) + fs::file_size(model() / kCodec));
  EXPECT_EQ(report.at("sound"), true);
  EXPECT_EQ(report.at("offline"), false);
  EXPECT_EQ(report.at("fetches"), json({"t5-base"}));
  for (const json& finding : report.at("findings")) {
    EXPECT_THAT(keys_of(finding), ElementsAre("code", "file", "hint", "outcome", "text"));
    EXPECT_NE(finding.at("outcome"), "fails");
    EXPECT_EQ(finding.at("code"), "");
  }
  for (const json& loader : report.at("loaders")) {
    EXPECT_THAT(keys_of(loader), ElementsAre("file", "loader", "loads", "needs_network", "words"));
  }
  for (const json& difference : report.at("differences")) {
    EXPECT_THAT(keys_of(difference),
                ElementsAre("elements", "file", "largest", "relative", "tensor", "type"));
    EXPECT_EQ(difference.at("largest"), 0.0);
  }
}

// What AudioCraft does with a file: its first release that does, whether, and whether from the
// network.
struct Loads {
  std::string file;
  std::string loader;
  bool loads;
  bool needs_network;
};

void PrintTo(const Loads& loads, std::ostream* out) { *out << loads.file; }

class VerifyLoaders : public Verify, public ::testing::WithParamInterface<Loads> {};

TEST_P(VerifyLoaders, AreTold) {
  ASSERT_EQ(run({"export", golden(GetParam().file).string(), "-o", "exported.bin"}).exit_code, 0);
  const json report = json::parse(run({"verify", "exported.bin", "--json"}).output);
  const json& loaders = report.at("loaders");
  ASSERT_EQ(loaders.size(), 3u);
  EXPECT_EQ(loaders[0].at("loader"), "torch.load, weights_only");
  EXPECT_EQ(loaders[0].at("loads"), true);
  EXPECT_EQ(loaders[1].at("loader"), GetParam().loader);
  EXPECT_EQ(loaders[1].at("loads"), GetParam().loads);
  EXPECT_EQ(loaders[1].at("needs_network"), GetParam().needs_network);
  EXPECT_EQ(loaders[2].at("loader"), "transformers");
  EXPECT_EQ(loaders[2].at("loads"), false);
}

INSTANTIATE_TEST_SUITE_P(
    Families, VerifyLoaders,
    ::testing::Values(Loads{"musicgen_train.th", "AudioCraft 1.0 and later", true, true},
                      Loads{"musicgen_stereo_train.th", "AudioCraft 1.2 and later", true, true},
                      Loads{"audiogen_train.th", "AudioCraft 1.0 and later", true, true},
                      Loads{"magnet_train.th", "AudioCraft 1.3 and later", true, true},
                      Loads{"encodec_train.th", "AudioCraft 1.0 and later", true, false},
                      Loads{"pretrained_encodec_32khz.bin", "AudioCraft 1.0 and later", true, true},
                      Loads{"pretrained_dac_44khz.bin", "AudioCraft 1.1 and later", true, true},
                      Loads{"dac_weights.pth", "AudioCraft", false, false}),
    [](const auto& instance) {
      return instance.param.file.substr(0, instance.param.file.find('.'));
    });

TEST_F(Verify, JsonTellsAFailure) {
  fs::remove(model() / kCodec);
  const ProgramResult result = run({"verify", "m", "--json"});
  EXPECT_EQ(result.exit_code, 4);
  const json report = json::parse(result.output);
  EXPECT_EQ(report.at("sound"), false);
  std::vector<json> failed;
  for (const json& finding : report.at("findings")) {
    if (finding.at("outcome") == "fails") failed.push_back(finding);
  }
  EXPECT_THAT(failed, ElementsAre(json{
                          {"outcome", "fails"},
                          {"file", kCodec},
                          {"code", "bundle.incomplete"},
                          {"text", "is missing: the bundle has no component 'compression'"},
                          {"hint", "copy the file into the directory, or make the bundle again"}}));
}

TEST_F(Verify, JsonOfSourcesThatAreNotThereIsAnError) {
  const ProgramResult result = run({"verify", "missing", "--json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(json::parse(result.output).at("error").at("code"), "source.not_found");
}

TEST_F(Verify, QuietlySaysNothingOfWhatIsSound) {
  const ProgramResult sound = run({"-q", "verify", "m"});
  EXPECT_EQ(sound.exit_code, 0);
  EXPECT_EQ(sound.output, "");
  fs::remove(model() / kCodec);
  const ProgramResult faulty = run({"-q", "verify", "m"});
  EXPECT_EQ(faulty.exit_code, 4);
  EXPECT_THAT(faulty.output, HasSubstr("FAILED"));
}

// --- Against the original ----------------------------------------------------------------------

TEST_F(Verify, MeasuresRoundingAgainstTheOriginal) {
  ASSERT_EQ(
      run({"export", "m/compression_state_dict.bin", "-O", "dtype=float16", "-o", "small.bin"})
          .exit_code,
      0);
  const ProgramResult result =
      run({"verify", "small.bin", "--against", "m/compression_state_dict.bin", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.output << result.errors;
  const json report = json::parse(result.output);
  std::size_t rounded = 0;
  for (const json& difference : report.at("differences")) {
    // Half of the distance of two numbers of 11 bits.
    EXPECT_LE(difference.at("relative"), 1.0 / 2048) << difference;
    if (difference.at("type") == "float32 to float16") ++rounded;
  }
  EXPECT_GT(rounded, 100u);
}

TEST_F(Verify, SeesWeightsOfAnotherTraining) {
  fs::copy_file(model() / kCodec, directory_ / "other.bin");
  change_tensors(directory_ / "other.bin", [](Value::Dict& state) {
    Value& tensor = entry(state, "encoder.model.0.conv.conv.weight_v");
    tensor = with_elements(tensor, 1, 100);
  });
  const ProgramResult result =
      run({"verify", "m/compression_state_dict.bin", "--against", "other.bin"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(
      result.output,
      HasSubstr("\nagainst the original\n"
                "  tensor                              type     largest error  relative (RMS)\n"
                "  encoder.model.0.conv.conv.weight_v  float32  1.00e+02       1.00e+00\n"
                "  115 tensors are equal\n"));
}

TEST_F(Verify, TakesNotANumberForTheLargestDifference) {
  fs::copy_file(model() / kCodec, directory_ / "other.bin");
  change_tensors(directory_ / "other.bin", [](Value::Dict& state) {
    Value& tensor = entry(state, "encoder.model.0.conv.conv.weight_v");
    tensor = with_elements(tensor, 1, kNaN);
  });
  const ProgramResult result =
      run({"verify", "m/compression_state_dict.bin", "--against", "other.bin"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output,
              ContainsRegex("\n  encoder.model.0.conv.conv.weight_v +float32 +inf +inf\n"));
}

TEST_F(Verify, FindsTensorsThatTheOriginalDoesNotHave) {
  fs::copy_file(model() / kCodec, directory_ / "other.bin");
  change_config(directory_ / "other.bin", "rvq:\n  n_q: 4\n", "rvq:\n  n_q: 3\n");
  change_tensors(directory_ / "other.bin", remove_last_codebook);
  const ProgramResult result =
      run({"verify", "m/compression_state_dict.bin", "--against", "other.bin"});
  EXPECT_EQ(result.exit_code, 4) << result.errors;
  EXPECT_EQ(
      rows_of(result.output, "FAILED"),
      "compression_state_dict.bin: other.bin has no tensor to compare with for "
      "'quantizer.vq.layers.3._codebook.inited', 'quantizer.vq.layers.3._codebook.cluster_size', "
      "'quantizer.vq.layers.3._codebook.embed' and 'quantizer.vq.layers.3._codebook.embed_avg' "
      "[verify.against]\n");
}

TEST_F(Verify, RefusesAnOriginalOfTheOtherHalf) {
  const ProgramResult result =
      run({"verify", "m/compression_state_dict.bin", "--against", "m/state_dict.bin"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.errors,
            "error: the original: 'm/state_dict.bin' is no component 'compression' but a component "
            "'lm': language_model (100%): xp.cfg has lm_model: transformer_lm (solver musicgen): a "
            "language model [exporter.component]\n"
            "  hint: give the file that it was made from\n");
}

TEST_F(Verify, RefusesAnOriginalThatIsNotThere) {
  const ProgramResult result = run({"verify", "m", "--against", "missing.th"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors,
            "error: missing.th is not there to compare with [verify.against]\n"
            "  hint: give the file or directory that m was made from\n");
}

TEST_F(Verify, RefusesADirectoryWithoutTheOriginal) {
  fs::create_directory(directory_ / "empty");
  const ProgramResult result = run({"verify", "m", "--against", "empty"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.errors,
            "error: empty has no 'state_dict.bin' to compare with [verify.against]\n"
            "  hint: give the file that it was made from\n");
}

TEST_F(Verify, RefusesAnOriginalThatIsNone) {
  write_file(directory_ / "other.bin", "text\n");
  const ProgramResult result = run({"verify", "m/state_dict.bin", "--against", "other.bin"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.errors,
            "error: the original: other.bin: is text: 'text' [format.text]\n"
            "  hint: give a checkpoint that torch.save wrote\n");
}

// --- Running the codec -------------------------------------------------------------------------

class VerifyRun : public Verify {
 protected:
  void SetUp() override {
    if (!fs::exists(Path(CRAFTBUNDLE_PLUGINS) / "codecs.so")) {
      GTEST_SKIP() << "this build runs no codecs";
    }
  }
};

TEST_F(VerifyRun, MeasuresTheCodec) {
  const ProgramResult result =
      run({"verify", "m", "--run", "--seconds", "0.5", "-o", "decoded.wav", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const json codec = json::parse(result.output).at("codec");
  EXPECT_THAT(
      keys_of(codec),
      ElementsAre("bits_per_second", "channels", "codebooks", "codes_per_second",
                  "decode_times_real_time", "device", "encode_times_real_time", "engine", "file",
                  "frames", "input", "repeats", "sample_rate", "seconds", "si_snr_db"));
  EXPECT_EQ(codec.at("file"), kCodec);
  EXPECT_EQ(codec.at("sample_rate"), 32000);
  EXPECT_EQ(codec.at("channels"), 1);
  EXPECT_EQ(codec.at("seconds"), 0.5);
  EXPECT_EQ(codec.at("frames"), 25);  // of 640 samples
  EXPECT_EQ(codec.at("codebooks").size(), 4u);
  EXPECT_EQ(codec.at("codebooks")[1].at("bits_per_second_so_far"), 500.0);
  EXPECT_EQ(codec.at("bits_per_second"), 1000.0);  // 50 frames of 4 codes of 5 bits
  // Its samples are float32.
  EXPECT_GE(fs::file_size(directory_ / "decoded.wav"), 16000u * 4);
}

TEST_F(VerifyRun, DoesNotRunWhatIsNotSound) {
  flip(model() / kCodec, place_of(model() / kCodec, "/data/7"));
  const ProgramResult result = run({"verify", "m", "--run", "-o", "decoded.wav"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("\nthe codec was not run, as checks do not hold\n"));
  EXPECT_FALSE(fs::exists(directory_ / "decoded.wav"));
}

}  // namespace
}  // namespace craftbundle

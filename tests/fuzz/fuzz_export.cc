#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/checkpoint/tensor_file.h"
#include "dac/spec.h"
#include "encodec/spec.h"
#include "fuzz_target.h"
#include "language_model/spec.h"
#include "made_model.h"
#include "support/temporary_directory.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

const Host& host() {
  static const Host host({.search = {{CRAFTBUNDLE_PLUGINS}, false, false, false}});
  return host;
}

// Whatever a file holds, it is the file's fault, or that of the options it is exported with.
template <typename Action>
bool attempt(bool has_options, Action&& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    const bool refused = kind == ErrorKind::input || kind == ErrorKind::mismatch ||
                         (kind == ErrorKind::usage && has_options);
    if (!refused) std::cerr << error.code() << ": " << error.what() << '\n';
    require(refused);
    return false;
  }
}

audiocraft::ExpectedState expected_state(const Config& config) {
  const audiocraft::ModelName model = audiocraft::model_name(config);
  if (model.kind == audiocraft::ModelKind::language_model) {
    if (!language_model::is_known_model(model.name)) return {};
    return language_model::read_spec(config, model).expected;
  }
  if (model.name == "dac") return dac::read_spec(config).expected;
  return encodec::read_spec(config).expected;
}

// A package with the configuration `text` and the tensors that it calls for; whether there is one.
bool make_package(const std::string& text, const Path& directory, const Path& path) {
  std::optional<std::vector<NamedTensor>> tensors;
  if (!attempt(false,
               [&] { tensors = testing::made_tensors(expected_state(Config::from_yaml(text))); })) {
    return false;
  }
  if (!tensors) return false;
  Value::Dict state;
  for (const NamedTensor& named : *tensors) {
    state.emplace_back(named.name, std::get<ComputedTensor>(named.tensor));
  }
  OutputFile file(directory, Durability::no_sync);
  write_package(
      Value::Dict{
          {"best_state", state}, {"xp.cfg", text}, {"version", "1.4.0a2"}, {"exported", true}},
      file, {});
  file.publish(path, true);
  return true;
}

// Alone in a directory, a language model lacks its codec.
void check_sound(const Path& output, bool is_whole) {
  const Verification found = verify(host(), {.source = output});
  if (!is_whole) return;
  for (const std::string& text : found.texts(Finding::Outcome::fails)) std::cerr << text << '\n';
  require(found.is_sound());
}

// What is exported is sound; what is not leaves nothing.
void check_export(const Path& source, const LayoutChoice& layout,
                  const std::vector<OptionValue>& options, const Path& directory) {
  const Path output = directory / "out";
  bool is_whole = false;
  const bool exported = attempt(!options.empty(), [&] {
    const ExportReport report =
        export_component(host(), {.component = {.source = source.string(), .options = options},
                                  .output = output,
                                  .layout = layout,
                                  .publish = {.durability = Durability::no_sync}});
    is_whole =
        report.component.role == kCompressionRole || !boost::filesystem::is_directory(output);
  });
  require(exported == boost::filesystem::exists(output));
  if (exported) check_sound(output, is_whole);
  boost::filesystem::remove_all(output);
}

}  // namespace

// A checkpoint (with its CRCs cleared), or a configuration for which one is made, through the
// plugins into a file and a directory, and through verify.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const testing::TemporaryDirectory directory;
  const Path source = directory / "checkpoint.th";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("PK")) {
    const std::vector<std::uint8_t> bytes = testing::without_crcs({data, size});
    testing::write_file(source, {reinterpret_cast<const char*>(bytes.data()), size});
  } else if (!make_package(std::string(text), directory.path(), source)) {
    return 0;
  }
  check_export(source, {}, {}, directory.path());
  check_export(source, {.name = "safetensors"}, {{"dtype", "float16"}}, directory.path());
  require(directory.names() == std::vector<std::string>{"checkpoint.th"});
  return 0;
}

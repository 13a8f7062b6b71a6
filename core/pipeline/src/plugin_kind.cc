// Stages of the kinds that plugins offer.
#include <algorithm>
#include <boost/filesystem.hpp>
#include <map>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;
using Output = StageKindInfo::Output;

// Keeps what a plugin's stage writes until all of it is complete.
class Context final : public ReadingContext<StageContext> {
 public:
  // Relative paths start in `directory`.
  Context(const StageKindInfo& info, const std::optional<Path>& to, const Path& directory,
          StageRun& run)
      : ReadingContext(
            directory, [&host = run.host](const Path& path) { return host.open(path); }, run.sink,
            run.cancellation),
        info_(info),
        to_(to),
        start_(directory),
        run_(run) {
    if (info_.output == Output::directory) {
      directory_.emplace(place_of(*to_), run_.durability, run_.sink, contents_of);
    }
    if (info_.output == Output::file) create_parents(*to_);
  }

  OutputFile& create(const std::string& name) override {
    const bool sound = info_.output == Output::file
                           ? name.empty()
                           : info_.output == Output::directory && !name.empty() && name != "." &&
                                 name != ".." && name.find('/') == std::string::npos;
    if (!sound || files_.contains(name)) {
      throw Error(ErrorKind::plugin, "plugin.stage_output",
                  "the stage creates " + quoted(name) + ", its output is a " +
                      std::string(to_string(info_.output)) +
                      (sound ? ", and this was created before" : ""));
    }
    OutputFile*& file = files_[name];
    if (directory_) {
      file = &directory_->create(name);
    } else {
      file = &file_.emplace(to_->parent_path(), run_.durability);
    }
    file->set_extents(run_.extents);
    return *file;
  }

  std::unique_ptr<AudioReader> open_audio(const Path& path) override {
    return run_.host.open_audio(open_file(path));
  }

  std::unique_ptr<Codec> load_codec(const Path& path, const CodecOptions& options) override {
    const Path place = fs::absolute(path, start_);
    const PreparedComponent prepared = run_.host.prepare(
        {source_at(path.string(), place, run_.host, std::string(kCompressionRole)), {}, {}, {}});
    if (prepared.source.kind() == AcceptedSource::Kind::checkpoint) {
      reader().add(std::make_shared<const InputFile>(prepared.source.checkpoint().file().path()));
    }
    for (const ReadFile& read : prepared.read) reader().add(read.file);
    return run_.host.load_codec(prepared, options);
  }

  // Gives everything its name. Returns the bytes that were written.
  std::uint64_t publish() {
    run_.cancellation.check();
    std::uint64_t bytes = 0;
    for (const auto& [name, file] : files_) bytes += file->size();
    if (info_.output == Output::file) {
      if (files_.empty()) {
        throw Error(ErrorKind::plugin, "plugin.stage_output", "the stage has created no file");
      }
      file_->publish(*to_, run_.replace);
    } else if (directory_) {
      publish_directory(*directory_, run_);
    }
    return bytes;
  }

 private:
  const StageKindInfo& info_;
  const std::optional<Path>& to_;
  const Path& start_;
  StageRun& run_;
  std::optional<OutputFile> file_;
  std::optional<OutputDirectory> directory_;
  std::map<std::string, OutputFile*> files_;
};

class PluginStage final : public Stage {
 public:
  // `secret`: names of options whose values come from the environment.
  PluginStage(StageKindInfo info, std::vector<StageInput> inputs, std::vector<OptionValue> options,
              std::vector<std::string> secret, std::optional<Path> to, Path directory)
      : info_(std::move(info)),
        inputs_(std::move(inputs)),
        options_(std::move(options)),
        secret_(std::move(secret)),
        to_(std::move(to)),
        directory_(std::move(directory)) {}

  std::vector<StageInput> inputs() const override { return inputs_; }
  std::vector<StageOutput> outputs() const override {
    if (!to_) return {};
    return {{std::string(to_string(info_.output)), *to_}};
  }
  std::string what() const override {
    std::vector<std::string> names;
    for (const StageInput& input : inputs_) names.push_back(input.path.filename().string());
    return info_.name + " of " + list_text(names, 3);
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key = {{"revision", std::to_string(info_.revision)}};
    for (const OptionValue& option : options_) {
      const bool secret = std::ranges::count(secret_, option.name) != 0;
      key.push_back({"option " + option.name, option.value,
                     secret ? KeyPart::Kind::secret : KeyPart::Kind::setting});
    }
    return key;
  }
  Forecast forecast(const Host& /*host*/) const override { return {}; }

  StageResult run(StageRun& run) const override {
    StageRequest request{run.name, {}, options_};
    for (std::size_t i = 0; i < info_.options.size(); ++i) {
      if (info_.options[i].type == OptionSpec::Type::files) make_absolute(request.options[i].value);
    }
    for (const StageInput& input : inputs_) request.inputs.push_back(input.path);
    Context context(info_, to_, directory_, run);
    StageOutcome outcome = run.host.run_stage(info_.name, request, context);
    run.read(read_by(context));
    StageResult result;
    result.bytes = context.publish();
    result.summary = std::move(outcome.summary);
    result.checks = std::move(outcome.checks);
    result.warnings = std::move(outcome.warnings);
    return result;
  }

 private:
  void make_absolute(std::string& value) const {
    std::vector<Path> files = files_of(value);
    for (Path& file : files) file = fs::absolute(file, directory_);
    value = files_value(files);
  }

  // What it has read beside its inputs.
  std::vector<StageRead> read_by(Context& context) const {
    std::vector<StageRead> files;
    for (ReadFile& read : context.reader().read()) {
      const Path path = read.file->path().lexically_normal();
      if (std::ranges::count(inputs_, path, &StageInput::path) != 0) continue;
      const std::string name = read.is_below ? read.name : path.string();
      files.push_back({name, {}, path, {}, std::move(read.file)});
    }
    return files;
  }

  StageKindInfo info_;
  std::vector<StageInput> inputs_;
  std::vector<OptionValue> options_;
  std::vector<std::string> secret_;
  std::optional<Path> to_;
  Path directory_;  // of the script
};

class PluginReader final : public StageReader {
 public:
  PluginReader(StageKindInfo info, const Host& host) : info_(std::move(info)), host_(host) {}

  std::string name() const override { return info_.name; }
  std::string summary() const override { return info_.summary; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    std::vector<StageKey> keys = {{info_.name, Type::text_or_list, true, info_.inputs, {}}};
    if (info_.output != Output::none) {
      keys.push_back({"to",
                      Type::text,
                      true,
                      info_.output == Output::file ? "File to write." : "Directory to create.",
                      {}});
    }
    if (!info_.options.empty()) {
      std::vector<std::string> names;
      for (const OptionSpec& option : info_.options) names.push_back(option.name);
      keys.push_back({"options", Type::map, false, "Options: " + list_text(names) + ".", {}});
    }
    return keys;
  }

  std::unique_ptr<Stage> read(StageFields& fields) const override {
    std::vector<StageInput> inputs = fields.inputs(*fields.find(info_.name));
    const std::optional<std::vector<OptionValue>> options = read_options(fields);
    const std::optional<Path> to = fields.path("to");
    if (inputs.empty() || !options || (!to && info_.output != Output::none)) return nullptr;
    std::vector<std::string> secret;
    if (const YamlNode* written = fields.find("options")) {
      for (const YamlNode::Entry& option : written->entries) {
        if (option.value.from_environment) secret.push_back(option.key.text);
      }
    }
    return std::make_unique<PluginStage>(info_, std::move(inputs), *options, std::move(secret), to,
                                         fields.path_of("."));
  }

 private:
  // All declared options with their values; nullopt when one that is given is wrong.
  std::optional<std::vector<OptionValue>> read_options(StageFields& fields) const {
    const std::vector<OptionValue> given = fields.pairs("options");
    bool sound = true;
    for (const OptionValue& option : given) {
      try {
        host_.check_stage_options(info_.name, {option});
      } catch (const Error& error) {
        sound = false;
        for (const YamlNode::Entry& entry : fields.find("options")->entries) {
          if (entry.key.text != option.name) continue;
          fields.problem(error.code() == "option.unknown" ? entry.key : entry.value, error.code(),
                         error.message(), error.hint());
        }
      }
    }
    if (!sound) return std::nullopt;
    return host_.check_stage_options(info_.name, given);
  }

  StageKindInfo info_;
  const Host& host_;
};

}  // namespace

void add_plugin_kinds(const Host& host, StageReaders& readers) {
  for (const StageKindInfo& info : host.stage_kinds()) {
    readers.push_back(std::make_unique<PluginReader>(info, host));
  }
}

}  // namespace craftbundle

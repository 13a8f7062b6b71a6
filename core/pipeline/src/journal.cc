#include "craftbundle/detail/pipeline/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <iterator>
#include <random>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/sha256.h"
#include "result_json.h"

namespace craftbundle {
namespace {

namespace fs = boost::filesystem;

constexpr int kFormat = 1;
constexpr const char* kOtherPlace =
    "choose another place for what a run remembers with --state-dir";
constexpr std::uint64_t kMaxRecord = 64U << 20;
constexpr const char* kDigestKeyFile = "digest-key";
constexpr std::uint64_t kMaxDigestKey = 1024;

std::string random_key() {
  std::random_device random;
  std::string key;
  while (key.size() < 32) key += static_cast<char>(random() & 0xFFu);
  return key;
}

std::string_view to_string(StageRecord::State state) {
  switch (state) {
    case StageRecord::State::started:
      return "started";
    case StageRecord::State::done:
      return "done";
    case StageRecord::State::failed:
      return "failed";
  }
  return "failed";
}

std::optional<StageRecord::State> state_of(const std::string& word) {
  if (word == "done") return StageRecord::State::done;
  if (word == "started") return StageRecord::State::started;
  if (word == "failed") return StageRecord::State::failed;
  return std::nullopt;
}

Json to_json(const StageRead& read) {
  return {
      {"name", read.name}, {"input", read.input}, {"file", read.file.string()}, {"id", read.id}};
}

StageRead read_from(const JsonReader& reader) {
  return {reader.text("name"), reader.text("input"), reader.text("file"), reader.text("id")};
}

Json to_json(const StageRecord& record) {
  Json json;
  json["format"] = kFormat;
  json["stage"] = record.stage;
  json["state"] = to_string(record.state);
  json["key"] = json_list(record.key, named_json<KeyPart>);
  json["read"] = json_list(record.read, [](const StageRead& read) { return to_json(read); });
  json["outputs"] = json_list(record.outputs, named_json<KeyPart>);
  json["files"] = json_list(record.files, file_state_json);
  json["result"] = result_json(record.result);
  json["seconds"] = record.seconds;
  json["finished"] = record.finished;
  json["error"] = record.error;
  return json;
}

StageRecord record_from(const JsonReader& reader) {
  StageRecord record;
  record.stage = reader.text("stage");
  const std::optional<StageRecord::State> state = state_of(reader.text("state"));
  if (!state) reader.refuse("type", reader.place("state") + " is none");
  record.state = *state;
  record.key = reader.list("key", named_from<KeyPart>);
  // Records were written without it.
  if (reader.has("read")) record.read = reader.list("read", read_from);
  record.outputs = reader.list("outputs", named_from<KeyPart>);
  record.files = reader.list("files", file_state_from);
  record.result = result_from(reader.object("result"));
  record.seconds = reader.real("seconds");
  record.finished = reader.text("finished");
  record.error = reader.text("error");
  return record;
}

}  // namespace

std::string fingerprint(const std::vector<KeyPart>& key) {
  std::string text;
  for (const KeyPart& part : key) text += part.name + '\0' + part.value + '\0';
  return sha256_of_text(text);
}

std::string fingerprint_of(const StageRecord& record) {
  std::vector<KeyPart> key = record.key;
  for (const StageRead& read : record.read) key.push_back({"contents of " + read.name, read.id});
  return fingerprint(key);
}

Journal::Journal(Path directory)
    : directory_(std::move(directory)), new_digest_key_(random_key()) {}

Journal::~Journal() {
  for (const int lock : locks_) ::close(lock);
}

void Journal::create_directories() {
  const std::lock_guard guard(creation_);
  if (is_created_) return;
  for (const char* name : {"stages", "logs"}) {
    boost::system::error_code failure;
    fs::create_directories(directory_ / name, failure);
    if (failure) {
      throw system_error(failure.value(), path_text(directory_ / name), kOtherPlace);
    }
  }
  // Creating a file removes what a killed run left beside it. No record is written where nothing is
  // to be done, and so nothing else would.
  try {
    OutputFile(directory_ / "stages", Durability::no_sync);
  } catch (const Error& error) {
    throw Error(error.kind(), error.code(), error.message(), kOtherPlace);
  }
  // Somebody else's directory stays as it is.
  ::chmod(directory_.c_str(), S_IRWXU);
  keep_digest_key();
  // What lies here is of no use to anyone's repository.
  const Path ignore = directory_ / ".gitignore";
  boost::system::error_code ignored;
  if (!fs::exists(ignore, ignored)) {
    OutputFile file(directory_, Durability::no_sync);
    file.write("*\n");
    file.publish(ignore, true);
  }
  is_created_ = true;
}

void Journal::keep_digest_key() {
  if (kept_digest_key()) return;
  OutputFile file(directory_, Durability::sync);
  file.make_private();
  file.write(new_digest_key_);
  try {
    file.publish(directory_ / kDigestKeyFile, false);
  } catch (const Error& error) {
    // Another run of a stage was first.
    if (error.code() != "target.exists") throw;
  }
}

std::optional<std::string> Journal::kept_digest_key() const {
  const Path path = directory_ / kDigestKeyFile;
  boost::system::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const InputFile file(path);
  return file.read_text(0, std::min<std::uint64_t>(file.size(), kMaxDigestKey));
}

std::string Journal::digest(std::string_view secret) const {
  return "hmac-sha256:" + hmac_sha256(kept_digest_key().value_or(new_digest_key_), secret);
}

void Journal::take_lock(const Path& file, bool shared, const std::string& what) {
  create_directories();
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw system_error(errno, path_text(file), kOtherPlace);
  if (::flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error != EWOULDBLOCK) throw system_error(error, path_text(file));
    throw Error(ErrorKind::system, "run.busy",
                "another run of " + what + " is going on (lock " + path_text(file) + ")",
                "wait until it is done, or end it");
  }
  const std::lock_guard guard(mutex_);
  locks_.push_back(fd);
}

void Journal::lock(bool shared) { take_lock(directory_ / "lock", shared, "this script"); }

void Journal::lock_stage(const std::string& stage) {
  take_lock(directory_ / "stages" / (stage + ".lock"), false,
            "stage " + craftbundle::quoted(stage));
}

Path Journal::record_path(const std::string& stage) const {
  return directory_ / "stages" / (stage + ".json");
}

Path Journal::log(const std::string& stage) const { return directory_ / "logs" / (stage + ".log"); }

std::optional<StageRecord> Journal::read(const std::string& stage) const {
  const Path path = record_path(stage);
  boost::system::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  try {
    const InputFile file(path);
    if (file.size() > kMaxRecord) return std::nullopt;
    const Json json = parse_json(file.read_text(0, file.size()), "journal");
    const JsonReader reader(json, "journal");
    // A record of another version says nothing: the stage runs again.
    if (reader.small_integer("format") != kFormat) return std::nullopt;
    StageRecord record = record_from(reader);
    if (record.stage != stage) return std::nullopt;
    return record;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    return std::nullopt;
  }
}

void Journal::write(const StageRecord& record) {
  create_directories();
  // Creating a file looks through its directory for what killed runs left, and in this one there
  // are few others.
  OutputFile file(directory_, Durability::sync);
  file.make_private();
  file.write(json_document(to_json(record)));
  file.publish(record_path(record.stage), true);
}

std::vector<FileState> Journal::known_files() const {
  std::vector<FileState> known;
  boost::system::error_code failure;
  fs::directory_iterator entry(directory_ / "stages", failure);
  while (!failure && entry != fs::directory_iterator()) {
    const Path& path = entry->path();
    if (path.extension() == ".json") {
      if (const auto record = read(path.stem().string())) {
        std::ranges::copy_if(record->files, std::back_inserter(known),
                             [](const FileState& file) { return !file.id.empty(); });
      }
    }
    entry.increment(failure);
  }
  return known;
}

}  // namespace craftbundle

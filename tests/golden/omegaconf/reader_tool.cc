// Reads configurations for differential.py, which compares with the real OmegaConf.
//
//   omegaconf_reader_tool <directory>
//   omegaconf_reader_tool -
//
// For every NAME.th: its configuration as NAME.text, that text read and written again as
// NAME.reread, and, for every line of NAME.keys, a line of NAME.values. For every NAME.in, a YAML
// text: what it says, written again, as NAME.out. An Error becomes "error <code> <message>".
//
// With "-", YAML texts come in and what they say goes out, each after its length on a line.

#include <boost/filesystem.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "support/temporary_directory.h"

namespace craftbundle::testing {
namespace {

template <typename Action>
std::string text_or_error(Action&& action) {
  try {
    return action();
  } catch (const Error& error) {
    return "error " + error.code() + " " + error.message();
  }
}

template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? nlohmann::json(*value).dump(-1, ' ', true) : "null";
}

// The value under `key` by whichever getter takes it.
std::string value_text(const Config& config, const std::string& key) {
  std::string last;
  const auto attempt = [&](auto&& getter) {
    last = text_or_error([&] { return shown(getter()); });
    return !last.starts_with("error config.type");
  };
  if (config.keys(key)) return "dict " + shown(config.keys(key));
  if (attempt([&] { return config.get_bool(key); })) return last;
  if (attempt([&] { return config.get_int(key); })) return last;
  if (attempt([&] { return config.get_string(key); })) return last;
  if (attempt([&] { return config.get_real(key); })) return last;
  if (attempt([&] { return config.get_int_list(key); })) return last;
  attempt([&] { return config.get_string_list(key); });
  return last;
}

std::string reread(const std::string& text) {
  return text_or_error([&] { return to_yaml(Config::from_yaml(text).root()); });
}

void read_checkpoint(const Path& path) {
  const auto with = [&](const char* extension) { return Path(path).replace_extension(extension); };
  std::optional<Config> config;
  const std::string text = text_or_error([&] {
    const auto checkpoint = Checkpoint::open(path);
    config = Config::from_object(checkpoint->root().at("xp.cfg"), checkpoint->root());
    return config->text();
  });
  write_file(with(".text"), text);
  write_file(with(".reread"), reread(text));
  if (!config || !boost::filesystem::exists(with(".keys"))) return;
  std::istringstream keys(read_file(with(".keys")));
  std::string values;
  for (std::string key; std::getline(keys, key);) {
    values += text_or_error([&] { return value_text(*config, key); }) + "\n";
  }
  write_file(with(".values"), values);
}

void read_text(const Path& path) {
  write_file(Path(path).replace_extension(".out"), reread(read_file(path)));
}

void read_stream() {
  for (std::string length; std::getline(std::cin, length);) {
    std::string text(std::stoul(length), '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    const std::string result = reread(text);
    std::cout << result.size() << '\n' << result;
  }
}

}  // namespace
}  // namespace craftbundle::testing

int main(int argc, char** argv) {
  using namespace craftbundle::testing;
  if (argc != 2) {
    std::cerr << "usage: omegaconf_reader_tool <directory>|-\n";
    return 2;
  }
  if (std::string(argv[1]) == "-") {
    read_stream();
    return 0;
  }
  for (const auto& file : boost::filesystem::directory_iterator(argv[1])) {
    if (file.path().extension() == ".th") read_checkpoint(file.path());
    if (file.path().extension() == ".in") read_text(file.path());
  }
  return 0;
}

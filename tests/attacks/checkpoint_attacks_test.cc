// Holds the checkpoint layer against every row of data/index.tsv: what must be refused is refused
// by the time the exported part was written, what is dangerous is reported, what is sound is not.
#include <algorithm>
#include <map>
#include <sstream>

#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "support/error_matchers.h"
#include "support/exercise.h"
#include "support/temporary_directory.h"

namespace craftbundle {
namespace {

using Row = std::map<std::string, std::string>;

const Path& data_directory() {
  static const Path path = Path(CRAFTBUNDLE_TEST_DATA) / "attacks" / "data";
  return path;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::vector<Row> read_index() {
  std::istringstream text(testing::read_file(data_directory() / "index.tsv"));
  std::string line;
  std::getline(text, line);
  const std::vector<std::string> names = split(line);
  std::vector<Row> rows;
  while (std::getline(text, line)) {
    const std::vector<std::string> fields = split(line);
    Row row;
    for (std::size_t i = 0; i < fields.size() && i < names.size(); ++i) row[names[i]] = fields[i];
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> unsafe_names(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const GlobalReference& reference : checkpoint.globals()) {
    if (reference.verdict == GlobalReference::Verdict::unsafe) names.push_back(reference.name);
  }
  return names;
}

// What an exporter does with the exported part, as far as this layer goes.
void write_exported_part(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  Object state = root.at("best_state");
  if (const auto model = state.find("model"); model && model->is(Kind::dict)) state = *model;
  Value::Dict package = {{"best_state", to_value(state, checkpoint, "['best_state']")}};
  const Object config = root.at("xp.cfg");
  if (!config.is(Kind::call) || config.class_name() != "omegaconf.dictconfig.DictConfig") {
    package.emplace_back("xp.cfg", to_value(config, checkpoint, "['xp.cfg']"));
  }
  const testing::TemporaryDirectory directory;
  OutputFile file(directory.path(), Durability::no_sync);
  write_package(package, file, {});
}

void expect_presentable(const Error& error) {
  EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
  EXPECT_LT(error.message().size(), 2000U);
  EXPECT_TRUE(std::none_of(error.message().begin(), error.message().end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  })) << error.what();
}

std::string group(const std::string& code) { return code.substr(0, code.find('.')); }

void expect_refused(const Row& row) {
  const std::string& hint = row.at("error_hint");
  // The YAML text of xp.cfg belongs to the layer above.
  if (group(hint) == "config") return;
  try {
    write_exported_part(*Checkpoint::open(data_directory() / row.at("file")));
    ADD_FAILURE() << "was accepted";
  } catch (const Error& error) {
    expect_presentable(error);
    // A name that runs code is refused as the object, tensor or argument that it stands for.
    if (hint != "pickle.unsafe_global") {
      EXPECT_EQ(group(error.code()), group(hint)) << error.what();
    }
  }
}

void check(const Row& row) {
  if (row.at("export") == "must_refuse") expect_refused(row);
  const std::string& inspect = row.at("inspect");
  try {
    const auto checkpoint = Checkpoint::open(data_directory() / row.at("file"));
    const std::vector<std::string> unsafe = unsafe_names(*checkpoint);
    std::istringstream expected(row.at("unsafe_globals"));
    for (std::string name; expected >> name;) {
      if (name == "-") continue;
      EXPECT_THAT(unsafe, ::testing::Contains(name));
    }
    if (inspect == "must_not_report_unsafe") {
      EXPECT_THAT(unsafe, ::testing::IsEmpty());
    }
    if (row.at("export") == "must_export_ok") write_exported_part(*checkpoint);
    testing::exercise(*checkpoint);
  } catch (const Error& error) {
    expect_presentable(error);
    EXPECT_EQ(inspect, "must_survive") << error.what();
    EXPECT_NE(row.at("export"), "must_export_ok") << error.what();
  }
}

TEST(CheckpointAttacksTest, EveryRow) {
  const std::vector<Row> rows = read_index();
  ASSERT_GE(rows.size(), 40U);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.at("file") + ": " + row.at("description"));
    check(row);
  }
}

}  // namespace
}  // namespace craftbundle

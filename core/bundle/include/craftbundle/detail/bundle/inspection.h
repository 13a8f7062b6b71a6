// What is in a checkpoint or bundle, as values. Reads pickles, headers and configurations; no
// element of a tensor, so it is fast whatever the size.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/verify.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a checkpoint holds, whoever wrote it.
struct CheckpointContents {
  // An entry of the dict at the root.
  struct Key {
    std::string name;           // printable
    std::string what;           // "dict of 6"
    std::uint64_t tensors = 0;  // that can be reached from it
    std::uint64_t bytes = 0;    // of their storages, each counted once
  };
  // A dict of tensors that is reached by text keys alone.
  struct StateDict {
    std::string where;  // "['best_state']['model']"; empty: the root
    std::uint64_t tensors = 0;
    std::uint64_t parameters = 0;                   // elements of all tensors
    std::map<std::string, std::uint64_t> by_dtype;  // bytes
  };
  std::vector<Key> keys;               // none when the root is no dict
  std::vector<StateDict> state_dicts;  // the first 32
};

// Walks the object tree of `checkpoint`: every object once, without recursion. Tensors that cannot
// be described (sparse, damaged, ...) are not counted.
CheckpointContents contents_of(const Checkpoint& checkpoint);

// How many of the names in a pickle run code when Python loads it.
std::uint64_t count_unsafe(const std::vector<GlobalReference>& names);
std::string_view to_string(GlobalReference::Verdict verdict);

struct SourceInspection {
  struct File {
    std::string name;
    std::uint64_t size = 0;
  };
  Source source;
  std::optional<CheckpointContents> contents;  // of a checkpoint
  std::vector<File> files;                     // of a directory
  std::vector<Candidate> candidates;           // what exporters say of it, best first
  // What it would be exported as, or why it cannot be: one of the two.
  std::optional<PreparedComponent> component;
  std::optional<Error> refusal;
};

// Throws Error(interrupted); what else stands in the way of an export is the refusal.
SourceInspection inspect_source(const Source& source, const Host& host);

// A bundle directory, held against what can be without reading tensors (verify.h). Throws as
// verify().
Verification inspect_bundle(const Path& directory, const Host& host);

// What `craftbundle inspect --json` prints.
std::string to_json(const SourceInspection& found);
std::string bundle_json(const Path& directory, const Verification& found);

// The configuration that an exported file of `source` holds; of a checkpoint that no
// exporter takes, the only OmegaConf object at its root. Throws Error(input, "config.none") for a
// pretrained name, and as prepare_component().
Config config_of(const Source& source, const Host& host);
// Its text (YAML). Throws as config_of().
std::string config_text(const Source& source, const Host& host);

}  // namespace craftbundle

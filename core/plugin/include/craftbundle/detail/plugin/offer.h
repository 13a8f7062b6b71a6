// What all kinds of offers have in common. A plugin offers exporters, kinds of stage and loaders of
// codecs (plugin.h has the list); each describes itself by a struct that begins with OfferInfo.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

// A field of a description, for whatever writes, reads and shows descriptions without knowing them.
struct Field {
  std::string_view key;         // in sidecars and JSON
  std::string_view label = {};  // for people, of fields of one kind of offer only: "makes"
  bool optional = false;        // may be left out when it is empty; lists always may
};

// An option an offer accepts, declared so that the host can check and print it.
struct OptionSpec {
  enum class Type {
    boolean,
    integer,
    real,
    text,
    // Paths of files, separated by commas. Relative ones start at the script, on the command line
    // in the current directory; plugins are given absolute ones. Manifests keep their names only.
    files,
  };
  std::string name;  // lower case, words joined by '-'
  Type type = Type::text;
  std::string default_value;         // as text; empty: no default
  std::string doc;                   // one sentence
  std::vector<std::string> choices;  // allowed values; empty: any

  template <typename Self, typename Visit>
  static void visit(Self& self, Visit&& field) {
    field({"name"}, self.name);
    field({"type"}, self.type);
    field({"default", {}, true}, self.default_value);
    field({"doc"}, self.doc);
    field({"choices"}, self.choices);
  }
  friend bool operator==(const OptionSpec&, const OptionSpec&) = default;
};
std::string_view to_string(OptionSpec::Type type);

// Everything the host must know of an offer before it runs any of it; also the sidecar's content.
// The description of a kind of offer derives from it and adds
//   kKind       the word for the kind: "exporter"
//   visit()     its own fields: text, number, enumeration with to_string(), struct with a
//               visit() of its own, or a list of these; lists of plugins show the first one
struct OfferInfo {
  std::string name;     // "^[a-z][a-z0-9_-]*$", unique among the offers of its kind in a process
  std::string summary;  // one sentence
  int revision = 1;     // raised whenever the same inputs give other bytes
  std::vector<OptionSpec> options = {};

  friend bool operator==(const OfferInfo&, const OfferInfo&) = default;
};

// Calls `field(Field, member)` for each field of a description, in order.
template <typename Description, typename Visit>
void visit_fields(Description& self, Visit&& field) {
  using Plain = std::remove_const_t<Description>;
  if constexpr (std::is_base_of_v<OfferInfo, Plain>) {
    field({"name"}, self.name);
    field({"summary"}, self.summary);
    field({"revision", {}, true}, self.revision);
  }
  Plain::visit(self, field);
  if constexpr (std::is_base_of_v<OfferInfo, Plain>) field({"options"}, self.options);
}

// "exporters"
template <typename Info>
std::string plural() {
  return std::string(Info::kKind) + "s";
}

}  // namespace craftbundle

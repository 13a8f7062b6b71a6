// What travels from a source to the files of a layout: a model, or the name of one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/file_content.h"
#include "craftbundle/detail/checkpoint/named_tensor.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace CRAFTBUNDLE_API craftbundle {

// A file that belongs to a model and has no tensors of it: the vocabulary of a tokenizer.
struct ModelFile {
  std::string name;  // "tokenizer.json"
  FileContentPtr content;
};

// A configuration and the tensors that it describes. Has no file form: layouts give it one. Value
// type; copies share configuration and files, tensor bytes stay in the files they lie in.
struct Model {
  // Whose rules configuration and names follow: the name of the exporter that knows them. The host
  // fills in the one that made the component when it is empty.
  std::string family;
  Config config;
  std::vector<NamedTensor> tensors;  // the state dict, in its order; names are distinct
  // What else the source's file held, plain data in its order, for layouts that have a place for
  // it. Keys under which a layout keeps the tensors and the configuration stand among them as None,
  // so that their place is known.
  Value::Dict extra;
  std::string origin;  // where the tensors lie in the source: "best_state['model']"; may be empty
  // Tensors that keep their type when weights are cast, as patterns of fnmatch:
  // "*._codebook.cluster_size".
  std::vector<std::string> keep_dtype;
  // The model once each weight norm is folded into its weight. Empty `order`: the configuration
  // does not tell the two forms apart.
  struct Folded {
    Config config;
    std::vector<std::string> order;  // names of the tensors then
  };
  Folded folded;
  // Layouts that have a place for them write them beside the model, by these names.
  std::vector<ModelFile> files = {};
};

// Instead of a model: a name that a loader resolves itself.
struct Reference {
  std::string name;
  Value::Dict extra;  // as Model::extra
};

}  // namespace craftbundle

// What comes of the calls of craftbundle.h as JSON: what --json of the program prints, and what the
// C interface hands out. For runs and inspections see pipeline/report.h and bundle/inspection.h.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/bundle/codec_trial.h"
#include "craftbundle/detail/bundle/json.h"
#include "craftbundle/detail/bundle/tensor_list.h"

namespace CRAFTBUNDLE_API craftbundle {

Json export_json(const ExportReport& report, const std::string& layout);
Json bundle_json(const BundleReport& report);
Json verification_json(const Path& path, const Verification& found);
// What codec_json() calls test_signal().
inline constexpr const char* kTestSignal = "built-in test signal";
// Its member "codec". `file` holds the codec, `input` is what was coded. REQUIRES: trial.run.
Json codec_json(const std::string& file, const std::string& input, const CodecTrial& trial);

// {"type", "shape"}
Json tensor_json(const TensorContent& tensor);
// Of the tensors in `given` those that `pattern` means (is_meant()), each with its storage.
Json tensors_json(const std::string& given, const std::vector<TensorGroup>& groups,
                  const std::string& pattern);

Json plugins_json(const Host& host);
// What is offered under a name, of an offer or a plugin: {"exporters": [...], "layouts": [...],
// ...}.
Json offers_json(const Host& host, const std::string& name);

}  // namespace craftbundle

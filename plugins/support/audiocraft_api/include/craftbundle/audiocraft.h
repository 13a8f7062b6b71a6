// The export functions of AudioCraft (audiocraft/utils/export.py), with the same meaning: missing
// parent directories of `out_file` are created, a file that is there is replaced, `out_file` is
// returned. What differs: the pickle is never run, memory is constant, what the file holds is
// checked first, and `out_file` appears whole or not at all.
//
// The exporters are plugins; they are looked for as the command line program does. All functions
// throw craftbundle::Error.
#pragma once

#include <string>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/host/host.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

struct AudiocraftExportOptions {
  PluginSearch search = {};
  Durability durability = Durability::sync;
  Sink* sink = &Sink::none();
  const Cancellation* cancellation = &Cancellation::never();
};

// The best state of a training checkpoint of MusicGen, AudioGen, MAGNeT or JASCO. As in Python an
// FSDP best state is preferred.
Path export_lm(const Path& checkpoint, const Path& out_file,
               const AudiocraftExportOptions& options = {});

// The best state of a training checkpoint of an EnCodec.
Path export_encodec(const Path& checkpoint, const Path& out_file,
                    const AudiocraftExportOptions& options = {});

// A compression model to put beside a language model: an exported file is copied, checked; the name
// of a pretrained model ("facebook/encodec_32khz", "dac_44khz") becomes a reference without
// tensors. Unlike in Python, a path that does not exist is an error, not a name.
Path export_pretrained_compression_model(const std::string& pretrained, const Path& out_file,
                                         const AudiocraftExportOptions& options = {});

}  // namespace craftbundle

// Codecs: audio to codes and back. Host::load_codec() makes one of a component (craftbundle.h), and
// test_signal(), encode_pieces(), PieceDecoder and run_codec() work on audio of any length.
#pragma once

#include "craftbundle/bundle/codec_run.h"
#include "craftbundle/error.h"
#include "craftbundle/plugin/codec.h"

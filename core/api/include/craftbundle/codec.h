// Codecs: audio to codes and back. Host::load_codec() makes one of a component (craftbundle.h), and
// test_signal(), encode_pieces(), PieceDecoder and run_codec() work on audio of any length.
// check_codec() says whether one does what it states, try_codec() what comes of running it.
#pragma once

#include "craftbundle/detail/bundle/codec_run.h"
#include "craftbundle/detail/bundle/codec_trial.h"
#include "craftbundle/detail/host/codec_check.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/error.h"

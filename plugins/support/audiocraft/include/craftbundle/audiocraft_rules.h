// What the exporters of AudioCraft models share, for exporters of others as well: link
// craftbundle::audiocraft_rules, a static library. No tensor is read, and no LibTorch needed.
//
//   namespace audiocraft = craftbundle::audiocraft;
//   audiocraft::Opened opened = audiocraft::open_model(request);   // checkpoint, package or model
//   const audiocraft::Section codec(opened.config, "my_codec");    // numbers within bounds
//   audiocraft::ExpectedState expected;
//   expected.add_linear("encoder.out", codec.integer("dimension", {1, 4096}), 64, true);
//   component.checks = audiocraft::check_state(opened.state, expected);
//   give(std::move(opened), component);
#pragma once

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/audiocraft_rules/package.h"
#include "craftbundle/audiocraft_rules/state.h"

#!/bin/sh
# Writes what peers load.
#   tests/peers/export.sh PEERS codecs CRAFTBUNDLE DATA OUT
#   tests/peers/export.sh PEERS models CRAFTBUNDLE DATA OUT TEXT_ENCODER     one folder for each library
set -eu
peers=$1 what=$2 craftbundle=$3 data=$4 out=$5
if [ ! -e "$peers/made" ]; then
  echo "SKIPPED: no peers in $peers; tests/peers/make.sh makes them"
  exit 77
fi
rm -rf "$out"
mkdir -p "$out"
run() { "$craftbundle" "$@" --no-sync >"$out/log" 2>&1 || { cat "$out/log"; exit 1; }; }
if [ "$what" = codecs ]; then
  for file in encodec_train.th encodec_causal_24khz_exported.bin encodec_renorm_exported.bin dac_weights.pth; do
    run export "$data/$file" --layout transformers -o "$out/${file%_*}"
  done
else
  text_encoder=$6
  for model in musicgen musicgen_stereo musicgen_melody; do
    set -- --lm "$data/${model}_train.th" --compression "$data/encodec_train.th"
    run bundle "$@" --layout audiocraft -o "$out/audiocraft/$model"
    run bundle "$@" --layout transformers --text-encoder "$text_encoder" -o "$out/transformers/$model"
  done
  run bundle "$@" --layout audiocraft --text-encoder "$text_encoder" --embed -o "$out/embedded/$model"
fi
rm "$out/log"

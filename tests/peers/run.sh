#!/bin/sh
# Runs a Python program with a peer, or skips (77) where there is none.
#   tests/peers/run.sh DIRECTORY 4|5 PROGRAM [ARGUMENT...]     4, 5: which transformers
peers=$1 version=$2
shift 2
if [ ! -e "$peers/made" ]; then
  echo "SKIPPED: no peers in $peers; tests/peers/make.sh makes them"
  exit 77
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 PYTHONPATH="$peers/transformers$version" \
  exec "$peers/venv/bin/python" "$@"

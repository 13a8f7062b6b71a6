#!/usr/bin/env bash
# One table of what Craftbundle takes beside its peers: wall seconds (medians), ratios pair by pair with their middle half,
# the goal, and the largest peak memory. Fails on nothing: what cannot be measured here is a line that says so.
#   tests/bench/all.sh CRAFTBUNDLE [WORK_DIRECTORY]
# SIZE of the model as for make_checkpoint.py (default: small, which needs 16 GB of disk), RUNS (5).
# CRAFTBUNDLE_PEER_PYTHON and PYTHONPATH (build/peers/venv/bin/python and build/peers/transformers4 of tests/peers/make.sh)
# add a folder of transformers and PyTorch; root and loop devices, XFS and Btrfs.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
self=$(realpath "$0")
craftbundle=$(realpath "$1")
work=${2:-$(mktemp -d)}
size=${SIZE:-small}
runs=${RUNS:-5}
peer=${CRAFTBUNDLE_PEER_PYTHON:-}
export="$craftbundle export checkpoint.th -o out.bin"
copy='cp --reflink=never result.bin copy.bin'

# row NAME GOAL PEER OURS [BEFORE]
row() {
  "$here/measure.py" --runs "$runs" --before "rm -rf copy copy.bin copy2.bin out out.bin; ${5:-true}" --row "$1" --goal "$2" "peer=$3" "ours=$4" ||
    echo "| $1 | not measured | | | $2 | |"
}

if [ "${3:-}" = mounted ]; then
  cd "$TMPDIR" || exit
  /usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th --size "$size" --optimizer-copies 0 >/dev/null
  before=$(sync && df --output=used -B1 . | tail -1)
  "$craftbundle" export checkpoint.th -o result.bin >/dev/null
  after=$(sync && df --output=used -B1 . | tail -1)
  row "$4: export, durable, beside \`cp\` + \`sync\`" "0.35" "$copy && sync copy.bin" "$export" sync
  row "$4: the same, \`--check structure\`" "below 50 ms" "$copy && sync copy.bin" "$export --check structure" sync
  row "$4: the same, \`--no-clone\`" "" "$copy && sync copy.bin" "$export --no-clone" sync
  row "$4: export \`--check structure\`, beside \`cp --reflink=always\` + \`sync\`" "3, or 50 ms" \
    'cp --reflink=always result.bin copy.bin && sync copy.bin' "$export --check structure" sync
  echo "| $4: disk used by the result | $((after - before)) of $(stat -c %s result.bin) bytes | | | 2 % | |"
  exit
fi

mkdir -p "$work"
cd "$work" || exit
echo '| what | ours, s | peer, s | ratio | goal | peak MiB |'
echo '|---|---|---|---|---|---|'
[ -f checkpoint.th ] || /usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th --size "$size" --optimizer-copies 0 >/dev/null
"$craftbundle" export checkpoint.th -o result.bin --no-sync --force >/dev/null

row 'export, durable, beside `cp` + `sync`' 0.75 "$copy && sync copy.bin" "$export" sync
row 'export, beside `cp`' 1.0 "$copy" "$export --no-sync"
busy=()
for _ in $(seq "$(nproc)"); do
  (while :; do :; done) &
  busy+=($!)
done
row 'export, durable, all cores busy' 1.0 "$copy && sync copy.bin" "$export" sync
row 'export, all cores busy' 1.25 "$copy" "$export --no-sync"
kill "${busy[@]}"
wait "${busy[@]}" 2>/dev/null
for dtype in bfloat16 float16; do
  row "export \`--dtype $dtype\`, beside \`cp\` of the float32 result" 1.1 "$copy" "$export --no-sync --dtype $dtype"
done
row 'export `--average` of two, beside `cp` of both' 1.25 'cp result.bin copy.bin && cp result.bin copy2.bin' \
  "$export --no-sync --average result.bin"
bundle="$craftbundle bundle --lm checkpoint.th --compression facebook/encodec_32khz --no-sync -o"
rm -rf kept
$bundle kept >/dev/null
row 'bundle, beside `cp` + `sha256sum`' 0.7 'cp -r kept copy && sha256sum copy/*' "$bundle out"
row 'verify with manifest, beside `openssl sha256`' 1.05 'openssl sha256 kept/state_dict.bin' "$craftbundle verify kept"
if [ -n "$peer" ]; then
  [ -d parts ] || "$peer" "$here/transformers_script.py" --make parts >/dev/null 2>&1
  folder="$craftbundle bundle --lm checkpoint.th --compression parts/encodec_32khz --text-encoder parts/t5-base --no-sync --layout transformers -o"
  rm -rf kept_hf
  $folder kept_hf >/dev/null
  row 'folder of transformers, `--check structure`, beside `cp`' 1.1 'cp -r --reflink=never kept_hf copy' "$folder out --check structure"
  row 'folder of transformers, beside `cp` + `openssl sha256`' '' \
    'cp -r --reflink=never kept_hf copy && openssl sha256 copy/model.safetensors' "$folder out"
  fold="$craftbundle export parts/encodec_32khz --fold-weight-norm --no-sync -o"
  $fold folded.bin --force >/dev/null
  row 'codec, `--fold-weight-norm`, beside `cp` of the result' 1.1 'cp --reflink=never folded.bin copy.bin' "$fold out.bin"
  save='import sys, torch, safetensors.torch as s; s.save_file(torch.load(sys.argv[1], weights_only=False)["best_state"]["model"], "copy.bin")'
  row 'export `--layout safetensors`, beside `safetensors.torch.save_file`' '' "$peer -c '$save' checkpoint.th" \
    "$craftbundle export checkpoint.th --no-sync --layout safetensors -o out"
fi
for file_system in xfs btrfs; do
  CRAFTBUNDLE_DISK_SIZE=10G "$here/../fault/on_file_system.sh" "$file_system" "$self" "$craftbundle" "$work" mounted "$file_system" | grep '^|' ||
    echo "| $file_system | not measured: needs root and loop devices | | | | |"
done

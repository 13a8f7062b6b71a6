#!/usr/bin/env bash
# Export of a language model from a checkpoint the size of MusicGen small, beside copying the result.
#   tests/bench/export.sh CRAFTBUNDLE [WORK_DIRECTORY]
# Needs about 12 GB of disk. AUDIOCRAFT_PATH and BENCH_PYTHON (default: Debian's) add Python's AudioCraft.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
craftbundle=$(realpath "$1")
work=${2:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
[ -f checkpoint.th ] || /usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th
"$craftbundle" export checkpoint.th -o result.bin --no-sync --force >/dev/null
# Warm cache: what is exported, and its copy's source, have just been read.
python=${BENCH_PYTHON:-/usr/bin/python3}
echo "== durable: export, and cp of the result followed by sync of the copy"
"$here/measure.py" --before 'rm -f copy.bin out.bin; sync' \
  "cp+sync=cp result.bin copy.bin && sync copy.bin" \
  "export=$craftbundle export checkpoint.th -o out.bin"
echo "== not durable: export --no-sync, and cp of the result"
"$here/measure.py" --before 'rm -f copy.bin out.bin; sync' \
  "cp=cp result.bin copy.bin" \
  "export --no-sync=$craftbundle export checkpoint.th -o out.bin --no-sync"
echo "== weights that are computed, beside cp of the result as it is"
"$here/measure.py" --before 'rm -f copy.bin out.bin; sync' \
  "cp=cp result.bin copy.bin" \
  "export --dtype bfloat16=$craftbundle export checkpoint.th -o out.bin --no-sync --dtype bfloat16" \
  "export --dtype float16=$craftbundle export checkpoint.th -o out.bin --no-sync --dtype float16"
echo "== the mean of two, beside cp of what is exported of both"
"$here/measure.py" --before 'rm -f copy.bin copy2.bin out.bin; sync' \
  "cp of both=cp result.bin copy.bin && cp result.bin copy2.bin" \
  "export --average=$craftbundle export checkpoint.th -o out.bin --no-sync --average result.bin"
rm -f copy2.bin
echo "== verify, beside sha256sum"
"$here/measure.py" "sha256sum=sha256sum result.bin" "verify=$craftbundle verify result.bin"
if [ -n "${AUDIOCRAFT_PATH:-}" ]; then
  echo "== Python's AudioCraft"
  "$here/measure.py" --runs 2 --before 'rm -f out.bin python.bin; sync' \
    "export --no-sync=$craftbundle export checkpoint.th -o out.bin --no-sync" \
    "audiocraft.utils.export.export_lm=$python $here/audiocraft_export.py export_lm checkpoint.th python.bin"
fi
echo "== small things"
"$here/measure.py" --runs 20 --before 'rm -f reference.bin' \
  "true=true" \
  "pretrained reference=$craftbundle export facebook/encodec_32khz -o reference.bin" \
  "plugins list=$craftbundle plugins list" \
  "--help=$craftbundle --help"

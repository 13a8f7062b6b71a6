#!/usr/bin/env bash
# Two builds beside each other, in turn: is the new one slower, or larger in memory?
#   tests/bench/compare.sh OLD/bin/craftbundle NEW/bin/craftbundle [WORK_DIRECTORY]
# Each block names what is done; the last column is the ratio of wall times, new to old, pair by pair, with the
# middle half of the pairs. A ratio whose middle half begins above 1 is slower. Needs about 4 GB of disk.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
old=$(realpath "$1")
new=$(realpath "$2")
work=${3:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
[ -f checkpoint.th ] || /usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th --size mini
"$old" export checkpoint.th -o lm.bin --no-sync --force >/dev/null
rm -rf bundle
"$old" bundle --lm checkpoint.th --compression facebook/encodec_32khz -o bundle --no-sync >/dev/null

# RUNS NAME ARGUMENT...
pair() {
  local runs=$1 name=$2
  shift 2
  echo "== $name"
  "$here/measure.py" --runs "$runs" --before 'rm -rf out out.bin; sync' "old=$old $*" "new=$new $*"
}
pair 9 "export, flushed" export checkpoint.th -o out.bin
pair 9 "export" export checkpoint.th -o out.bin --no-sync
pair 9 "export --dtype bfloat16" export checkpoint.th -o out.bin --no-sync --dtype bfloat16
pair 9 "export --average" export checkpoint.th -o out.bin --no-sync --average lm.bin
pair 9 "bundle" bundle --lm checkpoint.th --compression facebook/encodec_32khz -o out --no-sync
pair 9 "convert to safetensors" convert bundle --layout safetensors -o out --no-sync
pair 9 "verify" verify bundle
pair 21 "inspect" inspect checkpoint.th
pair 41 "plugins list" plugins list

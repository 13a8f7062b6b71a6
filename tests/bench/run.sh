#!/usr/bin/env bash
# Runs of stages: 8 independent exports with one and two jobs beside copying the results; and planning
# 300 stages.
#   tests/bench/run.sh CRAFTBUNDLE [WORK_DIRECTORY]
# Needs about 8 GB of disk and as much memory for the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
craftbundle=$(realpath "$1")
work=${2:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"

printf 'version: 1\nstages:\n' >exports.yaml
for i in 1 2 3 4 5 6 7 8; do
  [ -f checkpoint_1.th ] || /usr/bin/python3 "$here/make_checkpoint.py" checkpoint_1.th --size mini --optimizer-copies 0
  [ -f "checkpoint_$i.th" ] || cp checkpoint_1.th "checkpoint_$i.th"
  echo "  lm-$i: {export: checkpoint_$i.th, to: out/$i.bin}" >>exports.yaml
done
run="$craftbundle run exports.yaml --force --rerun --quiet"
$run --no-sync >/dev/null
mkdir -p results && cp out/* results
echo "== 8 exports of $(stat -c %s results/1.bin) bytes, nothing flushed"
"$here/measure.py" --before 'rm -rf out copies; mkdir copies; sync' \
  "cp=cp results/* copies" \
  "run -j 1 --no-sync=$run --no-sync -j 1" \
  "run -j 2 --no-sync=$run --no-sync -j 2"
echo "== the same, flushed"
"$here/measure.py" --before 'rm -rf out copies; mkdir copies; sync' \
  "cp+sync=cp results/* copies && sync copies/*" \
  "run -j 1=$run -j 1" \
  "run -j 2=$run -j 2"


/usr/bin/python3 - <<"EOF"
with open("plan.yaml", "w") as file:
    file.write("version: 1\nstages:\n")
    for i in range(100):
        file.write(f"  a{i}: {{command: ['true'], inputs: exports.yaml, outputs: planned/{i}}}\n"
                   f"  b{i}: {{checksum: a{i}, to: planned/{i}.sums}}\n"
                   f"  c{i}: {{copy: b{i}, to: planned/{i}.copy}}\n")
with open("plan_exports.yaml", "w") as file:
    file.write("version: 1\nstages:\n")
    for i in range(300):
        file.write(f"  lm-{i}: {{export: checkpoint_{i % 8 + 1}.th, to: planned/lm-{i}.bin}}\n")
EOF
echo "== plans of 300 stages"
"$here/measure.py" --runs 20 \
  "true=true" \
  "run --dry-run of 300 stages=$craftbundle run plan.yaml --dry-run" \
  "run --dry-run of 300 exports=$craftbundle run plan_exports.yaml --dry-run"

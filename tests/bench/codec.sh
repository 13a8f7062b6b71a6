#!/usr/bin/env bash
# Encoding and decoding with a codec, beside the same network in Python's PyTorch, in turn.
#   tests/bench/codec.sh CRAFTBUNDLE [CODEC_FILE]
# Without a file: a codec the size of MusicGen's, of random weights. SECONDS_OF_AUDIO (10), THREADS (1), ROUNDS (5) and
# BENCH_PYTHON (default: Debian's), which needs PyTorch, of LibTorch's version to compare like with like, and PyYAML.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
craftbundle=$(realpath "$1")
python=${BENCH_PYTHON:-/usr/bin/python3}
if [ $# -gt 1 ]; then
  file=$(realpath "$2")
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  file=$work/encodec_32khz.bin
  "$python" "$here/codec_peer.py" --make "$file"
fi
options="--seconds ${SECONDS_OF_AUDIO:-10} --threads ${THREADS:-1}"
# One counted pass a round: everyone warms up with one second of audio.
peer="$python $here/codec_peer.py $file $options --runs 1"
/usr/bin/python3 - "${ROUNDS:-5}" \
  "PyTorch=$peer" \
  "PyTorch, weight norm folded=$peer --fold" \
  "verify --run=$craftbundle verify $file --run --json $options" <<"EOF"
import json
import shlex
import statistics
import subprocess
import sys

commands = [command.split("=", 1) for command in sys.argv[2:]]
results = {name: [] for name, _ in commands}
engines = {}
for _ in range(int(sys.argv[1])):
    for name, command in commands:
        report = json.loads(subprocess.run(shlex.split(command), check=True, stdout=subprocess.PIPE).stdout)
        report = report.get("codec", report)
        engines[name] = report.get("engine") or "torch " + report["torch"]
        results[name].append([report["encode_times_real_time"], report["decode_times_real_time"]])
base = results[commands[0][0]]
width = max(len(name) for name in results)
print(f"{'':{width}}  encode x real time (range)  ratio  decode x real time (range)  ratio")
for name, figures in results.items():
    line = f"{name:{width}}"
    for i in (0, 1):
        speeds = [figure[i] for figure in figures]
        ratio = statistics.median(mine[i] / theirs[i] for mine, theirs in zip(figures, base))
        line += f"  {statistics.median(speeds):8.2f} ({min(speeds):.2f}-{max(speeds):.2f})".ljust(28) + f"  {ratio:5.2f}"
    print(line + "  " + engines[name])
print(f"ratio: speed over that of {commands[0][0]}, round by round; above 1 is faster")
EOF

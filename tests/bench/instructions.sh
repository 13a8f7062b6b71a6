#!/usr/bin/env bash
# How many instructions the program takes for things that are quick, counted by valgrind: the same on any
# machine and at any load, for one compiler and its options.
#   tests/bench/instructions.sh CRAFTBUNDLE            prints them, in millions
#   tests/bench/instructions.sh CRAFTBUNDLE EXPECTED   compares them with a file that was printed so, too
# Exit status: 1 when one is more than 5 % above what is expected, or more than 5 % below, since a bound that is
# too high catches nothing; 77 without valgrind.
set -euo pipefail
craftbundle=$(realpath "$1")
expected=${2:+$(realpath "$2")}
if ! command -v valgrind >/dev/null; then
  echo "SKIPPED: valgrind is not installed"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

/usr/bin/python3 - <<"EOF"
import struct
import zipfile

# As torch.save writes them: 2,000 tensors, each an element of one storage.
pickle = [b"\x80\x02}("]
for i in range(2_000):
    key = b"tensor.%d" % i
    pickle.append(b"X" + struct.pack("<I", len(key)) + key + b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
                  b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ" + struct.pack("<i", 2_000) + b"tQJ" +
                  struct.pack("<i", i) + b"K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
pickle.append(b"u.")
with zipfile.ZipFile("tensors.th", "w") as file:
    for record, data in [("data.pkl", b"".join(pickle)), ("version", b"3\n"), ("data/0", bytes(8_000))]:
        file.writestr("archive/" + record, data)
with open("plan.yaml", "w") as file:
    file.write("version: 1\nstages:\n")
    for i in range(50):
        file.write(f"  a{i}: {{command: ['true'], inputs: tensors.th, outputs: planned/{i}}}\n"
                   f"  b{i}: {{checksum: a{i}, to: planned/{i}.sums}}\n"
                   f"  c{i}: {{copy: b{i}, to: planned/{i}.copy}}\n")
EOF

# NAME COMMAND...
count() {
  local name=$1
  shift
  if ! valgrind --tool=callgrind --callgrind-out-file=/dev/null "$craftbundle" "$@" >log 2>&1; then
    tail -n 20 log >&2
    exit 1
  fi
  printf '%-10s %8.1f\n' "$name" "$(awk '/Collected/ {print $NF / 1e6}' log)"
}
{
  count start-up plugins list
  count planning run plan.yaml --dry-run
  count pickle inspect tensors.th
} | tee counts
[ -n "$expected" ] || exit 0
awk 'NR == FNR {wanted[$1] = $2; next}
     !($1 in wanted) {print $1 ": nothing is expected of it"; bad = 1; next}
     $2 > wanted[$1] * 1.05 || $2 < wanted[$1] * 0.95 {
       printf "%s: %.1f million instructions, expected %.1f within 5 %%\n", $1, $2, wanted[$1]; bad = 1}
     END {exit bad}' "$expected" counts

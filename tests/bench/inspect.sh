#!/usr/bin/env bash
# How inspect grows: objects nested N, 2 N and 4 N deep, and files of as many tensors. Each ratio to the
# first should be no more than 2 and 4.
#   tests/bench/inspect.sh CRAFTBUNDLE [WORK_DIRECTORY]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
craftbundle=$(realpath "$1")
work=${2:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"

/usr/bin/python3 - <<"EOF"
import struct
import zipfile


def write(name, pickle, *records):
    with zipfile.ZipFile(name, "w") as file:
        for record, data in [("data.pkl", pickle), ("version", b"3\n"), *records]:
            file.writestr("archive/" + record, data)


for count in (100_000, 200_000, 400_000):
    write(f"dicts_{count}.th", b"\x80\x02" + b"}X\x01\x00\x00\x00a" * count + b"}" + b"s" * count + b".")
    write(f"lists_{count}.th", b"\x80\x02" + b"]" * count + b"a" * (count - 1) + b".")
    # One storage, of which each tensor is an element.
    pickle = [b"\x80\x02}("]
    for i in range(count):
        key = b"tensor.%d" % i
        pickle.append(b"X" + struct.pack("<I", len(key)) + key + b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
                      b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ" + struct.pack("<i", count) + b"tQJ" +
                      struct.pack("<i", i) + b"K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    pickle.append(b"u.")
    write(f"tensors_{count}.th", b"".join(pickle), ("data/0", bytes(4 * count)))
EOF
for what in dicts lists tensors; do
  echo "== inspect of $what"
  "$here/measure.py" --runs 3 \
    "100,000=$craftbundle inspect ${what}_100000.th" \
    "200,000=$craftbundle inspect ${what}_200000.th" \
    "400,000=$craftbundle inspect ${what}_400000.th"
done

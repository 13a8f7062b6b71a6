#!/usr/bin/env bash
# Export of a language model in file systems that share extents (XFS and Btrfs in image files), beside copying the result.
#   tests/bench/clone.sh CRAFTBUNDLE [SIZE]
# SIZE of the model, as for make_checkpoint.py (default: small, 1.68 GB of a checkpoint of 3.36 GB). Needs root and loop
# devices, and about 6 GB of disk in TMPDIR. What cannot be mounted is skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
craftbundle=$(realpath "$1")
size=${2:-small}
if [ "${3:-}" != mounted ]; then
  for file_system in xfs btrfs; do
    CRAFTBUNDLE_DISK_SIZE=10G "$here/../fault/on_file_system.sh" "$file_system" "$0" "$craftbundle" "$size" mounted || [ $? -eq 77 ]
  done
  exit
fi

cd "$TMPDIR"
used() {
  sync
  df --output=used -B1 . | tail -1
}
/usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th --size "$size" --optimizer-copies 0
before=$(used)
"$craftbundle" export checkpoint.th -o result.bin >/dev/null  # reads the source: warm cache
after=$(used)
bytes=$(stat -c %s result.bin)
echo "== disk used by the result: $((after - before)) of $bytes bytes"
"$here/measure.py" --before 'rm -f copy.bin out.bin; sync' \
  "cp+sync=cp --reflink=never result.bin copy.bin && sync copy.bin" \
  "export=$craftbundle export checkpoint.th -o out.bin" \
  "export --check structure=$craftbundle export checkpoint.th -o out.bin --check structure" \
  "export --no-clone=$craftbundle export checkpoint.th -o out.bin --no-clone" \
  "cp of extents+sync=cp --reflink=always result.bin copy.bin && sync copy.bin"

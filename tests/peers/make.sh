#!/usr/bin/env bash
# Makes the Python environments that tests in tests/peers run in, unless they are there already.
#   tests/peers/make.sh DIRECTORY
# DIRECTORY gets venv (torch, peft, audiocraft, ...) and, as further paths, transformers5 and transformers4.
# Exit status 77: they cannot be made here (no network, no pip); the tests then skip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=$1
mkdir -p "$peers"
peers=$(cd "$peers" && pwd)
exec 9>"$peers/lock"
flock 9

wanted=$( { /usr/bin/python3 --version; cat "$here/packages.txt" "$here/make.sh"; } | sha256sum)
if [ "$(cat "$peers/made" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
rm -rf "$peers/made" "$peers/venv" "$peers/transformers4" "$peers/transformers5"

give_up() {
  echo "SKIPPED: the peers cannot be made: $1" >&2
  sed -n '/./{s/^/  /;p}' "$peers/log" | tail -n 5 >&2
  rm -rf "$peers/venv" "$peers/log"
  exit 77
}
echo "Making the peers in $peers (about 400 MB are downloaded, once)"
/usr/bin/python3 -m venv "$peers/venv" >"$peers/log" 2>&1 || give_up "python3 -m venv fails; is python3-venv installed?"
packages() { awk -v path="$1" '$1 == path && $2 !~ /^torch==/ {print $2}' "$here/packages.txt"; }
torch=$(awk '$2 ~ /^torch==/ {print $2}' "$here/packages.txt")
fetch() { "$peers/venv/bin/python" -m pip install --quiet --no-deps --no-compile --disable-pip-version-check --retries 1 --timeout 30 "$@" >"$peers/log" 2>&1; }
# Where pip is told of wheels it finds this one itself; else PyTorch's own index has it.
fetch "$torch" || fetch "$torch" --index-url https://download.pytorch.org/whl/cpu || give_up "pip finds no $torch"
mapfile -t names < <(packages all)
fetch "${names[@]}" || give_up "pip cannot install what all peers need"
for version in 4 5; do
  mapfile -t names < <(packages "v$version")
  fetch --target "$peers/transformers$version" "${names[@]}" || give_up "pip cannot install transformers $version"
done
# The extension of torchaudio wants CUDA; what is used here is Python.
rm -f "$peers"/venv/lib/python3*/site-packages/torchaudio/lib/*.so
echo "$wanted" >"$peers/made"
rm "$peers/log"

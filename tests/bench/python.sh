#!/usr/bin/env bash
# The Python module: export_lm() beside AudioCraft's own on a checkpoint the size of MusicGen small, and what starting
# costs.
#   tests/bench/python.sh PYTHON PEER_PYTHON [WORK_DIRECTORY]
# PYTHON has the wheel of craftbundle and numpy; PEER_PYTHON has PyTorch, OmegaConf and AudioCraft, as
# build/peers/venv/bin/python does that tests/peers/make.sh makes. Needs 5 GB of disk, and of memory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$(realpath -s "$1")
peer=$(realpath -s "$2")
work=${3:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
[ -f checkpoint.th ] || /usr/bin/python3 "$here/make_checkpoint.py" checkpoint.th --optimizer-copies 0

echo "== export_lm(), with the start of Python and the imports"
"$here/measure.py" --runs 3 --before 'rm -f ours.bin theirs.bin; sync' \
  "craftbundle.audiocraft=$python -c 'from craftbundle.audiocraft import export_lm as f; f(\"checkpoint.th\", \"ours.bin\")'" \
  "audiocraft.utils.export=$peer $here/audiocraft_export.py export_lm checkpoint.th theirs.bin"
rm -f ours.bin theirs.bin
echo "== start"
"$here/measure.py" --runs 5 \
  "python -c pass=$python -c pass" \
  "import craftbundle=$python -c 'import craftbundle'" \
  "import craftbundle.audiocraft=$python -c 'import craftbundle.audiocraft'" \
  "import numpy=$python -c 'import numpy'" \
  "import torch=$peer -c 'import torch'" \
  "craftbundle --version=$(dirname "$python")/craftbundle --version" \
  "python -m craftbundle --version=$python -m craftbundle --version"

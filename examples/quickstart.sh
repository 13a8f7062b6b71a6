#!/usr/bin/env bash
# From a fresh Debian 12 to a first bundle: installs the packages, builds, exports a bundle from the small
# real checkpoints of the tests, and inspects it.
#   examples/quickstart.sh [OUTPUT_DIRECTORY]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/my_model}

cmake/install_packages.sh cmake/packages-build.txt
/usr/bin/cmake --preset default -DCRAFTBUNDLE_TESTS=OFF --log-level=WARNING
/usr/bin/cmake --build --preset default

craftbundle=build/default/bin/craftbundle
data=tests/golden/data
echo
set -x
$craftbundle bundle --lm $data/musicgen_train.th --compression $data/encodec_train.th -o "$out" --force
$craftbundle inspect "$out"

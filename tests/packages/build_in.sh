#!/usr/bin/env bash
# Builds this tree in another Debian and passes its tests there: all packages from that Debian, warnings are errors.
#   build_in.sh SUITE ROOT [CTEST_ARGUMENT...]
# ROOT is made where it is not there, and kept with the build in it: a second call builds what has changed.
# CXXFLAGS are taken along. Exit status 77: such a system cannot be made here.
set -euo pipefail
suite=$1
root=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "$here/../..")
[ -e "$root/etc/debian_version" ] || "$here/debian_root.sh" "$suite" "$root"
"$here/in_root.sh" "$root" --bind "$source" /source \
  env "CXXFLAGS=${CXXFLAGS:-}" bash -euc '
    cd /source
    cmake/install_packages.sh cmake/packages-build.txt cmake/packages-test.txt
    cmake --preset ci -B /build
    cmake --build /build
    ctest --test-dir /build --output-on-failure -j "$(nproc)" "$@"' build_in "$@"

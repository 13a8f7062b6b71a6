#!/usr/bin/env bash
# Builds this tree in another Debian and passes its tests there: all packages from that Debian, warnings are errors.
#   build_in.sh SUITE ROOT [CTEST_ARGUMENT...]
# ROOT is made where it is not there, and kept with the build in it: a second call builds what has changed.
# CMAKE_ARGS are given to cmake (-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O0); CCACHE_DIR, when set, is a compiler cache of its own that
# outlives ROOT. Exit status 77: such a system cannot be made here.
set -euo pipefail
suite=$1
root=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "$here/../..")
[ -e "$root/etc/debian_version" ] || "$here/debian_root.sh" "$suite" "$root"
cache=()
if [ -n "${CCACHE_DIR:-}" ]; then
  mkdir -p "$CCACHE_DIR"
  cache=(--bind "$CCACHE_DIR" /ccache)
fi
"$here/in_root.sh" "$root" --bind "$source" /source ${cache[@]+"${cache[@]}"} \
  env "CMAKE_ARGS=${CMAKE_ARGS:-}" CCACHE_DIR="${CCACHE_DIR:+/ccache}" bash -euc '
    cd /source
    cmake/install_packages.sh cmake/packages-build.txt cmake/packages-test.txt
    read -ra arguments <<<"$CMAKE_ARGS"
    if [ -n "$CCACHE_DIR" ]; then arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); else unset CCACHE_DIR; fi
    cmake --preset ci -B /build ${arguments[@]+"${arguments[@]}"}
    cmake --build /build -- -j "$(nproc)" -k 0
    ctest --test-dir /build --output-on-failure -j "$(nproc)" "$@"' build_in "$@"

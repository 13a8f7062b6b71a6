#!/usr/bin/env bash
# Passes all tests: installs the Debian packages, builds with warnings as errors, runs ctest.
#   tests/run.sh [--full] [CTEST_ARGUMENT...]
# --full installs Slurm, a browser, and what makes packages and the site of the documentation too, for the tests that need them,
# and first runs the tests of core under AddressSanitizer+UBSan and ThreadSanitizer.
# CRAFTBUNDLE_PEER_PYTHON names a Python with a current PyTorch; unset, it is the one of tests/peers/make.sh. Without network that
# makes none, and the tests that need peers skip; so do those of the wheels.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(cmake/packages-build.txt cmake/packages-test.txt cmake/packages-wheel.txt)
sanitizers=()
if [ "${1:-}" = --full ]; then
  packages+=(cmake/packages-slurm.txt cmake/packages-browser.txt cmake/packages-docs.txt cmake/packages-release.txt)
  sanitizers=(asan tsan)
  shift
fi

cmake/install_packages.sh "${packages[@]}"
# Downloads, which take minutes and no processor, go on meanwhile; a group of its own, so that all of it ends when this does.
setsid tests/peers/make.sh build/peers &
peers_made=$!
trap 'kill -- -"$peers_made" 2>/dev/null || true' EXIT

# What is compiled twice, by the wheels (tests/python) or the next run, is compiled once. A cache that is there has limits of its own.
if [ -z "${CCACHE_DIR:-}" ]; then export CCACHE_DIR=$PWD/build/ccache CCACHE_MAXSIZE=2G; fi
export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1
for preset in ${sanitizers[@]+"${sanitizers[@]}"}; do
  echo "== core under $preset"
  /usr/bin/cmake --preset "$preset" --log-level=WARNING
  targets=(core_tests)
  # Races between stages need the program, and plugins; those that need LibTorch are left out.
  if [ "$preset" = tsan ]; then targets+=(jobs_test); fi
  /usr/bin/cmake --build --preset "$preset" --target "${targets[@]}"
  # What was not built has no tests but NOT_BUILT ones, without labels.
  /usr/bin/ctest --preset "$preset" --output-on-failure -L '^(core|jobs)$' -j "$(nproc)" --progress
  # Machines of CI have small disks, and nobody builds there again.
  if [ -n "${CI:-}" ]; then rm -rf "build/$preset"; fi
done
peers=0
wait "$peers_made" || peers=$?
trap - EXIT
[ "$peers" -eq 0 ] || [ "$peers" -eq 77 ]
if [ "$peers" -eq 0 ]; then
  export CRAFTBUNDLE_PEER_PYTHON=${CRAFTBUNDLE_PEER_PYTHON:-$PWD/build/peers/venv/bin/python}
fi
echo "== everything"
/usr/bin/cmake --preset ci --log-level=WARNING
/usr/bin/cmake --build --preset ci
/usr/bin/ctest --preset ci --output-on-failure -j "$(nproc)" "$@"

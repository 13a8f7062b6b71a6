#!/usr/bin/env bash
# Builds a wheel and gives it the tag of the oldest Linux that it is for; fails when one of its libraries needs more.
#   apps/python/wheel.sh craftbundle|codecs BUILD OUTPUT [SETTING...]
# BUILD is CMake's folder, SETTINGs are scikit-build-core's (cmake.build-type=None). PYTHON names a Python with the packages of
# requirements.txt. codecs wants cmake.define.CMAKE_PREFIX_PATH, the folder of the Python package torch. Same sources and tools,
# same SOURCE_DATE_EPOCH: same bytes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$1 build=$2 output=$3
shift 3
case $name in
  craftbundle) project=$here/../.. foreign=() ;;
  # They come from the wheels that this one depends on.
  codecs) project=$here/codecs foreign=(libcraftbundle.so.0 'libboost_filesystem.so.*' 'libtorch*.so' libc10.so) ;;
  *) sed -n '2,/^set/{/^set/d;s/^# //;p}' "$0" >&2 && exit 2 ;;
esac
tools=$(dirname "$(command -v "$PYTHON")")
plain=$(mktemp -d)
trap 'rm -rf "$plain"' EXIT

CMAKE_EXECUTABLE=/usr/bin/cmake CMAKE_GENERATOR=Ninja "$PYTHON" -m pip wheel --quiet --disable-pip-version-check \
  --no-build-isolation --no-deps --wheel-dir "$plain" "--config-settings=build-dir=$build" "${@/#/--config-settings=}" "$project"
# Those that it holds itself find each other through the program, where auditwheel does not look.
mapfile -t own < <(cd "$plain" && "$PYTHON" -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep="\n")' ./*.whl |
  sed -n 's|.*/_prefix/lib/craftbundle/\([^/]*\.so\.[^/]*\)$|\1|p')
PATH=$tools:$PATH auditwheel repair --plat "manylinux_2_34_$(uname -m)" --wheel-dir "$output" \
  ${foreign[@]+"${foreign[@]/#/--exclude=}"} ${own[@]+"${own[@]/#/--exclude=}"} "$plain"/*.whl

#!/usr/bin/env bash
# Makes a release of the commit that is checked out: Debian packages, archive, wheels, source distribution, bill of materials and
# checksums. Needs Debian 12; installs the packages it needs.
#   cmake/release.sh [--snapshot] [--check-reproducible] OUTPUT
# A release has its section in CHANGELOG.md; --snapshot makes one of unreleased changes, whose version names the commit.
# DEBFULLNAME and DEBEMAIL name the maintainer of the Debian packages; set them for packages that others get.
# CRAFTBUNDLE_PEER_PYTHON names a Python with the torch that the wheel craftbundle-codecs takes (tests/peers/make.sh); unset, that
# wheel is left out. --check-reproducible makes everything twice, from two directories, and fails unless all bytes are the same.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() {
  sed -n '2,/^set/{/^set/d;s/^# //;p}' cmake/release.sh >&2
  exit 2
}
snapshot=
again=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --snapshot) snapshot=1 ;;
    --check-reproducible) again=1 ;;
    *) usage ;;
  esac
  shift
done
[ $# -eq 1 ] || usage
refuse() {
  echo "release: $*" >&2
  exit 1
}

[ -z "$(git status --porcelain)" ] || refuse "there are changes that are not committed: git status"
version=$(sed -n 's/^project(craftbundle VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
if [ -n "$snapshot" ]; then
  version+="~git$(TZ=UTC git log -1 --format=%cd.%h --date=format-local:%Y%m%d%H%M%S)"
else
  grep -Eq "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
    refuse "CHANGELOG.md has no section '## [$version] - YYYY-MM-DD' (CMakeLists.txt says $version): write it, or give --snapshot"
  awk '/^## /{inside = ($0 ~ /^## \[Unreleased\]/)} inside && /^- /{exit 1}' CHANGELOG.md ||
    refuse "CHANGELOG.md has changes under '## [Unreleased]', which are in $version: move them there"
fi
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
[ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || refuse "$1 is not empty"
mkdir -p "$1"
output=$(realpath "$1")

cmake/install_packages.sh cmake/packages-build.txt cmake/packages-wheel.txt cmake/packages-release.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check -r cmake/release/requirements.txt -r apps/python/requirements.txt
export PYTHON=$work/venv/bin/python

# build DIRECTORY OUTPUT: all files but the checksums, from a copy of the commit in that directory.
build() {
  mkdir -p "$1" "$2"
  git archive HEAD | tar -x -C "$1"
  # No file says where it was built.
  local flags="-ffile-prefix-map=$1=. ${CXXFLAGS:-}"
  (
    cd "$1"
    echo "== Debian packages"
    /usr/bin/cmake --preset release "-DCMAKE_CXX_FLAGS=$flags" --log-level=WARNING
    /usr/bin/cmake --build --preset release
    cmake/release/debian_packages.sh build/release "$2" "$version" >build/debian_packages.log 2>&1 ||
      { tail -n 20 build/debian_packages.log; exit 1; }
    echo "== archive"
    /usr/bin/cmake --preset self-contained "-DCMAKE_CXX_FLAGS=$flags" --log-level=WARNING
    /usr/bin/cmake --build --preset self-contained
    cmake/release/archive.sh build/self-contained "$2" "$version"
    echo "== wheels and source distribution"
    CXXFLAGS=$flags apps/python/wheel.sh craftbundle build/wheel "$2"
    if [ -n "${CRAFTBUNDLE_PEER_PYTHON:-}" ]; then
      torch=$("$CRAFTBUNDLE_PEER_PYTHON" -c 'import torch; print(torch.utils.cmake_prefix_path)')
      CXXFLAGS=$flags apps/python/wheel.sh codecs build/wheel-codecs "$2" "cmake.define.Torch_DIR=$torch/Torch"
    fi
    "$PYTHON" -m build --sdist --no-isolation --outdir "$2" . >build/sdist.log || { tail -n 20 build/sdist.log; exit 1; }
    echo "== bill of materials"
    mkdir build/files
    tar -xf "$2/craftbundle-$version-linux-$(uname -m).tar.zst" -C build/files
    "$PYTHON" cmake/release/sbom.py "$version" build/self-contained build/files \
      "$2/craftbundle-$version-linux-$(uname -m).cdx.json"
  )
}

build "$work/source" "$output"
lintian --allow-root --fail-on error,warning "$output"/*.deb
tests/packages/archive.sh "$output"/*.tar.zst "$PWD" "$work/archive" || [ $? -eq 77 ]
(cd "$output" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
if [ -n "$again" ]; then
  build "$work/a/second/source" "$work/again"
  (cd "$work/again" && sha256sum --quiet --check "$output/SHA256SUMS") ||
    refuse "two builds of the commit differ in the files above"
  echo "made again, all files have the same bytes"
fi
cat "$output/SHA256SUMS"

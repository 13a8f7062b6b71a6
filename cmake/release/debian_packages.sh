#!/usr/bin/env bash
# Makes the Debian packages of a build with LibTorch whose prefix is /usr (as the presets `ci` and `release` have it).
#   cmake/release/debian_packages.sh BUILD OUTPUT [VERSION]
# Their date is SOURCE_DATE_EPOCH, which has to be set. Their maintainer is DEBFULLNAME and DEBEMAIL, as with other tools of Debian;
# what is not set is that of debian/control, whose address nobody can have (RFC 2606).
set -euo pipefail
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?}
here=$(realpath "$(dirname "$0")")
build=$(realpath "$1")
mkdir -p "$2"
output=$(realpath "$2")
version=${3:-$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")}

work=$(mktemp -d "$build/debian.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/craftbundle"
cp -r "$here/debian" "$work/craftbundle/debian"
[[ $(sed -n 's/^Maintainer: //p' "$here/debian/control") =~ ^(.+)\ \<(.+)\>$ ]]
maintainer="${DEBFULLNAME:-${BASH_REMATCH[1]}} <${DEBEMAIL:-${BASH_REMATCH[2]}}>"
MAINTAINER=$maintainer awk '/^Maintainer: / {$0 = "Maintainer: " ENVIRON["MAINTAINER"]} {print}' "$here/debian/control" \
  >"$work/craftbundle/debian/control"
cat >"$work/craftbundle/debian/changelog" <<END
craftbundle ($version-1~deb12) bookworm; urgency=medium

  * Version $version: changelog.gz says what has changed.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cd "$work/craftbundle"
CRAFTBUNDLE_BUILD=$build DEB_BUILD_OPTIONS=noautodbgsym debian/rules binary
mv "$work"/*.deb "$output"

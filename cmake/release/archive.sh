#!/usr/bin/env bash
# Makes the archive for all Linuxes of a self-contained build (CRAFTBUNDLE_SELF_CONTAINED).
#   cmake/release/archive.sh BUILD OUTPUT VERSION
# Its dates are SOURCE_DATE_EPOCH, which has to be set.
set -euo pipefail
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?}
here=$(dirname "$0")
name=craftbundle-$3-linux-$(uname -m)
work=$(mktemp -d "$1/archive.XXXXXX")
trap 'rm -rf "$work"' EXIT

/usr/bin/cmake --install "$1" --prefix "$work/$name" --strip >/dev/null
# The runtime of C++ is carried along as shared libraries: exceptions and types pass between library, program and plugins, those
# of others too, so all of them must have one copy. The system's comes first where there is one: it is new enough wherever libc
# is, and Debian 12's own wants a newer libc than all the rest.
mkdir "$work/$name/lib/craftbundle/runtime"
for library in libstdc++.so.6 libgcc_s.so.1; do
  cp "$(g++ -print-file-name=$library)" "$work/$name/lib/craftbundle/runtime/$library"
done
for program in bin/craftbundle libexec/craftbundle/craftbundle-scan; do
  own=$(patchelf --print-rpath "$work/$name/$program")
  copies=\$ORIGIN/$(realpath --relative-to="$work/$name/$(dirname $program)" "$work/$name/lib/craftbundle")
  patchelf --force-rpath --set-rpath "$own:$copies:/usr/lib/$(g++ -print-multiarch):/usr/lib64:/usr/lib:$copies/runtime" \
    "$work/$name/$program"
done
/usr/bin/python3 "$here/carried.py" "$1" "$work/$name" "$work/$name/share/doc/craftbundle/licences"

tar --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw --mtime="@$SOURCE_DATE_EPOCH" \
  --format=gnu --create "$name" | zstd -q -19 -T1 -o "$2/$name.tar.zst"

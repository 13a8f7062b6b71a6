#!/usr/bin/env bash
# Holds the archive for all Linuxes to what docs/packages.md says of it: which versions of libc and libstdc++ its files need, and that
# it works in a Debian 12 with nothing installed for it, with and without a libstdc++ there.
#   archive.sh ARCHIVE SOURCE WORK
# Exit status 77: such a system cannot be made here.
set -euo pipefail
archive=$1
source=$2
work=$3
here=$(dirname "$0")
root=$work/root
trap 'rm -rf "$root"' EXIT

rm -rf "$work"
mkdir -p "$work/files"
tar -xf "$archive" -C "$work/files" --strip-components 1

# newest WORD FILE: the newest version of WORD (GLIBC, GLIBCXX) that the file needs
newest() {
  readelf --version-info --wide "$2" | sed -n '/^Version needs/,$p' | grep -oE "Name: $1_[0-9.]+" | sed 's/.*_//' | sort -V |
    tail -n 1
}
at_most() { [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$2" ]; }
files=0
while read -r file; do
  libc=2.34
  case $file in */runtime/*) libc=2.36 ;; esac
  at_most "$(newest GLIBC "$file")" $libc || { echo "$file needs glibc $(newest GLIBC "$file"), not just $libc"; exit 1; }
  at_most "$(newest GLIBCXX "$file")" 3.4.29 || { echo "$file needs libstdc++ $(newest GLIBCXX "$file"), not just 3.4.29"; exit 1; }
  while read -r needed; do
    case $needed in libc.so.6 | libm.so.6 | ld-linux-*) continue ;; esac
    [ -n "$(find "$work/files" -name "$needed")" ] || { echo "$file needs $needed, which is not carried along"; exit 1; }
  done < <(readelf --dynamic --wide "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  files=$((files + 1))
done < <(find "$work/files" -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF' sh {} \; -print)
[ "$files" -gt 10 ] || { echo "only $files ELF files were found"; exit 1; }
echo "$files files need glibc 2.34 and libstdc++ 3.4.29; the runtime that is carried along, glibc 2.36"

"$here/debian_root.sh" bookworm "$root"
cp -r "$work/files" "$root/opt/craftbundle"
cat >"$root/steps.sh" <<'STEPS'
set -euo pipefail
use() (
  cd /opt/craftbundle
  rm -rf /tmp/my_model
  bin/craftbundle bundle --lm $data/musicgen_train.th --compression $data/encodec_train.th -o /tmp/my_model
  bin/craftbundle verify /tmp/my_model
  libexec/craftbundle/craftbundle-scan lib/craftbundle/plugins/dac.so -o /tmp/dac.yaml
)
data=/source/tests/golden/data
use >/dev/null
rm /usr/lib/*-linux-gnu/libstdc++.so.6 /usr/lib/*-linux-gnu/libgcc_s.so.1
use >/dev/null
echo "the archive works"
STEPS
"$here/in_root.sh" "$root" --bind "$source" /source bash /steps.sh

#!/usr/bin/env bash
# Makes the root directory of a small Debian, to be used with in_root.sh.
#   debian_root.sh SUITE ROOT
# Exit status 77: it cannot be made here.
set -euo pipefail
suite=$1
root=$2
skip() {
  echo "SKIPPED: $*"
  exit 77
}
[ "$(id -u)" -eq 0 ] || skip "a Debian of its own needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || skip "mounting is not permitted"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$root"
mkdir -p "$root"
if ! debootstrap --variant=minbase "$suite" "$root" >"$log" 2>&1; then
  tail -5 "$log"
  skip "debootstrap made no $suite"
fi
# It lives for one test, so nothing has to be safe on the disk.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"

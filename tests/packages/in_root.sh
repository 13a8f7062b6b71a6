#!/usr/bin/env bash
# Runs a command in the Debian under ROOT (debian_root.sh makes one), with /proc and /dev, and with directories of this system
# where they are asked for. What is mounted for it is gone when the command ends, however that happens.
#   in_root.sh ROOT [--bind DIRECTORY PLACE]... COMMAND [ARGUMENT...]
set -euo pipefail
root=$(realpath "$1")
shift
mounts="mount -t proc proc '$root/proc'; mount --rbind /dev '$root/dev'"
while [ "$1" = --bind ]; do
  mkdir -p "$root$3"
  mounts+="; mount --bind '$2' '$root$3'"
  shift 3
done
exec unshare --mount --pid --fork --kill-child bash -ec "$mounts; exec chroot '$root' \"\$@\"" in_root \
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"

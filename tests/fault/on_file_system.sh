#!/usr/bin/env bash
# Runs a test in a file system of its own: TMPDIR lies in it.
#   on_file_system.sh ext4|tmpfs|xfs|btrfs|bindfs|no_links|vfat|exfat COMMAND...
# bindfs has no O_TMPFILE; vfat and exfat (the latter through FUSE) have no hard links either, and
# no_links, which CRAFTBUNDLE_NO_LINKS names, is as mounts of cloud storage are.
# CRAFTBUNDLE_DISK_SIZE is the size of ext4, xfs and btrfs (512M).
# Ends with 77 and says why when it cannot be mounted. Mounts and servers of file systems belong to
# namespaces that end with this script, however that ends.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

skip() {
  echo "SKIPPED $kind: $*" >&2
  exit 77
}
need() {
  command -v "$1" >/dev/null || skip "needs $1 (Debian package $2)"
}

kind=$1
shift
size=${CRAFTBUNDLE_DISK_SIZE:-512M}
if [ -z "${CRAFTBUNDLE_OWN_NAMESPACE:-}" ]; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(--map-root-user)
  own=(unshare "${root[@]}" --mount --pid --fork --kill-child --mount-proc)
  reason=$("${own[@]}" true 2>&1) || skip "no namespaces ($reason)"
  folder=$(mktemp -d "${TMPDIR:-/tmp}/craftbundle-disk-XXXXXXXX")
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 1' INT TERM
  status=0
  CRAFTBUNDLE_OWN_NAMESPACE=$folder "${own[@]}" "$0" "$kind" "$@" || status=$?
  exit "$status"
fi

folder=$CRAFTBUNDLE_OWN_NAMESPACE
unset CRAFTBUNDLE_OWN_NAMESPACE
disk=$folder/disk
image=$folder/image
mkdir "$disk"

# make_image SIZE COMMAND...: a file of SIZE which COMMAND makes a file system.
make_image() {
  truncate -s "$1" "$image"
  reason=$("${@:2}" "$image" 2>&1) || skip "no file system made ($reason)"
}
mount_image() {
  reason=$(mount -t "$kind" -o loop "$image" "$disk" 2>&1) || skip "cannot be mounted ($reason)"
}
# Waits for a server that was started beside.
wait_for_server() {
  for _ in $(seq 100); do
    if mountpoint -q "$disk"; then return 0; fi
    kill -0 "$1" 2>/dev/null || break
    sleep 0.1
  done
  skip "cannot be mounted ($(cat "$folder/server"))"
}

case $kind in
  ext4)
    need mkfs.ext4 e2fsprogs
    make_image "$size" mkfs.ext4 -q
    mount_image
    ;;
  tmpfs)
    reason=$(mount -t tmpfs tmpfs "$disk" 2>&1) || skip "cannot be mounted ($reason)"
    ;;
  xfs)
    need mkfs.xfs xfsprogs
    make_image "$size" mkfs.xfs -q
    mount_image
    ;;
  btrfs)
    need mkfs.btrfs btrfs-progs
    make_image "$size" mkfs.btrfs -q
    mount_image
    ;;
  vfat)
    need mkfs.vfat dosfstools
    make_image 256M mkfs.vfat
    mount_image
    ;;
  bindfs)
    need bindfs bindfs
    mkdir "$folder/behind"
    bindfs -f "$folder/behind" "$disk" >"$folder/server" 2>&1 &
    wait_for_server $!
    ;;
  no_links)
    [ -n "${CRAFTBUNDLE_NO_LINKS:-}" ] || skip "needs libfuse (Debian package libfuse3-dev) where it is built"
    mkdir "$folder/behind"
    "$CRAFTBUNDLE_NO_LINKS" "$folder/behind" "$disk" "${CRAFTBUNDLE_LINK_ERRNO:-38}" >"$folder/server" 2>&1 &
    wait_for_server $!
    ;;
  exfat)
    need mkfs.exfat exfatprogs
    need mount.exfat-fuse exfat-fuse
    make_image 256M mkfs.exfat
    device=$(losetup --find --show "$image" 2>&1) || skip "no loop device ($device)"
    # Given back by the kernel with the last who has it open.
    exec {device_fd}<>"$device"
    losetup -d "$device"
    mount.exfat-fuse -d "$device" "$disk" >"$folder/server" 2>&1 &
    wait_for_server $!
    exec {device_fd}>&-
    ;;
  *)
    echo "no file system '$kind'" >&2
    exit 2
    ;;
esac

echo "in $(stat -f -c %T "$disk") ($kind)"
mkdir "$disk/tests"
export TMPDIR=$disk/tests
"$@"

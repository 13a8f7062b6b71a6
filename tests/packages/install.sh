#!/usr/bin/env bash
# Makes the Debian packages of a build, lets lintian judge them, and installs them into a Debian 12 of its own: the program runs
# README's example there, the example plugin is built and used, and nothing stays when all is removed.
#   install.sh BUILD_DIRECTORY SOURCE_DIRECTORY WORK_DIRECTORY
# Exit status 77: such a system cannot be made here.
set -euo pipefail
for tool in dh chrpath lintian; do
  command -v $tool >/dev/null || { echo "SKIPPED: $tool is not installed (cmake/packages-release.txt)"; exit 77; }
done
build=$1
source=$2
work=$3
here=$(dirname "$0")
root=$work/root
trap 'rm -rf "$root"' EXIT

rm -rf "$work"
mkdir -p "$work"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date +%s)}
export SOURCE_DATE_EPOCH
"$source/cmake/release/debian_packages.sh" "$build" "$work/packages" >"$work/debian_packages.log" 2>&1 || {
  tail -20 "$work/debian_packages.log"
  exit 1
}
lintian --allow-root --fail-on error,warning "$work"/packages/*.deb
echo "lintian has nothing to say of $(cd "$work/packages" && echo *.deb)"

"$here/debian_root.sh" bookworm "$root"
cat >"$root/steps.sh" <<'STEPS'
set -euo pipefail
install() { apt-get install -qq --no-install-recommends "$@" >/tmp/apt.log 2>&1 || { tail -20 /tmp/apt.log; exit 1; }; }
expect() {  # expect TEXT COMMAND...: its output has the text
  local output
  output=$("${@:2}" 2>&1) || { echo "${*:2}: exited with $?: $output"; exit 1; }
  case $output in *"$1"*) ;; *) echo "${*:2}: expected '$1' in: $output"; exit 1 ;; esac
}
cd /tmp
echo "== the program"
install /packages/craftbundle_*.deb /packages/libcraftbundle0_*.deb
for absent in g++ python3 libtorch; do
  ! compgen -G "/usr/bin/$absent*" && ! compgen -G "/usr/lib/*/$absent*" || { echo "$absent came with the program"; exit 1; }
done
data=/source/tests/golden/data
expect 'my_model: bundle of 2 components' \
  craftbundle bundle --lm $data/musicgen_train.th --compression $data/encodec_train.th -o my_model
expect 'verified' craftbundle verify my_model
expect 'encodec' craftbundle plugins list
expect '"refused": []' craftbundle plugins list --json
test -s /usr/share/bash-completion/completions/craftbundle
test -s /usr/share/man/man1/craftbundle.1.gz

echo "== the example plugin"
install /packages/libcraftbundle-dev_*.deb /packages/craftbundle-doc_*.deb cmake ninja-build g++
# As somebody who may not write to the system.
useradd --create-home maker
su maker -c 'cd && cmake -G Ninja -S /usr/share/doc/craftbundle/examples/plugin -B plugin && cmake --build plugin' >/tmp/plugin.log 2>&1 ||
  { tail -20 /tmp/plugin.log; exit 1; }
su maker -c 'cd && mkdir -p .local/share/craftbundle/plugins && cp plugin/mulaw.so plugin/mulaw.plugin.yaml .local/share/craftbundle/plugins'
expect 'mulaw' su maker -c 'craftbundle plugins list'
expect 'SI-SNR' su maker -c 'craftbundle verify /source/tests/install/mulaw.pt --run'

echo "== the codecs"
install /packages/craftbundle-codecs_*.deb
expect 'LibTorch' craftbundle verify my_model --run

echo "== removal"
apt-get purge -qq 'craftbundle*' 'libcraftbundle*' >/dev/null 2>&1
left=$(find /usr /etc -name '*craftbundle*')
[ -z "$left" ] || { echo "purging leaves $left"; exit 1; }
echo "the packages work"
STEPS
# What this system has fetched need not be fetched again when it is the same one.
cache=()
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then cache=(--bind /var/cache/apt/archives /var/cache/apt/archives); fi
"$here/in_root.sh" "$root" --bind "$source" /source --bind "$work/packages" /packages ${cache[@]+"${cache[@]}"} bash /steps.sh

#!/usr/bin/env bash
# What cmake/release.sh refuses, in a repository with the files that it reads first.
#   refusals.sh SOURCE WORK
set -euo pipefail
work=$2
rm -rf "$work"
mkdir -p "$work/tree/cmake"
cp "$1/CMakeLists.txt" "$work/tree"
cp "$1/cmake/release.sh" "$work/tree/cmake"
cd "$work/tree"
version=$(sed -n 's/^project(craftbundle VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[ -n "$version" ]

expect() {  # expect STATUS TEXT ARGUMENT...
  local output status=0
  output=$(cmake/release.sh "${@:3}" 2>&1) || status=$?
  [ "$status" -eq "$1" ] && [[ $output == *"$2"* ]] ||
    { echo "release.sh ${*:3}: exit status $status, not $1 with '$2': $output"; exit 1; }
}
commit() { git add --all && git -c user.name=tests -c user.email=tests@example.org commit -qm "$1"; }
changelog() { printf '# Changelog\n\n%s\n' "$1" >CHANGELOG.md; }

git init -q
changelog $'## [Unreleased]\n\n- Something new.'
expect 2 'cmake/release.sh [--snapshot] [--check-reproducible] OUTPUT'
expect 2 'cmake/release.sh [--snapshot] [--check-reproducible] OUTPUT' --unknown "$work/out"
expect 1 'there are changes that are not committed' "$work/out"
commit 'Unreleased'
expect 1 "CHANGELOG.md has no section '## [$version] - YYYY-MM-DD'" "$work/out"
changelog $'## [Unreleased]\n\n- Something new.\n\n'"## [$version] - 2026-01-31"
commit 'Changes beside the release'
expect 1 "CHANGELOG.md has changes under '## [Unreleased]', which are in $version" "$work/out"
changelog $'## [Unreleased]\n\n'"## [$version] - 2026-01-31"$'\n\n- Something new.'
commit 'The release'
mkdir "$work/out"
touch "$work/out/file"
expect 1 "$work/out is not empty" "$work/out"
expect 1 "$work/out is not empty" --snapshot "$work/out"
echo "refused as they should be"

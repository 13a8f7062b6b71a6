#!/usr/bin/env bash
# Builds the wheels, installs them in clean virtual environments and runs the tests of this folder there, outside of the tree.
#   tests/python/run.sh WORK_DIRECTORY [PYTEST_ARGUMENT...]
# CMake builds in WORK_DIRECTORY-craftbundle and WORK_DIRECTORY-codecs, so that these can stand beside another build
# of the tree: then ccache takes what they compile for the same. From PyPI come the build backend and what the tests import,
# nothing of the wheels. Exit status 77: PyPI cannot be reached.
#
#   CRAFTBUNDLE_PYTHONS      the Pythons to test with; unset: Debian's, and the oldest and the newest of the path beside it
#   CRAFTBUNDLE_PEER_PYTHON  a Python with the torch that the wheel craftbundle-codecs takes (tests/peers/make.sh); unset: that
#                            wheel is not built
#   CXXFLAGS, CMAKE_CXX_COMPILER_LAUNCHER, CMAKE_BUILD_TYPE, CMAKE_ARGS as CMake and scikit-build-core read them
set -euo pipefail
shopt -s inherit_errexit
source=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
exec 9>"$work/lock"
flock 9

install() {
  local python=$1
  shift
  "$python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 30 "$@" >"$work/log" 2>&1 && return
  echo "SKIPPED: pip cannot install $*:" >&2
  tail -n 5 "$work/log" >&2
  exit 77
}

wanted=$(cat "$0" "$source/apps/python/requirements.txt" | sha256sum)
if [ "$(cat "$work/made" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$work/tools" "$work"/venv-*
  /usr/bin/python3 -m venv "$work/tools"
  install "$work/tools/bin/python" -r "$source/apps/python/requirements.txt"
  echo "$wanted" >"$work/made"
fi

# wheel NAME [SETTING...]: prints the file
wheel() {
  local name=$1
  shift
  echo "== wheel $name" >&2
  rm -rf "$work/dist-$name"
  PYTHON=$work/tools/bin/python "$source/apps/python/wheel.sh" "$name" "$work-$name" "$work/dist-$name" \
    ${CMAKE_BUILD_TYPE:+"cmake.build-type=$CMAKE_BUILD_TYPE"} "$@" >&2
  echo "$work/dist-$name"/*.whl
}
main=$(wheel craftbundle)
codecs=
if [ -n "${CRAFTBUNDLE_PEER_PYTHON:-}" ]; then
  torch=$("$CRAFTBUNDLE_PEER_PYTHON" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
  codecs=$(wheel codecs "cmake.define.CMAKE_PREFIX_PATH=$torch")
fi

pythons() {
  if [ -n "${CRAFTBUNDLE_PYTHONS:-}" ]; then
    printf '%s\n' $CRAFTBUNDLE_PYTHONS
    return
  fi
  echo /usr/bin/python3
  local python found=()
  for python in python3.9 python3.10 python3.11 python3.12 python3.13 python3.14; do
    # Some are only there to say that they are not.
    if "$python" -c 'import venv, ensurepip' 2>/dev/null; then found+=("$python"); fi
  done
  if [ ${#found[@]} -gt 0 ]; then printf '%s\n' "${found[0]}" "${found[-1]}"; fi
}
mapfile -t pythons < <(pythons)
tested=' '
for python in "${pythons[@]}"; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  [[ $tested != *" $version "* ]] || continue
  tested+="$version "
  venv=$work/venv-$version
  if [ ! -e "$venv/made" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    install "$venv/bin/python" pytest numpy tqdm mypy nbclient nbformat ipykernel omegaconf ml_dtypes
    touch "$venv/made"
  fi
  # What a machine without network does.
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$main"
  if [ "$python" = "${pythons[0]}" ]; then
    (cd "$work" && "$venv/bin/python" -m mypy --strict "$source"/tests/python/*.py)
  fi
  echo "== pytest with Python $version"
  (cd "$work" && CRAFTBUNDLE_WHEEL=$main CRAFTBUNDLE_CODECS_WHEEL=$codecs "$venv/bin/python" -m pytest -p no:cacheprovider -q \
    --basetemp "$work/tmp-$version" "$source/tests/python" "$@")
done

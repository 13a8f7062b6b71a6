"""A plugin of others that takes the process down, built with the package that is installed."""

import os
import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Iterator

import pytest

import craftbundle

TESTS = Path(__file__).resolve().parents[1]
DATA = TESTS / "golden" / "data"

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(unruly LANGUAGES CXX)
find_package(craftbundle REQUIRED)
craftbundle_add_plugin(fixture_unruly SOURCES "{source}")
"""


@pytest.fixture(scope="module")
def unruly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the plugin."""
    # The first one may be a script of a Python that does not have it.
    cmake = shutil.which("cmake", path="/usr/bin:/bin") or shutil.which("cmake")
    if cmake is None or shutil.which("c++") is None:
        pytest.skip("plugins are built with CMake and a C++ compiler")
    directory = tmp_path_factory.mktemp("unruly")
    source = TESTS / "fixtures" / "plugins" / "fixture_unruly.cc"
    (directory / "CMakeLists.txt").write_text(PROJECT.format(source=source))
    package = subprocess.check_output(
        [sys.executable, "-m", "craftbundle", "--cmake-dir"], text=True
    ).strip()
    build = directory / "build"
    configure = [cmake, "-S", str(directory), "-B", str(build), f"-Dcraftbundle_DIR={package}"]
    for step in ([*configure, "-DCMAKE_BUILD_TYPE=None"], [cmake, "--build", str(build)]):
        done = subprocess.run(step, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return next(build.rglob("fixture_unruly.plugin.yaml")).parent


@pytest.fixture()
def found(unruly: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CRAFTBUNDLE_PLUGIN_PATH", str(unruly))
    yield


def source(directory: Path, function: str, how: str) -> Path:
    """A checkpoint that makes a function of the plugin end so."""
    file = directory / f"{function}.th"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"unruly": 50, function: how}, protocol=2))
        archive.writestr("x/version", "3\n")
    return file


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    "function, how, code",
    [
        ("prepare", "crash", "plugin.crash"),
        ("prepare", "abort", "plugin.crash"),
        ("prepare", "exit", "plugin.exit"),
    ],
)
def test_a_plugin_that_dies_is_an_error(function: str, how: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(craftbundle.Error, match=f"{function}\\(\\)") as caught:
        craftbundle.export(source(tmp_path, function, how), tmp_path / "out.bin")
    assert (caught.value.kind, caught.value.code) == ("plugin", code)
    assert not (tmp_path / "out.bin").exists()
    assert craftbundle.export(DATA / "encodec_train.th", tmp_path / "out.bin", no_sync=True)


@pytest.mark.usefixtures("found")
def test_the_copy_is_made_in_a_process_of_many_threads(tmp_path: Path) -> None:
    bad = source(tmp_path, "prepare", "crash")
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            sorted(os.urandom(64) for _ in range(100))

    others = [threading.Thread(target=work) for _ in range(4)]
    for other in others:
        other.start()
    try:
        for _ in range(10):
            with pytest.raises(craftbundle.Error) as caught:
                craftbundle.export(bad, tmp_path / "out.bin")
            assert caught.value.code == "plugin.crash"
    finally:
        enough.set()
        for other in others:
            other.join()


LOOPS = """
import os, signal, sys, threading, time
import craftbundle

threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    craftbundle.export(sys.argv[1], sys.argv[2])
except KeyboardInterrupt:
    print("interrupted" if time.monotonic() - began < 30 else "late")
"""


@pytest.mark.usefixtures("found")
def test_ctrl_c_ends_a_plugin_that_loops(tmp_path: Path) -> None:
    bad = source(tmp_path, "prepare", "loop")
    done = subprocess.run(
        [sys.executable, "-c", LOOPS, str(bad), str(tmp_path / "out.bin")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "interrupted\n", done.stderr

"""What pip installs: the command, the program, the library, and the search of plugins, without the source tree."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict, List, Optional

import pytest

TREE = Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden" / "data"
BIN = Path(sys.executable).parent
COMMAND = BIN / "craftbundle"

pytestmark = pytest.mark.skipif("CRAFTBUNDLE_WHEEL" not in os.environ, reason="the wheel is not installed (tests/python/run.sh)")


def run(arguments: List[str], directory: Path, variables: Optional[Dict[str, str]] = None) -> str:
    """Runs without a compiler, or any other program, in reach."""
    environment = {"PATH": "/nonexistent", "HOME": str(directory), **(variables or {})}
    done = subprocess.run(arguments, cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed_version() -> str:
    from importlib.metadata import version

    return version("craftbundle")


def test_the_wheel_is_small_and_for_every_python() -> None:
    wheel = Path(os.environ["CRAFTBUNDLE_WHEEL"])
    assert wheel.stat().st_size < 15_000_000
    assert "-py3-none-manylinux_2_34_" in wheel.name
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
    # What pip would grant each Python anew, or leave as a second copy.
    assert not [name for name in names if name.endswith((".pyc", ".cpython.so"))]
    assert len([name for name in names if "/libcraftbundle.so" in name]) == 1
    plugins = [Path(name).stem for name in names if "/craftbundle/plugins/" in name and name.endswith(".so")]
    assert sorted(plugins) == [
        "audiocraft", "dac", "encodec", "language_model", "safetensors", "text_encoder", "torchscript", "transformers",
    ]


@pytest.mark.parametrize("command", [[str(COMMAND)], [sys.executable, "-m", "craftbundle"]], ids=["command", "module"])
def test_the_program_starts(command: List[str], tmp_path: Path) -> None:
    assert run([*command, "--version"], tmp_path) == f"craftbundle {installed_version()}\n"


def test_the_command_starts_no_python(tmp_path: Path) -> None:
    strange = shutil.copytree(BIN, tmp_path / "bin", symlinks=True, ignore=shutil.ignore_patterns("python*"))
    (tmp_path / "lib").symlink_to(BIN.parent / "lib")
    assert run([str(strange / "craftbundle"), "--version"], tmp_path).startswith("craftbundle ")


def test_the_command_is_found_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "craftbundle"
    link.symlink_to(COMMAND)
    assert run([str(link), "--version"], tmp_path, {"PATH": "/usr/bin:/bin"}).startswith("craftbundle ")


def test_a_bundle_is_made_and_read_back(tmp_path: Path) -> None:
    bundle = str(tmp_path / "model")
    run([str(COMMAND), "bundle", "--lm", str(GOLDEN / "musicgen_train.th"),
         "--compression", str(GOLDEN / "encodec_train.th"), "-o", bundle], tmp_path)
    assert {path.name for path in Path(bundle).iterdir()} >= {"state_dict.bin", "compression_state_dict.bin"}
    run([str(COMMAND), "verify", bundle], tmp_path)


def test_help_has_its_manual(tmp_path: Path) -> None:
    assert "SYNOPSIS" in run([str(COMMAND), "help", "--man"], tmp_path)


@pytest.fixture(scope="module")
def mulaw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the example plugin, built with the CMake package of the wheel and nothing of the tree's build."""
    cmake = shutil.which("cmake", path="/usr/bin:/bin") or shutil.which("cmake")
    if cmake is None or shutil.which("c++") is None:
        pytest.skip("plugins are built with CMake and a C++ compiler")
    directory = tmp_path_factory.mktemp("mulaw")
    package = subprocess.check_output([sys.executable, "-m", "craftbundle", "--cmake-dir"], text=True).strip()
    assert str(TREE) not in package or str(BIN.parent) in package
    configure = [cmake, "-S", str(TREE / "examples" / "plugin"), "-B", str(directory), f"-Dcraftbundle_DIR={package}",
                 "-DCMAKE_BUILD_TYPE=None"]
    for step in (configure, [cmake, "--build", str(directory)]):
        done = subprocess.run(step, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return next(directory.rglob("*.plugin.yaml")).parent


def plugins(directory: Path, variables: Dict[str, str]) -> Dict[str, List[Dict[str, str]]]:
    answer: Dict[str, List[Dict[str, str]]] = json.loads(
        run([str(COMMAND), "plugins", "list", "--json"], directory, variables))
    return answer


def names(listed: Dict[str, List[Dict[str, str]]]) -> Dict[str, str]:
    return {plugin["name"]: plugin["origin"] for plugin in listed["plugins"]}


def test_a_plugin_of_the_user_is_found_by_path(mulaw: Path, tmp_path: Path) -> None:
    assert names(plugins(tmp_path, {"CRAFTBUNDLE_PLUGIN_PATH": str(mulaw)}))["mulaw"] == "CRAFTBUNDLE_PLUGIN_PATH"


def test_a_plugin_of_the_user_is_found_in_the_home_directory(mulaw: Path, tmp_path: Path) -> None:
    own = tmp_path / ".local" / "share" / "craftbundle" / "plugins"
    own.mkdir(parents=True)
    for file in mulaw.glob("mulaw.*"):
        if file.is_file():
            shutil.copy(file, own)
    assert names(plugins(tmp_path, {}))["mulaw"] == "user"


def test_a_plugin_of_the_user_exports(mulaw: Path, tmp_path: Path) -> None:
    sample = TREE / "tests" / "install" / "mulaw.pt"
    run([str(COMMAND), "export", str(sample), "-o", "out.bin"], tmp_path, {"CRAFTBUNDLE_PLUGIN_PATH": str(mulaw)})
    assert (tmp_path / "out.bin").stat().st_size > 0


def test_the_module_runs_the_codec_of_a_plugin(mulaw: Path, tmp_path: Path) -> None:
    code = """import sys, craftbundle
found = craftbundle.verify(sys.argv[1], run=True, seconds=2)
assert isinstance(found.codec, craftbundle.CodecRun) and found.codec.json == found.json["codec"]
assert "SI-SNR" in found.page and "<audio " in found.page and "si_snr_db" in found.codec._repr_html_()
print(found.sound, found.codec.seconds, found.codec.input)
assert craftbundle.verify(sys.argv[1]).codec is None
"""
    arguments = [sys.executable, "-c", code, str(TREE / "tests" / "install" / "mulaw.pt")]
    said = run(arguments, tmp_path, {"CRAFTBUNDLE_PLUGIN_PATH": str(mulaw)})
    assert said == "True 2.0 built-in test signal\n"


@pytest.mark.parametrize("there, said", [("torch-2.9.1", "is 2.9.1"), (None, "is none"), ("torchaudio-2.13.0", "is none")])
def test_a_plugin_for_another_torch_is_refused(mulaw: Path, tmp_path: Path, there: Optional[str], said: str) -> None:
    package = tmp_path / "site-packages" / "mulaw"
    package.mkdir(parents=True)
    for file in mulaw.glob("mulaw.*"):
        if file.is_file():
            shutil.copy(file, package)
    (package / "mulaw.requires").write_text("torch==2.13.*\n")
    if there:
        (package.parent / f"{there}.dist-info").mkdir()
    search = {"CRAFTBUNDLE_PLUGIN_PATH": str(package)}
    refused = plugins(tmp_path, search)["refused"]
    assert [plugin["code"] for plugin in refused] == ["plugin.requirement"]
    assert refused[0]["reason"] == (
        f"needs the Python package torch 2.13.*, and in {package.parent} {said}; pip install 'torch==2.13.*'")
    (package.parent / "torch-2.13.1+cpu.dist-info").mkdir()
    if there != "torch-2.9.1":
        assert plugins(tmp_path, search)["refused"] == []

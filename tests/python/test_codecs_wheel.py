"""The wheel craftbundle-codecs beside the other one and torch, in a directory as ``pip install --target`` makes it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "data"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = os.environ.get("CRAFTBUNDLE_CODECS_WHEEL")
    if not codecs:
        pytest.skip("CRAFTBUNDLE_CODECS_WHEEL: there is no torch to build the wheel with (CRAFTBUNDLE_PEER_PYTHON)")
    directory = tmp_path_factory.mktemp("packages")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(directory),
                    os.environ["CRAFTBUNDLE_WHEEL"], codecs], check=True)
    return directory


def run(packages: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/nonexistent", "HOME": str(packages)}
    return subprocess.run([str(packages / "bin" / "craftbundle"), *arguments], env=environment, capture_output=True, text=True)


def refused(packages: Path) -> List[Any]:
    found: List[Any] = json.loads(run(packages, "plugins", "list", "--json").stdout)["refused"]
    return found


def test_without_torch_it_is_refused(packages: Path) -> None:
    assert [(plugin["code"], plugin["origin"]) for plugin in refused(packages)] == [("plugin.requirement", "installed")]


def test_with_another_torch_it_is_refused(packages: Path) -> None:
    other = packages / "torch-1.0.0.dist-info"
    other.mkdir()
    reason = refused(packages)[0]["reason"]
    other.rmdir()
    assert f"in {packages} is 1.0.0; pip install 'torch==" in reason


@pytest.fixture(scope="module")
def model(packages: Path) -> Path:
    """A bundle; torch is in the directory from now on."""
    peer = os.environ["CRAFTBUNDLE_PEER_PYTHON"]
    torch = Path(subprocess.check_output(
        [peer, "-c", "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"], text=True).strip())
    for path in (torch, *torch.parent.glob("torch-*.dist-info")):
        (packages / path.name).symlink_to(path)
    bundle = packages / "model"
    done = run(packages, "bundle", "--lm", str(GOLDEN / "musicgen_train.th"),
               "--compression", str(GOLDEN / "encodec_train.th"), "-o", str(bundle))
    assert done.returncode == 0, done.stderr
    return bundle


def test_with_its_torch_it_runs_codecs(packages: Path, model: Path) -> None:
    assert refused(packages) == []
    verified = run(packages, "verify", str(model), "--run", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("first", ["", "import torch", "import torch; torch.ones(3) @ torch.ones(3)"])
def test_the_module_runs_codecs_beside_torch(packages: Path, model: Path, first: str) -> None:
    code = f"""{first}
import craftbundle
found = craftbundle.verify({str(model)!r}, run=True, seconds=2, codebooks=1, threads=1)
assert found, found.findings
print(found.codec.engine, len(found.codec.codebooks))
import torch
assert (torch.ones(3) @ torch.ones(3)).item() == 3
"""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run([os.environ["CRAFTBUNDLE_PEER_PYTHON"], "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("LibTorch") and done.stdout.endswith(" 1\n"), done.stdout

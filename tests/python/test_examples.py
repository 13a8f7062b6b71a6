"""Runs the notebook and the scripts of examples/python on the small checkpoints of the tests."""

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

import craftbundle

TREE = Path(__file__).resolve().parents[2]
EXAMPLES = TREE / "examples" / "python"
DATA = TREE / "tests" / "golden" / "data"
LM = DATA / "musicgen_train.th"
CODEC = DATA / "encodec_train.th"


def example(name: str, *arguments: object) -> List[str]:
    """The lines that a script prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle") / "my_model"
    craftbundle.bundle(directory, lm=LM, compression=CODEC)
    return directory


def test_export(tmp_path: Path) -> None:
    lines = example("export.py", LM, tmp_path / "ema.bin")
    size = (tmp_path / "ema.bin").stat().st_size
    assert lines[0] == f"{tmp_path / 'ema.bin'}: lm, 36 tensors, {size} bytes"
    assert any(line.startswith("checked: 36 tensors of ema['state']['model']") for line in lines)
    assert set(craftbundle.open(tmp_path / "ema.bin").dtypes.values()) == {"float16"}


def test_bundle(tmp_path: Path) -> None:
    lines = example("bundle.py", LM, CODEC, tmp_path / "my_model")
    size = (tmp_path / "my_model" / "state_dict.bin").stat().st_size
    assert f"state_dict.bin: {size} bytes" in lines
    assert "codebooks: agrees" in lines
    assert craftbundle.verify(tmp_path / "my_model")


def test_bundle_of_what_does_not_fit(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(EXAMPLES / "bundle.py"),
        str(LM),
        "dac_44khz",
        str(tmp_path / "m"),
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 1
    assert "lm needs 4" in done.stderr and "[bundle.mismatch]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_verify(bundle: Path) -> None:
    lines = example("verify.py", bundle)
    assert lines and all(line.startswith(("holds: ", "warns: ")) for line in lines)


def test_verify_of_a_damaged_file(tmp_path: Path) -> None:
    damaged = bytearray((DATA / "encodec_exported.bin").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.bin").write_bytes(damaged)
    command = [sys.executable, str(EXAMPLES / "verify.py"), str(tmp_path / "damaged.bin")]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 1
    assert "fails: damaged.bin: " in done.stdout and "CRC-32" in done.stdout


def test_look_inside() -> None:
    lines = example("look_inside.py", LM)
    assert lines[0] == "solver: musicgen"
    assert lines[2] == "216 tensors, 36 of them in best_state"
    assert "best_state.model.emb.0.weight: float16 [33, 32]" in lines


def test_run(tmp_path: Path) -> None:
    script = tmp_path / "release.yaml"
    script.write_text(
        f"version: 1\nstages:\n  lm: {{export: {LM}, to: lm.bin}}\n  check: {{verify: lm}}\n"
    )
    assert example("run.py", script)[:2] == ["lm: done", "check: done"]
    assert example("run.py", script)[:2] == ["lm: up to date", "check: up to date"]


def test_convert(bundle: Path, tmp_path: Path) -> None:
    lines = example("convert.py", bundle, tmp_path / "converted")
    assert lines[0].startswith(f"{tmp_path / 'converted'}: layout safetensors, ")
    assert lines[1] == "36 of 36 tensors are the same"


@pytest.mark.parametrize("compression", [CODEC, "facebook/encodec_32khz"])
def test_drop_in(compression: object, tmp_path: Path) -> None:
    assert example("drop_in.py", LM, compression, tmp_path) == [str(tmp_path / "state_dict.bin")]
    assert craftbundle.verify(tmp_path / "state_dict.bin")
    assert craftbundle.verify(tmp_path / "compression_state_dict.bin")


def test_every_script_is_tested() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")}
    assert scripts and all(f"test_{name}" in globals() for name in scripts)


def test_quickstart() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells), "clear outputs"
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    )
    client.execute()
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    tables = [
        output.data["text/html"]
        for cell in cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert any("mismatch\nbundle.mismatch\n" in text for text in shown)
    assert len(tables) == 4  # of inspect, export, bundle and verify
    assert "musicgen_train.th" in tables[0] and "ema.bin" in tables[1] and "my_model" in tables[2]
    assert "compression_state_dict.bin" in cells[-1].outputs[-1].data["text/plain"]

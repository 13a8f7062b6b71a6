"""The calls of the module on real checkpoints: results, errors, progress, and their types."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Set

import pytest

import craftbundle

DATA = Path(__file__).resolve().parents[1] / "golden" / "data"


@pytest.fixture()
def model(tmp_path: Path) -> Path:
    """A bundle of two small models."""
    craftbundle.bundle(
        tmp_path / "model",
        lm=DATA / "musicgen_train.th",
        compression=DATA / "encodec_train.th",
        no_sync=True,
    )
    return tmp_path / "model"


def program(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "craftbundle", *arguments], capture_output=True, text=True
    )
    assert done.returncode in (0, 4), done.stderr
    return done.stdout


def test_export_writes_what_the_program_writes(tmp_path: Path) -> None:
    report = craftbundle.export(
        DATA / "encodec_train.th", tmp_path / "codec.bin", state="ema", dtype="half", no_sync=True
    )
    arguments = ["--state", "ema", "--dtype", "half", "--no-sync", "--json"]
    source = str(DATA / "encodec_train.th")
    printed = program("export", source, "-o", str(tmp_path / "other.bin"), *arguments)
    assert (tmp_path / "codec.bin").read_bytes() == (tmp_path / "other.bin").read_bytes()
    assert {**report.json, "file": ""} == {**json.loads(printed), "file": ""}
    assert report.path == tmp_path / "codec.bin"
    assert report.size == (tmp_path / "codec.bin").stat().st_size
    assert report.layout == "audiocraft"
    assert report.component.role == "compression"
    assert report.component.exporter == "encodec"
    assert report.component.options["state"] == "ema"
    assert report.component.summary["state"].startswith("ema")
    html = report._repr_html_()
    assert html.startswith("<table>") and "codec.bin" in html


def test_export_takes_options_as_the_program(tmp_path: Path) -> None:
    one = craftbundle.export(
        str(DATA / "encodec_train.th"), tmp_path / "a.bin", option={"state": "last"}
    )
    two = craftbundle.export(DATA / "encodec_train.th", tmp_path / "b.bin", state="last")
    assert one.component.options == two.component.options
    assert one.path.read_bytes() == two.path.read_bytes()


def test_bundle_and_inspect(model: Path) -> None:
    report = craftbundle.inspect(model)
    assert isinstance(report, craftbundle.BundleReport)
    assert sorted(report.files) == ["compression_state_dict.bin", "state_dict.bin"]
    assert report.component("lm").summary["family"]
    assert not report.problems
    assert report.json == json.loads(program("inspect", "--json", str(model)))
    with pytest.raises(KeyError):
        report.component("text_encoder")
    assert "state_dict.bin" in report._repr_html_()


def test_bundle_with_options_of_components(tmp_path: Path) -> None:
    report = craftbundle.bundle(
        tmp_path / "model",
        component={"compression": DATA / "encodec_train.th"},
        component_option={"compression": {"state": "ema"}},
        lm=DATA / "musicgen_train.th",
        lm_option={"dtype": "float16"},
        no_sync=True,
    )
    assert report.component("compression").options["state"] == "ema"
    assert report.component("lm").options["dtype"] == "float16"
    with pytest.raises(craftbundle.Error, match="no component 'lm'") as caught:
        craftbundle.bundle(tmp_path / "other", component_option={"lm": {}})
    assert caught.value.code == "option.syntax"


def test_inspect_of_a_checkpoint() -> None:
    found = craftbundle.inspect(DATA / "encodec_train.th")
    assert isinstance(found, craftbundle.Inspection)
    assert found.kind == "checkpoint"
    assert found.unsafe == 0
    assert found.refusal is None
    assert found.component is not None and found.component.role == "compression"
    assert found.json == json.loads(program("inspect", "--json", str(DATA / "encodec_train.th")))
    assert "compression by encodec" in found._repr_html_()


def test_convert_and_verify(model: Path, tmp_path: Path) -> None:
    converted = craftbundle.convert(model, tmp_path / "other", layout="safetensors", no_sync=True)
    assert converted.layout == "safetensors"
    again = craftbundle.convert(tmp_path / "other", tmp_path / "again", no_sync=True).directory
    found = craftbundle.verify(again, against=model)
    assert found and found.sound
    assert {finding.outcome for finding in found.findings} <= {"holds", "warns"}
    assert found.differences and all(entry["largest"] == 0 for entry in found.differences)
    printed = program("verify", str(again), "--against", str(model), "--json")
    assert found.json == json.loads(printed)


def test_verify_finds_damage(model: Path) -> None:
    file = model / "state_dict.bin"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = craftbundle.verify(model)
    assert not found
    failed = [finding for finding in found.findings if finding.outcome == "fails"]
    assert "manifest.sha256" in {finding.code for finding in failed}
    assert "manifest.sha256" in found.page and found.page.endswith("</html>\n")
    assert found._repr_html_().startswith("<iframe srcdoc=")


def test_verify_refuses_to_run_what_it_cannot(model: Path) -> None:
    with pytest.raises(craftbundle.Error, match="option 'seconds' is for 'run'") as caught:
        craftbundle.verify(model, seconds=2)
    assert (caught.value.kind, caught.value.code) == ("usage", "option.needs")
    with pytest.raises(craftbundle.Error, match="there is no codec in it") as caught:
        craftbundle.verify(model / "state_dict.bin", run=True)
    assert (caught.value.kind, caught.value.code) == ("input", "codec.none")


SCRIPT = """
version: 1
vars:
  source: {source}
stages:
  codec:
    export: ${{source}}
    to: codec.bin
"""


def test_run(tmp_path: Path) -> None:
    script = tmp_path / "release.yaml"
    script.write_text(SCRIPT.format(source=DATA / "encodec_train.th"))
    report = craftbundle.run(script, no_sync=True)
    assert report.stage("codec").state == "done"
    assert report.stage("codec").outputs == {"file": tmp_path / "codec.bin"}
    assert report.bytes == (tmp_path / "codec.bin").stat().st_size
    assert craftbundle.run(script).stage("codec").state == "up to date"
    assert "codec" in report._repr_html_()
    with pytest.raises(KeyError):
        report.stage("lm")
    # What a stage fails with is raised, with what became of all of them.
    script.write_text("version: 1\nstages:\n  no:\n    command: ['false']\n")
    with pytest.raises(craftbundle.Error, match="false") as caught:
        craftbundle.run(script)
    assert (caught.value.kind, caught.value.code) == ("system", "command.failed")
    assert caught.value.report is not None
    assert caught.value.report.stage("no").state == "failed"


def test_run_says_what_is_wrong_with_a_script(tmp_path: Path) -> None:
    script = tmp_path / "release.yaml"
    script.write_text("version: 1\nstages:\n  a:\n    exprot: x\n")
    with pytest.raises(craftbundle.Error, match="exprot") as caught:
        craftbundle.run(script)
    assert (caught.value.kind, caught.value.code) == ("usage", "run.script")
    assert caught.value.report is None


def test_plugins() -> None:
    found = craftbundle.plugins()
    names = {plugin.name for plugin in found.plugins}
    assert {"audiocraft", "encodec", "language_model", "safetensors"} <= names
    assert all(plugin.library.is_file() for plugin in found.plugins)
    assert "encodec" in found._repr_html_()


def test_plugins_are_looked_for_anew_when_the_path_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd.so").write_bytes(b"no library")
    monkeypatch.setenv("CRAFTBUNDLE_PLUGIN_PATH", str(tmp_path))
    refused = craftbundle.plugins().refused
    assert [plugin.library for plugin in refused] == [tmp_path / "odd.so"]
    assert refused[0].code.startswith("plugin.") and refused[0].reason
    monkeypatch.delenv("CRAFTBUNDLE_PLUGIN_PATH")
    assert not craftbundle.plugins().refused


def test_errors_have_kind_code_and_hint(tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(b"old")
    with pytest.raises(craftbundle.Error) as caught:
        craftbundle.export(DATA / "encodec_train.th", tmp_path / "out.bin")
    error = caught.value
    assert (error.kind, error.code) == ("usage", "target.exists")
    assert "already" in error.message or "exists" in error.message
    assert "force" in error.hint
    assert str(error) == f"{error.message} [target.exists]\nhint: {error.hint}"
    assert (tmp_path / "out.bin").read_bytes() == b"old"
    (tmp_path / "x.th").write_bytes(b"no checkpoint at all")
    with pytest.raises(craftbundle.Error) as caught:
        craftbundle.open(tmp_path / "x.th")
    assert caught.value.kind == "input"
    assert caught.value.contexts == (str(tmp_path / "x.th"),)


def test_errors_of_options(tmp_path: Path) -> None:
    with pytest.raises(craftbundle.Error, match="'colour'") as caught:
        craftbundle.export(DATA / "encodec_train.th", tmp_path / "x", option={"colour": "red"})
    assert (caught.value.kind, caught.value.code) == ("usage", "option.unknown")
    with pytest.raises(craftbundle.Error, match="option 'check' is not one of") as caught:
        craftbundle.verify(DATA, check="all")
    assert (caught.value.kind, caught.value.code) == ("usage", "option.type")
    with pytest.raises(craftbundle.Error, match="not UTF-8") as caught:
        craftbundle.inspect(os.fsdecode(b"\xff.th"))
    assert caught.value.code == "path.encoding"
    with pytest.raises(craftbundle.Error, match="no component was given") as caught:
        craftbundle.bundle(tmp_path / "model")
    assert caught.value.code == "bundle.empty"


def test_progress_is_called_in_the_calling_thread(tmp_path: Path) -> None:
    seen: List[craftbundle.Progress] = []
    craftbundle.export(
        DATA / "musicgen_train.th", tmp_path / "out.bin", no_sync=True, progress=seen.append
    )
    assert seen
    assert all(0 <= step.done <= step.total for step in seen if step.total)


def test_an_exception_of_progress_ends_the_call(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(step: craftbundle.Progress) -> None:
        raise Enough

    with pytest.raises(Enough):
        craftbundle.export(DATA / "musicgen_train.th", tmp_path / "out.bin", progress=stop)
    # What was under way when the call was cancelled has ended, one way or the other.
    assert {path.name for path in tmp_path.iterdir()} <= {"out.bin"}
    assert craftbundle.plugins().plugins


def test_bars_of_tqdm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    craftbundle.export(
        DATA / "musicgen_train.th", tmp_path / "out.bin", no_sync=True, progress=True
    )
    assert "out.bin" in capsys.readouterr().err


def test_what_the_library_says_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRAFTBUNDLE_PLUGIN_PATH", "relative")
    with caplog.at_level(logging.DEBUG, logger="craftbundle"):
        craftbundle.plugins()
    assert [record for record in caplog.records if "'relative' is ignored" in record.message]


def loaded_by(*arguments: str) -> Set[str]:
    """The modules that Python imports for it, beside those of its own start."""

    def modules(*what: str) -> Set[str]:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *what], capture_output=True, text=True, check=True
        )
        lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
        return {line.rsplit("|", 1)[1].strip() for line in lines}

    return modules(*arguments) - modules("-c", "pass")


def test_import_loads_nothing_that_is_not_needed() -> None:
    assert loaded_by("-c", "import craftbundle") == {"__future__", "craftbundle"}
    heavy = {"ctypes", "dataclasses", "json", "numpy", "torch", "tqdm", "logging", "tempfile"}
    assert not heavy & loaded_by("-c", "import craftbundle.audiocraft")
    runpy = loaded_by("-m", "this")
    own = {"__future__", "craftbundle", "craftbundle._prefix_path"}
    assert loaded_by("-m", "craftbundle", "--version") - runpy == own


def test_the_module_and_these_tests_are_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert (Path(craftbundle.__file__).parent / "py.typed").is_file()
    tests = [str(test) for test in Path(__file__).parent.glob("*.py")]
    for what in (["-p", "craftbundle"], tests):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), *what],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr

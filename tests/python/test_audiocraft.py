"""craftbundle.audiocraft beside AudioCraft's own functions: the same calls in two directories, then
what was returned or raised, which files are there, and what is in them.

AudioCraft's are run by the Python that CRAFTBUNDLE_PEER_PYTHON names (tests/peers/make.sh makes
one). What they once did is in tests/golden: ours are always held to that.
"""

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple, Union

import pytest

import audiocraft_peer
import craftbundle
from craftbundle import audiocraft

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
DATA = GOLDEN / "data"
ERRORS = GOLDEN / "errors"
FUNCTIONS = ("export_encodec", "export_pretrained_compression_model", "export_lm")
Argument = Union[str, Path]
# Of each scenario its directory, and what audiocraft_peer.call() says of the call.
Outcomes = Dict[str, Tuple[Path, Dict[str, Any]]]


def nothing(_directory: Path) -> None:
    pass


@dataclass(frozen=True)
class Scenario:
    """A call in a directory that `prepare` has filled. Relative paths are in that directory."""

    function: str
    arguments: Tuple[Argument, ...]
    prepare: Callable[[Path], None] = nothing


def function_for(trained: str) -> str:
    return "export_encodec" if trained.startswith(("encodec", "layout")) else "export_lm"


def golden_scenarios() -> Dict[str, Scenario]:
    trained = [path.name[: -len("_train.th")] for path in sorted(DATA.glob("*_train.th"))]
    assert len(trained) >= 19
    scenarios = {
        name: Scenario(function_for(name), (DATA / f"{name}_train.th", "out.bin"))
        for name in trained
    }
    function = "export_pretrained_compression_model"
    for path in sorted(DATA.glob("encodec*_exported.bin")):
        scenarios[path.stem] = Scenario(function, (str(path), "out.bin"))
    scenarios["pretrained_encodec_32khz"] = Scenario(
        function, ("facebook/encodec_32khz", "out.bin")
    )
    scenarios["pretrained_dac_44khz"] = Scenario(function, ("dac_44khz", "out.bin"))
    return scenarios


def error_scenarios() -> Dict[str, Scenario]:
    expected = json.loads((ERRORS / "EXPECTED.json").read_text())
    return {
        name: Scenario(row["function"], (str(ERRORS / name), "out.bin"))
        for name, row in expected.items()
    }


def copy_of(name: str, target: str) -> Callable[[Path], None]:
    def prepare(directory: Path) -> None:
        (directory / target).write_bytes((DATA / name).read_bytes())

    return prepare


def link_to_old_file(directory: Path) -> None:
    (directory / "old.bin").write_text("old")
    (directory / "out.bin").symlink_to("old.bin")


def directory_as_output(directory: Path) -> None:
    (directory / "out.bin").mkdir()


def file_as_parent(directory: Path) -> None:
    (directory / "file").write_text("no directory")


MUSICGEN = DATA / "musicgen_train.th"
PATHS: Dict[str, Scenario] = {
    "text_and_text": Scenario("export_lm", (str(MUSICGEN), "out.bin")),
    "path_and_path": Scenario("export_lm", (MUSICGEN, Path("out.bin"))),
    "encodec_to_a_path": Scenario("export_encodec", (DATA / "encodec_train.th", Path("a/b/c.bin"))),
    "missing_parents": Scenario("export_lm", (MUSICGEN, "a/b/state_dict.bin")),
    "existing_output": Scenario(
        "export_lm", (MUSICGEN, "out.bin"), copy_of("encodec_exported.bin", "out.bin")
    ),
    "relative_source": Scenario(
        "export_lm", ("in.th", "out.bin"), copy_of("musicgen_train.th", "in.th")
    ),
    "onto_its_source": Scenario(
        "export_lm", ("in.th", "in.th"), copy_of("musicgen_train.th", "in.th")
    ),
    "tilde_in_an_output": Scenario("export_lm", (MUSICGEN, "~/out.bin")),
    "tilde_in_a_source": Scenario(
        "export_lm", ("~in.th", "out.bin"), copy_of("musicgen_train.th", "~in.th")
    ),
    "link_as_output": Scenario("export_lm", (MUSICGEN, "out.bin"), link_to_old_file),
    "other_letters": Scenario(
        "export_lm", ("a b.th", "ö.bin"), copy_of("musicgen_train.th", "a b.th")
    ),
    "directory_as_output": Scenario("export_lm", (MUSICGEN, "out.bin"), directory_as_output),
    "file_as_parent": Scenario("export_lm", (MUSICGEN, "file/out.bin"), file_as_parent),
    "relative_exported": Scenario(
        "export_pretrained_compression_model",
        ("c.bin", Path("a/c.bin")),
        copy_of("encodec_exported.bin", "c.bin"),
    ),
    "a_name_that_is_a_file": Scenario(
        "export_pretrained_compression_model",
        ("dac_44khz", "out.bin"),
        copy_of("encodec_exported.bin", "dac_44khz"),
    ),
    "missing_checkpoint": Scenario("export_encodec", ("nowhere/checkpoint.th", "out.bin")),
}

ALL = {**golden_scenarios(), **error_scenarios(), **PATHS}

# Where ours and theirs part, and why.
ONLY_OURS_SUCCEEDS = {
    "no_fsdp_best_state_key.th": "checkpoints of EnCodecs and old trainings have no such key",
    "already_exported.th": "an exported file passes through",
    "already_exported_encodec.th": "an exported file passes through",
    "compression_of_a_reference.th": "a reference passes through",
}
ONLY_OURS_REFUSES = {
    "musicgen_fsdp_rank1": "state.rank_shard",  # theirs writes a model without tensors
    "compression_minimal_valid.th": "package.field",
    "onto_its_source": "target.is_source",
}


def outcome(scenario: Scenario, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """As audiocraft_peer.py answers."""
    directory.mkdir()
    scenario.prepare(directory)
    monkeypatch.chdir(directory)
    try:
        returned = getattr(audiocraft, scenario.function)(*scenario.arguments)
    except Exception as error:
        return {"raised": [base.__name__ for base in type(error).__mro__], "error": error}
    return {"returned": repr(returned)}


def tree(directory: Path) -> List[str]:
    """Its files, directories and links, below it."""
    return sorted(
        str(path.relative_to(directory))
        + (f" -> {os.readlink(path)}" if path.is_symlink() else "/" if path.is_dir() else "")
        for path in directory.rglob("*")
    )


def signature(function: str) -> Dict[str, Any]:
    """As audiocraft_peer.py answers."""
    return audiocraft_peer.described_signature(getattr(audiocraft, function))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    root = tmp_path_factory.mktemp("ours")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return {
            name: (root / name, outcome(scenario, root / name, monkeypatch))
            for name, scenario in ALL.items()
        }


@dataclass(frozen=True)
class Peer:
    """What AudioCraft's functions did in each scenario, what PyTorch finds different between their
    files and ours where both wrote one, and their signatures."""

    outcomes: Outcomes
    differences: Dict[str, List[str]]
    signatures: Dict[str, Any]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, ours: Outcomes) -> Peer:
    python = os.environ.get("CRAFTBUNDLE_PEER_PYTHON")
    if not python:
        pytest.skip("CRAFTBUNDLE_PEER_PYTHON is not set: no AudioCraft to compare with")
    root = tmp_path_factory.mktemp("theirs")
    calls, comparisons = [], []
    for name, scenario in ALL.items():
        (root / name).mkdir()
        scenario.prepare(root / name)
        given = [["Path", str(a)] if isinstance(a, Path) else a for a in scenario.arguments]
        calls.append({"call": scenario.function, "arguments": given, "in": str(root / name)})
        files = [str(side / scenario.arguments[1]) for side in (ours[name][0], root / name)]
        comparisons.append({"compare": files})
    program = Path(audiocraft_peer.__file__)
    answers = subprocess.run(
        [python, program],
        input=json.dumps([*calls, *comparisons, *({"signature": name} for name in FUNCTIONS)]),
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    )
    found = iter(json.loads(answers.stdout))
    return Peer(
        {name: (root / name, next(found)) for name in ALL},
        {name: next(found) for name in ALL},
        {name: next(found) for name in FUNCTIONS},
    )


@pytest.mark.parametrize("name", ALL)
def test_does_what_audiocraft_does(name: str, ours: Outcomes, peer: Peer) -> None:
    our_directory, our = ours[name]
    their_directory, their = peer.outcomes[name]
    if name in ONLY_OURS_SUCCEEDS:
        assert "raised" in their and "returned" in our
    elif name in ONLY_OURS_REFUSES:
        assert "returned" in their
        assert our["error"].code == ONLY_OURS_REFUSES[name]
    elif "raised" in their:
        assert isinstance(our["error"], craftbundle.Error)
        # What says FileExistsError of a directory that cannot be made is an OSError here.
        expected = "OSError" if "OSError" in their["raised"] else their["raised"][0]
        assert expected in our["raised"]
        assert tree(our_directory) == tree(their_directory)
    else:
        assert our == their
        assert tree(our_directory) == tree(their_directory)
        assert peer.differences[name] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_is_that_of_audiocraft(function: str, peer: Peer) -> None:
    assert signature(function) == peer.signatures[function]


@pytest.mark.parametrize("name", error_scenarios())
def test_raises_what_is_caught_around_audiocraft(name: str, ours: Outcomes) -> None:
    """As test_does_what_audiocraft_does, held to what AudioCraft did with PyTorch 1.13."""
    expected = json.loads((ERRORS / "EXPECTED.json").read_text())[name]
    directory, our = ours[name]
    if name in ONLY_OURS_SUCCEEDS or ("error" not in expected and name not in ONLY_OURS_REFUSES):
        assert our == {"returned": repr("out.bin")} or our == {"returned": "None"}
        assert tree(directory) == ["out.bin"]
    else:
        assert isinstance(our["error"], craftbundle.Error)
        assert expected.get("error", "Error") in our["raised"]
        assert tree(directory) == []


@pytest.mark.parametrize("name", sorted(set(golden_scenarios()) - set(ONLY_OURS_REFUSES)))
def test_writes_what_audiocraft_wrote(name: str, ours: Outcomes) -> None:
    """As test_does_what_audiocraft_does, held to what AudioCraft wrote with PyTorch 1.13."""
    file = ours[name][0] / "out.bin"
    expected = DATA / (
        f"{name}_exported.json" if (DATA / f"{name}_train.th").exists() else f"{name}.json"
    )
    golden = json.loads(expected.read_text())
    found = craftbundle.inspect(file).json["checkpoint"]
    assert [key["key"] for key in found["keys"]] == [key for key, _ in golden["top_level"]]
    for key in set(golden) & {"version", "pretrained"}:
        assert {row["key"]: row["what"] for row in found["keys"]}[key] == f"str '{golden[key]}'"
    if "best_state" not in golden:
        return
    opened = craftbundle.open(file)
    assert [
        [
            tensor.name,
            tensor.dtype,
            list(tensor.shape),
            hashlib.sha256(tensor.numpy().tobytes()).hexdigest(),
        ]
        for tensor in opened.tensors.values()
    ] == [
        [f"best_state.{row['key']}", row["dtype"], row["shape"], row["sha256"]]
        for row in golden["best_state"]
    ]
    yaml = expected.with_suffix(".yaml").read_bytes()
    assert opened.config_text.encode("utf-8", "surrogatepass") == yaml


def test_there_is_no_best_state_yet(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        audiocraft.export_lm(ERRORS / "both_best_states_empty.th", tmp_path / "out.bin")
    error = caught.value
    assert isinstance(error, audiocraft.MissingContents)
    assert (error.kind, error.code) == ("input", "state.empty")
    assert "best_state is empty: the training has not finished an epoch with validation" in str(
        error
    )
    assert "state" in error.hint


def test_a_training_checkpoint_is_no_pretrained_model(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        audiocraft.export_pretrained_compression_model(
            str(DATA / "encodec_train.th"), tmp_path / "out.bin"
        )
    error = caught.value
    assert isinstance(error, craftbundle.Error)
    assert error.code == "package.not_exported"
    assert error.message.endswith(
        "encodec_train.th: not an exported file: its dict has no key 'exported'"
    )
    assert error.hint == "pass a training checkpoint to export_encodec"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_path_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        audiocraft.export_pretrained_compression_model("xps/encodec.th", tmp_path / "out.bin")
    assert isinstance(caught.value, audiocraft.MissingFile)
    assert (caught.value.code, caught.value.errno) == ("source.not_found", errno.ENOENT)


def test_a_codec_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(craftbundle.Error) as caught:
        audiocraft.export_lm(DATA / "encodec_train.th", tmp_path / "out.bin")
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.code == "exporter.component"


def test_the_old_file_stays_when_the_new_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_text("old")
    with pytest.raises(RuntimeError) as caught:
        audiocraft.export_lm(ERRORS / "truncated.th", tmp_path / "out.bin")
    assert isinstance(caught.value, audiocraft.UnusableFile)
    assert caught.value.code.startswith("zip.")
    assert (tmp_path / "out.bin").read_text() == "old"


def test_a_damaged_file_is_no_pretrained_model(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        audiocraft.export_pretrained_compression_model(
            str(ERRORS / "truncated.th"), tmp_path / "out.bin"
        )
    assert isinstance(caught.value, audiocraft.UnusableFile)
    assert caught.value.code.startswith("zip.")


def test_errors_cross_processes(tmp_path: Path) -> None:
    for source in (DATA / "nothing.th", ERRORS / "no_cfg.th", ERRORS / "empty.th"):
        with pytest.raises(craftbundle.Error) as caught:
            audiocraft.export_lm(source, tmp_path / "out.bin")
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert (again.code, str(again)) == (caught.value.code, str(caught.value))


def test_needs_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, craftbundle.audiocraft; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

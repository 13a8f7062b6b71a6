"""craftbundle.open(): names, shapes, configurations and views, beside what torch.load gives."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import craftbundle

DATA = Path(__file__).resolve().parents[1] / "golden" / "data"


def with_torch() -> str:
    """A Python that has torch: this one, or that of the peers."""
    if importlib.util.find_spec("torch"):
        return sys.executable
    peer = os.environ.get("CRAFTBUNDLE_PEER_PYTHON")
    if not peer:
        pytest.skip(
            "there is no torch here, and CRAFTBUNDLE_PEER_PYTHON names no Python that has it"
        )
    return peer


def test_tensors_are_those_of_torch_load() -> None:
    checkpoints = sorted(path for path in DATA.iterdir() if path.suffix in (".th", ".bin", ".pth"))
    done = subprocess.run(
        [with_torch(), str(Path(__file__).with_name("torch_views.py")), *map(str, checkpoints)],
        env={**os.environ, "PYTHONPATH": str(Path(craftbundle.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [path.name for path in checkpoints]
    assert len(checkpoints) > 20


def test_names_shapes_and_types() -> None:
    weights = craftbundle.open(DATA / "musicgen_train.th")
    name = next(iter(weights.tensors))
    tensor = weights.tensors[name]
    assert weights.shapes[name] == tensor.shape
    assert weights.dtypes[name] == tensor.dtype
    assert len(weights.tensors) == len(weights.shapes) == len(list(weights.tensors))
    assert name in weights.tensors and "nothing" not in weights.tensors
    assert repr(tensor) == f"<Tensor {name!r} {tensor.dtype} {list(tensor.shape)}>"
    assert name in weights._repr_html_()


def test_the_end_of_a_name_will_do() -> None:
    weights = craftbundle.open(DATA / "musicgen_train.th")
    whole = next(name for name in weights.tensors if name.startswith("best_state."))
    meant = [name for name in weights.tensors if name.endswith("emb.0.weight")]
    assert whole and len(meant) > 1
    with pytest.raises(KeyError, match="may be any of"):
        weights.tensors["emb.0.weight"]
    assert weights.tensors["best_state.model.emb.0.weight"].name == "best_state.model.emb.0.weight"
    with pytest.raises(KeyError):
        weights.tensors["0.weigh"]


def test_a_view_is_of_the_file_and_read_only() -> None:
    numpy = pytest.importorskip("numpy")
    weights = craftbundle.open(DATA / "encodec_train.th")
    tensor = next(t for t in weights.tensors.values() if t.dtype == "float32" and len(t.shape) > 1)
    view = tensor.numpy()
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0
    assert (numpy.asarray(tensor) == view).all()
    assert numpy.asarray(tensor, dtype="float64").dtype == numpy.float64
    # It stays when everything else is gone.
    expected = view.copy()
    del weights, tensor
    assert (view == expected).all()


def test_writing_to_a_torch_view_leaves_the_file_alone() -> None:
    torch = pytest.importorskip("torch")
    file = DATA / "encodec_train.th"
    before = file.read_bytes()
    tensor = next(t for t in craftbundle.open(file).tensors.values() if t.dtype == "float32")
    view = tensor.torch()
    view.fill_(7)
    assert torch.equal(tensor.torch(), view)
    assert file.read_bytes() == before


def test_compressed_records_are_read_through_the_library(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = DATA / "encodec_train.th"
    packed = tmp_path / "packed.th"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(packed, "w") as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item), compress_type=zipfile.ZIP_DEFLATED)
    stored, deflated = craftbundle.open(source), craftbundle.open(packed)
    assert list(stored.tensors) == list(deflated.tensors)
    for name in list(stored.tensors)[:5]:
        assert (stored.tensors[name].numpy() == deflated.tensors[name].numpy()).all()


def test_bundles_and_their_components(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    craftbundle.bundle(
        tmp_path / "model",
        lm=DATA / "musicgen_train.th",
        compression=DATA / "encodec_train.th",
        layout="safetensors",
        no_sync=True,
    )
    both = craftbundle.open(tmp_path / "model")
    one = craftbundle.open(tmp_path / "model", component="lm")
    assert {name.split(".")[0] for name in both.tensors} == {"lm", "compression"}
    name = next(iter(one.tensors))
    assert (both.tensors[f"lm.{name}"].numpy() == one.tensors[name].numpy()).all()
    assert isinstance(one.config, dict)
    with pytest.raises(craftbundle.Error) as caught:
        both.config
    assert (caught.value.kind, caught.value.code) == ("usage", "source.role")
    with pytest.raises(craftbundle.Error, match="no component 'text_encoder'") as caught:
        craftbundle.open(tmp_path / "model", component="text_encoder")
    assert (caught.value.kind, caught.value.code) == ("usage", "source.role")


def test_bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    craftbundle.export(
        DATA / "encodec_train.th", tmp_path / "x.bin", dtype="bfloat16", no_sync=True
    )
    weights = craftbundle.open(tmp_path / "x.bin")
    tensor = next(t for t in weights.tensors.values() if t.dtype == "bfloat16")
    pytest.importorskip("numpy")
    if importlib.util.find_spec("ml_dtypes"):
        assert str(tensor.numpy().dtype) == "bfloat16"
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(craftbundle.Error, match="numpy has no type bfloat16") as caught:
        tensor.numpy()
    assert (caught.value.kind, caught.value.code) == ("usage", "tensor.numpy")
    assert "ml_dtypes" in caught.value.hint


def test_without_numpy_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = next(iter(craftbundle.open(DATA / "encodec_train.th").tensors.values()))
    for module, call in (("numpy", tensor.numpy), ("torch", tensor.torch)):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(craftbundle.Error, match=f"there is no {module}") as caught:
            call()
        assert (caught.value.kind, caught.value.code) == ("usage", f"tensor.{module}")


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    file = tmp_path / "x.th"
    file.write_bytes((DATA / "encodec_train.th").read_bytes())
    weights = craftbundle.open(file)
    os.truncate(file, 4096)
    with pytest.raises(craftbundle.Error, match="has become shorter") as caught:
        list(weights.tensors.values())[-1].numpy()
    assert (caught.value.kind, caught.value.code) == ("input", "io.changed")


def test_configurations() -> None:
    weights = craftbundle.open(DATA / "musicgen_train.th")
    config = weights.config
    assert isinstance(config, dict)
    assert weights.config_text == (DATA / "musicgen_exported.yaml").read_text()
    assert config["sample_rate"] == 32000 or isinstance(config["sample_rate"], int)


def test_configurations_are_those_of_omegaconf() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    for name in ("musicgen_train.th", "encodec_train.th", "yaml_cases_train.th"):
        weights = craftbundle.open(DATA / name)
        tree = omegaconf.OmegaConf.create(weights.config_text)
        ours = weights.config
        for key in tree:
            try:
                theirs = omegaconf.OmegaConf.to_container(
                    omegaconf.OmegaConf.create({"x": tree[key]}), resolve=True
                )
            except omegaconf.errors.OmegaConfBaseException:
                continue
            if isinstance(theirs, dict) and "nan" not in str(theirs):
                assert ours[key] == theirs["x"], key


def test_nothing_is_executed(tmp_path: Path) -> None:
    code = (
        "import os, pickle, sys\n"
        "class Evil:\n"
        "    def __reduce__(self):\n"
        f"        return os.mkdir, ({str(tmp_path / 'made')!r},)\n"
        f"pickle.dump(Evil(), open({str(tmp_path / 'evil.th')!r}, 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(craftbundle.Error):
        craftbundle.open(tmp_path / "evil.th")
    assert not (tmp_path / "made").exists()

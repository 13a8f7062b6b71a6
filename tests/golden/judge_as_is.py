#!/usr/bin/env python3
"""Judges exports of models that no rule covers, with PyTorch and OmegaConf, independently of Craftbundle:

  judge_as_is.py CRAFTBUNDLE GOLDEN_DIRECTORY OUTPUT_DIRECTORY

Makes forks of trainings (another model in xp.cfg, further layers), exports them with --as-is, and compares with what
AudioCraft's export_lm() and export_encodec() would write. Exits 77 without PyTorch and OmegaConf.
"""
import pathlib
import subprocess
import sys

try:
    import torch
    from omegaconf import OmegaConf
except ImportError:
    print("SKIPPED: this Python has no PyTorch or no OmegaConf")
    sys.exit(77)

FORKS = {"musicgen_train.th": "lm_model", "musicgen_fsdp_train.th": "lm_model", "encodec_train.th": "compression_model"}


def make_fork(source, key):
    checkpoint = torch.load(source, map_location="cpu")
    config = checkpoint["xp.cfg"]
    OmegaConf.set_struct(config, False)
    config[key] = "my_" + key
    config["my_fork"] = {"depth": 3, "why": "it's \"better\""}
    for name in ("best_state", "fsdp_best_state"):
        state = checkpoint.get(name)
        if state and state.get("model"):
            state["model"]["style.0.weight"] = torch.arange(12.0).reshape(3, 4).t()
            state["model"]["style.counter"] = torch.tensor(7)
    return checkpoint


def audiocraft_export(checkpoint):
    state = checkpoint.get("fsdp_best_state") or checkpoint["best_state"]
    return {"best_state": state["model"], "xp.cfg": OmegaConf.to_yaml(checkpoint["xp.cfg"]),
            "version": "1.4.0a2", "exported": True}


def differences(found, expected):
    if list(found) != list(expected):
        yield f"keys {list(found)}, expected {list(expected)}"
        return
    for key in expected:
        if key != "best_state" and found[key] != expected[key]:
            yield f"{key} is {found[key]!r}, expected {expected[key]!r}"
    found, expected = found["best_state"], expected["best_state"]
    if list(found) != list(expected):
        yield "other names, or in another order"
        return
    for name, tensor in expected.items():
        same = found[name].dtype == tensor.dtype and found[name].stride() == tensor.stride()
        if not same or not torch.equal(found[name], tensor):
            yield f"{name} differs"


def main():
    program, data, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    problems = []
    for source, key in FORKS.items():
        checkpoint = make_fork(data / source, key)
        fork, exported = out / ("fork_" + source), out / ("exported_" + source)
        torch.save(checkpoint, fork)
        result = subprocess.run([program, "export", fork, "--as-is", "-o", exported, "--force", "--no-sync"],
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            problems.append(f"{source}: {result.stderr}")
            continue
        loaded = torch.load(exported, map_location="cpu")
        problems += [f"{source}: {text}" for text in differences(loaded, audiocraft_export(checkpoint))]
    print("\n".join(problems) or f"{len(FORKS)} forks judged by PyTorch {torch.__version__}")
    return 1 if problems else 0


sys.exit(main())

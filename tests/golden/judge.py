#!/usr/bin/env python3
"""Judges exported files with PyTorch, independently of Craftbundle:

  judge.py [--strict] EXPORTED_DIRECTORY GOLDEN_DIRECTORY

For every EXPORTED_DIRECTORY/**/NAME.bin: keys, names and order of the tensors, dtype, shape, strides, values and
xp.cfg must be what GOLDEN_DIRECTORY/NAME_exported.json and .yaml say, or NAME.json for references. --strict loads with
weights_only=True, and once more with mmap=True (PyTorch >= 2.1). Exits 77 without PyTorch.
"""
import hashlib
import json
import pathlib
import sys

try:
    import torch
except ImportError:
    print("SKIPPED: this Python has no PyTorch")
    sys.exit(77)



def sha256(tensor):
    contiguous = tensor.detach().contiguous()
    if contiguous.dtype == torch.bfloat16:
        contiguous = contiguous.view(torch.int16)
    return hashlib.sha256(contiguous.numpy().tobytes()).hexdigest()


def describe(tensor):
    return {
        "dtype": str(tensor.dtype).replace("torch.", ""),
        "shape": list(tensor.shape),
        "stride": list(tensor.stride()),
        "requires_grad": tensor.requires_grad,
        "sha256": sha256(tensor),
    }


def judge_package(package, golden, yaml):
    problems = []
    keys = [key for key, _ in golden["top_level"]]
    if list(package) != keys:
        problems.append(f"keys {list(package)}, expected {keys}")
    for key in ("version", "exported", "pretrained"):
        if key in golden and package.get(key) != golden[key]:
            problems.append(f"{key} is {package.get(key)!r}, expected {golden[key]!r}")
    if yaml is not None and package["xp.cfg"] != yaml:
        problems.append("xp.cfg differs")
    if "best_state" not in golden:
        return problems
    state = package["best_state"]
    if type(state) is not dict:
        problems.append(f"best_state is a {type(state)}")
    names = [row["key"] for row in golden["best_state"]]
    if list(state) != names:
        problems.append("names or order of the tensors differ")
        return problems
    for row in golden["best_state"]:
        for what, value in describe(state[row["key"]]).items():
            if value != row[what]:
                problems.append(f"{row['key']}: {what} is {value}, expected {row[what]}")
    return problems


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--strict"]
    strict = "--strict" in sys.argv
    exported, golden = map(pathlib.Path, arguments)
    if strict and not hasattr(torch.serialization, "add_safe_globals"):
        print(f"SKIPPED: --strict needs a current PyTorch, this is {torch.__version__}")
        sys.exit(77)
    ways = [{"weights_only": True}, {"weights_only": True, "mmap": True}] if strict else [{}]
    judged = 0
    failed = 0
    for file in sorted(exported.rglob("*.bin")):
        expected = golden / f"{file.stem}_exported.json"
        if not expected.exists():
            expected = golden / f"{file.stem}.json"
        if not expected.exists():
            continue  # a file of ours only, for the other judges
        rows = json.loads(expected.read_text())
        text = expected.with_suffix(".yaml")
        yaml = text.read_bytes().decode("utf-8", "surrogatepass") if text.exists() else None
        for way in ways:
            problems = judge_package(torch.load(str(file), map_location="cpu", **way), rows, yaml)
            judged += 1
            failed += bool(problems)
            for problem in problems[:10]:
                print(f"{file.name} {way or ''}: {problem}")
    print(f"{judged} loads judged by PyTorch {torch.__version__}, {failed} with differences")
    if judged < 20:
        sys.exit("too few files: the judge looks in the wrong place")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

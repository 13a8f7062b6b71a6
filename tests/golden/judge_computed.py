#!/usr/bin/env python3
"""Judges exports that compute, with PyTorch, independently of Craftbundle:

  judge_computed.py DIRECTORY    as export_computed.cmake fills it

Casts must be those of Tensor.to(), means those of torch.mean() in float64, folded weights those that weight_norm
computes; what is not computed must be what DIRECTORY/plain/ has. Exits 77 without PyTorch.
"""
import pathlib
import sys

try:
    import torch
except ImportError:
    print("SKIPPED: this Python has no PyTorch")
    sys.exit(77)

COUNTERS = ("_codebook.inited", "_codebook.cluster_size", "_codebook.embed_avg")
problems = []
compared = 0


def load(path):
    return torch.load(path, map_location="cpu")


def state_of(path):
    return load(path)["best_state"]


def expect_equal(where, found, expected):
    global compared
    compared += 1
    if found.dtype != expected.dtype:
        problems.append(f"{where}: {found.dtype}, expected {expected.dtype}")
    elif not torch.equal(found, expected):
        problems.append(f"{where}: values differ by up to {(found.double() - expected.double()).abs().max()}")


def judge_casts(root, folder, dtype_of):
    for path in sorted((root / folder).iterdir()):
        before, after = state_of(root / "plain" / path.name), state_of(path)
        if list(before) != list(after):
            problems.append(f"{folder}/{path.name}: other names")
            continue
        for name, tensor in before.items():
            expected = tensor.to(dtype_of(name)) if tensor.is_floating_point() else tensor
            if name.endswith(COUNTERS):
                expected = tensor
            expect_equal(f"{folder}/{path.name}: {name}", after[name], expected)


def rule(name):
    if name.endswith(".bias"):
        return torch.float32
    return torch.bfloat16 if name.endswith(".embed") and name.startswith("quantizer.") else torch.float16


def judge_folds(root):
    global compared
    for path in sorted((root / "folded").iterdir()):
        package = load(path)
        before, after = state_of(root / "plain" / path.name), package["best_state"]
        if any(name.endswith(("weight_g", "weight_v")) for name in after):
            problems.append(f"{path.name}: a weight norm is left")
        switch = "weight_norm: false" if "compression_model: dac" in package["xp.cfg"] else "\n  norm: none\n"
        if switch not in package["xp.cfg"]:
            problems.append(f"{path.name}: xp.cfg does not say that the norm is folded")
        for name, tensor in after.items():
            if name in before:
                expect_equal(f"folded/{path.name}: {name}", tensor, before[name])
                continue
            gain, direction = before[name + "_g"].double(), before[name + "_v"].double()
            expected = torch._weight_norm(direction, gain, 0)
            compared += 1
            if not torch.equal(tensor, expected.float()) and (tensor - expected).abs().max() > 1e-7 * expected.abs().max():
                problems.append(f"folded/{path.name}: {name} differs")


def judge_means(root):
    best, last = state_of(root / "plain" / "musicgen_train.th"), state_of(root / "plain" / "last.bin")
    means = {name: torch.stack([best[name].double(), last[name].double()]).mean(0) for name in best}
    if all(torch.equal(best[name].double(), last[name].double()) for name in best):
        problems.append("best and last are the same: nothing is averaged")
    for name, tensor in state_of(root / "averaged" / "musicgen_train.th").items():
        expect_equal(f"averaged: {name}", tensor, means[name].float().to(best[name].dtype))
    for name, tensor in state_of(root / "averaged" / "in_float32.bin").items():
        expect_equal(f"averaged in float32: {name}", tensor, means[name].float())


def main():
    root = pathlib.Path(sys.argv[1])
    for dtype in ("float16", "bfloat16", "float32"):
        judge_casts(root, dtype, lambda name: getattr(torch, dtype))
    judge_casts(root, "rules", rule)
    judge_folds(root)
    judge_means(root)
    for problem in problems[:40]:
        print(problem)
    print(f"{compared} tensors compared, {len(problems)} problems, PyTorch {torch.__version__}")
    return 1 if problems or compared < 500 else 0


sys.exit(main())

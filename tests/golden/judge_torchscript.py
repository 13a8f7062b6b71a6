#!/usr/bin/env python3
"""Runs codecs exported as TorchScript and compares them with what AudioCraft's own classes computed:

  judge_torchscript.py DIRECTORY GOLDEN    DIRECTORY/<name>.ts and GOLDEN/<name>.pt

Exits 77 without PyTorch.
"""
import pathlib
import sys

try:
    import torch
except ImportError:
    print("SKIPPED: this Python has no PyTorch")
    sys.exit(77)

TOLERANCE = 1e-5


def close(found, expected):
    return found.shape == expected.shape and (found - expected).abs().max() <= TOLERANCE * expected.abs().max()


def judge(codec, golden):
    problems = []
    for prefix in ("", "odd_", "short_"):
        wav, codes, scale = golden[prefix + "wav"], golden[prefix + "codes"], golden.get(prefix + "scale")
        found, found_scale = codec.encode(wav)
        results = {
            "codes": torch.equal(found, codes),
            "scale": found_scale is None if scale is None else close(found_scale, scale.view(-1, 1)),
            "latent": close(codec.encode_latent(wav), golden[prefix + "latent"]),
            "quantized": close(codec.decode_latent(codes), golden[prefix + "quantized"]),
            "decoded": close(codec.decode(codes, scale), golden[prefix + "decoded"]),
            "forward": codec(wav).shape[-1] == min(wav.shape[-1], golden[prefix + "decoded"].shape[-1]),
        }
        problems += [f"{prefix}wav: {what} differ" for what, holds in results.items() if not holds]
    few = next((prefix for prefix in ("nq1_", "nq2_") if prefix + "codes" in golden), None)
    if few:
        found, _ = codec.encode(golden["wav"], golden[few + "codes"].shape[1])
        if not torch.equal(found, golden[few + "codes"]):
            problems.append("codes of fewer codebooks differ")
    for attribute in ("sample_rate", "frame_rate", "channels", "codebooks", "cardinality", "hop_length"):
        if not getattr(codec, attribute, 0) > 0:
            problems.append(f"no attribute {attribute}")
    return problems


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.ts"))
    golden = pathlib.Path(sys.argv[2])
    failed = 0
    with torch.no_grad():
        for path in files:
            problems = judge(torch.jit.load(str(path)), torch.load(golden / (path.stem + ".pt")))
            failed += bool(problems)
            for problem in problems:
                print(f"{path.name}: {problem}")
    print(f"{len(files)} codecs run, {failed} differ, PyTorch {torch.__version__}")
    return 1 if failed or len(files) < 7 else 0


sys.exit(main())

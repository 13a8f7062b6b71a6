#!/usr/bin/env python3
"""Judges the files of write_types with PyTorch: judge_types.py DIRECTORY

Types, layouts, bytes, sharing and scalars must be what write_types put in, loaded with weights_only=True. A current
PyTorch is also asked for the types that old ones lack, and to load with mmap=True. Exits 77 without PyTorch.
"""
import pathlib
import sys

try:
    import torch
except ImportError:
    print("SKIPPED: this Python has no PyTorch")
    sys.exit(77)

OTHER_VALUES = {
    "one": {"item": [None]},
    "integers": [0, 255, 65535, 65536, -1, 2**31, -(2**40), -(2**63)],
    "text \u00e9": "\u65e5\u672c\n",
    "flags": [True, False],
    "nothing": [{}, []],
}
TYPED, UNTYPED = 12, 9


def storage_bytes(tensor):
    # Read through a byte view of the whole storage: PyTorch 1.13 has no other way for every type.
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()._storage
    return bytes(torch.tensor([], dtype=torch.uint8).set_(storage).tolist()), storage.data_ptr()


def check(condition, what):
    if not condition:
        sys.exit(f"judge_types (PyTorch {torch.__version__}): {what}")


def judge_twins(package, source):
    names = [name for name in package if f"{name}.T" in package]
    for name in names:
        tensor, twin = package[name], package[f"{name}.T"]
        check(str(tensor.dtype) == str(twin.dtype) == f"torch.{name}", f"{name} is {tensor.dtype}")
        check((tuple(tensor.shape), tensor.stride()) == ((3, 2), (2, 1)), f"{name}: layout")
        check((tuple(twin.shape), twin.stride()) == ((2, 3), (1, 2)), f"{name}.T: layout")
        check(tensor.storage_offset() == twin.storage_offset() == 0, f"{name}: not compacted")
        check(twin.requires_grad == (name == "float32"), f"{name}.T: requires_grad")
        size = tensor.element_size()
        content, address = storage_bytes(tensor)
        check(content == source[64 + 4 * size:64 + 10 * size], f"{name}: bytes")
        check(address == storage_bytes(twin)[1], f"{name}: twins do not share their storage")
    return len(names)


def main():
    directory = pathlib.Path(sys.argv[-1])
    source = (directory / "source").read_bytes()
    modern = hasattr(torch, "float8_e8m0fnu")
    for way in [{}, {"mmap": True}] if modern else [{}]:
        typed = torch.load(str(directory / "typed.bin"), weights_only=True, **way)
        check(judge_twins(typed, source) == TYPED, "typed.bin: number of tensors")
        check(tuple(typed["empty"].shape) == (0, 3), "empty")
        check(typed["scalar"].item() == int.from_bytes(source[64:68], "little", signed=True), "scalar")
        for key, value in OTHER_VALUES.items():
            check(typed[key] == value, f"{key!r} is {typed[key]!r}")
        if modern:
            untyped = torch.load(str(directory / "untyped.bin"), weights_only=True, **way)
            check(judge_twins(untyped, source) == UNTYPED, "untyped.bin: number of tensors")
            check(untyped["number"] == 0.1, "number")
    print(f"judged by PyTorch {torch.__version__}: typed.bin{' and untyped.bin' if modern else ''}")


if __name__ == "__main__":
    main()

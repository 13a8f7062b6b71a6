#!/usr/bin/env python3
"""Judges our safetensors files with the reference implementation: judge_safetensors.py PROGRAM DIRECTORY

* What we write is, byte for byte, what the reference writes for the same tensors; so are the index and its files.
* What the reference writes we read, and write again as the same bytes.
* Of some thousand changed files we open none that the reference refuses, and refuse none that it opens but for the
  reasons that our contract gives.

PROGRAM is safetensors_peer. Exits 77 without the Python package safetensors.
"""
import ctypes
import json
import pathlib
import random
import re
import struct
import subprocess
import sys

try:
    import safetensors
    from safetensors import deserialize, serialize
except ImportError:
    print("SKIPPED: this Python has no package safetensors")
    sys.exit(77)

PYTHON_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
    "I64": "int64", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
# Types that only later versions of the package know.
LATE_TYPES = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"}
KNOWN_TYPES = set()
# Where we are stricter on purpose: keys that appear twice, fields that nobody knows, and white space.
STRICTER = {"safetensors.duplicate", "safetensors.field", "safetensors.header", "safetensors.metadata"}


def check(condition, what):
    if not condition:
        sys.exit(f"judge_safetensors (safetensors {safetensors.__version__}): {what}")


def header_of(content):
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])


def serialized(tensors, metadata):
    described, buffers = {}, []
    for name, tensor in tensors:
        data = bytes(tensor["data"])
        fields = {"dtype": PYTHON_NAMES[tensor["dtype"]], "shape": tensor["shape"]}
        if hasattr(safetensors, "TensorSpec"):  # 0.8 and later
            buffers.append(ctypes.create_string_buffer(data, max(len(data), 1)))
            address = ctypes.addressof(buffers[-1])
            described[name] = safetensors.TensorSpec(**fields, data_ptr=address, data_len=len(data))
        else:
            described[name] = {**fields, "data": data}
    return bytes(serialize(described, metadata))


def is_known(dtype):
    try:
        serialized([("x", {"dtype": dtype, "shape": [0], "data": b""})], None)
        return True
    except Exception:
        return False


def same_as_reference(content, what):
    header = header_of(content)
    unknown = {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"} - KNOWN_TYPES
    if unknown:
        print(f"{what}: not judged, this version does not know {', '.join(sorted(unknown))}")
        return
    again = serialized(deserialize(content), header.get("__metadata__"))
    check(again == content, f"{what} is not what the reference writes")


def expected_bytes(source, name, count, size):
    data = source[64 : 64 + count * size]
    if not name.endswith(".T"):
        return data
    return b"".join(data[(row * 4 + column) * size :][:size] for column in range(4) for row in range(3))


def judge_ours(directory):
    content = (directory / "ours.safetensors").read_bytes()
    source = (directory / "source").read_bytes()
    header = header_of(content)
    same_as_reference(content, "ours.safetensors")
    start = 8 + struct.unpack("<Q", content[:8])[0]
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        count = 1
        for size in tensor["shape"]:
            count *= size
        expected = expected_bytes(source, name, count, (end - begin) // count) if count else b""
        check(content[start + begin : start + end] == expected, f"the data of {name} differ")
    judge_index(directory, {name: tensor for name, tensor in header.items() if name != "__metadata__"})


def judge_index(directory, tensors):
    text = (directory / "model.safetensors.index.json").read_text()
    index = json.loads(text)
    check(json.dumps(index, indent=2, sort_keys=True) + "\n" == text, "the index is written in another way")
    check(index["weight_map"].keys() == tensors.keys(), "the index has other tensors")
    sizes = (tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors.values())
    check(index["metadata"] == {"total_size": sum(sizes)}, "the index has another total size")
    files = set(index["weight_map"].values())
    check(len(files) > 2, "there is nothing to share out")
    for file in files:
        content = (directory / file).read_bytes()
        same_as_reference(content, file)
        mapped = {name for name, place in index["weight_map"].items() if place == file}
        check(header_of(content).keys() == mapped, f"{file} has other tensors than the index says")


def reference_files():
    """Files of the reference, by name."""
    rng = random.Random(9)
    types = [name for name in PYTHON_NAMES if name not in LATE_TYPES]
    for number in range(60):
        tensors = []
        for i in range(rng.randrange(5)):
            dtype = rng.choice(types)
            shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
            size = 1 if dtype == "BOOL" else int(re.search("[0-9]+", dtype).group()) // 8
            for length in shape:
                size *= length
            tensors.append((f"t.{rng.choice(['', 'w.', chr(233), chr(0x1F3B5), chr(10)])}{i}",
                            {"dtype": dtype, "shape": shape, "data": rng.randbytes(size)}))
        metadata = {"format": "pt"} if rng.random() < 0.5 else None
        yield f"reference{number}", serialized(tensors, metadata)


def changed_files():
    """Files that are wrong, or right in an odd way."""
    rng = random.Random(10)
    header = (b'{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
              b'"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},'
              b'"c":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}')
    pieces = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"0", b"1", b"8", b"9", b"-", b".", b"e", b" ", b"\n", b"\0",
              b"null", b"true", b'"x":1,', b'"a":', b"18446744073709551616", b"\\u0000", b"\\ud800", b"\xff", b"F64"]
    for number in range(4000):
        text = bytearray(header)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            at = rng.randrange(len(text))
            what = rng.randrange(4)
            if what == 0:
                text[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                del text[at : at + rng.randrange(1, 4)]
            elif what == 2:
                text[at:at] = rng.choice(pieces)
            else:
                text[at : at + 1] = rng.choice(pieces)
        data = bytes(10 + (rng.choice([-1, 1, 8]) if rng.random() < 0.1 else 0))
        length = len(text) + (rng.choice([-1, 1, 1 << 20, 1 << 63]) if rng.random() < 0.1 else 0)
        yield f"changed{number}", struct.pack("<Q", length) + bytes(text) + data


def opens(content):
    try:
        deserialize(content)
        return True
    except Exception:
        return False


def judge_both(program, directory):
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    contents = dict(reference_files()) | dict(changed_files())
    for name, content in contents.items():
        (directory / f"{name}.in").write_bytes(content)
    output = subprocess.run([program, "rewrite", directory], check=True, stdout=subprocess.PIPE, text=True).stdout
    outcomes = dict(line.split() for line in output.splitlines())
    check(outcomes.keys() == contents.keys(), "not every file was judged")
    opened = refused = 0
    for name, content in contents.items():
        ours, reference = outcomes[name], opens(content)
        if ours == "ok":
            opened += 1
            check(reference, f"{name}.in is opened, which the reference refuses")
            again = (directory / f"{name}.out").read_bytes()
            check(opens(again), f"{name}.out is refused by the reference")
            if name.startswith("reference"):
                check(again == content, f"{name}.in is written again as other bytes")
        else:
            refused += 1
            check(not reference or ours in STRICTER, f"{name}.in is refused ({ours}), which the reference opens")
    check(opened > 100 and refused > 1000, f"{opened} opened and {refused} refused say nothing")
    print(f"{opened} files opened, {refused} refused")


def main():
    KNOWN_TYPES.update(filter(is_known, PYTHON_NAMES))
    check(KNOWN_TYPES >= PYTHON_NAMES.keys() - LATE_TYPES, f"only the types {KNOWN_TYPES} are known")
    program, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    judge_ours(directory)
    judge_both(program, directory / "changed")


main()

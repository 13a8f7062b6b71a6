#!/usr/bin/env python3
"""Exports a package with large storages, which are placed to be shared with their source, and reads it back.

  judge_large.py CRAFTBUNDLE

PyTorch has to find the tensors of the source, aligned, also where it maps the file; and the safetensors library those of a
safetensors file that another one was made of, whose header is padded. Run with any Python that has torch.
"""
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import torch

LARGE = 256 << 10


def data_offsets(path):
    """Where the data of each record begins, by CRC-32 and size: records are numbered anew."""
    offsets = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            lengths = file.read(4)
            start = info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
            offsets[info.CRC, info.file_size] = start
    return offsets


def expect_equal(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def main():
    craftbundle = sys.argv[1]
    torch.manual_seed(1)
    shapes = {"small": (3, 5), "large": (256, 256), "odd": (777, 333), "tail": (1, 65537), "none": (0, 4), "half": (1024, 512)}
    state = {name: torch.rand(shape) for name, shape in shapes.items()}
    state["half"] = state["half"].to(torch.float16)
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)

        def run(*words):
            subprocess.run([craftbundle, *words], cwd=work, check=True, stdout=subprocess.DEVNULL)

        package = {"best_state": state, "xp.cfg": "solver: other\n", "version": "1.4.0a2", "exported": True}
        torch.save({"padding": torch.rand(1000), **package}, work / "source.bin")
        run("export", "source.bin", "--component", "lm", "-o", "out.bin")
        ours, theirs = data_offsets(work / "out.bin"), data_offsets(work / "source.bin")
        placed = 0
        for record, offset in ours.items():
            assert offset % 64 == 0
            if record[1] >= LARGE and record in theirs:
                assert offset % 4096 == theirs[record] % 4096, (record, offset)
                placed += 1
        assert placed == 4, placed
        expect_equal(torch.load(work / "out.bin")["best_state"], state)
        if tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 1):
            mapped = torch.load(work / "out.bin", mmap=True, weights_only=True)["best_state"]
            expect_equal(mapped, state)
            assert all(tensor.data_ptr() % 64 == 0 for tensor in mapped.values())
        try:
            from safetensors.torch import load_file
        except ImportError:
            return
        torch.save(package, work / "plain.bin")  # the layout has no place for other tensors
        run("export", "plain.bin", "--component", "lm", "--layout", "safetensors", "-o", "first")
        run("convert", "first", "--layout", "safetensors", "-o", "second", "--allow-mismatch")
        for name in "first", "second":
            found = load_file(work / name / "lm.safetensors")
            expect_equal({key: found[key] for key in state}, state)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes a training checkpoint of any size with MusicGen's geometry, as torch.save would write it.

  make_checkpoint.py OUT_FILE [--size mini|small|medium|large] [--optimizer-copies N] [--sparse]

Needs Debian's python3-torch and python3-omegaconf. 'small' with the default optimizer (two copies, as Adam keeps)
is about 6.7 GB. --optimizer-copies makes the part that is not exported larger or smaller. --sparse leaves the data
as holes and its CRCs at 0 ("not computed"), so that a file of 100 GB costs neither time nor disk.
Memory is constant: storages are written block by block.
"""
import argparse
import collections
import io
import pathlib
import pickle
import struct
import sys
import zlib

import torch
from omegaconf import OmegaConf

# dim, heads, layers; 'mini' is half as wide as MusicGen's smallest.
GEOMETRY = {"mini": (512, 8, 24), "small": (1024, 16, 24), "medium": (1536, 24, 48), "large": (2048, 32, 48)}
CODEBOOKS, CARD, T5_DIM = 4, 2048, 768
BLOCK = 16 << 20


class Storage:
    """Stands for a float32 storage of `count` elements that is never in memory."""

    def __init__(self, count):
        self.count = count


class FloatTensor:
    """A contiguous float32 tensor over a storage of its own."""

    def __init__(self, *shape):
        self.shape = shape
        count = 1
        for size in shape:
            count *= size
        self.storage = Storage(count)

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        return (torch._utils._rebuild_tensor_v2,
                (self.storage, 0, self.shape, tuple(strides), False, collections.OrderedDict()))


class Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = []

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.storages.append(obj)
        return ("storage", torch.FloatStorage, str(len(self.storages) - 1), "cpu", obj.count)


def language_model(dim, layers):
    state = {
        "condition_provider.conditioners.description.output_proj.weight": FloatTensor(dim, T5_DIM),
        "condition_provider.conditioners.description.output_proj.bias": FloatTensor(dim),
    }
    for i in range(CODEBOOKS):
        state[f"emb.{i}.weight"] = FloatTensor(CARD + 1, dim)
    for i in range(layers):
        layer = f"transformer.layers.{i}."
        state[layer + "self_attn.in_proj_weight"] = FloatTensor(3 * dim, dim)
        state[layer + "self_attn.out_proj.weight"] = FloatTensor(dim, dim)
        state[layer + "linear1.weight"] = FloatTensor(4 * dim, dim)
        state[layer + "linear2.weight"] = FloatTensor(dim, 4 * dim)
        for norm in ("norm1", "norm2"):
            state[layer + norm + ".weight"] = FloatTensor(dim)
            state[layer + norm + ".bias"] = FloatTensor(dim)
        state[layer + "cross_attention.in_proj_weight"] = FloatTensor(3 * dim, dim)
        state[layer + "cross_attention.out_proj.weight"] = FloatTensor(dim, dim)
        state[layer + "norm_cross.weight"] = FloatTensor(dim)
        state[layer + "norm_cross.bias"] = FloatTensor(dim)
    state["out_norm.weight"] = FloatTensor(dim)
    state["out_norm.bias"] = FloatTensor(dim)
    for i in range(CODEBOOKS):
        state[f"linears.{i}.weight"] = FloatTensor(CARD, dim)
    return state


def checkpoint(size, optimizer_copies):
    dim, heads, layers = GEOMETRY[size]
    data = pathlib.Path(__file__).resolve().parents[1] / "golden" / "data"
    config = OmegaConf.load(data / "musicgen_exported.yaml")
    config.transformer_lm.dim = dim
    config.transformer_lm.num_heads = heads
    config.transformer_lm.num_layers = layers
    config.transformer_lm.card = CARD
    moments = [{i: tensor for i, tensor in enumerate(language_model(dim, layers).values())}
               for _ in range(optimizer_copies)]
    return {
        "history": [{"train": {"ce": 3.19}, "valid": {"ce": 3.2}}],
        "xp.cfg": config,
        "xp.sig": "7b2267f9",
        "best_state": {"model": language_model(dim, layers)},
        "fsdp_best_state": {},
        "model": language_model(dim, layers),
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4}]},
    }


class Zip:
    """The layout of torch.save: stored records aligned to 64 bytes, data descriptors, ZIP64 throughout."""

    def __init__(self, file):
        self.file = file
        self.entries = []

    def begin(self, name):
        self.name = b"archive/" + name.encode()
        self.header = self.file.tell()
        wide = self.header >= 0xFFFFFFFF
        zip64 = struct.pack("<HHQ", 1, 8, self.header) if wide else b""
        start = self.header + 30 + len(self.name) + len(zip64) + 4
        padding = -start % 64
        extra = zip64 + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        self.file.write(struct.pack("<4s5H3L2H", b"PK\3\4", 0, 0x0808, 0, 0, 0, 0, 0, 0, len(self.name), len(extra)))
        self.file.write(self.name + extra)

    def end(self, size, crc):
        wide = size >= 0xFFFFFFFF or self.header >= 0xFFFFFFFF
        self.file.write(struct.pack("<4sLQQ" if wide else "<4sLLL", b"PK\7\x08", crc, size, size))
        self.entries.append((self.name, self.header, size, crc))

    def record(self, name, content):
        self.begin(name)
        self.file.write(content)
        self.end(len(content), zlib.crc32(content))

    def finish(self):
        directory = self.file.tell()
        for name, header, size, crc in self.entries:
            big = [value for value in (size, size, header) if value >= 0xFFFFFFFF]
            extra = struct.pack(f"<HH{len(big)}Q", 1, 8 * len(big), *big) if big else b""
            small = min(size, 0xFFFFFFFF)
            self.file.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", 0, 0, 0x0808, 0, 0, 0, crc, small, small, len(name),
                                        len(extra), 0, 0, 0, 0, min(header, 0xFFFFFFFF)) + name + extra)
        end = self.file.tell()
        count = len(self.entries)
        self.file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 0, 0, 0, 0, count, count, end - directory, directory))
        self.file.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        self.file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF),
                                    min(end - directory, 0xFFFFFFFF), min(directory, 0xFFFFFFFF), 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_file")
    parser.add_argument("--size", choices=GEOMETRY, default="small")
    parser.add_argument("--optimizer-copies", type=int, default=2)
    parser.add_argument("--sparse", action="store_true")
    arguments = parser.parse_args()

    content = io.BytesIO()
    pickler = Pickler(content)
    pickler.dump(checkpoint(arguments.size, arguments.optimizer_copies))
    block = torch.randn(BLOCK // 4, generator=torch.Generator().manual_seed(1)).numpy().tobytes()
    with open(arguments.out_file, "wb") as file:
        archive = Zip(file)
        archive.record("data.pkl", content.getvalue())
        for key, storage in enumerate(pickler.storages):
            archive.begin(f"data/{key}")
            size, crc = storage.count * 4, 0
            if arguments.sparse:
                file.seek(size, io.SEEK_CUR)
            else:
                left, shift = size, key * 4096 % (BLOCK // 2)  # another part of the block for each storage
                while left:
                    part = memoryview(block)[shift:shift + left]
                    file.write(part)
                    crc = zlib.crc32(part, crc)
                    left -= len(part)
                    shift = 0
            archive.end(size, crc)
        archive.record("version", b"3\n")
        archive.finish()
    total = sum(storage.count for storage in pickler.storages) * 4
    print(f"{arguments.out_file}: {len(pickler.storages)} storages, {total / 1e9:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How time and memory grow with what there is more of: tensors, history, bytes, shards, stages, plugins.

  growth.py CRAFTBUNDLE [--svg FILE] [--plugin FILE] [--quick]

Prints a table of each: CPU seconds and peak memory (MiB) of the program at each size, and the exponent of the time
between the last two sizes (1.0: linear). --svg draws them, both axes logarithmic; needs Debian's python3-matplotlib.
--plugin names a plugin to copy, for the growth with plugins (lib/craftbundle/plugins/encodec.so of a build).
--quick leaves the largest size out. Files are sparse: 1 GB of disk does.
"""
import argparse
import json
import math
import multiprocessing
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def measure(command, environment=None):
    """CPU seconds and MiB, the better of two turns."""
    best = None
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"growth: exit status {process.returncode}: {' '.join(map(str, command))}")
        figures = (usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        best = min(best, figures) if best else figures
    return best


def apart(make, *arguments):
    """Calls `make` in another process: peak memory of a command counts what its parent had when it was started."""
    process = multiprocessing.get_context("fork").Process(target=make, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        sys.exit(f"growth: {make.__name__}{arguments} failed")


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def package(path, pickle, data=b""):
    with zipfile.ZipFile(path, "w") as file:
        for record, content in [("data.pkl", pickle), ("version", b"3\n"), ("data/0", data)]:
            file.writestr("archive/" + record, content)


def tensors(path, count):
    """A state dict whose tensors are elements of one storage."""
    pickle = [b"\x80\x02}("]
    for i in range(count):
        pickle.append(text(b"tensor.%d" % i) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") +
                      b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + b"J" + struct.pack("<i", count) + b"tQJ" +
                      struct.pack("<i", i) + b"K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    package(path, b"".join(pickle) + b"u.", bytes(4 * count))


def history(path, count):
    """A training whose history has `count` keys, ten an epoch."""
    epoch = b"}(" + b"".join(text(b"metric.%d" % i) + b"G" + struct.pack(">d", i / 7) for i in range(10)) + b"u"
    package(path, b"\x80\x02}(" + text(b"history") + b"](" + epoch * max(1, count // 10) + b"eu.")


def safetensors(directory, shards, tensors_each=4, size=1 << 20):
    """A model in shards, with the index that transformers writes."""
    directory.mkdir()
    names = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        header, place = {}, 0
        for i in range(tensors_each):
            key = f"layer.{shard}.{i}.weight"
            header[key] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [place, place + size]}
            names[key] = name
            place += size
        content = json.dumps(header).encode()
        with open(directory / name, "wb") as file:
            file.write(struct.pack("<Q", len(content)) + content)
            file.truncate(8 + len(content) + place)
    index = {"metadata": {"total_size": shards * tensors_each * size}, "weight_map": names}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def script(path, count):
    path.write_text("version: 1\nstages:\n" + "".join(
        f"  s{i}: {{command: ['true'], inputs: {path.name}, outputs: [], always: true}}\n" for i in range(count)))


def sparse(path, copies):
    """A checkpoint with `copies` further copies of the weights, about 1.7 GB each."""
    subprocess.run(["/usr/bin/python3", HERE / "make_checkpoint.py", path, "--sparse", "--optimizer-copies", str(copies)], check=True,
                   stderr=subprocess.DEVNULL)


def growths(program, work, plugin, quick):
    """Yields title, unit and (size, command, environment) of each."""
    def upto(*sizes):
        return sizes[:-1] if quick else sizes

    def files(make, sizes, command, suffix=".th"):
        for size in sizes:
            path = work / f"{make.__name__}_{size}{suffix}"
            apart(make, path, size)
            yield size, command(path), None

    yield "inspect", "tensors", files(tensors, upto(10, 100, 1_000, 10_000, 100_000, 200_000), lambda path: [program, "inspect", path])
    yield "inspect", "keys in history", files(history, upto(10, 1_000, 10_000, 100_000, 1_000_000), lambda path: [program, "inspect", path])
    yield "inspect", "copies of 1.7 GB in the file", files(sparse, upto(0, 2, 8, 28, 58), lambda path: [program, "inspect", path])
    yield "tensors", "shards", files(safetensors, upto(2, 4, 8, 16, 32, 64), lambda path: [program, "inspect", "--tensors", path], "")
    yield "run --dry-run", "stages", files(script, upto(10, 100, 1_000, 10_000), lambda path: [program, "run", "--dry-run", path], ".yaml")
    yield "run", "stages that do nothing", files(script, upto(10, 100, 1_000, 10_000), lambda path: [program, "run", "-q", path], ".yaml")
    if plugin:
        def plugins():
            for count in upto(1, 10, 50, 100, 200):
                directory = work / f"plugins_{count}"
                directory.mkdir()
                for i in range(count):
                    shutil.copy(plugin, directory / f"copy_{i}.so")
                yield count, [program, "plugins", "list"], {"CRAFTBUNDLE_PLUGIN_PATH": str(directory)}
        yield "plugins list", "copies of a plugin", plugins()


def draw(path, results):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    figure, axes = pyplot.subplots(2, 1, figsize=(8, 9), layout="constrained")
    for title, unit, rows in results:
        sizes = [max(size, 1) for size, _, _ in rows]
        for axis, column in zip(axes, (1, 2)):
            axis.loglog(sizes, [row[column] for row in rows], marker="o", label=f"{title}: {unit}")
    axes[0].set_ylabel("CPU seconds")
    axes[1].set_ylabel("peak memory, MiB")
    for axis in axes:
        axis.set_xlabel("how many")
        axis.grid(True, which="major", alpha=0.4)
    axes[0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("craftbundle", type=pathlib.Path)
    parser.add_argument("--svg")
    parser.add_argument("--plugin")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    program = arguments.craftbundle.resolve()
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for title, unit, cases in growths(program, pathlib.Path(directory), arguments.plugin, arguments.quick):
            print(f"== {title}: {unit}\n{'how many':>10}  {'cpu s':>8}  peak MiB", flush=True)
            rows = []
            for size, command, environment in cases:
                rows.append((size, *measure(command, environment)))
                print(f"{size:>10,}  {rows[-1][1]:8.3f}  {rows[-1][2]:8.1f}", flush=True)
            (before, cpu_before, _), (last, cpu, _) = rows[-2:]
            print(f"{'':>10}  exponent {math.log(cpu / cpu_before) / math.log(last / before):.2f}")
            results.append((title, unit, rows))
    if arguments.svg:
        draw(arguments.svg, results)


if __name__ == "__main__":
    main()

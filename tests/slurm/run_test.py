#!/usr/bin/python3
"""Runs a script of stages through a real Slurm.

    run_test.py CRAFTBUNDLE GOLDEN_DATA

The stages of two models (arrays that correspond), one that may fail and one that comes after all of
them; afterwards Craftbundle itself finds everything up to date.
"""
import os
import shutil
import subprocess
import sys
import tempfile

SCRIPT = """version: 1
stages:
  codec: {export: encodec_train.th}
  "lm-${n}":
    matrix: {n: [1, 2]}
    export: musicgen_train.th
    to: out/lm-${n}.bin
    slurm: {comment: a word}
  "model-${n}":
    matrix: {n: [1, 2]}
    bundle: {lm: "lm-${n}", compression: codec}
    to: out/model-${n}
  "check-${n}":
    matrix: {n: [1, 2]}
    verify: "model-${n}"
    timeout: 10m
  fails: {command: ["false"], allow_failure: true}
  sums:
    needs: [fails, "check-*"]
    checksum: "model-*"
    to: out/SHA256SUMS
"""


def main():
    program, data = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as directory:
        for name in ("encodec_train.th", "musicgen_train.th"):
            shutil.copy(os.path.join(data, name), directory)
        with open(os.path.join(directory, "run.yaml"), "w") as file:
            file.write(SCRIPT)
        emitted = subprocess.run([program, "run", "run.yaml", "--emit", "slurm"], cwd=directory,
                                 capture_output=True, text=True, check=True)
        with open(os.path.join(directory, "run.sh"), "w") as file:
            file.write(emitted.stdout)
        os.mkdir(os.path.join(directory, "slurm"))
        harness = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_in_slurm.py")
        ran = subprocess.run([sys.executable, harness, os.path.join(directory, "slurm"),
                              os.path.join(directory, "run.sh")],
                             cwd=directory, capture_output=True, text=True)
        print(ran.stdout, ran.stderr)
        if ran.returncode == 77:
            return 77
        states = [line for line in ran.stdout.split("\n") if line.endswith(("ED", "LED"))]
        expected = ["check COMPLETED", "check COMPLETED", "codec COMPLETED", "fails COMPLETED",
                    "lm COMPLETED", "lm COMPLETED", "model COMPLETED", "model COMPLETED",
                    "sums COMPLETED"]
        if states != expected:
            print(f"expected {expected}")
            for name in sorted(os.listdir(directory)):
                if name.endswith(".out"):
                    print(f"== {name}\n{open(os.path.join(directory, name)).read()}")
            return 1
        again = subprocess.run([program, "run", "run.yaml", "--dry-run"], cwd=directory,
                               capture_output=True, text=True)
        print(again.stdout, again.stderr)
        # What failed would be tried again, and what waits for it is decided then.
        return 0 if "1 of 9 stages to run" in again.stdout else 1


if __name__ == "__main__":
    sys.exit(main())

"""Exports one component of a model: the moving average of a training, in half precision. Sources
may also be exported files, bundles, `//sig/9f2c` and names of models; every option of `craftbundle
export` is a keyword argument.

  python export.py CHECKPOINT OUT_FILE
"""

import sys

import craftbundle

checkpoint, out_file = sys.argv[1:]
report = craftbundle.export(checkpoint, out_file, state="ema", dtype="float16", force=True)
print(f"{report.path}: {report.component.role}, {report.tensors} tensors, {report.size} bytes")
for text in report.component.checks:
    print("checked:", text)
for text in report.component.warnings:
    print("warning:", text)

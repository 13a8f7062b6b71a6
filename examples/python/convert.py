"""Writes a bundle again for readers without PyTorch, as safetensors, and compares the weights of
its language model. The end of a tensor's name will do: `emb.0.weight` is `best_state.emb.0.weight`
in AudioCraft's file.

  python convert.py BUNDLE OUT_DIRECTORY
"""

import sys

import craftbundle

bundle, out_directory = sys.argv[1:]
report = craftbundle.convert(bundle, out_directory, layout="safetensors", force=True)
print(f"{report.directory}: layout {report.layout}, {', '.join(report.files)}")
before = craftbundle.open(bundle, component="lm").tensors
after = craftbundle.open(out_directory, component="lm").tensors
same = [(before[name].numpy() == tensor.numpy()).all() for name, tensor in after.items()]
print(f"{sum(same)} of {len(before)} tensors are the same")

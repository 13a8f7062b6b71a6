"""Looks into a checkpoint of any size and running nothing of it: the configuration as a dict, names
and shapes, and the elements of one tensor, which are read from the file when they are looked at.
`.torch()` gives the same as a torch.Tensor.

  python look_inside.py CHECKPOINT
"""

import sys

import craftbundle

weights = craftbundle.open(sys.argv[1])
print("solver:", weights.config["solver"])
print("sample rate:", weights.config["sample_rate"])
best = [tensor for name, tensor in weights.tensors.items() if name.startswith("best_state.")]
print(f"{len(weights.tensors)} tensors, {len(best)} of them in best_state")
for tensor in best[:5]:
    print(f"{tensor.name}: {tensor.dtype} {list(tensor.shape)}")
largest = max(best, key=lambda tensor: tensor.nbytes)
print(f"{largest.name}: standard deviation {largest.numpy().std():.4f}")

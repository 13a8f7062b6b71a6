#!/usr/bin/env python3
"""Makes two exported files of 48 MiB whose configuration names no model: exporters take them as they are.
  make_large.py OUTPUT_DIRECTORY"""
import os
import sys

import torch

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
for name, seed in ("a", 1), ("b", 2):
    torch.manual_seed(seed)
    state = {f"layer.{i}.weight": torch.rand(512, 1024) for i in range(24)}
    package = {"best_state": state, "xp.cfg": "solver: other\n", "version": "1.4.0a2", "exported": True}
    torch.save(package, f"{out}/{name}.bin")

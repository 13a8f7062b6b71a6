#!/usr/bin/env python3
"""Makes tests/cli/data: copies of a small real checkpoint, each with one thing wrong. Run once; the results are committed.
  make_broken.py GOLDEN_DIRECTORY OUTPUT_DIRECTORY"""
import copy
import sys

import torch
from omegaconf import OmegaConf

golden, out = sys.argv[1:]
package = torch.load(f"{golden}/encodec_groupnorm_train.th", "cpu")
keep = {key: package[key] for key in ("xp.cfg", "xp.sig", "best_state")}


def save(name, change):
    changed = copy.deepcopy(keep)
    change(changed)
    torch.save(changed, f"{out}/{name}.th", _use_new_zipfile_serialization=True)


def without_key(package):
    OmegaConf.set_struct(package["xp.cfg"], False)
    del package["xp.cfg"]["seanet"]["ratios"]


def without_tensor(package):
    del package["best_state"]["model"]["decoder.model.0.conv.conv.bias"]


def wrong_shape(package):
    model = package["best_state"]["model"]
    model["decoder.model.0.conv.conv.bias"] = model["decoder.model.0.conv.conv.bias"][:-1].clone()


def not_tensors(package):
    package["best_state"]["model"]["decoder.model.0.conv.conv.bias"] = "a word"


save("config_without_key", without_key)
save("tensor_missing", without_tensor)
save("shape_wrong", wrong_shape)
save("tensor_is_text", not_tensors)

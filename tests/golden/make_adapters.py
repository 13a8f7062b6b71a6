#!/usr/bin/env python3
"""Adapters as PEFT saves them, and the SHA-256 of what PEFT makes of the weights of
data/musicgen_train.th with them (peft 0.21, torch 2.13, x86-64).

    make_adapters.py DIRECTORY     # this one's `data/adapters`
"""
import hashlib
import json
import os
import shutil
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
STATE = torch.load(os.path.join(HERE, "data/musicgen_train.th"), weights_only=False)["best_state"]["model"]


class Layer(torch.nn.Module):
    """Modules and parameters by the names of a state."""


def model_of(dtype):
    root = Layer()
    for name, tensor in STATE.items():
        *path, last = name.split(".")
        bias = name.removesuffix("weight") + "bias" in STATE
        is_module = last in ("weight", "bias")
        at = root
        for part in path[:-1] if is_module else path:
            if not hasattr(at, part):
                at.add_module(part, Layer())
            at = getattr(at, part)
        if is_module and not hasattr(at, path[-1]):
            if path[0] == "emb":
                made = torch.nn.Embedding(*tensor.shape)
            elif tensor.dim() == 2:
                made = torch.nn.Linear(tensor.shape[1], tensor.shape[0], bias=bias)
            else:
                made = torch.nn.LayerNorm(tensor.shape[0])
            at.add_module(path[-1], made)
        elif not is_module:
            at.register_parameter(last, torch.nn.Parameter(tensor.clone()))
    root.load_state_dict(STATE)
    root.forward = lambda: None
    return root.to(dtype)


ADAPTERS = {
    "lora": dict(
        r=4, lora_alpha=6,
        target_modules=["transformer.layers.0.linear1", "transformer.layers.1.linear1", "emb.1", "linears.2",
                        "condition_provider.conditioners.description.output_proj"],
        rank_pattern={"linears.2": 2, r"^transformer\.layers\.1.*": 3}, alpha_pattern={"emb.1": 2.5},
        modules_to_save=["out_norm"], bias="lora_only"),
    "dora": dict(r=3, lora_alpha=5, use_rslora=True, use_dora=True,
                 target_modules=r"transformer\.layers\.\d\.self_attn\.out_proj"),
    "biased": dict(r=2, lora_alpha=2, lora_bias=True,
                   target_modules=["condition_provider.conditioners.description.output_proj"]),
    "parameters": dict(r=4, lora_alpha=8, target_modules=[], target_parameters=["layers.1.self_attn.in_proj_weight"]),
}


def train(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        if "lora_" in name and "magnitude" not in name:
            parameter.data = noise * 0.25
        else:
            parameter.data += noise * 0.125


def main(directory):
    expected = {}
    for seed, (name, options) in enumerate(ADAPTERS.items()):
        place = os.path.join(directory, name)
        shutil.rmtree(place, ignore_errors=True)
        adapted = get_peft_model(model_of(torch.float16), LoraConfig(**options))
        train(adapted, seed)
        adapted.save_pretrained(place)
        os.unlink(os.path.join(place, "README.md"))
        for dtype in (torch.float16, torch.float32):
            base = model_of(dtype)
            before = {key: value.clone() for key, value in base.state_dict().items()}
            merged = PeftModel.from_pretrained(base, place).merge_and_unload().state_dict()
            assert set(merged) == set(before), set(merged) ^ set(before)
            if options.get("use_dora"):  # its norms differ in the last bit
                if dtype == torch.float32:
                    save_file({key: value.contiguous() for key, value in merged.items()
                               if not torch.equal(value, before[key])},
                              os.path.join(directory, name + "_merged.safetensors"))
                continue
            expected[f"{name} {str(dtype).removeprefix('torch.')}"] = {
                key: hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
                for key, value in sorted(merged.items()) if not torch.equal(value, before[key])}
    with open(os.path.join(directory, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


main(sys.argv[1])

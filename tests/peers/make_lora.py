"""make_lora.py BASE OUT [--kind KIND] [--dtype float32|float16|bfloat16]

Makes a LoRA adapter with peft, for a transformers folder or AudioCraft's state_dict.bin, with weights that are not zero as after
training, and merges it:
  OUT/adapter_config.json, OUT/adapter_model.safetensors   the adapter, as save_pretrained writes it
  OUT/merged.safetensors                                   what merge_and_unload gives, in the names of the base
--text-encoders DIRECTORY as for load_audiocraft.py."""
import argparse
import os
import sys
import warnings
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# What training scripts for MusicGen adapt, the embeddings and heads among it.
TRANSFORMERS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "enc_to_dec_proj", "audio_enc_to_dec_proj", "lm_heads.0",
                "lm_heads.1", "embed_tokens.0", "embed_tokens.1"]
AUDIOCRAFT = ["out_proj", "linear1", "linear2", "linears.0", "linears.1", "emb.0", "emb.1", "description.output_proj"]
PROJECTION = {"transformers": "enc_to_dec_proj", "audiocraft": "description.output_proj"}
FIRST = {"transformers": "fc1", "audiocraft": "linear1"}


def kinds(flavour):
    first, projection = FIRST[flavour], PROJECTION[flavour]
    return {
        "plain": {},
        "rslora": {"use_rslora": True, "r": 6, "lora_alpha": 13},
        "patterns": {"rank_pattern": {first: 3, r"layers.1.\w+.out_proj": 5}, "alpha_pattern": {"out_proj": 7.5}},
        "dora": {"use_dora": True, "target_modules": ["out_proj", first]},
        "lora_only_bias": {"bias": "lora_only", "target_modules": [projection, "out_proj"]},
        "all_biases": {"bias": "all", "target_modules": ["out_proj"]},
        "lora_bias": {"lora_bias": True, "target_modules": [projection]},
        "modules_to_save": {"modules_to_save": [projection], "target_modules": ["out_proj"]},
        "large": {"r": 160, "target_modules": [first]},
        # AudioCraft's projection of queries, keys and values is a parameter and no module.
        "parameters": {"target_modules": [], "target_parameters": ["self_attn.in_proj_weight", "cross_attention.in_proj_weight"],
                       "lora_dropout": 0.0},
    }


def base(path, dtype, text_encoders):
    if (path / "config.json").exists():
        config = transformers.AutoConfig.from_pretrained(path)
        return "transformers", getattr(transformers, config.architectures[0]).from_pretrained(path, dtype=dtype)
    sys.path.insert(0, str(Path(__file__).parent / "stubs"))
    import stand_ins
    stand_ins.install()
    from audiocraft.models import loaders
    where = path.resolve()
    if text_encoders:
        here = os.getcwd()
        os.chdir(text_encoders)
    model = loaders.load_lm_model(where, device="cpu").to(dtype)
    if text_encoders:
        os.chdir(here)
    return "audiocraft", model


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("base", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--kind", default="plain", choices=list(kinds("audiocraft")))
    arguments.add_argument("--dtype", default="float32")
    arguments.add_argument("--text-encoders", type=Path)
    arguments = arguments.parse_args()
    dtype = getattr(torch, arguments.dtype)

    flavour, model = base(arguments.base, dtype, arguments.text_encoders)
    targets = TRANSFORMERS if flavour == "transformers" else AUDIOCRAFT
    options = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.05, "bias": "none", "target_modules": targets}
    adapted = get_peft_model(model, LoraConfig(**options | kinds(flavour)[arguments.kind]))
    draw = torch.Generator().manual_seed(11)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=draw) * (0.3 if "lora_" in name else 0.02)
            started = 0 if "lora_" in name and "magnitude" not in name else parameter.data
            parameter.data = (started + noise).to(parameter.dtype)
    adapted.save_pretrained(arguments.out)

    _, model = base(arguments.base, dtype, arguments.text_encoders)
    merged = PeftModel.from_pretrained(model, arguments.out).merge_and_unload()
    save_file({name: tensor.contiguous().clone() for name, tensor in merged.state_dict().items()}, arguments.out / "merged.safetensors")


main()

"""make_lora.py BASE OUT [--kind KIND...] [--dtype float32|float16|bfloat16] [--judge CRAFTBUNDLE]

Makes LoRA adapters with peft, for a transformers folder or the folder of AudioCraft's state_dict.bin, with weights that are not
zero as after training, and merges them. Of each kind (all, when none is named):
  OUT/KIND/adapter_config.json, adapter_model.safetensors   the adapter, as save_pretrained writes it
  OUT/KIND/merged.safetensors                               what merge_and_unload gives, in the names of the base
--judge has the program merge the adapters into BASE/state_dict.bin too and compares; exit status 1 when a tensor differs.
--text-encoders DIRECTORY as for load_audiocraft.py."""
import argparse
import contextlib
import subprocess
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "stubs"))
import stand_ins

stand_ins.install()

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

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
    made = {
        "plain": {},
        "rslora": {"use_rslora": True, "r": 6, "lora_alpha": 13},
        "patterns": {"rank_pattern": {first: 3, r"layers.1.\w+.out_proj": 5}, "alpha_pattern": {"out_proj": 7.5}},
        "dora": {"use_dora": True, "target_modules": ["out_proj", first]},
        "lora_only_bias": {"bias": "lora_only", "target_modules": [projection, "out_proj"]},
        "all_biases": {"bias": "all", "target_modules": ["out_proj"]},
        "lora_bias": {"lora_bias": True, "target_modules": [projection]},
        "modules_to_save": {"modules_to_save": [projection], "target_modules": ["out_proj"]},
        "large": {"r": 160, "target_modules": [first]},
    }
    if flavour == "audiocraft":
        # The projection of queries, keys and values is a parameter and no module.
        made["parameters"] = {"target_modules": [], "lora_dropout": 0.0,
                              "target_parameters": ["self_attn.in_proj_weight", "cross_attention.in_proj_weight"]}
    return made


def base(path, dtype, text_encoders):
    if (path / "config.json").exists():
        config = transformers.AutoConfig.from_pretrained(path)
        return getattr(transformers, config.architectures[0]).from_pretrained(path, dtype=dtype)
    from audiocraft.models import loaders
    with contextlib.chdir(text_encoders or "."):
        return loaders.load_lm_model(str(path), device="cpu").to(dtype)


def make(flavour, kind, dtype, arguments):
    targets = TRANSFORMERS if flavour == "transformers" else AUDIOCRAFT
    options = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.05, "bias": "none", "target_modules": targets}
    adapted = get_peft_model(base(arguments.base, dtype, arguments.text_encoders), LoraConfig(**options | kinds(flavour)[kind]))
    draw = torch.Generator().manual_seed(11)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=draw) * (0.3 if "lora_" in name else 0.02)
            started = 0 if "lora_" in name and "magnitude" not in name else parameter.data
            parameter.data = (started + noise).to(parameter.dtype)
    out = arguments.out / kind
    adapted.save_pretrained(out)
    merged = PeftModel.from_pretrained(base(arguments.base, dtype, arguments.text_encoders), out).merge_and_unload()
    save_file({name: tensor.contiguous().clone() for name, tensor in merged.state_dict().items()}, out / "merged.safetensors")


def judge(kind, arguments):
    """Equal to the bit, except for the norms of DoRA, which peft adds up in another order."""
    out = arguments.out / kind
    command = [arguments.judge, "export", arguments.base / "state_dict.bin", "--merge", out, "--dtype", arguments.dtype,
               "-o", out / "merged.bin", "--force", "--no-sync"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        return [f"exit status {run.returncode}: {run.stderr}"]
    got, expected = torch.load(out / "merged.bin", weights_only=True)["best_state"], load_file(out / "merged.safetensors")
    problems = [f"{name}: only one has it" for name in got.keys() ^ expected.keys()]
    for name in sorted(got.keys() & expected.keys()):
        if got[name].dtype != expected[name].dtype or got[name].shape != expected[name].shape:
            problems.append(f"{name}: {got[name].dtype} {list(got[name].shape)}")
        elif not torch.equal(got[name], expected[name]):
            error = (got[name].double() - expected[name].double()).abs() / expected[name].double().abs().clamp_min(1e-6)
            if kind != "dora" or error.max() > 4 * torch.finfo(expected[name].dtype).eps:
                problems.append(f"{name}: {int((error > 0).sum())} of {error.numel()} differ, by {float(error.max()):.1e}")
    return problems


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("base", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--kind", nargs="+")
    arguments.add_argument("--dtype", default="float32")
    arguments.add_argument("--text-encoders", type=Path)
    arguments.add_argument("--judge", type=Path)
    arguments = arguments.parse_args()
    arguments.base, arguments.out = arguments.base.resolve(), arguments.out.resolve()
    flavour = "transformers" if (arguments.base / "config.json").exists() else "audiocraft"
    failed = False
    for kind in arguments.kind or list(kinds(flavour)):
        make(flavour, kind, getattr(torch, arguments.dtype), arguments)
        if arguments.judge:
            problems = judge(kind, arguments)
            failed |= bool(problems)
            print("FAIL" if problems else "PASS", kind, arguments.dtype, *problems[:5], sep="\n  " if problems else " ", flush=True)
    sys.exit(failed)


main()

#!/usr/bin/env python3
"""transformers' own conversion of MusicGen, with everything it would fetch given by path: a peer of `--layout transformers`.

  transformers_script.py --make DIRECTORY
  transformers_script.py SCRIPT CHECKPOINT DIRECTORY OUT

SCRIPT is src/transformers/models/musicgen/convert_musicgen_transformers.py of the sources of transformers, which its wheels leave out.
CHECKPOINT is a training checkpoint of a model of the size that the script calls small (make_checkpoint.py makes one). --make writes
into DIRECTORY, with random weights, the T5 (t5-base) and the EnCodec (encodec_32khz) that the script fetches by name; the tokenizer is
the one of tests/peers/make_t5.py. Needs the peers that tests/peers/make.sh makes: build/peers/venv/bin/python with
PYTHONPATH=build/peers/transformers4.
"""
import runpy
import subprocess
import sys
import types
from pathlib import Path

import torch
import transformers


def make(directory):
    t5 = transformers.T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12, vocab_size=32128,
                               is_encoder_decoder=True, feed_forward_proj="relu", decoder_start_token_id=0)
    subprocess.run([sys.executable, Path(__file__).parent.parent / "peers/make_t5.py", directory / "tiny"], check=True)
    transformers.AutoTokenizer.from_pretrained(directory / "tiny/t5-base").save_pretrained(directory / "t5-base")
    transformers.T5EncoderModel(t5).save_pretrained(directory / "t5-base")
    codec = transformers.EncodecConfig(sampling_rate=32000, audio_channels=1, normalize=False, target_bandwidths=[2.2],
                                       upsampling_ratios=[8, 5, 4, 4], codebook_size=2048, codebook_dim=128, num_filters=64,
                                       use_causal_conv=False, use_conv_shortcut=False, norm_type="weight_norm")
    transformers.EncodecModel(codec).save_pretrained(directory / "encodec_32khz")
    transformers.EncodecFeatureExtractor(1, 32000, padding_side="left").save_pretrained(directory / "encodec_32khz")


def convert(script, checkpoint, directory, out):
    class MusicGen:
        @staticmethod
        def get_pretrained(_name, device):
            # As AudioCraft loads a package, less the time that building its modules takes.
            state = torch.load(checkpoint, map_location=device, weights_only=False)["best_state"]["model"]
            return types.SimpleNamespace(lm=types.SimpleNamespace(state_dict=lambda: state))

    sys.modules["audiocraft"] = types.ModuleType("audiocraft")
    sys.modules["audiocraft.models"] = types.ModuleType("audiocraft.models")
    sys.modules["audiocraft.models"].MusicGen = MusicGen
    for loader in (transformers.T5EncoderModel, transformers.EncodecModel, transformers.AutoTokenizer,
                   transformers.AutoFeatureExtractor):
        original = loader.from_pretrained
        loader.from_pretrained = lambda name, *rest, original=original, **named: original(
            directory / name.removeprefix("facebook/"), *rest, **named)
    runpy.run_path(script)["convert_musicgen_checkpoint"]("small", out)


if sys.argv[1:2] == ["--make"] and len(sys.argv) == 3:
    make(Path(sys.argv[2]))
elif len(sys.argv) == 5:
    convert(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
else:
    sys.exit(__doc__)

"""load_audiocraft.py BUNDLE... [--text-encoders DIRECTORY] [--write DIRECTORY]

Loads bundles with AudioCraft's own classes while the network is off, generates a little, and writes what the models computed for
judges of other layouts (NAME.npz for each bundle). The text encoder (t5-base, ...) is looked for in its DIRECTORY, as AudioCraft
looks in the working directory. Prints shapes and hashes; exit status 1 when anything fails."""
import argparse
import hashlib
import os
import socket
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "stubs"))
import stand_ins

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
warnings.simplefilter("ignore")
stand_ins.install()


def refuse(*_arguments, **_options):
    raise OSError("the network is off")


socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse

import numpy as np
import torch
from audiocraft.models import AudioGen, MAGNeT, MusicGen, loaders
from audiocraft.modules.conditioners import ConditioningAttributes, WavCondition
from omegaconf import OmegaConf

torch.set_num_threads(1)
# Two of the same number of tokens: transformers masks padded text in cross attention, AudioCraft does not.
TEXTS = ["techno", "funky"]
FRAMES = 20
GENERATED = 12
PROMPT_SECONDS = 0.1


def wave(length, first, second, channels=1):
    n = np.arange(length, dtype=np.float64)
    mono = (0.5 * np.sin(first * n) + 0.3 * np.sin(second * n)).astype(np.float32)
    return torch.from_numpy(np.stack([mono * np.float32(s) for s in np.linspace(1, 0.4, channels)]))


def say(numbers):
    for name, value in numbers.items():
        value = np.ascontiguousarray(value)
        print(f"{name}  {value.dtype} {list(value.shape)}  {hashlib.sha256(value.tobytes()).hexdigest()[:16]}")


def codec_numbers(codec):
    numbers = {}
    channels, rate = codec.channels, codec.sample_rate
    for name, length in (("", rate // 10), ("odd_", rate // 10 + 117)):
        x = torch.stack([wave(length, 0.09, 0.021, channels), wave(length, 0.0613, 0.0337, channels)])
        codes, scale = codec.encode(x)
        numbers |= {f"{name}wav": x, f"{name}codes": codes, f"{name}decoded": codec.decode(codes, scale)}
        if scale is not None:
            numbers[f"{name}scale"] = scale
    return numbers


class Melody:
    """Takes the place of Demucs and the chroma of waves: class `index` for each frame of a melody, class 0 for silence."""

    def __init__(self, conditioner):
        draw = torch.Generator().manual_seed(3)
        self.classes = conditioner.chroma.n_chroma
        self.index = torch.randint(self.classes, (len(TEXTS), conditioner.chroma_len), generator=draw)
        conditioner._get_wav_embedding = self.embedding

    def embedding(self, wav):
        silent = (wav.length == 0).view(-1, 1)
        index = self.index.repeat(-(-len(wav.wav) // len(self.index)), 1)[:len(wav.wav)]
        return torch.nn.functional.one_hot(torch.where(silent, 0, index), self.classes).float()


def language_model_numbers(model):
    lm = model.lm
    draw = torch.Generator().manual_seed(7)
    codes = torch.randint(lm.card, (len(TEXTS), lm.num_codebooks, FRAMES), generator=draw)
    pattern = lm.pattern_provider.get_pattern(FRAMES)
    sequence, _, _ = pattern.build_pattern_sequence(codes, lm.special_token_id)
    numbers = {"sample_rate": model.sample_rate, "audio_channels": model.audio_channels, "codes": codes, "sequence": sequence}
    conditions = [ConditioningAttributes(text={"description": text}) for text in TEXTS]
    conditioners = lm.condition_provider.conditioners
    if "self_wav" in conditioners:
        melody = Melody(conditioners["self_wav"])
        numbers["chroma_index"] = melody.index
        for condition in conditions:
            condition.wav["self_wav"] = WavCondition(torch.ones(1, 1, 2), torch.tensor([2]), [model.sample_rate], [None], [0.0])
    tokens = lm.condition_provider.tokenize(conditions)
    numbers |= {"eq.texts": np.array(TEXTS), "eq.input_ids": tokens["description"]["input_ids"],
                "eq.attention_mask": tokens["description"]["attention_mask"]}
    assert tokens["description"]["attention_mask"].all(), "texts of different numbers of tokens"
    tensors = lm.condition_provider(tokens)
    numbers["eq.text_condition"] = tensors["description"][0]
    if not isinstance(model, MAGNeT):
        numbers["eq.logits"] = lm(sequence, [], tensors)
        for coefficient in (3, 1):
            numbers[f"eq.greedy_cfg{coefficient}"] = lm.generate(
                None, conditions, max_gen_len=GENERATED, use_sampling=False, cfg_coef=float(coefficient))
        numbers["eq.audio_cfg3"] = model.compression_model.decode(numbers["eq.greedy_cfg3"][:1])
    prompt = wave(int(model.sample_rate * PROMPT_SECONDS), 0.09, 0.021, model.audio_channels)[None]
    numbers["prompt_codes"] = model.compression_model.encode(prompt)[0]
    return numbers


def load(generator, bundle):
    try:
        model = generator.get_pretrained(bundle, device="cpu")
        print(f"{generator.__name__}.get_pretrained loads")
    except AssertionError:
        # Trained on segments shorter than the default stride of generation.
        lm, codec = loaders.load_lm_model(bundle, device="cpu"), loaders.load_compression_model(bundle, device="cpu")
        if "self_wav" in lm.condition_provider.conditioners:  # as get_pretrained does
            lm.condition_provider.conditioners["self_wav"].match_len_on_eval = True
            lm.condition_provider.conditioners["self_wav"]._use_masking = False
        model = generator("bundle", codec, lm, max_duration=30)
        print(f"{generator.__name__}(name, codec, lm, max_duration=30) loads")
    return model


@torch.no_grad()
def numbers_of(bundle):
    if not (bundle / "state_dict.bin").exists():
        return codec_numbers(loaders.load_compression_model(str(bundle), device="cpu"))
    solver = OmegaConf.create(loaders.load_lm_model_ckpt(str(bundle))["xp.cfg"]).solver
    return language_model_numbers(load({"audiogen": AudioGen, "magnet": MAGNeT}.get(solver, MusicGen), str(bundle)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("bundles", type=Path, nargs="+")
    arguments.add_argument("--text-encoders", type=Path)
    arguments.add_argument("--write", type=Path)
    arguments = arguments.parse_args()
    bundles = [bundle.resolve() for bundle in arguments.bundles]
    write = arguments.write.resolve() if arguments.write else None
    if write:
        write.mkdir(parents=True, exist_ok=True)
    if arguments.text_encoders:
        os.chdir(arguments.text_encoders)
    for bundle in bundles:
        print(f"== {bundle.name}")
        numbers = {name: np.asarray(value) for name, value in numbers_of(bundle).items()}
        say(numbers)
        if write:
            np.savez_compressed(write / f"{bundle.name}.npz", **numbers)


main()

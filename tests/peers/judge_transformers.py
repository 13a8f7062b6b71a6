"""judge_transformers.py DIRECTORY NUMBERS [--tolerance 2e-4]
judge_transformers.py DIRECTORY_OF_DIRECTORIES DIRECTORY_OF_NUMBERS

Loads folders with transformers' own classes, offline, and compares what they compute with what AudioCraft computed (an
.npz of load_audiocraft.py, a .pt of tests/golden/codecs). One line per check, PASS or FAIL; exit status 1 when anything failed."""
import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
# Melodies are dropped by these when they generate with a cache (transformers issue 45647).
VERSION = tuple(int(part) for part in transformers.__version__.split(".")[:2])
CACHE_DROPS_MELODY = (4, 54) <= VERSION < (5, 0) or (5, 1) <= VERSION < (5, 18)

failures = 0


def check(ok, what, detail=""):
    global failures
    failures += not ok
    print("PASS" if ok else "FAIL", what, detail, flush=True)


def equal(what, got, expected):
    got, expected = torch.as_tensor(got), torch.as_tensor(expected)
    if got.shape != expected.shape:
        return check(False, what, f"shape {list(got.shape)}, expected {list(expected.shape)}")
    check(torch.equal(got, expected), what, f"{int((got != expected).sum())} of {expected.numel()} differ")


def close(what, got, expected):
    got, expected = torch.as_tensor(got).float(), torch.as_tensor(expected).float()
    if got.shape != expected.shape:
        return check(False, what, f"shape {list(got.shape)}, expected {list(expected.shape)}")
    error, largest = float((got - expected).abs().max()), float(expected.abs().max())
    check(error <= arguments.tolerance * max(1.0, largest), what, f"off by {error:.1e} of {largest:.3g}")


def load(directory):
    config = transformers.AutoConfig.from_pretrained(directory)
    model, info = getattr(transformers, config.architectures[0]).from_pretrained(directory, output_loading_info=True)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        check(not info[problem], f"weights: no {problem}", str(sorted(info[problem], key=str)[:3]))
    return model.float().eval()


def read(numbers):
    if numbers.suffix == ".pt":
        return torch.load(numbers, weights_only=True)
    return dict(np.load(numbers))


def judge_codec(directory, model, numbers):
    encodec = model.config.model_type == "encodec"
    extractor = transformers.AutoFeatureExtractor.from_pretrained(directory)
    check(extractor.sampling_rate == model.config.sampling_rate, "feature extractor")
    for name in ("", "odd_", "short_"):
        if name + "wav" not in numbers:
            continue
        wave, codes = (torch.as_tensor(numbers[name + part]) for part in ("wav", "codes"))
        decoded = torch.as_tensor(numbers[name + "decoded"])
        if not encodec:
            equal(name + "codes", model.encode(wave).audio_codes, codes)
            close(name + "decoded", model.decode(audio_codes=codes).audio_values.reshape(decoded.shape), decoded)
            continue
        encoded = model.encode(wave, bandwidth=model.config.target_bandwidths[-1])
        equal(name + "codes", encoded.audio_codes[0], codes)
        scale = [None]
        if model.config.normalize:
            scale = [torch.as_tensor(numbers[name + "scale"]).view(-1, 1)]
            close(name + "scale", encoded.audio_scales[0].view(-1, 1), scale[0])
        close(name + "decoded", model.decode(codes[None], scale).audio_values, decoded)


def by_channel(codes, channels):
    """AudioCraft's order of the codebooks of stereo models: left and right in turn."""
    return codes[0] if channels == 1 else torch.stack(codes, 2).reshape(codes[0].shape[0], -1, codes[0].shape[-1])


def judge_language_model(directory, model, numbers):
    decoder = model.config.decoder
    books, channels = decoder.num_codebooks, decoder.audio_channels
    processor = transformers.AutoProcessor.from_pretrained(directory)
    check(processor.feature_extractor.sampling_rate == int(numbers["sample_rate"]), "sampling rate")
    text = dict(processor.tokenizer([str(t) for t in numbers["eq.texts"]], padding=True, return_tensors="pt"))
    equal("token ids", text["input_ids"], numbers["eq.input_ids"])
    equal("attention mask", text["attention_mask"], numbers["eq.attention_mask"])
    text = {"input_ids": torch.as_tensor(numbers["eq.input_ids"]), "attention_mask": torch.as_tensor(numbers["eq.attention_mask"])}

    hidden = model.text_encoder(**text).last_hidden_state
    if hasattr(model, "enc_to_dec_proj"):
        hidden = model.enc_to_dec_proj(hidden)
    close("text condition", hidden * text["attention_mask"][..., None], numbers["eq.text_condition"])

    options = {}
    if "chroma_index" in numbers:
        index = torch.as_tensor(numbers["chroma_index"])
        text["input_features"] = torch.nn.functional.one_hot(index, model.config.num_chroma).float()
        if CACHE_DROPS_MELODY:
            options["use_cache"] = False
            print("INFO this version drops melodies when it generates with a cache")
    sequence = torch.as_tensor(numbers["sequence"])
    batch, _, steps = sequence.shape
    logits = model(**text, decoder_input_ids=sequence.reshape(batch * books, steps)).logits
    close("logits", logits[:, -steps:].reshape(batch, books, steps, -1), numbers["eq.logits"])

    decoded = []
    decode = model.audio_encoder.decode

    def keep(codes, *rest, **named):
        decoded.append(codes[0])
        return decode(codes, *rest, **named)

    model.audio_encoder.decode = keep
    for guidance in (3, 1):
        expected = numbers[f"eq.greedy_cfg{guidance}"]
        decoded.clear()
        audio = model.generate(**text, do_sample=False, guidance_scale=float(guidance), min_length=None,
                               max_length=expected.shape[-1] + books // channels, **options)
        equal(f"greedy tokens, guidance {guidance}", by_channel(decoded, channels), expected)
        if guidance == 3:
            close("audio", audio[:1], numbers["eq.audio_cfg3"])
    model.audio_encoder.decode = decode

    n = np.arange(int(numbers["sample_rate"]) // 10, dtype=np.float64)
    mono = (0.5 * np.sin(0.09 * n) + 0.3 * np.sin(0.021 * n)).astype(np.float32)
    prompt = torch.from_numpy(np.stack([mono * np.float32(s) for s in np.linspace(1, 0.4, channels)]))
    equal("codes of a prompt", by_channel([model.audio_encoder.encode(c[None, None]).audio_codes[0] for c in prompt], channels),
          numbers["prompt_codes"])

    settings = model.generation_config
    check(settings.guidance_scale == 3.0 and settings.do_sample, "generation_config.json")
    audio = model.generate(**{name: value[:1] for name, value in text.items()}, **options)
    check(bool(torch.isfinite(audio).all()) and audio.shape[1] == channels, "generates with the settings of the folder", str(list(audio.shape)))


@torch.no_grad()
def judge(directory, numbers):
    print(f"== {directory} (transformers {transformers.__version__}, torch {torch.__version__})")
    try:
        model = load(directory)
        codec = model.config.model_type in ("encodec", "dac")
        (judge_codec if codec else judge_language_model)(directory, model, read(numbers))
    except Exception as error:
        check(False, type(error).__name__, str(error)[:500])


arguments = argparse.ArgumentParser()
arguments.add_argument("directory", type=Path)
arguments.add_argument("numbers", type=Path)
arguments.add_argument("--tolerance", type=float, default=2e-4)
arguments = arguments.parse_args()
if arguments.numbers.is_dir():
    judged = sorted(folder for folder in arguments.directory.iterdir() if folder.is_dir())
    check(bool(judged), f"{len(judged)} folders")
    for folder in judged:
        numbers = [arguments.numbers / (folder.name + suffix) for suffix in (".npz", ".pt")]
        judge(folder, next(filter(Path.exists, numbers), numbers[0]))
else:
    judge(arguments.directory, arguments.numbers)
sys.exit(failures > 0)

#!/usr/bin/env python3
"""The codecs that `craftbundle verify --run` runs, in Python's PyTorch: the peer of codec.sh, and a judge.

  codec_peer.py FILE [--seconds S] [--threads N] [--runs N] [--fold]
  codec_peer.py FILE --judge NUMBERS...
  codec_peer.py --make FILE [--model encodec_32khz|dac_44khz]

FILE is an exported codec (EnCodec or DAC), or the weights.pth of descript-audio-codec. Prints JSON: how fast it encodes
and decodes a signal, with its weight norm computed anew in each call, as the classes of AudioCraft and descript do;
--fold removes it first. --judge compares with the tensors of tests/golden/codecs. --make writes a package of random
weights. Needs PyTorch (1.13 or later) and PyYAML.
"""
import argparse
import collections
import json
import math
import re
import statistics
import sys
import time
import types
import warnings

import torch
import yaml
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore", message=".*weight_norm", category=FutureWarning)
NORMS = {"weight_norm": nn.utils.weight_norm, "spectral_norm": nn.utils.spectral_norm}
# The defaults of AudioCraft's and descript's classes.
SEANET = {"channels": 1, "dimension": 128, "n_filters": 32, "n_residual_layers": 3, "ratios": [8, 5, 4, 2],
          "activation": "ELU", "activation_params": {"alpha": 1.0}, "norm": "none", "norm_params": {}, "kernel_size": 7,
          "last_kernel_size": 7, "residual_kernel_size": 3, "dilation_base": 2, "causal": False, "pad_mode": "reflect",
          "true_skip": True, "compress": 2, "lstm": 0, "disable_norm_outer_blocks": 0}
DECODER = {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None}
DAC = {"encoder_dim": 64, "encoder_rates": [2, 4, 8, 8], "latent_dim": None, "decoder_dim": 1536,
       "decoder_rates": [8, 8, 4, 2], "n_codebooks": 9, "codebook_size": 1024, "codebook_dim": 8, "sample_rate": 44100}
# What --make makes: the codec of MusicGen, and the DAC that AudioCraft calls dac_44khz.
MODELS = {
    "encodec_32khz": {
        "solver": "compression", "device": "cpu", "sample_rate": 32000, "channels": 1, "compression_model": "encodec",
        "encodec": {"autoencoder": "seanet", "quantizer": "rvq", "sample_rate": "${sample_rate}",
                    "channels": "${channels}", "causal": False, "renormalize": False},
        "seanet": {**SEANET, "channels": "${channels}", "causal": "${encodec.causal}", "n_filters": 64,
                   "n_residual_layers": 1, "ratios": [8, 5, 4, 4], "norm": "weight_norm", "pad_mode": "constant",
                   "lstm": 2, "decoder": DECODER, "encoder": {}},
        "rvq": {"n_q": 4, "q_dropout": False, "bins": 2048},
        "no_quant": {}},
    "dac_44khz": {"compression_model": "dac", "sample_rate": 44100, "channels": 1, "dac": {**DAC, "latent_dim": 1024}},
}


def with_norm(name, conv, norm, s):
    group = nn.GroupNorm(1, conv.out_channels, **s.norm_params) if norm == "time_group_norm" else nn.Identity()
    return named(name, NORMS[norm](conv) if norm in NORMS else conv, norm=group)


def named(name, module, **more):
    return nn.Sequential(collections.OrderedDict({name: module, **more}))


def weight_normed(kind, *arguments, **more):
    return NORMS["weight_norm"](kind(*arguments, **more))


class StreamableConv1d(nn.Module):
    """Padded so that the last window is full. What is shorter than its reflection goes on into zeros."""

    def __init__(self, s, norm, inputs, outputs, kernel, stride=1, dilation=1):
        super().__init__()
        self.conv = with_norm("conv", nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation), norm, s)
        self.stride, self.mode = stride, s.pad_mode
        total = (kernel - 1) * dilation + 1 - stride
        self.right = 0 if s.causal else total // 2
        self.left = total - self.right

    def forward(self, x):
        sides = self.left, self.right + -x.shape[-1] % self.stride
        short = max(sides) + 1 - x.shape[-1] if self.mode == "reflect" else 0
        if short > 0:
            return self.conv(F.pad(F.pad(x, (0, short)), sides, self.mode)[..., :-short])
        return self.conv(F.pad(x, sides, self.mode))


class StreamableConvTranspose1d(nn.Module):
    def __init__(self, s, norm, inputs, outputs, kernel, stride):
        super().__init__()
        self.convtr = with_norm("convtr", nn.ConvTranspose1d(inputs, outputs, kernel, stride), norm, s)
        total = kernel - stride
        self.right = math.ceil(total * s.trim_right_ratio) if s.causal else total // 2
        self.left = total - self.right

    def forward(self, x):
        y = self.convtr(x)
        return y[..., self.left:y.shape[-1] - self.right]


class StreamableLSTM(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x):
        x = x.permute(2, 0, 1)
        return (self.lstm(x)[0] + x).permute(1, 2, 0)


class Residual(nn.Module):
    def __init__(self, block, shortcut=None):
        super().__init__()
        self.block = nn.Sequential(*block)
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.block(x)


class Snake1d(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, width, 1))

    def forward(self, x):
        return x + (self.alpha + 1e-9).reciprocal() * torch.sin(self.alpha * x).pow(2)


def norm_of_block(s, number):
    """Blocks count from the waveform: its own, one for each ratio, and that of the latent."""
    return "none" if s.disable_norm_outer_blocks >= number else s.norm


def activation(s):
    return getattr(nn, s.activation)(**s.activation_params)


def residual_blocks(s, norm, width):
    for i in range(s.n_residual_layers):
        hidden = width // s.compress
        yield Residual([activation(s), StreamableConv1d(s, norm, width, hidden, s.residual_kernel_size,
                                                        dilation=s.dilation_base ** i),
                        activation(s), StreamableConv1d(s, norm, hidden, width, 1)],
                       None if s.true_skip else StreamableConv1d(s, norm, width, width, 1))


def seanet_encoder(s):
    width = s.n_filters
    layers = [StreamableConv1d(s, norm_of_block(s, 1), s.channels, width, s.kernel_size)]
    for number, ratio in enumerate(reversed(s.ratios), 2):
        norm = norm_of_block(s, number)
        layers += residual_blocks(s, norm, width)
        layers += [activation(s), StreamableConv1d(s, norm, width, 2 * width, 2 * ratio, ratio)]
        width *= 2
    layers += [StreamableLSTM(width, s.lstm)] if s.lstm else []
    last = norm_of_block(s, len(s.ratios) + 2)
    layers += [activation(s), StreamableConv1d(s, last, width, s.dimension, s.last_kernel_size)]
    return named("model", nn.Sequential(*layers))


def seanet_decoder(s):
    width = s.n_filters << len(s.ratios)
    layers = [StreamableConv1d(s, norm_of_block(s, len(s.ratios) + 2), s.dimension, width, s.kernel_size)]
    layers += [StreamableLSTM(width, s.lstm)] if s.lstm else []
    for i, ratio in enumerate(s.ratios):
        norm = norm_of_block(s, len(s.ratios) + 1 - i)
        layers += [activation(s), StreamableConvTranspose1d(s, norm, width, width // 2, 2 * ratio, ratio)]
        width //= 2
        layers += residual_blocks(s, norm, width)
    layers += [activation(s), StreamableConv1d(s, norm_of_block(s, 1), width, s.channels, s.last_kernel_size)]
    if s.final_activation:
        layers.append(getattr(nn, s.final_activation)(**(s.final_activation_params or {})))
    return named("model", nn.Sequential(*layers))


def dac_units(width):
    return [Residual([Snake1d(width),
                      weight_normed(nn.Conv1d, width, width, 7, dilation=dilation, padding=3 * dilation),
                      Snake1d(width), weight_normed(nn.Conv1d, width, width, 1)]) for dilation in (1, 3, 9)]


def dac_encoder(s):
    width = s.encoder_dim
    layers = [weight_normed(nn.Conv1d, 1, width, 7, padding=3)]
    for rate in s.encoder_rates:
        down = weight_normed(nn.Conv1d, width, 2 * width, 2 * rate, rate, padding=(rate + 1) // 2)
        layers.append(named("block", nn.Sequential(*dac_units(width), Snake1d(width), down)))
        width *= 2
    layers += [Snake1d(width), weight_normed(nn.Conv1d, width, s.latent_dim, 3, padding=1)]
    return named("block", nn.Sequential(*layers))


def dac_decoder(s):
    width = s.decoder_dim
    layers = [weight_normed(nn.Conv1d, s.latent_dim, width, 7, padding=3)]
    for i, rate in enumerate(s.decoder_rates, 1):
        half = s.decoder_dim >> i
        up = weight_normed(nn.ConvTranspose1d, width, half, 2 * rate, rate, padding=(rate + 1) // 2)
        layers.append(named("block", nn.Sequential(Snake1d(width), up, *dac_units(half))))
        width = half
    layers += [Snake1d(width), weight_normed(nn.Conv1d, width, 1, 7, padding=3), nn.Tanh()]
    return named("model", nn.Sequential(*layers))


def nearest(vectors, book):
    """For each row of `vectors`, the number of the row of `book` at the least distance."""
    distances = vectors.pow(2).sum(1, keepdim=True) - 2 * vectors @ book.t() + book.t().pow(2).sum(0, keepdim=True)
    return (-distances).max(dim=-1).indices


class ResidualVectorQuantizer(nn.Module):
    """Of AudioCraft."""

    def __init__(self, codebooks, size, width):
        super().__init__()
        self.books = []
        for _ in range(codebooks):
            book, embed = nn.Module(), torch.randn(size, width)
            book.register_buffer("inited", torch.ones(1))
            book.register_buffer("cluster_size", torch.ones(size))
            book.register_buffer("embed", embed)
            book.register_buffer("embed_avg", embed.clone())
            self.books.append(book)
        self.vq = named("layers", nn.ModuleList([named("_codebook", book) for book in self.books]))

    def encode(self, x, codebooks):
        codes = []
        for book in self.books[:codebooks]:
            code = nearest(x.transpose(1, 2).reshape(-1, x.shape[1]), book.embed).view(x.shape[0], x.shape[2])
            codes.append(code)
            x = x - F.embedding(code, book.embed).transpose(1, 2)
        return torch.stack(codes, 1)

    def decode(self, codes):
        return sum(F.embedding(code, book.embed).transpose(1, 2) for code, book in zip(codes.unbind(1), self.books))


class ResidualVectorQuantize(nn.Module):
    """Of descript: codes in a space of few dimensions, looked up by direction."""

    def __init__(self, s):
        super().__init__()
        dims = s.codebook_dim if isinstance(s.codebook_dim, (list, tuple)) else [s.codebook_dim] * s.n_codebooks
        self.quantizers = nn.ModuleList([nn.ModuleDict({
            "in_proj": weight_normed(nn.Conv1d, s.latent_dim, dim, 1),
            "out_proj": weight_normed(nn.Conv1d, dim, s.latent_dim, 1),
            "codebook": nn.Embedding(s.codebook_size, dim)}) for dim in dims])

    def encode(self, x, codebooks):
        codes = []
        for layer in self.quantizers[:codebooks]:
            projected = layer["in_proj"](x)
            vectors = projected.transpose(1, 2).reshape(-1, projected.shape[1])
            code = nearest(F.normalize(vectors), F.normalize(layer["codebook"].weight)).view(x.shape[0], x.shape[2])
            codes.append(code)
            chosen = layer["codebook"](code).transpose(1, 2)
            x = x - layer["out_proj"](projected + (chosen - projected))
        return torch.stack(codes, 1)

    def decode(self, codes):
        return sum(layer["out_proj"](layer["codebook"](code).transpose(1, 2))
                   for code, layer in zip(codes.unbind(1), self.quantizers))


class Codec(nn.Module):
    """Of modules encoder, quantizer and decoder, in the order of their state dict."""

    def __init__(self, parts, sample_rate, channels, frame_rate, renormalize=False):
        super().__init__()
        for name, module in parts:
            self.add_module(name, module)
        self.sample_rate, self.channels, self.frame_rate = sample_rate, channels, frame_rate
        self.renormalize = renormalize

    def scaled(self, wav):
        if not self.renormalize:
            return wav, None
        scale = 1e-8 + wav.mean(dim=1, keepdim=True).pow(2).mean(dim=2, keepdim=True).sqrt()
        return wav / scale, scale.view(-1, 1)

    @torch.inference_mode()
    def encode_latent(self, wav):
        return self.encoder(self.scaled(wav)[0])

    @torch.inference_mode()
    def encode(self, wav, codebooks=None):
        wav, scale = self.scaled(wav)
        return self.quantizer.encode(self.encoder(wav), codebooks), scale

    @torch.inference_mode()
    def decode_latent(self, codes):
        return self.quantizer.decode(codes)

    @torch.inference_mode()
    def decode(self, codes, scale=None):
        """Not cut to the length of the input."""
        wav = self.decoder(self.quantizer.decode(codes))
        return wav if scale is None else wav * scale.view(-1, 1, 1)

    def fold(self):
        for module in self.modules():
            if hasattr(module, "weight_g"):
                nn.utils.remove_weight_norm(module)
            elif hasattr(module, "weight_orig"):
                nn.utils.remove_spectral_norm(module)


def resolved(config, node):
    """`node` of `config` with absolute interpolations such as ${sample_rate} replaced."""
    if isinstance(node, dict):
        return {key: resolved(config, value) for key, value in node.items()}
    reference = re.fullmatch(r"\$\{([\w.]+)\}", node) if isinstance(node, str) else None
    if not reference:
        return node
    target = config
    for key in reference.group(1).split("."):
        target = target[key]
    return resolved(config, target)


def build(config):
    if config.get("compression_model") == "dac":
        s = types.SimpleNamespace(**{**DAC, **resolved(config, config["dac"])})
        s.latent_dim = s.latent_dim or s.encoder_dim << len(s.encoder_rates)
        parts = [("encoder", dac_encoder(s)), ("quantizer", ResidualVectorQuantize(s)), ("decoder", dac_decoder(s))]
        return Codec(parts, s.sample_rate, 1, s.sample_rate / math.prod(s.encoder_rates)).eval()
    encodec, seanet, rvq = (resolved(config, config[section]) for section in ("encodec", "seanet", "rvq"))
    if encodec["quantizer"] != "rvq":
        raise ValueError(f"quantizer {encodec['quantizer']} has no codes")
    halves = [seanet.pop("encoder"), seanet.pop("decoder")]
    encoder, decoder = (types.SimpleNamespace(**{**SEANET, **DECODER, **seanet, **half}) for half in halves)
    quantizer = ResidualVectorQuantizer(rvq["n_q"], rvq["bins"], encoder.dimension)
    parts = [("encoder", seanet_encoder(encoder)), ("decoder", seanet_decoder(decoder)), ("quantizer", quantizer)]
    frame_rate = encodec["sample_rate"] // math.prod(encoder.ratios)
    return Codec(parts, encodec["sample_rate"], encodec["channels"], frame_rate,
                 encodec.get("renormalize", False)).eval()


def load(path):
    package = torch.load(str(path), map_location="cpu", weights_only=True)
    if "state_dict" in package:
        config, state = {"compression_model": "dac", "dac": package["metadata"]["kwargs"]}, package["state_dict"]
    else:
        config, state = yaml.safe_load(package["xp.cfg"]), package["best_state"]
    codec = build(config)
    codec.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return codec


def make(path, config):
    torch.manual_seed(1)
    state = {name: tensor.detach().clone() for name, tensor in build(config).state_dict().items()}
    torch.save({"best_state": state, "xp.cfg": yaml.safe_dump(config, sort_keys=False), "version": "1.4.0a2",
                "exported": True}, path)


def judge(codec, numbers):
    """Largest error of floats, relative to the largest number expected. Codes must be the same."""
    worst = 0.0
    for prefix in ("", "odd_", "short_"):
        expected = {name[len(prefix):]: tensor for name, tensor in numbers.items() if name.startswith(prefix)}
        codes, scale = codec.encode(expected["wav"])
        if not torch.equal(codes, expected["codes"]):
            sys.exit(f"codec_peer: {prefix}codes differ")
        found = {"latent": codec.encode_latent(expected["wav"]), "quantized": codec.decode_latent(codes),
                 "decoded": codec.decode(codes, scale), "scale": scale}
        for name, tensor in found.items():
            if tensor is None and name not in expected:
                continue
            if tensor.shape != expected[name].shape:
                sys.exit(f"codec_peer: {prefix}{name} is {list(tensor.shape)}, not {list(expected[name].shape)}")
            error = ((tensor - expected[name]).abs().max() / expected[name].abs().max()).item()
            if not error <= 1e-5:
                sys.exit(f"codec_peer: {prefix}{name} differs by {error:.1e}")
            worst = max(worst, error)
    return worst


def signal(codec, seconds):
    time_axis = torch.arange(int(seconds * codec.sample_rate)) / codec.sample_rate
    sines = sum(0.08 * torch.sin(2 * math.pi * hertz * time_axis) for hertz in (220.0, 277.2, 329.6, 440.0, 1760.0))
    noise = torch.randn(1, codec.channels, len(time_axis), generator=torch.Generator().manual_seed(1))
    return sines + 0.05 * noise


def measure(codec, seconds, runs):
    """Seconds of audio in a second of computing, after one second of audio to set everything up."""
    codec.decode(*codec.encode(signal(codec, 1)))
    wav = signal(codec, seconds)
    encode, decode = [], []
    for _ in range(runs):
        begin = time.perf_counter()
        codes, scale = codec.encode(wav)
        middle = time.perf_counter()
        codec.decode(codes, scale)
        decode.append(time.perf_counter() - middle)
        encode.append(middle - begin)
    return seconds / statistics.median(encode), seconds / statistics.median(decode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fold", action="store_true")
    parser.add_argument("--judge", nargs="+", metavar="NUMBERS")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--model", choices=MODELS, default="encodec_32khz")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.make:
        return make(arguments.file, MODELS[arguments.model])
    codec = load(arguments.file)
    if arguments.fold:
        codec.fold()
    report = {"file": arguments.file, "torch": torch.__version__, "threads": torch.get_num_threads(),
              "folded": arguments.fold}
    if arguments.judge:
        report["largest_error"] = {file: judge(codec, torch.load(file, weights_only=True)) for file in arguments.judge}
    else:
        encode, decode = measure(codec, arguments.seconds, arguments.runs)
        report.update(seconds=arguments.seconds, runs=arguments.runs, encode_times_real_time=encode,
                      decode_times_real_time=decode)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

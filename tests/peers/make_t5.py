"""make_t5.py DIRECTORY: tiny T5 encoders of the real widths, DIRECTORY/t5-small, t5-base and t5-large, the same bytes every time."""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WIDTHS = {"t5-small": 512, "t5-base": 768, "t5-large": 1024}
HEADS, HEAD_WIDTH, HIDDEN, LAYERS, BUCKETS = 2, 4, 8, 2, 32


def tokenizer():
    special = ["<pad>", "</s>", "<unk>"]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["\u2581"]
    pairs = ["\u2581t", "\u2581b", "th", "ea", "oc", "in", "ra"]
    vocabulary = [(s, 0.0) for s in special] + [(p, -2.0 - 0.01 * i) for i, p in enumerate(pairs)]
    vocabulary += [(p, -4.0 - 0.01 * i) for i, p in enumerate(letters)]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    made.add_special_tokens(special)
    made.normalizer = normalizers.Strip(left=False, right=True)
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made


def weights(width, vocabulary):
    draw = np.random.default_rng(width)
    inner = HEADS * HEAD_WIDTH

    def matrix(*shape):
        return draw.standard_normal(shape).astype(np.float32) / np.sqrt(shape[-1]).astype(np.float32)

    tensors = {"shared.weight": draw.standard_normal((vocabulary, width)).astype(np.float32)}
    for layer in range(LAYERS):
        attention, feed = f"encoder.block.{layer}.layer.0.", f"encoder.block.{layer}.layer.1."
        for name in "qkv":
            tensors[f"{attention}SelfAttention.{name}.weight"] = matrix(inner, width)
        tensors[f"{attention}SelfAttention.o.weight"] = matrix(width, inner)
        if layer == 0:
            tensors[f"{attention}SelfAttention.relative_attention_bias.weight"] = matrix(BUCKETS, HEADS)
        tensors[f"{attention}layer_norm.weight"] = np.ones(width, np.float32)
        tensors[f"{feed}DenseReluDense.wi.weight"] = matrix(HIDDEN, width)
        tensors[f"{feed}DenseReluDense.wo.weight"] = matrix(width, HIDDEN)
        tensors[f"{feed}layer_norm.weight"] = np.ones(width, np.float32)
    tensors["encoder.final_layer_norm.weight"] = np.ones(width, np.float32)
    return tensors


def main(directory):
    for name, width in WIDTHS.items():
        made = directory / name
        made.mkdir(parents=True, exist_ok=True)
        words = tokenizer()
        words.save(str(made / "tokenizer.json"))
        config = {
            "architectures": ["T5EncoderModel"], "model_type": "t5", "d_model": width, "d_kv": HEAD_WIDTH, "d_ff": HIDDEN,
            "num_heads": HEADS, "num_layers": LAYERS, "num_decoder_layers": LAYERS, "vocab_size": words.get_vocab_size(),
            "relative_attention_num_buckets": BUCKETS, "relative_attention_max_distance": 128, "dropout_rate": 0.1,
            "layer_norm_epsilon": 1e-6, "initializer_factor": 1.0, "feed_forward_proj": "relu", "is_encoder_decoder": False,
            "use_cache": False, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "n_positions": 512}
        (made / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        words_config = {"tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
                        "extra_ids": 0, "model_max_length": 512}
        (made / "tokenizer_config.json").write_text(json.dumps(words_config, indent=2) + "\n")
        save_file(weights(width, words.get_vocab_size()), made / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

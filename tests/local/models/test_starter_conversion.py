"""The starter's GGUF file becomes the model that transformers reads from it, without its half minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from arkor_dev.local.models.catalog import load_problem
from arkor_dev.local.models.starter_conversion import convert_starter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.engine

HEADS, KEY_HEADS, HEAD, SIZE, INNER = 4, 2, 16, 64, 96
TEMPLATE = "{% for message in messages %}<s>{{ message['content'] }}</s>{% endfor %}"
TEXT = "<s>hello, wörld 12</s> don't"


def shapes() -> Iterable[tuple[str, tuple[int, ...]]]:
    """Every kind of tensor of a Llama with two layers."""
    for layer in range(2):
        for name, shape in {
            "attn_norm": (SIZE,),
            "attn_q": (HEADS * HEAD, SIZE),
            "attn_k": (KEY_HEADS * HEAD, SIZE),
            "attn_v": (KEY_HEADS * HEAD, SIZE),
            "attn_output": (SIZE, HEADS * HEAD),
            "ffn_norm": (SIZE,),
            "ffn_gate": (INNER, SIZE),
            "ffn_up": (INNER, SIZE),
            "ffn_down": (SIZE, INNER),
        }.items():
            yield f"blk.{layer}.{name}.weight", shape
    yield "output_norm.weight", (SIZE,)


def write_starter(path: Path) -> None:
    """Write a file like the starter's, by the library that defines the format: Q8_0 words, Q4_1 layers."""
    import gguf
    from gguf.quants import quantize

    random, kinds = np.random.default_rng(0), gguf.GGMLQuantizationType
    letters = tokens_of_bytes()
    tokens = ["<unk>", "<s>", "</s>", *letters, "he", "ll", "hell"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_rope_dimension_count(HEAD)
    writer.add_add_space_prefix(False)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "l l", "he ll"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    words = random.normal(size=(len(tokens), SIZE)).astype(np.float32)
    writer.add_tensor("token_embd.weight", quantize(words, kinds.Q8_0), raw_dtype=kinds.Q8_0)
    for name, shape in shapes():
        weights = random.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, weights)
        else:
            writer.add_tensor(name, quantize(weights, kinds.Q4_1), raw_dtype=kinds.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokens_of_bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def test_the_converted_starter_equals_transformers_reading(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    own, reports = tmp_path / "own", list[tuple[Any, ...]]()
    write_starter(tmp_path / "starter.gguf")
    convert_starter(tmp_path / "starter.gguf", own, lambda *report: reports.append(report))
    from_file: dict[str, Any] = {"gguf_file": "starter.gguf"}
    expected = AutoModelForCausalLM.from_pretrained(
        tmp_path, **from_file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    ).to(torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(own)
    assert load_problem(own) is None
    assert model.dtype == torch.bfloat16
    weights = model.state_dict()
    assert weights.keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(weights[name], weight), name
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(model(ids).logits, expected(ids).logits)  # the settings are the same as well
    one, other = AutoTokenizer.from_pretrained(own), AutoTokenizer.from_pretrained(tmp_path, **from_file)
    assert one(TEXT)["input_ids"] == other(TEXT)["input_ids"]
    assert one.decode(one(TEXT)["input_ids"]) == other.decode(other(TEXT)["input_ids"])
    assert one.special_tokens_map == other.special_tokens_map
    assert one.chat_template == TEMPLATE
    assert model.generation_config.eos_token_id == one.eos_token_id == 2
    size = 2 * sum(weight.numel() for weight in model.parameters())
    assert reports[-1] == ("Converting SmolLM2-135M-Instruct (once)", size, size, "B")

"""Tiny models of the families that people train, each with a tokenizer of its family's own kind and template.

Gemma, Mistral and Phi come with SentencePiece's ``tokenizer.model`` beside ``tokenizer.json``, as on the Hub.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

from .other_models import tokenizer
from .tiny_model import CHATML, PHRASE, QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GEMMA: Final = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' "
    "+ (m.content | trim) + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL: Final = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ m.content + eos_token }}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
PHI: Final = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
SIZES: Final[dict[str, Any]] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.15,
}
SENTENCES: Final = [
    *QUESTIONS, PHRASE, "system user assistant model", "Answer in a word. 2 + 2 = ?", "Where is my parcel?",
    "The quick brown fox jumps over the lazy dog, and 1234567890 more of them.",
]  # fmt: skip


def _sentence_pieces(folder: Path, marks: list[str], *, dummy_prefix: bool, how: dict[str, Any]) -> None:
    """SentencePiece's ``tokenizer.model`` of 512 tokens, byte fallback included."""
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=made,
        vocab_size=512,
        model_type="bpe",
        byte_fallback=True,
        add_dummy_prefix=dummy_prefix,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        user_defined_symbols=marks,
        hard_vocab_limit=False,
        minloglevel=2,
        **how,
    )
    (folder / "tokenizer.model").write_bytes(made.getvalue())


def _from_pieces(folder: Path, kind: str, template: str, more: dict[str, Any]) -> Any:
    """The tokenizer of class ``kind`` that transformers makes of ``tokenizer.model``; it stays beside it."""
    from transformers import AutoTokenizer

    pieces = (folder / "tokenizer.model").read_bytes()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, **more}))
    made = AutoTokenizer.from_pretrained(folder)
    made.chat_template = template
    made.save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(pieces)
    return made


def _model(folder: Path, name: str, ends: list[int], config: dict[str, Any]) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    kind, _, text = name.partition("/")
    made = getattr(transformers, text or f"{kind}Config")(**{**SIZES, **config})
    model = getattr(transformers, f"{kind}ForCausalLM")(made)
    model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    return folder


def make_qwen3(folder: Path) -> Path:
    """Norms of queries and keys, a head size of its own, no start token; ChatML."""
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    mine = tokenizer(marks, CHATML, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    mine.save_pretrained(folder)
    config = {"vocab_size": 1024, "head_dim": 48, "tie_word_embeddings": True, "bos_token_id": None}
    return _model(folder, "Qwen3", [mine.eos_token_id], {**config, "eos_token_id": mine.eos_token_id})


def _make_gemma(folder: Path, name: str, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    marks = ["<start_of_turn>", "<end_of_turn>"]
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    names = {"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"}
    _sentence_pieces(folder, [*marks, "<mask>"], dummy_prefix=False, how={**ids, **names})
    specials = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    told = {"additional_special_tokens": marks, "add_bos_token": True, **specials}
    mine = _from_pieces(folder, "GemmaTokenizer", GEMMA, told)
    end = mine.convert_tokens_to_ids("<end_of_turn>")
    size = {"vocab_size": len(mine), "head_dim": 32, "query_pre_attn_scalar": 32}
    tokens = {"bos_token_id": mine.bos_token_id, "eos_token_id": mine.eos_token_id, "pad_token_id": 0}
    return _model(folder, name, [mine.eos_token_id, end], {**size, **tokens, **config})


def make_gemma2(folder: Path) -> Path:
    """Soft caps of logits, every other layer with a window."""
    return _make_gemma(folder, "Gemma2", {"sliding_window": 32})


def make_gemma3(folder: Path) -> Path:
    """Norms of queries and keys, two bases of positions, most layers with a window."""
    more = {
        "sliding_window": 32,
        "num_hidden_layers": 6,
    }  # the sixth sees all, as llama.cpp takes for granted
    return _make_gemma(folder, "Gemma3/Gemma3TextConfig", more)


def _make_mistral(folder: Path, *, everywhere: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    _sentence_pieces(folder, [], dummy_prefix=True, how=ids)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    mine = _from_pieces(folder, "LlamaTokenizer", MISTRAL, {"add_bos_token": True, **specials})
    if everywhere:
        told = json.loads((folder / "tokenizer.json").read_text())
        space = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
        told["normalizer"] = {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, space],
        }
        told["pre_tokenizer"] = None
        (folder / "tokenizer.json").write_text(json.dumps(told))
    tokens = {"bos_token_id": mine.bos_token_id, "eos_token_id": mine.eos_token_id}
    config = {"vocab_size": len(mine), "head_dim": 32, "sliding_window": None, **tokens}
    return _model(folder, "Mistral", [mine.eos_token_id], config)


def make_mistral(folder: Path) -> Path:
    """SentencePiece with a space before each part of a text, a start token, marks that are plain text."""
    return _make_mistral(folder, everywhere=True)


def make_mistral_first(folder: Path) -> Path:
    """The same with a space before the first part alone: none after the start token."""
    return _make_mistral(folder, everywhere=False)


def make_phi3(folder: Path) -> Path:
    """Queries, keys and values in one layer; marks that are added to SentencePiece's."""
    from transformers import AddedToken

    folder.mkdir(parents=True, exist_ok=True)
    ids = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    _sentence_pieces(folder, [], dummy_prefix=True, how=ids)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    mine = _from_pieces(folder, "LlamaTokenizer", PHI, {"add_bos_token": False, **specials})
    pieces = (folder / "tokenizer.model").read_bytes()
    marks = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
    mine.add_special_tokens(
        {
            "additional_special_tokens": [AddedToken(mark, rstrip=True, special=True) for mark in marks[1:]],
            "eos_token": AddedToken(marks[0], special=True),
        }
    )
    mine.pad_token = marks[0]
    mine.save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(pieces)
    end = mine.convert_tokens_to_ids("<|end|>")
    tokens = {"bos_token_id": 1, "eos_token_id": mine.eos_token_id, "pad_token_id": mine.pad_token_id}
    size = -(-len(mine) // 64) * 64  # as Phi's: more rows of weights than tokens
    config = {"vocab_size": size, "original_max_position_embeddings": 256, **tokens}
    return _model(folder, "Phi3", [mine.eos_token_id, end], config)


FAMILIES: Final[dict[str, Callable[[Path], Path]]] = {
    "qwen3": make_qwen3,
    "gemma2": make_gemma2,
    "gemma3": make_gemma3,
    "mistral": make_mistral,
    "mistral, spaced once": make_mistral_first,
    "phi3": make_phi3,
}

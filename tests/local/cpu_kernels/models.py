"""Tiny models of several families, with random weights, and rows for them."""

from __future__ import annotations

import random
from typing import Any

SIZES: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 8}),
    "gemma": ("Gemma", {"head_dim": 8}),
    "mistral, windows of 16": ("Mistral", {"sliding_window": 16}),
    "olmo2": ("Olmo2", {}),
}


def model_of(name: str, more: dict[str, Any] | None = None) -> Any:
    """A model of ``name``'s class in transformers, with the sizes of all and ``more``."""
    import torch
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **(more or {})})
    return getattr(transformers, f"{name}ForCausalLM")(config)


def rows_of(lengths: list[int], alike: int = 0) -> list[Any]:
    """Rows of made-up tokens, the second half learned; the first ``alike`` tokens are the same in all."""
    from arkor_dev.local.modeling.example import IGNORED, Example

    chance = random.Random(3)
    same = [chance.randrange(1, 200) for _ in range(alike)]
    rows = []
    for length in lengths:
        ids = same + [chance.randrange(1, 200) for _ in range(length - alike)]
        rows.append(Example(ids, [IGNORED] * (length // 2) + ids[length // 2 :]))
    return rows

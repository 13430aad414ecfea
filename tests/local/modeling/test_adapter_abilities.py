"""What an adapter can do, by its settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.modeling.adapter_abilities import vllm_options, why_full_strength_only

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "LORA"}, None),
        ({"peft_type": "LORA", "bias": "none", "modules_to_save": None, "use_dora": False}, None),
        ({"peft_type": "LORA", "use_dora": True}, "DoRA"),
        ({"peft_type": "LORA", "modules_to_save": ["lm_head"]}, "lm_head"),
        ({"peft_type": "LORA", "modules_to_save": "x" * 5000}, "fully trained layers"),
        ({"peft_type": "LORA", "bias": "lora_only"}, "biases"),
        ({"peft_type": "LORA", "trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"peft_type": "IA3"}, "not a LoRA adapter"),
        ({}, "not a LoRA adapter"),
        ([], "not a LoRA adapter"),
        (None, "cannot be read"),
    ],
    ids=str,
)
def test_adapters_without_strengths_are_recognized(tmp_path: Path, config: object, why: str | None) -> None:
    text = "{" * 100_000 if config is None else json.dumps(config)
    (tmp_path / "adapter_config.json").write_text(text)
    found = why_full_strength_only(tmp_path)
    if why is None:
        assert found is None
    else:
        assert found
        assert why in found
        assert len(found) < 200


def test_a_folder_without_an_adapter_has_no_strengths(tmp_path: Path) -> None:
    assert why_full_strength_only(tmp_path) == "its adapter_config.json cannot be read"


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"r": 16, "use_dora": False, "init_lora_weights": True}, "--enable-lora"),
        ({"r": 8, "rank_pattern": {"q_proj": 24}}, "--enable-lora --max-lora-rank 32"),
        ({"r": 257, "init_lora_weights": "gaussian"}, "--enable-lora --max-lora-rank 320"),
        ({"r": 512}, "--enable-lora --max-lora-rank 512"),
        ({"r": 513}, None),
        ({"r": 8, "use_dora": True}, None),
        ({"r": 8, "modules_to_save": ["lm_head"]}, None),
        ({"r": 8, "init_lora_weights": "pissa_niter_4"}, None),
        (["r"], "--enable-lora"),
    ],
    ids=str,
)
def test_vllm_options_suit_the_adapter(tmp_path: Path, settings: object, options: str | None) -> None:
    """vLLM 0.32 takes ranks of 16 by default, and refuses adapters of other kinds."""
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    assert vllm_options(tmp_path) == options

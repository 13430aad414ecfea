"""Chooses transformers' class for a model: its language model alone, or with its vision tower."""

from __future__ import annotations

from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)


def has_vision_tower(config: Any) -> bool:
    """Return whether transformers loads a model of ``config`` only with its vision tower.

    Qwen-VL, LLaVA and Mistral 3 are not among its causal language models.
    """
    kind = type(config)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING or kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return False
    return hasattr(config, "text_config") and not config.get_text_config().is_encoder_decoder


def auto_class(config: Any) -> Any:
    return AutoModelForImageTextToText if has_vision_tower(config) else AutoModelForCausalLM


def model_class(config: Any) -> Any:
    """Return the class itself. Raises KeyError if there is none."""
    return auto_class(config)._model_mapping[type(config)]  # noqa: SLF001 - there is no public access

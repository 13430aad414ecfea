"""Chooses transformers' class for a model: a language model alone or with a vision tower, or an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSequenceClassification,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from .gate import ENCODERS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.models.auto.auto_factory import _BaseAutoModelClass


def has_vision_tower(config: PreTrainedConfig) -> bool:
    """Return whether transformers loads a model of ``config`` only with its vision tower.

    Qwen-VL, LLaVA and Mistral 3 are not among its causal language models.
    """
    kind = type(config)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING or kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return False
    return hasattr(config, "text_config") and not config.get_text_config().is_encoder_decoder


def is_encoder(config: PreTrainedConfig) -> bool:
    """Return whether a model of ``config`` reads whole texts in both directions, and writes none."""
    return config.model_type in ENCODERS and not getattr(config, "is_decoder", False)


def auto_class(config: PreTrainedConfig, *, headed: bool = False) -> type[_BaseAutoModelClass]:
    """Return transformers' class that loads a model of ``config``; ``headed``: an encoder with its head for
    classification, to which other models add theirs afterwards.
    """
    if is_encoder(config):
        kind: type[_BaseAutoModelClass] = AutoModelForSequenceClassification if headed else AutoModel
    else:
        kind = AutoModelForImageTextToText if has_vision_tower(config) else AutoModelForCausalLM
    return kind


def model_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """Return the class itself. Raises KeyError if there is none."""
    kind: type[PreTrainedModel] = auto_class(config)._model_mapping[type(config)]  # noqa: SLF001 - there is no public access
    return kind

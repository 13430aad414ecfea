"""Adds a classifier's head to a causal language model. Imports torch and transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.modeling_layers import GenericForSequenceClassification

from arkor_dev.local.workers.errors import JobFailure

from .classes import HEAD

if TYPE_CHECKING:
    from torch.nn import Module

    from .classes import Classes


def with_head(model: Module, classes: Classes) -> Any:
    """Add a new head for ``classes`` to a causal language model, initialised as in transformers; return the
    model.

    Its weights are drawn from a normal distribution with the config's ``initializer_range``, and are float32.
    """
    config = model.config.get_text_config()
    head = torch.nn.Linear(config.hidden_size, len(classes.names), bias=False, dtype=torch.float32)
    torch.nn.init.normal_(head.weight, std=getattr(config, "initializer_range", 0.02))
    setattr(model, HEAD, head.to(model.device))
    return model


def check_base(model: Module, name: str) -> None:
    """Raise :class:`JobFailure` if transformers has no classifier with this head for the architecture of
    ``model``, so that no other program could load the result.
    """
    known = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(model.config), None)
    if known is None or not issubclass(known, GenericForSequenceClassification):
        raise JobFailure(
            f"A classifier of the architecture of {name} could not be loaded by other programs: choose "
            "another base, such as SmolLM2, Llama, Qwen or Mistral"
        )

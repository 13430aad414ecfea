"""Adds a classifier's head to a language model or an encoder. Imports torch and transformers."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.models.bert.modeling_bert import BertPooler
from transformers.models.modernbert.modeling_modernbert import ModernBertPredictionHead

from arkor_dev.local.workers.errors import JobFailure

from .auto_class import is_encoder
from .classes import HEAD
from .gate import ENCODER_HEADS

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedConfig

    from .classes import Classes


def with_head(model: Module, classes: Classes) -> Module:
    """Add a new head for ``classes`` to a causal language model, initialised as in transformers; return the
    model.

    Its weights are drawn from a normal distribution with the config's ``initializer_range``, and are float32.
    An encoder was loaded with its head (``headed``): only the last layer is new, whose biases are 0.
    """
    config = model.config.get_text_config()
    encoder = is_encoder(model.config)
    head = torch.nn.Linear(config.hidden_size, len(classes.names), bias=encoder, dtype=torch.float32)
    torch.nn.init.normal_(head.weight, std=getattr(config, "initializer_range", 0.02))
    if encoder:
        torch.nn.init.zeros_(head.bias)
    setattr(model, head_parts(model.config)[-1], head.to(model.device))
    return model


def head_parts(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return the names of the modules that are the head of a model of ``config``, the last layer last."""
    return ENCODER_HEADS[config.model_type] if is_encoder(config) else (HEAD,)


def hidden_layer(config: PreTrainedConfig) -> tuple[str, torch.nn.Sequential]:
    """Return a new layer of an encoder's head, before the last one, and its name in the model.

    It maps pooled hidden states, ``[texts, hidden size]``, to the same shape.
    """
    if config.model_type == "bert":
        pooler = BertPooler(config)
        return "bert.pooler", torch.nn.Sequential(
            OrderedDict(dense=pooler.dense, activation=pooler.activation)
        )
    head = ModernBertPredictionHead(config)
    return "head", torch.nn.Sequential(OrderedDict(dense=head.dense, act=head.act, norm=head.norm))


def without_head(model: Module) -> None:
    """Remove the head of an encoder that was loaded with it: those of adapters are kept beside the model."""
    if model.config.model_type == "bert":
        model.bert.pooler = None
    else:
        model.head = torch.nn.Identity()
    model.classifier = torch.nn.Identity()


def check_base(model: Module, name: str, classes: Classes) -> None:
    """Raise :class:`JobFailure` if transformers has no classifier with this head for the architecture of
    ``model``, so that no other program could load the result.
    """
    if is_encoder(model.config):
        labels = len(classes.names)
        heads = [kind for kind in model.config.architectures or () if "SequenceClassification" in kind]
        if heads and model.config.num_labels != labels:
            raise JobFailure(
                f"{name} is itself a classifier, with {model.config.num_labels} labels and not {labels}, so "
                "other programs could not load the result: choose the encoder that it was trained from"
            )
        return
    known = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(model.config), None)
    if known is None or not issubclass(known, GenericForSequenceClassification):
        raise JobFailure(
            f"A classifier of the architecture of {name} could not be loaded by other programs: choose "
            "another base, such as SmolLM2, Llama, Qwen or Mistral"
        )

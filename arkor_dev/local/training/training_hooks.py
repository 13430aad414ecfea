"""What holds only while a model trains: noise on its embeddings, and activations that are computed again."""

from __future__ import annotations

import math
from typing import Any

import torch

from arkor_dev.local.layers.attention import Laid
from arkor_dev.local.modeling.base_model import bare


def add_noise(model: Any, alpha: float) -> None:
    """Blur what the model reads (NEFTune, Jain et al. 2023): even noise of a length that ``alpha`` scales.

    Nothing is blurred while the model is only measured, nor in what is saved.
    """

    def blurred(module: Any, _: Any, embedded: Any) -> Any:
        if not module.training:
            return embedded
        # A line holds several rows, and the noise is to be that of one.
        tokens = Laid.line.longest if Laid.line else embedded.shape[-2]
        most = alpha / math.sqrt(tokens * embedded.shape[-1])
        return embedded + torch.empty_like(embedded).uniform_(-most, most)

    model.get_input_embeddings().register_forward_hook(blurred)


def compute_again(model: Any) -> None:
    """Keep only each block's input for the way back, and compute the rest again: less memory, more time."""
    kwargs = {"use_reentrant": False}
    if hasattr(bare(model), "activation_checkpointing_enable"):
        bare(model).activation_checkpointing_enable(activation_checkpointing_kwargs=kwargs)
    else:  # before transformers 5.24
        bare(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)

"""Hooks that are active only in training mode: noise on embeddings, and activation checkpointing."""

from __future__ import annotations

import math
from typing import Any

import torch

from arkor_dev.local.cpu_kernels.attention import CurrentBatch
from arkor_dev.local.modeling.base_model import bare


def add_noise(model: Any, alpha: float) -> None:
    """Add NEFTune noise (Jain et al. 2023) to the embeddings: uniform, scaled by ``alpha``.

    The noise is inactive during evaluation and does not affect saved weights.
    """

    def blurred(module: Any, _: Any, embedded: Any) -> Any:
        if not module.training:
            return embedded
        # A packed batch has several rows; scale the noise by the length of each.
        tokens = CurrentBatch.packed.longest if CurrentBatch.packed else embedded.shape[-2]
        most = alpha / math.sqrt(tokens * embedded.shape[-1])
        return embedded + torch.empty_like(embedded).uniform_(-most, most)

    model.get_input_embeddings().register_forward_hook(blurred)


def compute_again(model: Any) -> None:
    """Save only each block's input and recompute the rest in the backward pass: less memory, more time."""
    kwargs = {"use_reentrant": False}
    if hasattr(bare(model), "activation_checkpointing_enable"):
        bare(model).activation_checkpointing_enable(activation_checkpointing_kwargs=kwargs)
    else:  # before transformers 5.24
        bare(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)

"""Hooks that are active only in training: noise on embeddings, activation checkpointing and offloading."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.local.cpu_kernels.attention import CurrentBatch
from arkor_dev.local.modeling.base_model import unwrapped

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.layer_stream import LayerStream

LEAST_OFFLOADED: Final = 1024
"""Bytes of the smallest tensor that is offloaded."""


def add_noise(model: Module, alpha: float) -> None:
    """Add NEFTune noise (Jain et al. 2023) to the embeddings: uniform, scaled by ``alpha``.

    The noise is inactive during evaluation and does not affect saved weights.
    """

    def blurred(module: Module, _: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
        if not module.training:
            return embedded
        # A packed batch has several rows; scale the noise by the length of each.
        tokens = CurrentBatch.packed.longest if CurrentBatch.packed else embedded.shape[-2]
        most = alpha / math.sqrt(tokens * embedded.shape[-1])
        return embedded + torch.empty_like(embedded).uniform_(-most, most)

    model.get_input_embeddings().register_forward_hook(blurred)


def gradient_checkpointing(model: Module, stream: LayerStream | None = None) -> None:
    """Save only each block's input and recompute the rest in the backward pass: less memory, more time.

    Those blocks of a ``stream`` keep their activations for which there is room.
    """
    kwargs = {"use_reentrant": False}
    if hasattr(unwrapped(model), "activation_checkpointing_enable"):
        unwrapped(model).activation_checkpointing_enable(activation_checkpointing_kwargs=kwargs)
    else:  # before transformers 5.24
        unwrapped(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)
    if stream and stream.active:
        stream.keep_activations()


def offload(model: Module) -> AbstractContextManager[object]:
    """Move what a forward pass in the block saves for its backward pass to CPU memory, and back when needed.

    A GPU's weights stay there: torch's ``save_on_cpu`` would copy them, too. With activation checkpointing
    the inputs of the blocks are moved.
    """
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def pack(tensor: Tensor) -> tuple[torch.device | None, Tensor]:
        stays = tensor.device.type == "cpu" or tensor.untyped_storage().data_ptr() in weights
        if stays or tensor.nbytes < LEAST_OFFLOADED:
            return None, tensor
        return tensor.device, tensor.detach().cpu()

    def unpack(packed: tuple[torch.device | None, Tensor]) -> Tensor:
        device, tensor = packed
        return tensor if device is None else tensor.to(device)

    hooks: AbstractContextManager[object] = torch.autograd.graph.saved_tensors_hooks(pack, unpack)
    return hooks

"""Spreads the layers of a model over several GPUs of one process: a model larger than one of them.

The layers that follow each other are on one GPU, everything else (embeddings, norms, output layer) on the
first. What a layer reads is moved to its GPU, and the last layer's result back to the first, so that nothing
outside the layers needs to know: rows, logits and losses are on the first GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.nn import Module
    from transformers import PreTrainedModel

    PreHook = Callable[
        [Module, tuple[object, ...], dict[str, object]], tuple[tuple[object, ...], dict[str, object]]
    ]


def gpu_map(shell: PreTrainedModel, dtype: torch.dtype, totals: Sequence[int]) -> dict[str, int]:
    """Return the number of the GPU for each part of a model, by its name.

    ``shell`` is the model without its weights, and ``totals`` are the bytes of the GPUs. Each gets layers in
    proportion to its memory, the first after everything else is subtracted.
    """
    name, layers = _layers(shell)
    in_layers = sum(weight.numel() for weight in layers.parameters())
    rest = dtype.itemsize * (sum(weight.numel() for weight in shell.parameters()) - in_layers)
    room = [max(0.0, totals[0] - rest), *totals[1:]]
    ends = [len(layers) * sum(room[: gpu + 1]) / (sum(room) or 1) for gpu in range(len(room))]
    gpu_of = [
        next((gpu for gpu, end in enumerate(ends) if layer + 0.5 <= end), len(room) - 1)
        for layer in range(len(layers))
    ]
    return {**_others(shell, name), **{f"{name}.{layer}": gpu for layer, gpu in enumerate(gpu_of)}}


def spread(model: Module, gpus: dict[str, int]) -> None:
    """Let each layer of ``model`` compute on its GPU, where its weights already are."""
    from accelerate.hooks import remove_hook_from_module

    remove_hook_from_module(model, recurse=True)  # transformers' would look at each of a layer's parts
    name, layers = _layers(model)
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(_reading(gpus[f"{name}.{number}"]), with_kwargs=True)
    layers[-1].register_forward_hook(lambda _, __, result: _moved(result, 0))


def _reading(gpu: int) -> PreHook:
    """Return a hook that moves what a layer reads to ``gpu``."""
    return lambda _, args, kwargs: (_moved(args, gpu), _moved(kwargs, gpu))


def _moved(value: object, gpu: int) -> Any:
    """Return ``value`` with its tensors on ``gpu``, of the same type; caches stay as they are."""
    if isinstance(value, torch.Tensor):
        return value.to(f"cuda:{gpu}")
    if isinstance(value, tuple | list):
        return type(value)([_moved(item, gpu) for item in value])
    if isinstance(value, dict):
        return {key: _moved(item, gpu) for key, item in value.items()}
    return value


def _layers(model: Module) -> tuple[str, torch.nn.ModuleList]:
    """Return the language model's layers with their name. Raises ValueError if they are unusual."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    candidates = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    language = [entry for entry in candidates if "language_model" in entry[0].split(".")] or candidates
    if len(language) != 1:
        raise ValueError("its layers are not one list")
    return language[0]


def _others(model: Module, layers: str) -> dict[str, int]:
    """Return everything outside of ``layers`` for the first GPU: the children of what holds them."""
    names: dict[str, int] = {}
    path = layers.split(".")
    for depth in range(len(path)):
        holder = ".".join(path[:depth])
        for name, _ in model.get_submodule(holder).named_children():
            full = f"{holder}.{name}" if holder else name
            if full != ".".join(path[: depth + 1]):
                names[full] = 0
    return names

"""Merges an adapter into a base that does not fit into memory, and writes one tensor after another.

The sums are those of `files.merge`: computed in float32 and rounded once.
"""

from __future__ import annotations

import json
import math
import mmap
from typing import TYPE_CHECKING, Final

import torch
from peft.tuners.lora.layer import Linear as LoraLinear

from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.layer_stream import DTYPES, INDEX
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from peft import PeftModel

    from arkor_dev.local.modeling.layer_stream import LayerStream

ADAPTER: Final = "default"
NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


def write_merged(trained: PeftModel, stream: LayerStream, dtype: torch.dtype, folder: Path) -> None:
    """Write the weights of ``trained``, a base streamed by ``stream`` with its adapter, into ``folder``.

    The files have the names and tensors of the base's, with floating-point numbers in ``dtype``. Raises
    :class:`JobFailure` for an adapter that changes more than streamed layers.
    """
    layers = _adapted(trained, stream)
    weight_map: dict[str, str] = {}
    total = 0
    for file in stream.files:
        tensors = file.tensors()
        file.check()
        total += _write_file(folder / file.path.name, tensors, layers, dtype)
        file.check()
        file.pages.madvise(mmap.MADV_DONTNEED)
        weight_map |= dict.fromkeys(tensors, file.path.name)
    if len(stream.files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")


def _adapted(trained: PeftModel, stream: LayerStream) -> dict[str, LoraLinear]:
    """Return the layers with an adapter, by the name of their weight in the base's files."""
    names = stream.names()
    layers: dict[str, LoraLinear] = {}
    settings = trained.peft_config[ADAPTER]
    for module in trained.modules():
        if not hasattr(module, "lora_A"):
            continue
        name = names.get(id(module.get_base_layer().weight))
        if name is None or not isinstance(module, LoraLinear) or ADAPTER in module.lora_variant:
            break
        layers[name] = module
    else:
        if not settings.modules_to_save and settings.bias == "none":
            return layers
    raise JobFailure(
        "The model does not fit into memory, and this adapter changes more than its layers' weights, which "
        "cannot be merged one at a time: export the adapter, or merge on a machine with more memory"
    )


def _write_file(
    path: Path, tensors: Mapping[str, torch.Tensor], layers: Mapping[str, LoraLinear], dtype: torch.dtype
) -> int:
    """Write a safetensors file; return the bytes of its tensors."""
    header: dict[str, dict[str, object]] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        stored = dtype if tensor.is_floating_point() else tensor.dtype
        start, end = end, end + math.prod(tensor.shape) * stored.itemsize
        header[name] = {"dtype": NAMES[stored], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file, torch.no_grad():
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in tensors.items():
            value = tensor
            if name in layers:
                value = value.float() + layers[name].get_delta_weight(ADAPTER).float()
                if not value.isfinite().all():
                    raise JobFailure(f"This adapter cannot be merged with its base: {name} is not finite")
            if value.is_floating_point():
                value = value.to(dtype)
            file.write(value.contiguous().reshape(-1).view(torch.uint8).numpy())
    return end


def describe(trained: PeftModel, folder: Path) -> None:
    """Write the configuration of the merged model, as ``save_pretrained`` does."""
    model = unwrapped(trained)
    model.config.use_cache = True
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)

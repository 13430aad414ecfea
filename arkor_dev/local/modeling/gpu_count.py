"""Counts a model's weights, and the GPUs over which its layers are spread if the settings leave that open.

One GPU is preferred: several compute one after the other. Does not import torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.settings.conflicts import ADAM

from .gate import comes_in_4_bit
from .safetensors_header import header_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONTEXT: Final = 500_000_000
"""Bytes of GPU memory that CUDA itself takes per process, in addition to what torch allocates."""
ROOM: Final = 1.1
"""Memory of the smallest step, as a multiple of the weights and what belongs to them."""
FULL_BYTES: Final = {True: 16.0, False: 8.0}
"""Bytes per weight that is itself trained: weight and gradient in float32, for Adam also two averages."""
SIXTEEN_BIT_BYTES: Final = 2.0
FOUR_BIT_BYTES: Final = 0.6
"""Mean bytes per 4-bit weight, including scales and the layers that stay in 16 bits."""


def weights_of(folder: Path) -> tuple[int, int]:
    """Return the number of weights in a folder's safetensors, and their bytes. Raises OSError or ValueError.

    A byte holds two weights that were saved in 4 bit. Only the files' headers are read.
    """
    count = size = 0
    for path in folder.glob("*.safetensors"):
        size += path.stat().st_size
        try:
            count += _weights_in(path)
        except (AttributeError, KeyError, RecursionError, TypeError) as error:
            raise ValueError(f"{path.name} is not a safetensors file") from error
    return count, size


def _weights_in(path: Path) -> int:
    tensors, _ = header_of(path)
    return sum(
        math.prod(tensor["shape"]) * (2 if tensor["dtype"] == "U8" else 1) for tensor in tensors.values()
    )


def is_unspecified(config: Mapping[str, object]) -> bool:
    """Return whether ``config`` says neither how many GPUs nor how many workers."""
    return config.get("gpus") is None and (config.get("workers") or 1) == 1


def least_bytes(model: Path, config: Mapping[str, object]) -> float:
    """Return the bytes that training the ``model`` in this folder takes at least."""
    if config.get("fullFineTuning"):
        per_weight = FULL_BYTES[config.get("optim") in (None, *ADAM)]
    else:
        per_weight = (
            FOUR_BIT_BYTES if config.get("loadIn4bit") or comes_in_4_bit(model) else SIXTEEN_BIT_BYTES
        )
    return ROOM * per_weight * weights_of(model)[0]


def enough_gpus(needed: float, sizes: Sequence[int]) -> int:
    """Return the smallest number of GPUs, of these ``sizes`` in bytes, that hold ``needed`` bytes together.

    1 if the first does, and if all of them do not.
    """
    counts = range(1, len(sizes) + 1)
    return next((count for count in counts if needed <= count * min(sizes[:count])), 1)

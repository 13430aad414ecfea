"""The memory that streamed layers are read into and compute from.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

RESIDENT: Final = 2
"""Layers whose weights are in memory at once: the one that computes, and the one that is read ahead."""
HUGEPAGE: Final = getattr(mmap, "MADV_HUGEPAGE", None)


class LayerMemory:
    """Memory for streamed layers on a CPU. A layer computes with the buffer that it was read into.

    If the computation has another ``dtype`` than the files have, as ``converts`` says, the weights are
    converted into one more buffer, and the next layer is read into the same buffer meanwhile. Buffers are
    used again and again: new pages for each layer take fifteen times as long as converting it.

    A buffer has ``size`` bytes, and a layer at most ``numbers`` numbers.
    """

    def __init__(self, dtype: torch.dtype, size: int, numbers: int, *, converts: bool) -> None:
        self._converted = _pages(numbers * dtype.itemsize).view(dtype) if converts else None
        self.buffers = [_pages(size) for _ in range(1 if converts else RESIDENT)]

    def placed(self, stored: Sequence[Tensor]) -> list[Tensor]:
        """Return the weights that a layer computes with; ``stored`` are those in its buffer."""
        if self._converted is None:
            return list(stored)
        placed, at = [], 0
        for weight in stored:
            count = weight.numel()
            placed.append(self._converted[at : at + count].view(weight.shape).copy_(weight))
            at += count
        return placed


def _pages(size: int) -> Tensor:
    """Return ``size`` bytes in pages of their own, huge ones where the system has any."""
    pages = mmap.mmap(-1, max(1, size))
    if HUGEPAGE is not None:
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8, count=size)

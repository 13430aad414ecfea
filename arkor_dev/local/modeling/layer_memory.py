"""Where the weights of streamed layers are while they compute: a CPU's memory, or a GPU's.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import TYPE_CHECKING, Final, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

RESIDENT: Final = 2
"""Layers whose weights are in memory at once: the one that computes, and the one that is read ahead."""
HUGEPAGE: Final = getattr(mmap, "MADV_HUGEPAGE", None)


class LayerMemory(Protocol):
    """The memory of a device for streamed layers.

    A layer's bytes are read from its files into a host buffer, by a thread of its own. ``buffers`` is the
    number of layers that can be there at once. All weights of a layer are uint8 views of one buffer until
    they are `placed`.
    """

    buffers: int

    def allocate(self, size: int, numbers: int) -> list[Tensor]:
        """Return the host buffers, each of ``size`` bytes, for layers of at most ``numbers`` numbers."""
        ...

    def read(self, buffer: int) -> None:
        """Take note, in the reading thread, that a layer's bytes are in the host buffer of this index."""
        ...

    def placed(self, buffer: int, stored: Sequence[Tensor]) -> list[Tensor]:
        """Return the weights that a layer computes with; ``stored`` are those in the host buffer."""
        ...

    def left(self, buffer: int) -> None:
        """Take note that the layer of this buffer has computed: its memory is overwritten next."""
        ...


class HostMemory:
    """A CPU's memory. A layer computes with the buffer that it was read into.

    If the computation has another ``dtype`` than the files have, as ``converts`` says, the weights are
    converted into one more buffer, and the next layer is read into the same host buffer meanwhile. Buffers
    are used again and again: new pages for each layer take fifteen times as long as converting it.
    """

    def __init__(self, dtype: torch.dtype, *, converts: bool) -> None:
        self.buffers = 1 if converts else RESIDENT
        self._dtype, self._converts = dtype, converts

    def allocate(self, size: int, numbers: int) -> list[Tensor]:
        """See :meth:`LayerMemory.allocate`."""
        if self._converts:
            self._converted = _pages(numbers * self._dtype.itemsize).view(self._dtype)
        return [_pages(size) for _ in range(self.buffers)]

    def read(self, buffer: int) -> None:
        """Do nothing: the bytes are where they are needed."""

    def placed(self, buffer: int, stored: Sequence[Tensor]) -> list[Tensor]:
        """See :meth:`LayerMemory.placed`."""
        if not self._converts:
            return list(stored)
        placed, at = [], 0
        for weight in stored:
            count = weight.numel()
            placed.append(self._converted[at : at + count].view(weight.shape).copy_(weight))
            at += count
        return placed

    def left(self, buffer: int) -> None:
        """Do nothing: the next read begins after the computation."""


def _pages(size: int) -> Tensor:
    """Return ``size`` bytes in pages of their own, huge ones where the system has any."""
    pages = mmap.mmap(-1, max(1, size))
    if HUGEPAGE is not None:
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8, count=size)

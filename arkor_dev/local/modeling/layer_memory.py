"""The memory that streamed layers are read into and compute from.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from .transfers import Event, Transfers

RESIDENT: Final = 2
"""Layers whose weights are in memory at once: the one that computes, and the one that is read ahead."""
HUGEPAGE: Final = getattr(mmap, "MADV_HUGEPAGE", None)


class Slot:
    """Memory that a layer is read into, and that it computes with where it is."""

    def __init__(self, pages: Tensor) -> None:
        self.pages = pages

    def writable(self) -> Tensor:
        """Return the memory to read a layer into, once nothing needs what it holds."""
        return self.pages

    def send(self, size: int) -> None:
        """Start to copy the first ``size`` bytes, which have been read, to where they compute."""

    def received(self) -> Tensor:
        """Return the memory to compute with; work that is queued from now on waits for the copy."""
        return self.pages

    def release(self) -> None:
        """Let the next layer come in after all work that is queued so far."""


class GpuSlot(Slot):
    """Pinned memory that a layer is read into, and the memory on a GPU that it is copied to."""

    def __init__(self, transfers: Transfers, size: int) -> None:
        super().__init__(transfers.pinned(size))
        self._transfers, self._on_gpu = transfers, transfers.empty(size)
        self._copied: Event | None = None
        self._free = transfers.mark()

    def writable(self) -> Tensor:
        if self._copied:
            self._transfers.finish(self._copied)
        return self.pages

    def send(self, size: int) -> None:
        self._copied = self._transfers.copy(self.pages[:size], self._on_gpu[:size], self._free)

    def received(self) -> Tensor:
        assert self._copied
        self._transfers.wait(self._copied)
        return self._on_gpu

    def release(self) -> None:
        self._free = self._transfers.mark()


class LayerMemory:
    """Memory for streamed layers. A layer computes with the slot that it was read into.

    If the computation has another ``dtype`` than the files have, as ``converts`` says, the weights are
    converted into one more buffer, and the next layer is read into the same slot meanwhile. Memory is used
    again and again: on a CPU, new pages for each layer take fifteen times as long as converting it, and on a
    GPU, waiting for the device.

    A slot has ``size`` bytes, and a layer at most ``numbers`` numbers. With ``transfers``, a layer computes
    on a GPU. ``bytes`` are those where it computes.
    """

    def __init__(
        self, dtype: torch.dtype, size: int, numbers: int, *, converts: bool, transfers: Transfers | None
    ) -> None:
        count = 1 if converts else RESIDENT
        self.bytes: int = count * size + converts * numbers * dtype.itemsize
        empty = transfers.empty if transfers else _pages
        self._converted = empty(numbers * dtype.itemsize).view(dtype) if converts else None
        self.slots = [GpuSlot(transfers, size) if transfers else Slot(_pages(size)) for _ in range(count)]

    def placed(self, slot: Slot, stored: Iterable[Tensor]) -> list[Tensor]:
        """Return the weights that a layer computes with; ``stored`` are those in its ``slot``."""
        if self._converted is None:
            return list(stored)
        placed, at = [], 0
        for weight in stored:
            count = weight.numel()
            placed.append(self._converted[at : at + count].view(weight.shape).copy_(weight))
            at += count
        slot.release()
        return placed

    def left(self, slot: Slot) -> None:
        """Note that the layer in ``slot`` has computed."""
        if self._converted is None:
            slot.release()


def _pages(size: int) -> Tensor:
    """Return ``size`` bytes in pages of their own, huge ones where the system has any."""
    pages = mmap.mmap(-1, max(1, size))
    if HUGEPAGE is not None:
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8, count=size)

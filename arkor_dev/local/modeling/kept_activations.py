"""What streamed layers save for the backward pass, up to a limit, without their weights.

The backward pass of a frozen linear layer needs its weight, but not its input. Autograd saves the weight, and
so would keep the weights of all layers in memory. Here it saves where the weight is in its layer, and the
backward pass reads that layer again. With what else a layer has saved, it need not be recomputed: an adapter
learns at the speed of one in memory, though the weights are not there. That takes the memory for activations
of a run without activation checkpointing, so only as many layers keep them as fit.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


class WeightReference(Protocol):
    """A view of a streamed weight that is read again when it is needed."""

    def tensor(self) -> Tensor:
        """Return the view, in a layer that is now in memory. Raises WeightsLostError."""


class References(Protocol):
    """What makes references: the stream of the layers."""

    def reference(self, tensor: Tensor) -> WeightReference | None:
        """Return a reference to ``tensor`` if it is a view of a streamed weight as it is now."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class _SavedCall:
    """A layer's call, which has saved so many ``bytes`` as long as autograd needs one of its tensors."""

    bytes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Saved:
    value: Tensor
    call: _SavedCall

    def tensor(self) -> Tensor:
        return self.value


class KeptActivations:
    """Decides which layers keep their activations, which take at most ``limit`` bytes at once.

    How much a layer saves for each byte of its input is known from the calls before. They take ``bytes`` now.
    """

    def __init__(self, references: References) -> None:
        self.limit = 0.0
        self._references = references
        self.bytes, self._ratio = 0, 1.0
        self.count()

    def count(self) -> None:
        """Count calls from now on."""
        self._calls, self._kept = 0, 0

    @property
    def share(self) -> float:
        """The share of layers' calls since `count` that keep their activations."""
        return self._kept / max(1, self._calls)

    def fit(self, state: Tensor) -> bool:
        """Return whether a layer whose input is ``state`` is to keep its activations."""
        fit = bool(self.bytes + self._ratio * state.nbytes <= self.limit)
        self._calls += 1
        self._kept += fit
        return fit

    @contextmanager
    def keep(self, state: Tensor) -> Iterator[None]:
        """Let the layer that is called in the block with ``state`` keep its activations."""
        call, seen = _SavedCall(), set[int]()

        def pack(tensor: Tensor) -> WeightReference:
            if found := self._references.reference(tensor):
                return found
            storage = tensor.untyped_storage()
            if (address := storage.data_ptr()) not in seen:
                seen.add(address)
                call.bytes += storage.nbytes()
            return _Saved(tensor, call)

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor()):
            yield
        self._ratio = max(self._ratio, call.bytes / max(1, state.nbytes))
        self.bytes += call.bytes
        weakref.finalize(call, self._release, call.bytes).atexit = False

    def _release(self, size: int) -> None:
        self.bytes -= size

"""Copies to a GPU that run beside its computation.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Event(Protocol):
    """A point in the work that is queued on a device."""

    def synchronize(self) -> None:
        """Let the processor wait until the device has come so far."""


class Transfers(Protocol):
    """What streaming layers needs of a device: memory, a stream for copies, and events."""

    device: torch.device

    def pinned(self, size: int) -> Tensor:
        """Return ``size`` bytes of main memory that the device copies from by itself."""

    def empty(self, size: int) -> Tensor:
        """Return ``size`` bytes on the device."""

    def copy(self, source: Tensor, target: Tensor, after: Event) -> Event:
        """Copy pinned memory to the device, after an event and beside the computation; return its end."""

    def mark(self) -> Event:
        """Return the end of the computation that is queued so far."""

    def wait(self, event: Event) -> None:
        """Let the computation that is queued from now on wait for ``event``."""

    def finish(self, event: Event) -> None:
        """Let the processor wait for ``event``."""


class CudaTransfers:
    """Copies to an NVIDIA or AMD GPU, on a stream of their own."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", torch.cuda.current_device())
        self._copies = torch.cuda.Stream(self.device)

    def pinned(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def empty(self, size: int) -> Tensor:
        memory = torch.empty(size, dtype=torch.uint8, device=self.device)
        memory.record_stream(self._copies)  # a copy may still run when it is freed
        return memory

    def copy(self, source: Tensor, target: Tensor, after: Event) -> Event:
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(after)
            target.copy_(source, non_blocking=True)
            event: Event = self._copies.record_event()
            return event

    def mark(self) -> Event:
        event: Event = torch.cuda.current_stream(self.device).record_event()
        return event

    def wait(self, event: Event) -> None:
        torch.cuda.current_stream(self.device).wait_event(event)

    def finish(self, event: Event) -> None:
        event.synchronize()

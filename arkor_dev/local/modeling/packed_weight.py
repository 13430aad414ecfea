"""A layer's weight in NF4, which waits in main memory and is dequantized on a GPU.

The arithmetic is that of QLoRA (Dettmers et al. 2023) in bitsandbytes, with quantized scales, as for a model
that is loaded in 4 bits.

Imported by worker processes only: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Scales(Protocol):
    """The parts of bitsandbytes' state that are measured here: scales, and those of the scales."""

    absmax: Tensor
    state2: Scales | None


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """A weight's numbers, two in each byte of ``packed``, in main memory; their scales are on the GPU."""

    packed: Tensor
    _scales: Scales

    @classmethod
    def of(cls, weight: Tensor, dtype: torch.dtype, device: torch.device) -> Self:
        """Quantize ``weight`` on ``device``; it computes in ``dtype``."""
        from bitsandbytes.functional import quantize_4bit

        packed, state = quantize_4bit(weight.to(device).to(dtype), compress_statistics=True, quant_type="nf4")
        return cls(packed.cpu().view(-1), state)

    @property
    def nbytes(self) -> int:
        return int(self.packed.nbytes)

    @property
    def scale_bytes(self) -> int:
        """Bytes of the scales, which stay on the GPU."""
        scales: Scales | None = self._scales
        size = 0
        while scales is not None:
            size += scales.absmax.nbytes
            scales = scales.state2
        return size

    def read(self, into: memoryview) -> None:
        # By torch, which lets the thread that computes run meanwhile: a memoryview would hold the GIL.
        torch.frombuffer(into, dtype=torch.uint8).copy_(self.packed)

    def dequantized(self, packed: Tensor) -> Tensor:
        """Return the weight; ``packed`` are its numbers on the GPU."""
        from bitsandbytes.functional import dequantize_4bit

        values: Tensor = dequantize_4bit(packed.view(-1, 1), self._scales)
        return values

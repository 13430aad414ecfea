"""How much memory the activations of streamed layers may take, so that these need not be recomputed.

The first step recomputes all of them. What is free after it is what a step does not need, and most of that
may be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from arkor_dev.local.modeling.activation_limit import activation_limit
from arkor_dev.local.workers import resources
from arkor_dev.local.workers.machine import spare_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.layer_stream import LayerStream


class ActivationBudget:
    """Limits the activations that the layers of ``stream`` keep, after a step that keeps none.

    Create it before the first step. ``longest`` is the number of tokens in the largest batch there may be.
    """

    def __init__(self, stream: LayerStream, longest: int) -> None:
        self._stream, self._longest, self._settled = stream, longest, False
        self._before = self._used()

    def settle(self, batches: Sequence[Sequence[Example]]) -> None:
        """Set the limit, if it is not, after a step on ``batches``."""
        if self._settled:
            return
        self._settled = True
        tokens = max((sum(row.tokens for row in batch) for batch in batches), default=0)
        took = self._used() - self._before
        # Longer batches take more, and other steps than this one what they must.
        reserve = max(0, took) * max(1.0, self._longest / max(1, tokens) - 1)
        files = 0 if self._on_gpu else sum(len(file.pages) for file in self._stream.files)
        self._stream.activations.limit = activation_limit(self._spare(), reserve, files)

    @property
    def _on_gpu(self) -> bool:
        return self._stream.transfers is not None and self._stream.transfers.device.type == "cuda"

    def _used(self) -> int:
        """Return the bytes that this process takes; the most so far on a GPU, whose memory is given back."""
        return int(torch.cuda.max_memory_allocated()) if self._on_gpu else resources.resident_memory()

    def _spare(self) -> int:
        """Return the bytes that this process may take in addition."""
        if not self._on_gpu:
            return spare_memory() or 0
        return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - self._used())

"""How much of the free memory the activations of streamed layers may take. Pure functions."""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.8
"""Share of the free memory that activations may take: other programs' memory use varies."""


def activation_limit(spare: float, reserve: float, files: float) -> float:
    """Return the bytes that activations may take of ``spare`` bytes; ``reserve`` are needed otherwise.

    If there is room in the system's page cache for all ``files`` of the weights, it is left to them: to read
    them from the disk again in each pass costs more time than to recompute activations.
    """
    free = SHARE * spare - reserve
    return max(0.0, free - files if free > files else free)

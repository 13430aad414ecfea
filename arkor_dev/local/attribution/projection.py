"""A seeded Rademacher projection of gradients to a few dimensions that preserves inner products.

Each weight is multiplied by a random sign and added to one of ``SIZE`` sums (a count sketch, Charikar et al.
2002): inner products are preserved in expectation, with the variance of a dense projection of the same size,
at one multiplication per weight.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SIZE: Final = 4096
SEED: Final = 20_240_204


class Projection:
    """Projects the gradients of weights of ``shapes`` on ``device``; identical for the same shapes."""

    def __init__(self, shapes: Sequence[torch.Size], device: str = "cpu") -> None:
        chance = torch.Generator().manual_seed(SEED)
        self._signs, self._turns = [], []
        for shape in shapes:
            signs = torch.randint(0, 2, (math.prod(shape),), generator=chance, dtype=torch.int8)
            self._signs.append(signs.mul_(2).sub_(1).to(device))
            # Layers of the same shape must not use the same projection.
            self._turns.append(int(torch.randint(0, SIZE, (), generator=chance)))

    def add(self, sums: Tensor, number: int, gradient: Tensor) -> None:
        """Add the projection of ``gradient``, ``[rows, …]``, of weight ``number`` to ``sums``,
        ``[rows, SIZE]``.
        """
        flat = gradient.flatten(1) * self._signs[number]
        divisible = flat.shape[1] // SIZE * SIZE
        own = torch.zeros_like(sums)
        if divisible:
            own += flat[:, :divisible].view(len(flat), -1, SIZE).sum(1)
        own[:, : flat.shape[1] - divisible] += flat[:, divisible:]
        sums += own.roll(self._turns[number], 1)

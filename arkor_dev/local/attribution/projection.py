"""A seeded Rademacher projection of gradients to a few numbers that keeps inner products.

Each weight is multiplied by a random sign and added to one of ``SIZE`` sums (a count sketch, Charikar et al.
2002): inner products are kept in expectation, with the variance of a dense projection of the same size, for
one multiplication a weight.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE: Final = 4096
SEED: Final = 20_240_204


class Projection:
    """Projects the gradients of weights of ``shapes``; ``scales`` multiplies them before, if given.

    The same shapes have the same projection on every machine.
    """

    def __init__(
        self, shapes: Sequence[Any], scales: Sequence[Any] | None = None, size: int = SIZE, seed: int = SEED
    ) -> None:
        self.size = size
        chance = torch.Generator().manual_seed(seed)
        self._signs, self._turns = [], []
        for place, shape in enumerate(shapes):
            count = math.prod(shape)
            signs = torch.randint(0, 2, (count,), generator=chance, dtype=torch.int8).mul_(2).sub_(1)
            factor = signs if scales is None else signs * scales[place].flatten()
            self._signs.append(factor)
            # Layers of one shape must not add the same places.
            self._turns.append(int(torch.randint(0, size, (), generator=chance)))

    def add(self, sums: Any, number: int, gradient: Any) -> None:
        """Add the projection of ``gradient`` ``[rows, …]``, of the weight ``number``, to ``sums``
        ``[rows, SIZE]``.
        """
        flat = gradient.flatten(1) * self._signs[number]
        whole = flat.shape[1] // self.size * self.size
        own = torch.zeros_like(sums)
        if whole:
            own += flat[:, :whole].view(len(flat), -1, self.size).sum(1)
        own[:, : flat.shape[1] - whole] += flat[:, whole:]
        sums += own.roll(self._turns[number], 1)

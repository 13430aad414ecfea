"""Linear models of step time and memory, and a batch's work and memory from a model's sizes.

A step's time and memory are linear in the work and memory that these sizes give for its batch. Intercept and
slope are measured, so the formulas need not be exact: they only have to weight a batch's parts correctly
(layers against output layer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAUSIBLE: Final = (0.1, 2.0)
"""Maximum plausible ratio of measured bytes to `Sizes.held`: dtypes and kernels differ."""


class Shape(NamedTuple):
    """A batch's size: tokens, pairs of tokens that attend to each other, learned positions."""

    tokens: int
    pairs: int
    learned: int


def shape_of(rows: Sequence[tuple[int, int]], padded: bool, shared: int = 0) -> Shape:
    """Return the shape of a batch of rows of ``(tokens, learned tokens)``, ``padded`` or packed.

    In a packed batch the ``shared`` first tokens are computed once.
    """
    width, learned = max(tokens for tokens, _ in rows), sum(learned for _, learned in rows)
    if padded:
        return Shape(len(rows) * width, len(rows) * width**2, learned)
    tokens = sum(tokens for tokens, _ in rows) - shared * (len(rows) - 1)
    return Shape(tokens, sum(tokens**2 for tokens, _ in rows), learned)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The model sizes that determine a step's time and memory; ``parameters`` counts those of the layers.

    ``saved`` is the bytes per token that a layer saves for the backward pass, adapter included. ``value`` is
    the size in bytes of a number in the compute dtype. ``recomputed``: layers save only their input
    (activation checkpointing). ``offloaded``: what they save is not in the GPU's memory. ``fused``: of the
    output layer, only the gradient of its input is held.
    The layers are spread over so many ``gpus``, of which the fullest counts.
    """

    layers: int
    hidden: int
    vocabulary: int
    parameters: int
    saved: float
    value: int = 4
    recomputed: bool = False
    fused: bool = False
    offloaded: bool = False
    gpus: int = 1

    def work(self, shape: Shape) -> float:
        """Return the multiply-adds of a step's forward pass."""
        attention = self.layers * self.hidden * shape.pairs
        return self.parameters * shape.tokens + attention + self.vocabulary * self.hidden * shape.learned

    def saved_bytes(self, shape: Shape) -> float:
        """Return a step's bytes: what is saved for the backward pass, plus one layer's working memory."""
        layers = math.ceil(self.layers / self.gpus)
        inputs = layers * self.value * self.hidden
        per_token = inputs + self.saved if self.recomputed else layers * self.saved
        if self.offloaded:
            per_token = self.saved if self.recomputed else 0.0
        return shape.tokens * (per_token + self.saved) + self._answer(shape)

    def waiting_bytes(self, shape: Shape, batches: int) -> float:
        """Return the bytes of activations that a step of ``batches`` with streamed layers keeps besides those
        of one batch: layers' inputs of at most the size of two layers' weights, and all else of these batches
        if it is not recomputed.
        """
        waiting, inputs = min((batches - 1) * self._inputs(shape), self._two_layers), self._inputs(shape)
        return waiting if self.recomputed else waiting * shape.tokens * self.layers * self.saved / inputs

    def kept_bytes(self, shape: Shape, batches: int) -> float:
        """Return the bytes that a step of ``batches`` with streamed layers keeps in addition if no layer
        recomputes its activations: those of the batches that share a reading.
        """
        together = min(batches, 1 + self._two_layers // max(1.0, self._inputs(shape)))
        return together * max(0.0, shape.tokens * self.layers * self.saved - self._inputs(shape))

    def _inputs(self, shape: Shape) -> float:
        """Return the bytes of all layers' inputs."""
        return shape.tokens * self.layers * self.value * self.hidden

    @property
    def _two_layers(self) -> float:
        return 2 * self.parameters / self.layers * self.value

    def evaluation_bytes(self, shape: Shape) -> float:
        """Return the bytes held at once while evaluating the batch: those of one layer and of the output."""
        return 2 * shape.tokens * self.saved + self._answer(shape)

    def _answer(self, shape: Shape) -> float:
        """Return the bytes of the logits and their gradient."""
        return 2 * self.value * (self.hidden if self.fused else self.vocabulary) * shape.learned


@dataclass(frozen=True, slots=True)
class LinearModel:
    """``base + slope * x``."""

    base: float
    slope: float

    def at(self, x: float) -> float:
        return self.base + self.slope * x

    @classmethod
    def through_last(cls, points: Sequence[tuple[float, float]]) -> LinearModel:
        """Fit a line through the last and largest point; all points should be near a line of slope 1."""
        (low, least), (x, y) = points[0], points[-1]
        slope = (y - least) / (x - low) if x > low else 1.0
        low, high = PLAUSIBLE
        slope = min(max(slope, low), high)
        return cls(y - slope * x, slope)

    @classmethod
    def fit(cls, points: Sequence[tuple[float, float]]) -> LinearModel:
        """Fit by least squares of relative errors; drop an intercept or slope that would be negative."""
        weights = [1 / max(y, 1e-12) ** 2 for _, y in points]
        total = sum(weights)
        mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
        mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
        spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
        common = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
        slope = common / spread if spread > 0 else 0.0
        if slope <= 0:
            # With a single size, assume growth from zero.
            return cls(0.0, mean_y / mean_x) if mean_x > 0 and spread == 0 else cls(mean_y, 0.0)
        base = mean_y - slope * mean_x
        if base < 0:
            squares = sum(w * x * x for w, (x, _) in zip(weights, points, strict=True))
            return cls(0.0, sum(w * x * y for w, (x, y) in zip(weights, points, strict=True)) / squares)
        return cls(base, slope)

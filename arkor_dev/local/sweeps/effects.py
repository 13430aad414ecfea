"""Says what each source of a data set does, from the runs of a design (``design``).

A source's effect is by how much the loss would be higher if the source were left out of the present mixture,
at the same number of steps: what its rows teach, less what the other sources' rows would teach in their
place. It is estimated from all runs, by a model in which the loss is linear in the shares of the sources
(Scheffé, Experiments with Mixtures, 1958): each source has a loss of its own, and a mixture has their mean by
its shares.

Two things vary: runs (seed, order, what the model does not describe) and held-out rows. The error of runs is
that of the model's residuals. In units of it, the interval of all effects together is that of the largest of
so many Student's t values with a shared error (the studentized maximum modulus: Stoline and Ury, Tables of
the Studentized Maximum Modulus Distribution, 1979), which is enough however the effects are correlated
(Šidák, Rectangular Confidence Regions for the Means of Multivariate Normal Distributions, 1967). The interval
over rows is that of ``evaluation.paired`` on each row's effect, with an equal share of the error for every
source (Bonferroni). The one reported is as wide as both together: on either side the square root of the sum
of their squares.

If runs vary normally and this model holds, every interval of a measure is right in 95 % of designs; with two
measures, the error is divided by two. With heavy tails or skew it is less (``docs/sources.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from arkor_dev.contract.rules import WEIGHT
from arkor_dev.contract.shapes import SourceEffect, SweepVerdict
from arkor_dev.local.evaluation.paired import LEVEL, compare

from .messages import SourcesJudged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import EvaluationDifference

    from .messages import JudgeSources

Kind = Literal["helps", "harms", "unclear"]
DIGITS: Final = 5
STEPS: Final = 400
"""Points of the numerical integral over the error's distribution."""
HELPS: Final = 2.0
"""The weight that is proposed for a source that helps; the others keep theirs, or get 0."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a source does to a measure: ``gain`` and its interval, positive if it makes the loss smaller."""

    gain: float
    low: float
    high: float

    @property
    def kind(self) -> Kind:
        """By the ends as they are reported: beyond ``DIGITS``, even equal losses differ."""
        ends = self.view()
        return "helps" if ends["low"] > 0 else "harms" if ends["high"] < 0 else "unclear"

    def view(self) -> EvaluationDifference:
        """Return the contract's shape."""
        low, high = round(self.low, DIGITS), round(self.high, DIGITS)
        return {"mean": round(self.gain, DIGITS), "low": low, "high": high}


def effects(
    shares: Sequence[Sequence[float]],
    losses: Sequence[Sequence[float]],
    mixture: Sequence[float],
    groups: Sequence[int] | None = None,
    measures: int = 1,
) -> list[Effect]:
    """Return the effect of each source on a measure, by their number.

    ``shares`` are those of the sources in each run, and ``mixture`` those in the present mixture; each sum to
    1. ``losses`` are those of each run's rows; rows of one of ``groups`` belong together. Without groups the
    rows are not a sample: their interval is left out. ``measures`` are judged together.
    """
    levels, rows = np.array(shares, dtype=float), np.array(losses, dtype=float)
    present = np.array(mixture, dtype=float)
    runs, sources = levels.shape
    without = np.where(np.eye(sources, dtype=bool), 0, present)
    # What leaving each source out changes in the mixture, and so in the loss.
    changes = without / without.sum(1, keepdims=True) - present
    weights = changes @ np.linalg.pinv(levels)  # of each run's loss in each effect
    by_row = weights @ rows
    means = rows.mean(1)
    residuals = means - levels @ (np.linalg.pinv(levels) @ means)
    degrees = runs - sources
    error = math.sqrt(float(residuals @ residuals) / degrees)
    width = max_modulus(sources, degrees, LEVEL / measures) * error
    found = []
    for source in range(sources):
        gain = float(by_row[source].mean())
        below = above = width * float(np.linalg.norm(weights[source]))
        if groups is not None:
            of_rows = compare(
                by_row[source].tolist(), [0.0] * rows.shape[1], groups, share=1 / (measures * sources)
            )
            below, above = math.hypot(below, gain - of_rows.low), math.hypot(above, of_rows.high - gain)
        found.append(Effect(gain, gain - below, gain + above))
    return found


@lru_cache(maxsize=64)
def max_modulus(count: int, degrees: int, level: float) -> float:
    """Return the value that the largest of ``count`` absolute t values exceeds with probability ``level``.

    Their numerators are independent, their error has ``degrees`` of freedom and is shared.
    """
    normal = NormalDist()
    spreads = np.linspace(0, 1 + 10 / math.sqrt(degrees), STEPS + 1)[1:]
    # The density of a chi over the root of its degrees, up to a factor; its logarithm, since it may be tiny.
    logs = (degrees - 1) * np.log(spreads) - degrees * spreads**2 / 2
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()

    def within(value: float) -> float:
        inner = np.array([2 * normal.cdf(value * spread) - 1 for spread in spreads.tolist()])
        return float(weights @ inner**count)

    low, high = 0.0, 1.0
    while within(high) < 1 - level:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 1 - level else (low, middle)
    return high


def proposed(weight: float, task: Effect, general: Effect | None) -> float:
    """Return the weight to try for a source: more of one that helps, none of one that harms.

    One that helps at the task and harms in general keeps its weight: that choice is the user's.
    """
    if task.kind == "helps":
        return weight if general and general.kind == "harms" else min(HELPS * (weight or 1), WEIGHT.high)
    harms = task.kind == "harms" or (general is not None and general.kind == "harms")
    return 0 if harms else weight


def proposals(
    weights: Sequence[float], task: Sequence[Effect], general: Sequence[Effect] | Sequence[None]
) -> list[float]:
    """Return the weights to try for all sources; the present ones if nothing would be left to train on."""
    found = [proposed(*one) for one in zip(weights, task, general, strict=True)]
    return found if any(found) else list(weights)


def judged(request: JudgeSources) -> SourcesJudged:
    """Return each source's effect on the task and in general, and the verdict that states them."""
    general: list[Effect] | list[None] = [None] * len(request.names)
    measures = 1
    if request.general is not None:
        measures = 2
        losses = [[loss] for loss in request.general]
        general = effects(request.shares, losses, request.mixture, measures=measures)
    task = effects(request.shares, request.losses, request.mixture, request.groups, measures)
    found = []
    tried = proposals(request.weights, task, general)
    for number, (name, weight, own, beside, then) in enumerate(
        zip(request.names, request.weights, task, general, tried, strict=True)
    ):
        harms = own.kind == "unclear" and beside is not None and beside.kind == "harms"
        entry = SourceEffect(
            source=number,
            name=name,
            effect="harms" if harms else own.kind,
            task=own.view(),
            weight=weight,
            proposed=then,
        )
        if beside:
            entry["general"] = beside.view()
        found.append(entry)
    return SourcesJudged(found, SweepVerdict(verdict="effects", sentence=sentence(found)))


def sentence(found: Sequence[SourceEffect]) -> str:
    """State the clear effects, and how many sources have none."""
    clear = [_clear(effect) for effect in found if effect["effect"] != "unclear"]
    unclear = len(found) - len(clear)
    if not clear:
        return f"No source has a clear effect: all {unclear} intervals include 0."
    others = f"; no clear effect of the other {unclear}" if unclear else ""
    return f"By the intervals of this comparison, {', '.join(clear)}{others}."


def _clear(effect: SourceEffect) -> str:
    task = effect["task"]
    if task["low"] > 0 or task["high"] < 0:
        return f"{effect['name']} {effect['effect']} ({task['low']:+.3f} to {task['high']:+.3f})"
    general = effect["general"]
    return f"{effect['name']} harms in general ({general['low']:+.3f} to {general['high']:+.3f})"

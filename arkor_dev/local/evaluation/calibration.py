"""Calibrates a classifier's probabilities with a temperature, and measures how far they are off.

All logits are divided by one temperature, which changes no label (Guo et al., On Calibration of Modern Neural
Networks, 2017). It is determined on the held-out rows and judged by cross-fitting: that of one half of the
rows is applied to the other, so that no row judges a temperature that it helped to determine. It is 1 if that
does not lower the log loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .halves import choosing_half
from .minimums import ROWS
from .words import DIGITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arkor_dev.contract.shapes import EvaluationCalibration

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

BINS: Final = 15
"""Bins of equal width, as in Guo et al."""
LOWEST: Final = 0.05
HIGHEST: Final = 20.0
"""Bounds of a temperature."""
STEPS: Final = 60
"""Steps of the search, each of which shrinks the interval of log temperatures to 0.62 of its width."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A ``temperature``, and the expected calibration error and the log loss of ``rows`` held-out rows before
    it and after, by cross-fitting.
    """

    temperature: float
    rows: int
    error_before: float
    error_after: float
    loss_before: float
    loss_after: float

    def figures(self) -> EvaluationCalibration:
        """Return the contract's figures."""
        return {
            "temperature": self.temperature,
            "errorBefore": round(self.error_before, DIGITS),
            "error": round(self.error_after, DIGITS),
            "logLossBefore": round(self.loss_before, DIGITS),
            "logLoss": round(self.loss_after, DIGITS),
        }

    def sentence(self) -> str:
        """Describe both errors, and what the temperature is for."""
        start = f"Its probabilities are off by {100 * self.error_after:.0f} percentage points on average"
        if self.temperature == 1:
            return f"{start} (expected calibration error); no temperature brings them closer."
        return (
            f"{start} (expected calibration error) with a temperature of {self.temperature:.2g}, which "
            f"/v1/classify applies, and by {100 * self.error_before:.0f} without."
        )


def calibrated(
    logs: Sequence[Sequence[float]], wanted: Sequence[int], keys: Sequence[str], groups: Sequence[int]
) -> Calibration | None:
    """Return the calibration for log probabilities ``logs``, ``[rows][classes]``, of the true classes.

    ``keys`` and ``groups`` halve the rows as in :func:`~.halves.choosing_half`. None with too few groups for
    two halves.
    """
    if len(set(groups)) < 2 * ROWS:
        return None
    all_logs, true = np.asarray(logs, dtype=float), np.asarray(wanted)
    first = np.asarray(choosing_half(keys, groups))
    crossed = np.empty_like(all_logs)
    for half in (first, ~first):
        crossed[half] = scaled(all_logs[half], temperature(all_logs[~half], true[~half]))
    best = round(temperature(all_logs, true), 4)
    if _log_loss(crossed, true) >= _log_loss(all_logs, true):
        best, crossed = 1.0, all_logs
    errors, losses = (
        [measure(each, true) for each in (all_logs, crossed)] for measure in (calibration_error, _log_loss)
    )
    return Calibration(best, len(true), *errors, *losses)


def scaled(logs: Real, by: float) -> Real:
    """Return log probabilities ``[rows, classes]`` after dividing their logits by ``by``."""
    divided = logs / by
    highest = divided.max(1, keepdims=True)
    normalized: Real = divided - highest - np.log(np.exp(divided - highest).sum(1, keepdims=True))
    return normalized


def temperature(logs: Real, true: Whole) -> float:
    """Return the temperature with the lowest log loss, for targets smoothed as by Platt.

    Each true label has the target 1 - 1 / (rows + 2), so that rows which are all labeled correctly do not
    drive it to zero (Platt, Probabilistic Outputs for Support Vector Machines, 1999).
    """
    rows, classes = logs.shape
    targets = np.full_like(logs, 1 / (rows + 2) / max(1, classes - 1))
    targets[np.arange(rows), true] = 1 - 1 / (rows + 2)

    def loss(log_temperature: float) -> float:
        return float(-(targets * scaled(logs, np.exp(log_temperature))).sum())

    # The loss is convex in 1 / temperature, so it has one minimum: golden-section search.
    ratio = (np.sqrt(5) - 1) / 2
    low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
    for _ in range(STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def calibration_error(logs: Real, true: Whole) -> float:
    """Return the expected calibration error: the mean difference between the probability of the likeliest
    label and the share of rows for which it is right, over ``BINS`` bins weighted by their rows.
    """
    confidence = np.exp(logs.max(1))
    right = logs.argmax(1) == true
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    apart = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(apart).sum() / len(true))


def _log_loss(logs: Real, true: Whole) -> float:
    return float(-logs[np.arange(len(true)), true].mean())

"""The learning rate of a job that names none: by the model's size, what learns, and the optimizer.

The smallest models' rate is that of our own study, ``docs/defaults.md``, which also has the sources of the
others: QLoRA (Dettmers et al. 2023), "LoRA Without Regret" (Schulman et al. 2025) and the Tinker Cookbook.
By the second, an adapter wants ten times the rate of training the whole model.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BILLION: Final = 10**9
RATES: Final = ((4 * BILLION, 5e-4), (20 * BILLION, 2e-4))
"""Rates of an adapter with AdamW, for models of fewer parameters than so many."""
LARGEST: Final = 1e-4
WHOLE: Final = 0.1
"""The share of an adapter's rate for training the whole model."""
LION: Final = 0.2
"""The share of AdamW's rate for Lion, whose updates are larger (Chen et al. 2023: 3 to 10 times lower)."""


class Rate(NamedTuple):
    """A learning rate, and the reason for it in words."""

    value: float
    reason: str


def default_rate(parameters: int, *, whole: bool, optimizer: str) -> Rate:
    """Return the rate for a model of so many parameters."""
    value = next((rate for bound, rate in RATES if parameters < bound), LARGEST)
    what = "training the whole of a model" if whole else "an adapter of a model"
    if whole:
        value *= WHOLE
    if optimizer == "lion":
        value *= LION
        what = f"lion and {what}"
    value = float(f"{value:g}")  # 2e-05, not 2.0000000000000003e-05
    size = f"{parameters / BILLION:.1f} B" if parameters >= BILLION else f"{parameters / 10**6:.0f} M"
    return Rate(value, f"automatic, for {what} with {size} parameters")

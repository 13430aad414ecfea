"""Default learning rate: by the model's size, what is trained, and the optimizer.

The smallest models' rate comes from our own study, ``docs/defaults.md``, which also cites the sources of the
others: QLoRA (Dettmers et al. 2023), "LoRA Without Regret" (Schulman et al. 2025) and the Tinker Cookbook.
According to the second, an adapter needs ten times the rate of full fine-tuning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BILLION: Final = 10**9
RATES: Final = ((4 * BILLION, 5e-4), (20 * BILLION, 2e-4))
"""Adapter learning rates with AdamW, for models below the given numbers of parameters."""
LARGEST: Final = 1e-4
WHOLE: Final = 0.1
"""Factor for full fine-tuning."""
LION: Final = 0.2
"""Factor for Lion, whose updates are larger (Chen et al. 2023: 3 to 10 times lower)."""


class Rate(NamedTuple):
    """A learning rate and the reason for it."""

    value: float
    reason: str


def default_rate(parameters: int, *, whole: bool, optimizer: str) -> Rate:
    """Return the default rate for a model of this many parameters."""
    value = next((rate for bound, rate in RATES if parameters < bound), LARGEST)
    what = "full fine-tuning of a model" if whole else "an adapter of a model"
    if whole:
        value *= WHOLE
    if optimizer == "lion":
        value *= LION
        what = f"lion and {what}"
    value = float(f"{value:g}")  # 2e-05, not 2.0000000000000003e-05
    size = f"{parameters / BILLION:.1f} B" if parameters >= BILLION else f"{parameters / 10**6:.0f} M"
    return Rate(value, f"automatic, for {what} with {size} parameters")

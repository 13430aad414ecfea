"""The learning rate over a run: its default, by model size and optimizer, and transformers' schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .job_settings import EffectiveSettings


BILLION: Final = 10**9
RATES: Final = ((4 * BILLION, 5e-4), (20 * BILLION, 2e-4))
"""Default learning rates for an adapter with AdamW, each up to a number of model parameters."""
LARGEST: Final = 1e-4
FULL_FINE_TUNING: Final = 0.1
"""Learning rate for full fine-tuning, as a fraction of an adapter's."""
LION: Final = 0.2
"""Learning rate for Lion as a fraction of AdamW's (Chen et al. 2023: 3 to 10 times lower)."""


class Rate(NamedTuple):
    """A learning rate, and the reason for it in words."""

    value: float
    reason: str


def default_rate(parameters: int, *, full: bool, optimizer: str) -> Rate:
    """Return the default rate for a model with this many parameters."""
    value = next((rate for bound, rate in RATES if parameters < bound), LARGEST)
    subject = "full fine-tuning of a model" if full else "an adapter of a model"
    if full:
        value *= FULL_FINE_TUNING
    if optimizer == "lion":
        value *= LION
        subject = f"lion and {subject}"
    value = float(f"{value:g}")  # 2e-05, not 2.0000000000000003e-05
    size = f"{parameters / BILLION:.1f} B" if parameters >= BILLION else f"{parameters / 10**6:.3g} M"
    return Rate(value, f"automatic, for {subject} with {size} parameters")


LOWEST: Final = 1e-7
"""Final learning rate of a polynomial schedule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``kind`` with peak ``height``, over ``steps`` steps including ``warmup``.

    ``cycles`` is for cosine_with_restarts, ``power`` for polynomial, ``decay`` the number of decay steps of
    wsd. ``before`` is the number of earlier steps of an extended run.
    """

    kind: str
    height: float
    steps: int
    warmup: int
    cycles: int
    power: float
    decay: int
    before: int = 0

    @classmethod
    def of(cls, settings: EffectiveSettings, steps: int, rate: float, before: int = 0) -> Schedule:
        """Return the schedule of ``steps`` steps, or of those after ``before``; ``rate`` is its peak."""
        steps -= before
        get, resolve = settings.get, settings.resolve
        kind = get("lrSchedulerType")
        kind = resolve("lrSchedulerType", "wsd" if kind == "warmup_stable_decay" else kind)
        share, usual = get("warmupRatio"), steps // 20
        if share is not None:
            usual = math.ceil(share * steps)
        warmup = resolve("warmupSteps", 0 if kind == "constant" else min(get("warmupSteps", usual), steps))
        return cls(
            kind=kind,
            height=rate,
            steps=steps,
            warmup=warmup,
            cycles=get("lrNumCycles") if kind == "cosine_with_restarts" else 1,
            power=get("lrPower") if kind == "polynomial" else 1.0,
            decay=_decay(settings, steps, steps - warmup) if kind == "wsd" else 0,
            before=before,
        )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of step ``step`` (from 1). Warmup starts at 0."""
        done = step - 1 - self.before
        if done < self.warmup:
            return self.height * done / self.warmup
        return self.height * self._share(done)

    def _share(self, done: int) -> float:
        part = (done - self.warmup) / max(1, self.steps - self.warmup)
        match self.kind:
            case "linear":
                return 1 - part
            case "cosine":
                return _half_wave(part)
            case "cosine_with_restarts":
                return _half_wave(self.cycles * part % 1)
            case "polynomial":
                lowest = min(1.0, LOWEST / self.height)
                return (1 - lowest) * math.pow(1 - part, self.power) + lowest
            case "wsd":
                falling = done - (self.steps - self.decay)
                return _half_wave(falling / self.decay) if falling > 0 else 1.0
        return 1.0


def _decay(settings: EffectiveSettings, steps: int, most: int) -> int:
    """Return the number of wsd's decay steps, at most ``most``."""
    return int(
        settings.resolve("lrNumDecaySteps", min(settings.get("lrNumDecaySteps", max(1, steps // 10)), most))
    )


def _half_wave(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))

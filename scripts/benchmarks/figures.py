"""A line of results: our figure, the floor, their ratio, and the target if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Figure:
    """``floor`` is None for a figure without a comparison. The target, ``most`` or ``least``, applies to the
    ratio if there is a floor, else to the figure.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def judged(self) -> float:
        """The value that the target applies to."""
        return self.value / self.floor if self.floor else self.value

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.judged >= self.least) and (
            self.most is None or self.judged <= self.most
        )

    def view(self) -> dict[str, object]:
        """The figure as JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "floor": self.floor,
            "ratio": self.value / self.floor if self.floor else None,
            "least": self.least,
            "most": self.most,
            "met": self.met,
        }

    def __str__(self) -> str:
        text = f"{self.name:<58}{_short(self.value):>10} {self.unit:<9}"
        text += f"{_short(self.floor):>10} {self.value / self.floor:>7.2f}x" if self.floor else " " * 19
        if self.met is None:
            return text.rstrip()
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return f"{text}  {bound:>7} {'ok' if self.met else 'MISSED'}"


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def beside(ours: Callable[[], float], floor: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Measure both in turns, so that other load on the machine affects both equally; return the medians."""
    pairs = [(floor(), ours()) for _ in range(rounds)]
    return median(our for _, our in pairs), median(their for their, _ in pairs)

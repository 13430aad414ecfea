"""One measured line: our figure, the floor beside it, their ratio, and the target where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Figure:
    """``floor`` is None for a figure without a comparison. A target of ``most`` or ``least`` is on the ratio
    where there is a floor, else on the figure.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def judged(self) -> float:
        """What the target is about."""
        return self.value / self.floor if self.floor else self.value

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.judged >= self.least) and (
            self.most is None or self.judged <= self.most
        )

    def view(self) -> dict[str, object]:
        """The figure as JSON has it."""
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
    """Both measured in turns, so that what else the machine does hits both alike: the medians."""
    pairs = [(floor(), ours()) for _ in range(rounds)]
    return median(our for _, our in pairs), median(their for their, _ in pairs)

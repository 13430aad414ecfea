"""Comparisons whose truth is known: differences drawn from distributions of many kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[Any, int], Any]


def _normal(chance: Any, rows: int) -> Any:
    return chance.standard_normal(rows)


def _long_right(chance: Any, rows: int) -> Any:
    """A few rows gain much, most lose a little: what a narrow adapter does."""
    return chance.standard_exponential(rows) - 1


def _long_left(chance: Any, rows: int) -> Any:
    return 1 - chance.standard_exponential(rows)


def _heavy(chance: Any, rows: int) -> Any:
    """Outliers on both sides (Student's t with 3 degrees of freedom)."""
    return chance.standard_t(3, rows) / 3**0.5


FAMILIES: Final[dict[str, Draw]] = {
    "normal": _normal,
    "long on the right": _long_right,
    "long on the left": _long_left,
    "heavy on both sides": _heavy,
}
"""Each gives so many differences of mean 0 and standard deviation 1."""


def losses(draw: Draw, chance: Any, rows: int, gain: float = 0.0) -> tuple[list[float], list[float]]:
    """The losses of base and adapter on ``rows`` rows; the adapter's are lower by ``gain`` in the long run.

    ``gain`` is counted in standard deviations of the rows' differences.
    """
    base = 3 + chance.standard_normal(rows) ** 2
    return list(base), list(base - 0.3 * (draw(chance, rows) + gain))

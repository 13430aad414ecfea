"""Comparisons whose truth is known: differences drawn from distributions of many kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation.halves import choosing

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


def _lognormal(chance: Any, rows: int) -> Any:
    """Skewed as losses are: most rows gain a little, a few lose much."""
    return (1.6487 - chance.lognormal(0, 1, rows)) / 2.1612


def _rare_gain(chance: Any, rows: int) -> Any:
    """One row in twenty gains 1 nat (a difference of 1 / 0.3), each other loses a nineteenth of that."""
    kinds = 20 * (chance.random(rows) < 0.05) - 1
    return (kinds / 19 + 0.02 * chance.standard_normal(rows)) / 0.3


def _heavy(chance: Any, rows: int) -> Any:
    """Outliers on both sides (Student's t)."""
    return chance.standard_t(3, rows) / 3**0.5


FAMILIES: Final[dict[str, Draw]] = {
    "normal": _normal,
    "long on the right": _long_right,
    "long on the left": _long_left,
    "t, 3 degrees": _heavy,
    "lognormal": _lognormal,
}
"""Each gives so many differences of mean 0 and standard deviation 1."""
RARE_GAIN: Final[Draw] = _rare_gain
"""Its mean is 0, too, and its standard deviation 0.77. Samples without a row that gains deceive."""
MARGIN: Final = 0.01
"""Nats per token."""


def noise(chance: Any, rows: int) -> tuple[list[float], list[float]]:
    """The losses of a base and of an adapter of random noise: all rows differ alike, and by next to nothing.

    Adapters of noise with a standard deviation of 1e-5 to 1e-4 move SmolLM2's losses by as much.
    """
    base = 3 + chance.standard_normal(rows) ** 2
    size = chance.choice([-1, 1]) * chance.uniform(4e-6, 4e-5)
    return list(base), list(base - size * (1 + 0.3 * chance.standard_normal(rows)))


def of_sources(chance: Any, sources: int, share: float) -> tuple[list[float], list[float], list[int]]:
    """The losses of base and adapter, which do not differ, on four rows of each source; and the sources.

    ``share`` of the variance of the differences is between sources (the intraclass correlation).
    """
    base = 3 + chance.standard_normal(4 * sources) ** 2
    between = chance.standard_normal(sources).repeat(4)
    differences = share**0.5 * between + (1 - share) ** 0.5 * chance.standard_normal(4 * sources)
    return list(base), list(base - 0.3 * differences), [number // 4 for number in range(4 * sources)]


def best_of_looks(
    draw: Draw, chance: Any, rows: int, looks: int, gain: float = 0.0, alike: float = 0.0, *, halves: bool
) -> tuple[list[float], list[float], list[bool]]:
    """The losses of base and of the best of ``looks`` evaluations, and which rows chose it; none do for
    ``halves`` false, where it is the best on all rows, as if nobody had chosen.

    All evaluations gain as much in the long run. Their rows correlate by ``alike`` with the one before.
    """
    evaluations = [draw(chance, rows)]
    while len(evaluations) < looks:
        evaluations.append(alike * evaluations[-1] + (1 - alike**2) ** 0.5 * draw(chance, rows))
    chose = choosing([f"{key:016x}" for key in chance.permutation(rows)], range(rows)) if halves else []
    used = [place for place in range(rows) if not chose or chose[place]]
    best = max(evaluations, key=lambda gains: gains[used].mean())
    base = 3 + chance.standard_normal(rows) ** 2
    return list(base), list(base - 0.3 * (best + gain)), chose


def losses(draw: Draw, chance: Any, rows: int, gain: float = 0.0) -> tuple[list[float], list[float]]:
    """The losses of base and adapter on ``rows`` rows; the adapter's are lower by ``gain`` in the long run.

    ``gain`` is counted in standard deviations of the rows' differences.
    """
    base = 3 + chance.standard_normal(rows) ** 2
    return list(base), list(base - 0.3 * (draw(chance, rows) + gain))

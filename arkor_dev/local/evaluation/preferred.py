"""How often a model follows held-out preferences more than it did at the start, with its confidence interval.

The loss cannot show this: it grows with the spread of the margins, and would call an adapter worse that
learned from coin flips. So the verdict is based on the margins. It requires that both the share of
preferences followed and the mean margin agree, so that neither a few large nor many tiny margins decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from .halves import judging
from .length_control import at_equal_length
from .paired import compare

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from arkor_dev.contract.shapes import EvaluationPart, EvaluationPreferred

    from .paired import Comparison

DIGITS: Final = 5
WORDS: Final = {"pair": "pair", "rating": "rated answer"}


@dataclass(frozen=True, slots=True)
class Preferred:
    """Of ``groups`` independent preferences, ``won`` are followed more than at the start; ties count half.

    ``margins`` compares the mean margins, ``loss`` the losses. ``kind`` is ``pair`` or ``rating``. ``equal``
    is the share that would be followed if both answers were equally long, with its interval.
    """

    kind: str
    won: float
    margins: Comparison
    loss: Comparison
    equal: tuple[float, float, float] | None = None

    @property
    def rows(self) -> int:
        """The number of held-out rows."""
        return self.margins.rows

    @property
    def groups(self) -> int:
        """The number of independent preferences."""
        return self.margins.groups

    @property
    def minimum(self) -> int:
        """The minimum number of preferences for a verdict."""
        return self.margins.minimum

    @property
    def noun(self) -> str:
        """The noun for one preference."""
        return WORDS[self.kind]

    @property
    def few(self) -> bool:
        """Return whether there are so few that the verdict must state their number."""
        return self.margins.few

    @property
    def interval(self) -> tuple[float, float]:
        """The confidence interval of the share that is followed."""
        return wilson(self.won, self.groups, self.margins.confidence / 100)

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` if share and margin agree, else ``unclear``."""
        low, high = self.interval
        if self.groups < self.minimum:
            return "unclear"
        if low > 0.5 and self.margins.low > 0:
            return "better"
        return "worse" if high < 0.5 and self.margins.high < 0 else "unclear"

    def figures(self) -> EvaluationPreferred:
        """Return the contract's figures."""
        low, high = (round(end, DIGITS) for end in self.interval)
        figures: EvaluationPreferred = {
            "kind": self.kind,
            "won": self.won,
            "of": self.groups,
            "low": low,
            "high": high,
        }
        if self.equal:
            share, low, high = (round(end, DIGITS) for end in self.equal)
            figures["equalLength"] = {"share": share, "low": low, "high": high}
        return figures

    def sentence(self, *, dry: bool = False) -> str:
        """Describe the result with its figures."""
        low, high = self.interval
        words = {"better": "better", "worse": "worse", "unclear": "no clear difference"}[self.verdict]
        if self.groups < self.minimum:
            words = f"too few {self.noun}s to tell"
        share = (
            f"it follows {self.won:g} of {self.groups} held-out {self.noun}s more than its start does "
            f"({_percent(self.won / self.groups)} %, {self.margins.confidence} % interval {_percent(low)} to "
            f"{_percent(high)} %)"
        )
        margin = self.margins
        more, needed = f"reward margin {margin.mean:+.2g}", ""
        if self.groups >= self.minimum:
            more += f", interval {margin.low:.2g} to {margin.high:.2g}"
        elif not dry:
            needed = f" A verdict needs at least {self.minimum}."
        return f"Your task: {words}; {share}; {more}.{self._at_equal_length()}{needed}"

    def _at_equal_length(self) -> str:
        """Return whether length explains the result, if there is one to explain."""
        if not self.equal or self.verdict != "better":
            return ""
        share, low, high = self.equal
        answer = "It is not length alone" if low > 0.5 else "Length alone may explain it"
        return (
            f" {answer}: with both answers equally long it would be {_percent(share)} % "
            f"({_percent(low)} to {_percent(high)} %)."
        )

    def add_to(self, part: EvaluationPart) -> None:
        """Replace the loss-based verdict in a part of an evaluation by this one."""
        margin = self.margins
        ends = {"mean": margin.mean, "low": margin.low, "high": margin.high}
        part["verdict"] = self.verdict
        part["preferred"] = self.figures()
        part["difference"] = {key: round(value, DIGITS) for key, value in ends.items()}  # type: ignore[typeddict-item]
        part.pop("rowsToSettle", None)


def preferred(
    kind: str,
    loss: Comparison,
    start: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable],
    lengths: Sequence[int] = (),
    chose: Sequence[bool] = (),
) -> Preferred:
    """Compare the margins of a model's ``start`` and of the ``adapter`` on the same rows.

    For pairs, ``lengths`` are the chosen answers' lengths minus the rejected ones'. ``chose`` as in
    :func:`~.paired.compare`.
    """
    # Larger margins are better, smaller losses are.
    margins = compare([-margin for margin in start], [-margin for margin in adapter], groups, chose=chose)
    groups = judging(chose, groups)
    gains: dict[Hashable, float] = {}
    for group, before, after in zip(groups, judging(chose, start), judging(chose, adapter), strict=True):
        gains[group] = gains.get(group, 0.0) + after - before
    followed = [1.0 if gain > 0 else 0.5 if gain == 0 else 0.0 for gain in gains.values()]
    equal = None
    if lengths:
        apart = dict.fromkeys(gains, 0)
        for group, length in zip(groups, judging(chose, lengths), strict=True):
            apart[group] += length
        equal = at_equal_length(list(apart.values()), followed, margins.confidence / 100)
    return Preferred(kind, sum(followed), margins, loss, equal)


def wilson(won: float, of: float, confidence: float) -> tuple[float, float]:
    """Return the score interval of the share ``won / of`` (E. B. Wilson, 1927); 0 to 1 if ``of`` is 0."""
    if of <= 0:
        return 0.0, 1.0
    z, share = NormalDist().inv_cdf(0.5 + confidence / 2), won / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def _percent(share: float) -> int:
    return round(100 * share)

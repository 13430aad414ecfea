"""The verdict so far: at each evaluation of a run, how the adapter of that step compares with its base.

Whoever may end a run at any evaluation looks at several intervals, and of several 95 % intervals one is wrong
more often than in 5 % of runs. So the error is spent over the planned evaluations (Lan and DeMets, Discrete
Sequential Boundaries for Clinical Trials, 1983): half of it on the last one, which is the verdict of a run
that nothing ends, and the rest in equal parts on those before. By Bonferroni's inequality, all intervals of a
run then hold together in 95 % of runs, whatever ended it, and however the evaluations depend on each other: a
confidence sequence (Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, 1970) over
evaluations. Unlike in a trial, the rows do not become more: they are the same at each, and the adapter is
another one, so that each interval is that of its own adapter.

Sequences over rows that come one by one (Howard et al., Time-uniform, nonparametric, nonasymptotic confidence
sequences, 2021; Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2024)
allow for any number of rows. Nothing here needs that, and they need a bound on a row's loss: capped at 2 nats
a row, betting settles fewer than these intervals (`scripts/bench promises` compares them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from .paired import Comparison, compare
from .words import DIGITS, so_far_sentence

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from arkor_dev.contract.events import VerdictSoFar

LAST: Final = 0.5
"""Share of the error that is kept for the last planned evaluation."""
FROM: Final = 0.5
"""Part of the run before which no adapter is hopeless: early steps may do harm that later ones mend."""
BETTER: Final = "better"
HOPELESS: Final = "hopeless"
OPEN: Final = "open"


class Look(NamedTuple):
    """What an evaluation spent of the error, as a ``share`` of it, and the ``state`` that it found."""

    share: float
    state: str


@dataclass(frozen=True, slots=True)
class LookSchedule:
    """The planned evaluations of a run: one every ``every`` of its ``steps``, and one after the last."""

    steps: int
    every: int

    @property
    def count(self) -> int:
        """The number of evaluations."""
        return -(-self.steps // self.every)

    def number(self, step: int) -> int:
        """Return the number of the evaluation after ``step``, from 1."""
        return -(-step // self.every)

    def share(self, step: int, before: Mapping[int, Look]) -> float:
        """Return the share of the error for the evaluation after ``step``; 0 if nothing is left of it.

        ``before`` has earlier evaluations by step. A run that was extended or got another plan may have spent
        what the new plan counts on.
        """
        left = max(0.0, 1.0 - sum(look.share for look in before.values()))
        if step >= self.steps:
            return left
        return min((1 - LAST) / (self.count - 1), max(0.0, left - LAST))


@dataclass(frozen=True, slots=True)
class Watched:
    """The held-out rows of a run that is watched: the ``base``'s losses, and their ``groups``.

    Rows that ``chose`` the adapter don't count. Differences below ``margin`` do not matter.
    """

    base: Sequence[float]
    groups: Sequence[Hashable]
    margin: float
    chose: Sequence[bool] = ()

    def look(
        self, step: int, adapter: Sequence[float], schedule: LookSchedule, before: Mapping[int, Look]
    ) -> tuple[Look, VerdictSoFar] | None:
        """Compare the adapter of ``step``, by its losses on the rows, with the base.

        Return what was spent and found, and the event's part; None if nothing is left to spend, or there are
        too few rows for a verdict. ``before`` has the looks at earlier steps.
        """
        share = schedule.share(step, before)
        if share <= 0:
            return None
        compared = compare(self.base, adapter, self.groups, self.margin, chose=self.chose, share=share)
        if compared.groups < compared.minimum:
            return None
        state = _state(compared, step, schedule)
        look = Look(share, state)
        since = _since(state, step, before)
        so_far: VerdictSoFar = {
            "state": state,  # type: ignore[typeddict-item]
            "low": round(compared.low, DIGITS),
            "high": round(compared.high, DIGITS),
            "confidence": compared.confidence,
            "evaluation": schedule.number(step),
            "planned": schedule.count,
            "sentence": so_far_sentence(compared, state, since),
        }
        if state != OPEN:
            so_far["settled"] = since
        return look, so_far


def _state(compared: Comparison, step: int, schedule: LookSchedule) -> str:
    """Return the state that the interval of ``step`` shows: whether it excludes either kind of adapter."""
    if compared.verdict == "better":
        return BETTER
    return HOPELESS if step >= FROM * schedule.steps and compared.high <= compared.margin else OPEN


def _since(state: str, step: int, before: Mapping[int, Look]) -> int:
    """Return the first step from which all evaluations have had this ``state``."""
    for earlier in sorted(before, reverse=True):
        if before[earlier].state != state:
            break
        step = earlier
    return step

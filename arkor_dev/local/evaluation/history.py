"""The evaluations that a run makes on its way, and what they say of its end: was the last one the best?"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation import results

from .paired import compare
from .words import Ends, best_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence
    from pathlib import Path

MOST_CHOICES: Final = 20
"""Of more evaluations, neighbours are so alike that they are no further choices."""

MOST_FIGURES: Final = 20_000
"""So many losses of rows are kept of all evaluations; more of them of the best and the last alone."""


def _number(value: object) -> float:
    """A number of a file; TypeError for anything else, such as the text ``nan``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


class History:
    """The evaluation loss by step, and the losses of each row; of many for the best step and the last alone.

    ``trained`` is the mean training loss since the evaluation before, by the step of an evaluation. All lies
    in the job's folder, so that a run that goes on after an interruption knows what came before: an
    evaluation makes those of its own and later steps void.
    """

    def __init__(self, job: Path) -> None:
        self._file = results.history_file(job)
        self.losses: dict[int, float] = {}
        self.rows: dict[int, list[float]] = {}
        self.trained: dict[int, float] = {}
        self.final = 0
        self._since: list[float] = []
        try:
            found = results.read(self._file) or {}
            self.losses = {int(step): _number(loss) for step, loss in found.get("losses", {}).items()}
            self.trained = {int(step): _number(loss) for step, loss in found.get("trained", {}).items()}
            self.rows = {int(step): list(map(_number, rows)) for step, rows in found.get("rows", {}).items()}
            self.final = int(found.get("final", 0))
        except (AttributeError, TypeError, ValueError):  # what another version kept, or a hand has changed
            self.losses, self.rows, self.trained = {}, {}, {}

    def learned(self, loss: float) -> None:
        """Note a training loss that was reported."""
        self._since.append(loss)

    def add(self, step: int, loss: float, rows: Sequence[float]) -> None:
        """Note what was measured after ``step``; a full disk costs the best step's words alone."""
        self.losses = {before: known for before, known in self.losses.items() if before < step}
        self.losses[step] = loss
        self.trained = {before: known for before, known in self.trained.items() if before in self.losses}
        if self._since:
            self.trained[step] = sum(self._since) / len(self._since)
        self._since = []
        self.rows = {before: known for before, known in self.rows.items() if before in self.losses}
        self.rows[step] = list(rows)
        if len(self.rows) * len(rows) > MOST_FIGURES:
            self.rows = {each: self.rows[each] for each in {self.best, step} & self.rows.keys()}
        self._keep()

    def end(self, final: int) -> None:
        """Note that the adapter of step ``final`` is the one that is kept as the job's."""
        self.final = final
        self._keep()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            told = {"losses": self.losses, "trained": self.trained, "rows": self.rows, "final": self.final}
            results.write(self._file, told)

    @property
    def best(self) -> int:
        """The first step whose evaluation loss was lowest; there has to be one."""
        return min(self.losses, key=lambda step: (self.losses[step], step))

    def verdict(
        self, groups: Sequence[Hashable], saved: Collection[int] = (), margin: float = 0.0
    ) -> dict[str, Any]:
        """``bestStep`` and what is said of it in an evaluation of the final adapter, where they are known.

        ``saved`` are the steps of the checkpoints that are there; a difference of less than ``margin`` does
        not matter.
        """
        final = self.final
        if final not in self.losses:
            return {}
        best, compared = self.best, None
        if best != final and len(self.rows.get(best, ())) == len(self.rows.get(final, ())) == len(groups):
            # The best of several is the better by luck alone, the more there were to choose from.
            choices = min(MOST_CHOICES, max(1, len(self.losses) - 1))
            compared = compare(self.rows[final], self.rows[best], groups, margin, choices)
        ends = Ends(best, final, self.losses[best], self.losses[final], self._trained(best, final))
        told: dict[str, Any] = {"bestStep": best}
        if said := best_of(ends, compared, len(self.losses), best in saved):
            told["bestSentence"] = said
        if best != final:
            told["bestVerdict"] = compared.verdict if compared else "unclear"
            told["bestKept"] = best in saved
        return told

    def _trained(self, best: int, final: int) -> tuple[float, float] | None:
        both = self.trained.get(best), self.trained.get(final)
        return None if both[0] is None or both[1] is None else (both[0], both[1])

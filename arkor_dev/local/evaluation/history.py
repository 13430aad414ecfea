"""The evaluations that a run makes on its way, and what they say of its end: was the last one the best?"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from . import kept
from .paired import LEVEL, compare
from .words import best_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

MOST_CHOICES: Final = 20
"""Of more evaluations, neighbours are so alike that they are no further choices."""

MOST_FIGURES: Final = 20_000
"""So many losses of rows are kept of all evaluations; more of them of the best and the last alone."""


class History:
    """The evaluation loss by step, and the losses of each row; of many for the best step and the last alone.

    It lies in the job's folder, so that a run that goes on after an interruption knows what came before: an
    evaluation makes those of its own and later steps void.
    """

    def __init__(self, job: Path) -> None:
        self._path = job / kept.FOLDER / kept.HISTORY
        self.losses: dict[int, float] = {}
        self.rows: dict[int, list[float]] = {}
        self.final = 0
        try:
            found = kept.read(self._path) or {}
            self.losses = {int(step): float(loss) for step, loss in found.get("losses", {}).items()}
            self.rows = {int(step): list(map(float, rows)) for step, rows in found.get("rows", {}).items()}
            self.final = int(found.get("final", 0))
        except (AttributeError, TypeError, ValueError):  # what another version kept, or a hand has changed
            self.losses, self.rows = {}, {}

    def add(self, step: int, loss: float, rows: Sequence[float]) -> None:
        """Note what was measured after ``step``; a full disk costs the best step's words alone."""
        self.losses = {before: known for before, known in self.losses.items() if before < step}
        self.losses[step] = loss
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
            kept.write(self._path, {"losses": self.losses, "rows": self.rows, "final": self.final})

    @property
    def best(self) -> int:
        """The first step whose evaluation loss was lowest; there has to be one."""
        return min(self.losses, key=lambda step: (self.losses[step], step))

    def verdict(self, groups: Sequence[Hashable]) -> dict[str, Any]:
        """``bestStep`` and ``bestSentence`` of an evaluation of the final adapter, where they are known."""
        final = self.final
        if final not in self.losses:
            return {}
        best, compared = self.best, None
        if best != final and len(self.rows.get(best, ())) == len(self.rows.get(final, ())) == len(groups):
            # The best of several is the better by luck alone, the more there were to choose from.
            choices = min(MOST_CHOICES, max(1, len(self.losses) - 1))
            compared = compare(self.rows[final], self.rows[best], groups, LEVEL / choices)
        before = (self.losses[final], self.losses[best])
        said = best_of(best, final, compared, before, len(self.losses))
        return {"bestStep": best, "bestSentence": said} if said else {"bestStep": best}

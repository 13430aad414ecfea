"""Evaluations made during a run, and whether the last one was the best."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation import results

from .paired import compare
from .words import Ends, best_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence
    from pathlib import Path

MOST_CHOICES: Final = 20
"""Maximum number of choices in the correction: neighbours among more evaluations are nearly alike."""

MOST_FIGURES: Final = 20_000
"""Maximum number of row losses stored over all evaluations; beyond it, only the best and last keep theirs."""


def _number(value: object) -> float:
    """Return a number from the file. Raises TypeError for anything else, such as the text ``nan``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


class History:
    """Evaluation loss by step, with the losses of each row, possibly only for the best and the last step.

    ``trained`` has the mean training loss between evaluations. Stored in the job's folder, so that a resumed
    run knows its history. Recording an evaluation discards those of the same and later steps.
    """

    def __init__(self, job: Path) -> None:
        self._file = results.history_file(job)
        self.losses: dict[int, float] = {}
        self.rows: dict[int, list[float]] = {}
        self.trained: dict[int, float] = {}
        self.final = 0
        self._since: list[float] = []
        try:
            stored = results.read(self._file) or {}
            self.losses = {int(step): _number(loss) for step, loss in stored.get("losses", {}).items()}
            self.trained = {int(step): _number(loss) for step, loss in stored.get("trained", {}).items()}
            self.rows = {int(step): list(map(_number, rows)) for step, rows in stored.get("rows", {}).items()}
            self.final = int(stored.get("final", 0))
        except (AttributeError, TypeError, ValueError):  # written by another version, or edited
            self.losses, self.rows, self.trained = {}, {}, {}

    def learned(self, loss: float) -> None:
        """Record a reported training loss."""
        self._since.append(loss)

    def add(self, step: int, loss: float, rows: Sequence[float]) -> None:
        """Record the evaluation after ``step``; a full disk loses only the comparison with the best step."""
        self.losses = {before: known for before, known in self.losses.items() if before < step}
        self.losses[step] = loss
        self.trained = {before: known for before, known in self.trained.items() if before in self.losses}
        if self._since:
            self.trained[step] = sum(self._since) / len(self._since)
        self._since = []
        self.rows = {before: known for before, known in self.rows.items() if before in self.losses}
        self.rows[step] = list(rows)
        if len(self.rows) * len(rows) > MOST_FIGURES:
            self.rows = {
                kept_step: self.rows[kept_step] for kept_step in {self.best, step} & self.rows.keys()
            }
        self._keep()

    def end(self, final: int) -> None:
        """Record that the adapter of step ``final`` is the job's result."""
        self.final = final
        self._keep()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            record = {"losses": self.losses, "trained": self.trained, "rows": self.rows, "final": self.final}
            results.write(self._file, record)

    @property
    def best(self) -> int:
        """Return the first step with the lowest evaluation loss. Requires at least one evaluation."""
        return min(self.losses, key=lambda step: (self.losses[step], step))

    def verdict(
        self,
        groups: Sequence[Hashable],
        saved: Collection[int] = (),
        margin: float = 0.0,
        higher: str = "",
    ) -> dict[str, Any]:
        """Return ``bestStep`` and its sentences for an evaluation of the final adapter, if known.

        ``saved`` lists the steps with checkpoints; differences below ``margin`` do not matter.
        ``higher`` as in :class:`~.paired.Comparison`.
        """
        final = self.final
        if final not in self.losses:
            return {}
        best, compared = self.best, None
        if best != final and len(self.rows.get(best, ())) == len(self.rows.get(final, ())) == len(groups):
            # The best of several is best partly by chance, the more so the more candidates there were.
            choices = min(MOST_CHOICES, max(1, len(self.losses) - 1))
            compared = replace(
                compare(self.rows[final], self.rows[best], groups, margin, choices), higher=higher
            )
        ends = Ends(best, final, self.losses[best], self.losses[final], self._trained(best, final), higher)
        fields: dict[str, Any] = {"bestStep": best}
        if sentence := best_of(ends, compared, len(self.losses), best in saved):
            fields["bestSentence"] = sentence
        if best != final:
            fields["bestVerdict"] = compared.verdict if compared else "unclear"
            fields["bestKept"] = best in saved
        return fields

    def _trained(self, best: int, final: int) -> tuple[float, float] | None:
        both = self.trained.get(best), self.trained.get(final)
        return None if both[0] is None or both[1] is None else (both[0], both[1])

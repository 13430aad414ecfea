"""Evaluations made during a run, and whether another one's adapter is better than the final one.

The rows that choose the best evaluation are not those that compare it with the final one: see ``halves``.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.local.evaluation import results

from .paired import compare
from .so_far import Look
from .words import ChosenBy, Ends, best_of, chosen

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Evaluation, EvaluationBudget, EvaluationChoice

LEAST_EVALUATIONS: Final = 3
STILL_FALLS: Final = 0.1
"""Least share of the whole fall in a run's last interval that counts as still falling."""
LONGER: Final = 1.5
"""How many times as long a run that was still learning is proposed to be."""

MOST_FIGURES: Final = 20_000
"""Maximum number of row losses stored over all evaluations; beyond it, only the best and last keep theirs."""


def _number(value: object) -> float:
    """Return a number from the file. Raises TypeError for anything else, such as the text ``nan``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


class History:
    """Evaluation loss by step, with the losses of each row, possibly only for the best and the last step.

    ``choosing`` has the loss by step on the rows that choose, ``trained`` the mean training loss between
    evaluations, and ``looks`` what each spent of the error (`.so_far`). ``budget`` says how the strength of
    the result was chosen, None if it was not. Stored in the job's folder, so that a resumed run knows its
    history. Recording an evaluation discards those of the same and later steps.
    """

    def __init__(self, job: Path) -> None:
        self._file = results.history_file(job)
        self.losses: dict[int, float] = {}
        self.choosing: dict[int, float] = {}
        self.rows: dict[int, list[float]] = {}
        self.trained: dict[int, float] = {}
        self.looks: dict[int, Look] = {}
        self.final = 0
        self._since: list[float] = []
        stored = results.read(self._file)
        self.budget = results.budget_in(stored)
        try:
            if not isinstance(stored, dict):
                raise TypeError
            self.losses = {int(step): _number(loss) for step, loss in stored.get("losses", {}).items()}
            self.choosing = {int(step): _number(loss) for step, loss in stored.get("choosing", {}).items()}
            if self.choosing.keys() != self.losses.keys():
                raise ValueError
            self.trained = {int(step): _number(loss) for step, loss in stored.get("trained", {}).items()}
            self.rows = {int(step): list(map(_number, rows)) for step, rows in stored.get("rows", {}).items()}
            self.looks = {
                int(step): Look(_number(share), str(state))
                for step, (share, state) in stored.get("looks", {}).items()
            }
            self.final = int(stored.get("final", 0))
        except (AttributeError, TypeError, ValueError):  # written by another version, or edited
            self.losses, self.choosing, self.rows, self.trained, self.looks = {}, {}, {}, {}, {}

    def learned(self, loss: float) -> None:
        """Record a reported training loss."""
        self._since.append(loss)

    def looks_before(self, step: int) -> dict[int, Look]:
        """Return the looks at the adapters of earlier steps."""
        return {before: look for before, look in self.looks.items() if before < step}

    def add(
        self, step: int, loss: float, rows: Sequence[float], choosing: float, look: Look | None = None
    ) -> None:
        """Record the evaluation after ``step``, whose loss on the rows that choose is ``choosing``.

        A full disk loses only the comparison with the best step, and what was spent of the error.
        """
        self.looks = self.looks_before(step) | ({step: look} if look else {})
        self.losses = {before: known for before, known in self.losses.items() if before < step}
        self.losses[step] = loss
        self.choosing = {before: known for before, known in self.choosing.items() if before < step}
        self.choosing[step] = choosing
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

    def turned_down(self, budget: EvaluationBudget | None) -> None:
        """Record how the strength of the result was chosen; None if it was not.

        The verdict repeats it, but a run may have no verdict, and later evaluations must know it, too.
        """
        if budget != self.budget:
            self.budget = budget
            self._keep()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            record = {
                "losses": self.losses,
                "choosing": self.choosing,
                "trained": self.trained,
                "rows": self.rows,
                "looks": self.looks,
                "final": self.final,
                "budget": self.budget,
            }
            results.write(self._file, record)

    @property
    def best(self) -> int:
        """Return the first step with the lowest loss on the rows that choose. Requires an evaluation."""
        return min(self.choosing, key=lambda step: (self.choosing[step], step))

    def choice(
        self, chooses: Sequence[bool], step: int | None, *, stops_early: bool
    ) -> EvaluationChoice | None:
        """Return how an adapter was chosen from the evaluations: the final one of a run that ``stops_early``,
        or the checkpoint of ``step``, or from the steps of a forgetting budget; None if it was not, since
        nothing depended on their losses.

        ``chooses`` says which rows choose.
        """
        steps = self.budget.get("steps") if self.budget and step is None else None
        if steps is None and (len(self.losses) < 2 or (step is None and not stops_early)):
            return None
        chose, count, number = sum(chooses), len(chooses), steps or len(self.losses)
        by: ChosenBy = "budget" if steps else "checkpoint" if step else "early"
        return {
            "evaluations": number,
            "chose": chose,
            "judged": count - chose,
            "sentence": chosen(number, chose, count, by),
        }

    def add_best(
        self,
        evaluation: Evaluation,
        groups: Sequence[Hashable],
        saved: Collection[int] = (),
        margin: float = 0.0,
        higher: str = "",
        chose: Sequence[bool] = (),
    ) -> None:
        """Add ``bestStep`` and its sentences to an ``evaluation`` of the final adapter, if known.

        ``saved`` lists the steps with checkpoints; differences below ``margin`` do not matter.
        ``higher`` as in :class:`~.paired.Comparison`. ``chose`` says which rows choose the best step.
        """
        final = self.final
        if final not in self.losses:
            return
        best, compared = self.best, None
        if best != final and len(self.rows.get(best, ())) == len(self.rows.get(final, ())) == len(groups):
            compared = compare(self.rows[final], self.rows[best], groups, margin, chose=chose)
            compared = replace(compared, higher=higher)
        ends = Ends(best, final, self.losses[best], self.losses[final], self._trained(best, final), higher)
        evaluation["bestStep"] = best
        if sentence := best_of(ends, compared, len(self.losses), best in saved):
            evaluation["bestSentence"] = sentence
        if self._still_falls(margin):
            evaluation["extendTo"] = math.ceil(LONGER * final)
        if best != final:
            evaluation["bestVerdict"] = compared.verdict if compared else "unclear"
            evaluation["bestKept"] = best in saved

    def _still_falls(self, margin: float) -> bool:
        """Return whether the loss was still falling at the final step: that step is the lowest, and from the
        evaluation before it fell by more than ``margin`` and by a tenth of the whole fall.
        """
        steps = sorted(self.losses)
        if len(steps) < LEAST_EVALUATIONS or steps[-1] != self.final:
            return False
        first, before, last = (self.losses[step] for step in (steps[0], *steps[-2:]))
        fell = before - last
        return last == min(self.losses.values()) and fell > max(margin, STILL_FALLS * (first - last))

    def _trained(self, best: int, final: int) -> tuple[float, float] | None:
        both = self.trained.get(best), self.trained.get(final)
        return None if both[0] is None or both[1] is None else (both[0], both[1])

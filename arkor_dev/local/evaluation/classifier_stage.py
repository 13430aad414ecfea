"""Measures a classifier on the held-out rows: the last stage of its job, or on later request."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from arkor_dev.data.labels import LABEL
from arkor_dev.local.workers.errors import JobFailure

from .answers import Stopped
from .by_length import batches_by_length, lengths_of
from .classified import ACCURACY, classified
from .stage import DRY, Judged, Stage, tokens_of
from .words import DIGITS, HELD_OUT, TASK, overall, part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import Evaluation, EvaluationMeasure
    from arkor_dev.data.rows import Row

MEASURE: Final[EvaluationMeasure] = {"label": ACCURACY, "unit": "", "higher": True}


class Classifier(Protocol):
    """A classifier in training: the objective of ``method = "classify"``."""

    def log_probabilities(self, rows: Sequence[Any]) -> list[list[float]]:
        """Return the log probability of every class for each row."""


@dataclass
class ClassifierStage(Stage):
    """As `Stage`, for a classifier with the classes ``names``, of which ``majority`` has most training rows.

    The base has no head and is not measured: in its place is the majority (see ``classified``). There are no
    general questions, and no answers but the labels.
    """

    names: tuple[str, ...] = ()
    majority: int = 0

    def prepare(self) -> None:
        """Determine what must be measured: every row once."""
        self.measure = MEASURE
        self.to_read, self._total = tokens_of(self.held_out), len(self.held_out)

    def warm_cache(self, base: object) -> None:
        """Do nothing: there are no figures of the base."""

    def run(self, adapter: Any, base: object, report: object = None) -> Judged:
        """Measure the ``adapter``, a `Classifier`, and compare it with the majority.

        Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss.
        """
        self.prepare()
        predicted = self._predicted(adapter)
        wanted = [example.labels[-1] for example in self.held_out]
        found = classified(self.names, self.majority, wanted, predicted, self.groups, self.margin, self.chose)
        task = part(self.called, found.compared, found.sentence(dry=self.dry))
        task["measure"] = MEASURE
        task["classified"] = found.figures()
        verdict, sentence = overall(
            found.compared, on=TASK if self.called == HELD_OUT else f"on {self.called}"
        )
        if self.dry:
            verdict, sentence = "unclear", DRY
        evaluation: Evaluation = {
            "verdict": verdict,
            "sentence": sentence,
            "margin": round(self.margin, DIGITS),
            "heldOut": task,
        }
        if self.split:
            evaluation["split"] = self.split
        if self.choice:
            evaluation["choice"] = self.choice
        evaluation["seconds"] = round(time.monotonic() - self.began, 2)
        before, after = (
            [-float(label == named) for label, named in zip(wanted, all_named, strict=True)]
            for all_named in ([self.majority] * len(wanted), predicted)
        )
        self._generated = (
            {row.where: self.names[self.majority] for row in self.rows},
            {row.where: self.names[named] for row, named in zip(self.rows, predicted, strict=True)},
        )
        rows = list(self._measured_rows(before, after))
        return Judged(evaluation, rows, self._scores(after, self.margin), [])

    def _predicted(self, adapter: Classifier) -> list[int]:
        """Return the most likely class of each held-out row."""
        predicted = [0] * len(self.held_out)
        for numbers in batches_by_length(lengths_of(self.held_out), self.batch):
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, self._total, "rows")
            batch = [self.held_out[number] for number in numbers]
            for number, logs in zip(numbers, adapter.log_probabilities(batch), strict=True):
                if not all(map(math.isfinite, logs)):
                    raise JobFailure("The loss of a row is not a number")
                predicted[number] = logs.index(max(logs))
            self._done += len(batch)
            self.to_read -= tokens_of(batch)
        self.progress("Evaluating", self._total, self._total, "rows")
        return predicted

    def _texts_of(self, row: Row) -> tuple[str, str]:
        return row.text or "", row.extra[LABEL]

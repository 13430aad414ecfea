"""Measures a classifier on the held-out rows: the last stage of its job, or on later request."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from arkor_dev.data.labels import labels_of, words_of
from arkor_dev.local.workers.errors import JobFailure

from .answers import Stopped
from .baselines import ACCURACY, TFIDF, ZERO_SHOT, Baseline, baseline
from .by_length import batches_by_length, lengths_of
from .calibration import calibrated
from .classified import Several, classified
from .halves import judging, key_of
from .stage import Judged, Stage, tokens_of
from .words import DIGITS, HELD_OUT, part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from arkor_dev.contract.shapes import EvaluationMeasure
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.example import Example

    from .answers import MeasuredModel
    from .baselines import Labeler

LIKELY: Final = math.log(0.5)
"""Log probability above which a row has a label, of which it may have several."""
MEASURE: Final[EvaluationMeasure] = {"label": ACCURACY, "unit": "", "higher": True}


@runtime_checkable
class Classifier(Protocol):
    """A classifier in training: the objective of ``method = "classify"``."""

    padded: str | None

    def log_probabilities(self, rows: Sequence[Example]) -> list[list[float]]:
        """Return the log probability of every class for each row."""

    def cross_entropy(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Return each row's summed cross entropy as a language model, and its number of learned tokens."""


@dataclass
class ClassifierStage(Stage):
    """As `Stage`, for a classifier with the classes ``names``, of which ``majority`` has most training rows.

    If rows may have ``multiple`` labels, the combinations of labels are compared, and ``majority`` is one.
    The base has no head, so the verdict is about the majority (see ``classified``). The ``labeler`` makes
    what the adapter is compared with besides, None for nothing. There are no general questions, and no
    answers but the labels.
    """

    names: tuple[str, ...] = ()
    majority: tuple[int, ...] = (0,)
    multiple: bool = False
    labeler: Labeler | None = None
    _combinations: dict[tuple[int, ...], int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Determine what must be measured: every row once, apart from the base's choices."""
        self.measure = MEASURE
        self.to_read, self._total = tokens_of(self.held_out), len(self.held_out)

    def warm_cache(self, base: object) -> None:
        """Do nothing: there are no figures of the base."""

    def run(
        self,
        adapter: MeasuredModel | Classifier,
        base: AbstractContextManager[MeasuredModel | Classifier],
        report: object = None,
    ) -> Judged:
        """Measure the ``adapter``, a `Classifier`, and compare it with the majority and other baselines.

        Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss.
        """
        assert isinstance(adapter, Classifier)
        self.prepare()
        logs = self._log_probabilities(adapter)
        several: Several | None = None
        if self.multiple:
            named = [tuple(place for place, log in enumerate(row) if log > LIKELY) for row in logs]
            true = [example.classes or () for example in self.held_out]
            marks = [self._marks(sets) for sets in (true, named, [self.majority])]
            several = Several(marks[0], marks[1], marks[2][0])
        else:
            named = [(row.index(max(row)),) for row in logs]
            true = [(example.labels[-1],) for example in self.held_out]
        wanted, predicted, (majority,) = map(self._number, (true, named, [self.majority]))
        baselines, missing = self._baselines(base, wanted, predicted)
        found = classified(
            self._called(), majority, wanted, predicted, self.groups, self.margin, self.chose, several
        )
        calibration = None
        if self.called == HELD_OUT and not self.dry and not self.multiple:
            calibration = calibrated(
                judging(self.chose, logs),
                judging(self.chose, wanted),
                judging(self.chose, map(key_of, self.rows)),
                judging(self.chose, self.groups),
            )
        found = replace(found, baselines=baselines, missing=missing, calibration=calibration)
        task = part(self.called, found.compared, found.sentence(dry=self.dry))
        task["measure"] = MEASURE
        task["classified"] = found.figures()
        conclusions = filter(None, [each.conclusion() for each in baselines])
        evaluation = self._of_task(task, found.compared, *conclusions)
        before, after = (
            [-float(label == named) for label, named in zip(wanted, all_named, strict=True)]
            for all_named in ([majority] * len(wanted), predicted)
        )
        self._generated = (
            {row.where: found.names[majority] for row in self.rows},
            {row.where: found.names[number] for row, number in zip(self.rows, predicted, strict=True)},
        )
        rows = list(self._measured_rows(before, after))
        for row in rows:
            row["confidence"] = round(self._confidence(logs[row["row"] - 1]), DIGITS)
        return Judged(evaluation, rows, self._scores(after, self.margin), [])

    def _number(self, rows: Sequence[tuple[int, ...]]) -> list[int]:
        """Return a number for the classes of each row: its class, or its combination of classes."""
        if not self.multiple:
            return [number for (number,) in rows]
        return [self._combinations.setdefault(classes, len(self._combinations)) for classes in rows]

    def _called(self) -> tuple[str, ...]:
        """Return the names of what `_number` returns."""
        if not self.multiple:
            return self.names
        return tuple(words_of([self.names[place] for place in classes]) for classes in self._combinations)

    def _marks(self, rows: Sequence[tuple[int, ...]]) -> NDArray[np.bool_]:
        """Return whether each row has each class, ``[rows, classes]``."""
        marks = np.zeros((len(rows), len(self.names)), dtype=bool)
        for number, classes in enumerate(rows):
            marks[number, list(classes)] = True
        return marks

    def _confidence(self, logs: Sequence[float]) -> float:
        """Return the probability of the predicted label; of several, that of the least certain one."""
        if not self.multiple:
            return math.exp(max(logs))
        return min(max(math.exp(log), 1 - math.exp(log)) for log in logs)

    def _log_probabilities(self, adapter: Classifier) -> list[list[float]]:
        """Return the log probability of every class for each held-out row."""
        found: list[list[float]] = [[] for _ in self.held_out]
        for numbers in batches_by_length(lengths_of(self.held_out), self.batch):
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, self._total, "rows")
            batch = [self.held_out[number] for number in numbers]
            for number, logs in zip(numbers, adapter.log_probabilities(batch), strict=True):
                if not all(map(math.isfinite, logs)):
                    raise JobFailure("The loss of a row is not a number")
                found[number] = logs
            self._done += len(batch)
            self.to_read -= tokens_of(batch)
        self.progress("Evaluating", self._total, self._total, "rows")
        return found

    def _baselines(
        self,
        base: AbstractContextManager[MeasuredModel | Classifier],
        wanted: Sequence[int],
        predicted: Sequence[int],
    ) -> tuple[list[Baseline], str]:
        """Return the baselines that can be measured here, and what is missing for another one."""
        if self.labeler is None:
            return [], ""
        found = list[Baseline]()
        with base as model:
            assert isinstance(model, Classifier)
            choices = self.labeler.choices(padded=bool(model.padded))
            chosen = self._choose(model, choices)
        if chosen:
            true, own, groups = (
                [column[number] for number in choices] for column in (wanted, predicted, self.groups)
            )
            chose = [self.chose[number] for number in choices] if self.chose else ()
            found.append(baseline(ZERO_SHOT, true, chosen, own, groups, self.margin, chose))
        if self.labeler.available and (sets := self.labeler.tfidf()) is not None:
            named = self._number(sets)
            found.append(baseline(TFIDF, wanted, named, predicted, self.groups, self.margin, self.chose))
        return found, self.labeler.missing

    def _choose(self, model: Classifier, choices: dict[int, list[Example]]) -> list[int]:
        """Return the class whose name the base ``model`` finds most likely, for each of the rows."""
        chosen: list[int] = []
        for examples in choices.values():
            if self.cancelled():
                raise Stopped
            self.progress("Asking the base", len(chosen), len(choices), "rows")
            losses = [loss for loss, _ in model.cross_entropy(examples)]
            chosen.append(losses.index(min(losses)))
        return chosen

    def _texts_of(self, row: Row) -> tuple[str, str]:
        return row.text or "", words_of(labels_of(row))

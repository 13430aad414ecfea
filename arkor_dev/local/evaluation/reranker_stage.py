"""Measures a reranker on the held-out rows: the last stage of its job, or on later request.

The base has no head, so it cannot be compared with. In its place is the order of the rows: a query's
documents as a first search found them, if that is how they were collected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from arkor_dev.data.relevance import DOCUMENT
from arkor_dev.local.workers.errors import JobFailure

from .answers import Stopped
from .by_length import batches_by_length, lengths_of
from .halves import judging
from .rates import compare_rates
from .retrieval import TOP, order_figures
from .stage import Judged, Stage, tokens_of
from .words import (
    DIGITS,
    caution,
    counted_rows,
    interval,
    part,
    settled,
    verdict_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import EvaluationMeasure
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.example import Example

    from .answers import MeasuredModel
    from .paired import Comparison

NDCG: Final[EvaluationMeasure] = {"label": f"nDCG@{TOP}", "unit": "", "higher": True}


@runtime_checkable
class Reranker(Protocol):
    """A reranker in training: the objective of ``method = "rerank"``."""

    def relevance(self, rows: Sequence[Example]) -> list[float]:
        """Return each row's logit: the higher, the more relevant."""


@dataclass
class RerankerStage(Stage):
    """As `Stage`, for a reranker: each row counts with the nDCG@10 and the reciprocal rank of its query."""

    def prepare(self) -> None:
        """Determine what must be measured: every row once."""
        self.measure = NDCG
        self.to_read, self._total = tokens_of(self.held_out), len(self.held_out)

    def warm_cache(self, base: object) -> None:
        """Do nothing: there are no figures of the base."""

    def run(self, adapter: MeasuredModel | Reranker, base: object, report: object = None) -> Judged:
        """Measure the ``adapter``, a `Reranker`, and compare it with the order of the rows.

        Raises :class:`Stopped`, and :class:`JobFailure` for a logit that is not a number.
        """
        assert isinstance(adapter, Reranker)
        self.prepare()
        logits = self._relevance(adapter)
        by_query: dict[str, list[int]] = {}
        for place, row in enumerate(self.rows):
            by_query.setdefault(row.text or "", []).append(place)
        before, after = np.zeros((2, 2, len(self.rows)))
        top: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for places in by_query.values():
            ranked = sorted(places, key=lambda place: -logits[place])
            for figures, order, first in ((before, places, top[0]), (after, ranked, top[1])):
                scores = [self.held_out[place].score or 0.0 for place in order]
                figures[:, places] = np.array(order_figures(scores))[:, None]
                first |= {self.rows[place].where: self.rows[order[0]].extra[DOCUMENT] for place in places}
        compared = replace(
            compare_rates(before[0].tolist(), after[0].tolist(), self.groups, self.margin, self.chose),
            higher=NDCG["label"],
        )
        mrr = [float(np.mean(judging(self.chose, values[1].tolist()))) for values in (before, after)]
        task = part(self.called, compared, self._sentence(compared, mrr, len(by_query)))
        task["measure"] = NDCG
        task["reranked"] = {
            "queries": len(by_query),
            "mrr": {"base": round(mrr[0], DIGITS), "adapter": round(mrr[1], DIGITS)},
        }
        evaluation = self._of_task(task, compared)
        self._generated = top
        losses = [(-values[0]).tolist() for values in (before, after)]
        rows = list(self._measured_rows(*losses))
        return Judged(evaluation, rows, self._scores(losses[1], self.margin), [])

    def _sentence(self, compared: Comparison, mrr: Sequence[float], queries: int) -> str:
        """Describe the result with its figures."""
        own, start = compared.measured[1], compared.measured[0]
        rows = f"{counted_rows(compared, 'held-out row')} of {queries:,} queries"
        sentence = (
            f"Your task: {verdict_words(compared)}, nDCG@{TOP} {own:.2f} vs. {start:.2f} in the order of the "
            f"rows, as the base cannot rank, on {rows}{interval(compared)}; mean reciprocal rank "
            f"{mrr[1]:.2f} vs. {mrr[0]:.2f}."
        )
        return sentence if self.dry else sentence + caution(compared) + settled(compared)

    def _relevance(self, adapter: Reranker) -> list[float]:
        """Return the logit of each held-out row."""
        found = [0.0] * len(self.held_out)
        for numbers in batches_by_length(lengths_of(self.held_out), self.batch):
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, self._total, "rows")
            batch = [self.held_out[number] for number in numbers]
            for number, logit in zip(numbers, adapter.relevance(batch), strict=True):
                if not math.isfinite(logit):
                    raise JobFailure("The relevance of a row is not a number")
                found[number] = logit
            self._done += len(batch)
            self.to_read -= tokens_of(batch)
        self.progress("Evaluating", self._total, self._total, "rows")
        return found

    def _texts_of(self, row: Row) -> tuple[str, str]:
        return row.text or "", row.extra[DOCUMENT]

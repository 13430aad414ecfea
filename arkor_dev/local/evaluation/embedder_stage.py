"""Measures an embedder and its base on the held-out rows: the last stage of its job, or on later request.

Each held-out anchor searches among all held-out documents and those of a corpus, if the job names one; the
rows with the same anchor say which are right.
With scores, the measure is Spearman's rank correlation of the pairs' cosines with them. The base is the same
model with the adapter off, with the same pooling and prompts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from arkor_dev.data.text_pairs import POSITIVE
from arkor_dev.local.workers.errors import JobFailure

from .answers import Stopped
from .by_length import batches_by_length
from .halves import judging
from .paired import Comparison, compare
from .rates import compare_rates
from .retrieval import RECALLS, TOP, found, spearman_by_row
from .stage import Judged, Stage
from .words import DIGITS, beside_base, part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.contract.shapes import EvaluationMeasure, EvaluationRetrieved
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.example import Example

    from .answers import MeasuredModel
    from .paired import Real
    from .retrieval import RetrievalScores, Vectors

NDCG: Final[EvaluationMeasure] = {"label": f"nDCG@{TOP}", "unit": "", "higher": True}
SPEARMAN: Final[EvaluationMeasure] = {"label": "Rank correlation", "unit": "", "higher": True}


@runtime_checkable
class EmbedderModel(Protocol):
    """An embedder in training: the objective of ``method = "embed"``."""

    def vectors(self, sequences: Sequence[Example]) -> Vectors:
        """Return the embeddings of encoded texts, of length 1, ``[texts, size]``."""


class _Measured(NamedTuple):
    """One model's figure on each row, what its queries found, and the text that each found first."""

    values: Real
    found: RetrievalScores | None
    first: dict[str, str]


@dataclass
class EmbedderStage(Stage):
    """As `Stage`, for an embedder: there are no general questions, and no answers but the documents.

    ``corpus`` are more documents to search, encoded, and ``texts`` the same as text.
    """

    corpus: Sequence[Example] = ()
    texts: Sequence[str] = ()

    def prepare(self) -> None:
        """Determine what must be measured: every text once, by both models."""
        self._scored = self.held_out[0].score is not None
        self.measure = SPEARMAN if self._scored else NDCG
        self._queries, self._query_of = _distinct(example.ids for example in self.held_out)
        own = [sequence for example in self.held_out for sequence in example.others]
        documents = [*own, *self.corpus]
        self._documents, places = _distinct(document.ids for document in documents)
        numbers = iter(places)
        self._documents_of = [[next(numbers) for _ in example.others] for example in self.held_out]
        self._corpus_places = list(numbers)
        self._texts = [*_with_ids(self._queries, self.held_out), *_with_ids(self._documents, documents)]
        self.to_read = 2 * sum(len(text.ids) for text in self._texts)
        self._done, self._total = 0, 2 * len(self._texts)

    def warm_cache(self, base: object) -> None:
        """Do nothing: the base is measured with the adapter."""

    def run(
        self,
        adapter: MeasuredModel | EmbedderModel,
        base: AbstractContextManager[MeasuredModel | EmbedderModel],
        report: object = None,
    ) -> Judged:
        """Measure both models, each an `EmbedderModel`, and compare them.

        Raises :class:`Stopped`, and :class:`JobFailure` for vectors that are not numbers.
        """
        self.prepare()
        after = self._measured(adapter)
        with base as model:
            before = self._measured(model)
        compared = self._paired(before.values, after.values)
        assert self.measure
        task = part(self.called, compared, self._sentence(compared, after.found))
        task["measure"] = self.measure
        if before.found and after.found:
            task["retrieved"] = self._figures(before.found, after.found)
        evaluation = self._of_task(task, compared)
        self._generated = before.first, after.first
        losses = [(-measured.values).tolist() for measured in (before, after)]
        rows = list(self._measured_rows(*losses))
        return Judged(evaluation, rows, self._scores(losses[1], self.margin), [])

    def _paired(self, before: Real, after: Real) -> Comparison:
        if self._scored:
            losses = [(-values).tolist() for values in (before, after)]
            turned = compare(losses[0], losses[1], self.groups, self.margin, chose=self.chose)
        else:
            turned = compare_rates(before.tolist(), after.tolist(), self.groups, self.margin, self.chose)
        return replace(turned, higher=self._higher)

    def _sentence(self, compared: Comparison, after: RetrievalScores | None) -> str:
        """Describe the result with its figures, and among how many documents the queries searched."""
        sentence = beside_base(self.called, compared, dry=self.dry)
        if after is None:
            return sentence
        shares = [float(np.mean(judging(self.chose, recall.tolist()))) for recall in after.recalls]
        recalls = ", ".join(f"{share:.2f} at {k}" for k, share in zip(RECALLS, shares, strict=True))
        return f"{sentence} Recall among {len(self._documents):,} documents: {recalls}."

    def _figures(self, before: RetrievalScores, after: RetrievalScores) -> EvaluationRetrieved:
        """Return the contract's figures: means over the rows that judge."""

        def mean(values: Real) -> float:
            return round(float(np.mean(judging(self.chose, values.tolist()))), DIGITS)

        return {
            "queries": len(self._queries),
            "documents": len(self._documents),
            "mrr": {"base": mean(before.mrr), "adapter": mean(after.mrr)},
            "recall": [
                {"k": k, "base": mean(base), "adapter": mean(adapter)}
                for k, base, adapter in zip(RECALLS, before.recalls, after.recalls, strict=True)
            ],
        }

    def _measured(self, model: MeasuredModel | EmbedderModel) -> _Measured:
        """Measure one model. Raises :class:`Stopped`."""
        assert isinstance(model, EmbedderModel)
        vectors = self._vectors(model)
        queries, documents = vectors[: len(self._queries)], vectors[len(self._queries) :]
        if self._scored:
            own = documents[[places[0] for places in self._documents_of]]
            cosines = (queries[self._query_of] * own).sum(1).astype(float)
            scores = np.array([example.score for example in self.held_out], dtype=float)
            return _Measured(spearman_by_row(cosines, scores), None, {})
        right: list[set[int]] = [set() for _ in self._queries]
        texts = [""] * len(self._documents)
        for place, text in zip(self._corpus_places, self.texts, strict=True):
            texts[place] = text
        for query, places, row in zip(self._query_of, self._documents_of, self.rows, strict=True):
            right[query].add(places[0])
            for place, text in zip(places, _documents_in(row), strict=True):
                texts[place] = text
        of_queries = found(queries, documents, right)
        places = self._query_of
        by_row = replace(
            of_queries,
            ndcg=of_queries.ndcg[places],
            mrr=of_queries.mrr[places],
            recalls=tuple(recall[places] for recall in of_queries.recalls),
        )
        first = {
            row.where: texts[of_queries.first[query]] for row, query in zip(self.rows, places, strict=True)
        }
        return _Measured(by_row.ndcg, by_row, first)

    def _vectors(self, model: EmbedderModel) -> Vectors:
        """Return the vectors of all texts, ``[texts, size]``. Raises :class:`Stopped`."""
        parts: list[Vectors] = [np.empty(0)] * len(self._texts)
        for numbers in batches_by_length([len(text.ids) for text in self._texts], self.batch):
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, self._total, "texts")
            batch = [self._texts[number] for number in numbers]
            for number, vector in zip(numbers, model.vectors(batch), strict=True):
                parts[number] = vector
            self._done += len(batch)
            self.to_read -= sum(len(text.ids) for text in batch)
        self.progress("Evaluating", self._done, self._total, "texts")
        vectors = np.stack(parts)
        if not np.isfinite(vectors).all():
            raise JobFailure("The embedding of a text is not a number")
        return vectors

    def _texts_of(self, row: Row) -> tuple[str, str]:
        return row.text or "", row.extra[POSITIVE]


def _documents_in(row: Row) -> list[str]:
    return [row.extra[name] for name in ("positive", "negative") if name in row.extra]


def _distinct(texts: Iterable[Sequence[int]]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return the distinct ``texts`` in their order, and the number of each text among them."""
    numbers: dict[tuple[int, ...], int] = {}
    places = [numbers.setdefault(tuple(ids), len(numbers)) for ids in texts]
    return list(numbers), places


def _with_ids(wanted: Sequence[tuple[int, ...]], examples: Iterable[Example]) -> list[Example]:
    """Return one of ``examples`` for each of the ``wanted`` token ids, in their order."""
    by_ids = {tuple(example.ids): example for example in examples}
    return [by_ids[ids] for ids in wanted]

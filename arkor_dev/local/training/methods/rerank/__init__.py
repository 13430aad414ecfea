"""Reranking: a new head on a pair's hidden states learns how relevant a document is to a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.data.relevance import DOCUMENT
from arkor_dev.data.text_pairs import SCORE
from arkor_dev.local.evaluation.reranker_stage import RerankerStage
from arkor_dev.local.modeling.chat_template import Rendering
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.modeling.reranker import RELEVANCE
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.interface import Method
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding

    from .loss import RerankerLoss


class Reranking(Method):
    """Learns from pairs of a query and a document, as sentence-transformers' ``CrossEncoder`` does."""

    measure = MethodFigure("loss", "Binary cross entropy", "nats per row")
    learns = "texts"
    answers = False
    encoders = True
    stage = RerankerStage

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for settings that have no effect, and for full fine-tuning."""
        if settings.get("fullFineTuning"):
            raise JobFailure("rerank trains an adapter with a head: remove full_fine_tuning")
        if settings.get("labelSmoothingFactor"):
            raise JobFailure("rerank learns scores, which need no smoothing: remove label_smoothing_factor")
        if settings.evaluations:
            raise JobFailure(
                "[[evaluation]] sets score answers, and a reranker gives none: remove them, or set "
                "eval_dataset to queries and documents"
            )

    def check_rows(self, rows: Sequence[Row], settings: EffectiveSettings) -> None:
        """Raise JobFailure if all rows are equally relevant."""
        scores = {row.extra[SCORE] for row in rows}
        if len(scores) == 1 and not settings.get("dryRun"):
            raise JobFailure(
                f"All {len(rows):,} rows have the relevance {scores.pop():g}, so there is nothing to tell "
                "apart: add documents that are not relevant, or that are"
            )

    def classes(self, train: Sequence[Row], held_out: Sequence[Row], settings: EffectiveSettings) -> Classes:
        """Return the head's only output."""
        return Classes((RELEVANCE,), (len(train),))

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return query and document, none of whose own tokens is learned."""
        return [Rendering(text, []) for text in (row.text or "", row.extra[DOCUMENT])], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the pair's tokens, as the tokenizer joins two texts, followed by one that is never read."""
        query, document = row.text, row.extra[DOCUMENT]
        whole: list[int] = tokenizer(query, document)["input_ids"]
        pair = tokenizer(query, document, truncation=True, max_length=encoding.longest - 1)
        ids, types = pair["input_ids"], pair.get("token_type_ids", ())
        if not ids:
            raise JobFailure(f"{row.where}: the tokenizer drops both texts: remove the row")
        labels = [*[IGNORED] * len(ids), ids[-1]]
        second = types.index(1) if 1 in types else None
        score = row.extra[SCORE]
        example = Example([*ids, ids[-1]], labels, row.where, counts=1, score=score, second=second)
        return [example], len(ids) < len(whole)

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> RerankerLoss:
        """Return the head's binary cross entropy."""
        from .loss import RerankerLoss

        return RerankerLoss(model, device, dtype, examples, noisy=plan.noise > 0)


METHOD = Reranking()

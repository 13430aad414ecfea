"""Embedding: texts that belong together get similar vectors, pooled from the last hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.settings.embedding import COSINE, LAST, RANKING, SCORED
from arkor_dev.data.text_pairs import NEGATIVE, POSITIVE, SCORE
from arkor_dev.local.evaluation.embedder_stage import EmbedderStage
from arkor_dev.local.modeling.chat_template import Rendering
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY
from arkor_dev.local.modeling.example import IGNORED, Example
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

    from .loss import EmbedderLoss


class Embedding(Method):
    """Learns from pairs of texts, as sentence-transformers' ``SentenceTransformerTrainer`` does."""

    measure = MethodFigure("loss", "Loss of a batch")
    learns = "texts"
    answers = False
    in_batch = True
    encoders = True
    stage = EmbedderStage

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for settings that would change what is learned, or have no effect."""
        if settings.get("fullFineTuning"):
            raise JobFailure("embed trains an adapter: remove full_fine_tuning")
        if settings.get("packing"):
            raise JobFailure(
                "embed compares each row with the others of its batch, and packs of rows have no fixed "
                "number of them: remove packing"
            )
        if (settings.get("workers") or 1) > 1:
            raise JobFailure(
                "embed compares each row with the others of its whole batch, so it trains on one worker: "
                "remove workers"
            )
        if settings.get("labelSmoothingFactor"):
            raise JobFailure("embed learns no labels: remove label_smoothing_factor")
        if settings.evaluations:
            raise JobFailure(
                "[[evaluation]] sets score answers, and an embedder gives none: remove them, or set "
                "eval_dataset to pairs of texts"
            )

    def check_rows(self, rows: Sequence[Row], settings: EffectiveSettings) -> None:
        """Raise JobFailure for rows with and without scores together, and for those of another loss."""
        scored = [row for row in rows if SCORE in row.extra]
        if scored and len(scored) < len(rows):
            other = next(row for row in rows if SCORE not in row.extra)
            raise JobFailure(
                f"{scored[0].where} has a score, and {other.where} has none: train on rows of one kind"
            )
        loss = settings.get("loss", SCORED[0] if scored else RANKING)
        if scored and loss == RANKING:
            raise JobFailure(
                f'The rows have scores, and loss = "{loss}" learns from pairs without: set loss = '
                f'"{SCORED[0]}", or remove loss'
            )
        if not scored and loss in SCORED:
            raise JobFailure(
                f'loss = "{loss}" learns from scores, and the rows have none: add a column score, or remove '
                "loss"
            )
        if loss == COSINE and (far := next((row for row in scored if abs(row.extra[SCORE]) > 1), None)):
            raise JobFailure(
                f"{far.where}: the score {far.extra[SCORE]:g} is not a cosine, which lies between -1 and 1: "
                f'scale the scores, or set loss = "{SCORED[0]}", which learns from their order'
            )
        if loss == RANKING and settings.get("batchSize") < 2:
            raise JobFailure(
                f"{loss} takes negatives from the other rows of a batch: set batch_size to 2 or more"
            )
        settings.override("loss", loss)

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the texts with their prompts, none of whose own tokens is learned."""
        return [Rendering(text, []) for text in texts_of(row, encoding)], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return one example: the anchor, with the positive and perhaps a negative as its other sequences.

        Each text is followed by a token that is never read. The labels mark the tokens whose hidden states
        are pooled, as a position's label belongs to the hidden state before it.
        """
        sequences = []
        truncated = False
        for text in texts_of(row, encoding):
            # The tokenizer itself truncates, so that an encoder's text keeps the token at its end.
            whole: list[int] = tokenizer(text)["input_ids"]
            ids = tokenizer(text, truncation=True, max_length=encoding.longest - 1)["input_ids"]
            if not ids:
                raise JobFailure(f"{row.where}: the tokenizer drops a whole text: remove the row")
            truncated |= len(ids) < len(whole)
            labels = [IGNORED] * len(ids) if encoding.embedder.pooling == LAST else [IGNORED, *ids[1:]]
            sequences.append(Example([*ids, ids[-1]], [*labels, ids[-1]]))
        anchor, *others = sequences
        example = Example(
            anchor.ids, anchor.labels, row.where, others=tuple(others), counts=1, score=row.extra.get(SCORE)
        )
        return [example], truncated

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> EmbedderLoss:
        """Return the loss of the plan's name."""
        from .loss import EmbedderLoss

        return EmbedderLoss(model, device, dtype, examples, plan)


def texts_of(row: Row, encoding: Encoding) -> list[str]:
    """Return a row's anchor, positive and negative, if any, each with its prompt."""
    embedder = encoding.embedder
    others = [row.extra[name] for name in (POSITIVE, NEGATIVE) if name in row.extra]
    return [
        embedder.prompted(row.text or "", QUERY),
        *(embedder.prompted(text, DOCUMENT) for text in others),
    ]


METHOD = Embedding()

"""Losses of embedders. They equal those of sentence-transformers, which the tests compare them with.

MultipleNegativesRankingLoss: Henderson et al., Efficient Natural Language Response Suggestion for Smart
Reply, 2017. CoSENTLoss: Huang et al., CoSENT: Consistent Sentence Embedding via Similarity Ranking, 2024.
MatryoshkaLoss: Kusupati et al., Matryoshka Representation Learning, 2022.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, normalize

from arkor_dev.contract.settings.embedding import COSINE, RANKING, SCORED
from arkor_dev.local.modeling.embedder import Embedder
from arkor_dev.local.training.objective import Objective, probe
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan


class EmbedderLoss(Objective):
    """The loss of a batch. Its weight in means is the number of its rows.

    In-batch negatives come from the same batch only: with gradient accumulation, a step has several.
    """

    def __init__(
        self, model: Module, device: str, dtype: torch.dtype, rows: Sequence[Example], plan: Plan
    ) -> None:
        super().__init__(model, device, dtype, rows, noisy=plan.noise > 0)
        texts = probe(rows)
        if not self.encoder and not self.is_headless(texts, self.logits(texts)[0]):
            raise JobFailure(
                "This model changes what its output layer computes, so its hidden states cannot be read: "
                "choose another base"
            )
        settings = plan.method
        scored = rows[0].score is not None
        self._kind = settings["loss"] or (SCORED[0] if scored else RANKING)
        self._scale = settings["scale"]
        size = self._inner.config.get_text_config().hidden_size
        dimensions = settings["matryoshkaDims"] or []
        shorter = {dimensions} if isinstance(dimensions, int) else set(dimensions)
        if shorter and max(shorter) > size:
            raise JobFailure(
                f"matryoshka_dims: this model's embeddings have {size} numbers, so {max(shorter)} is too many"
            )
        self._dimensions = sorted({size, *shorter}, reverse=True)
        self._embedder = Embedder(
            settings["poolingMode"],
            settings["queryPrompt"] or "",
            settings["documentPrompt"] or "",
            tuple(sorted({size, *shorter})),
        )

    def embeddings(self, sequences: Sequence[Example]) -> Tensor:
        """Return the pooled hidden states of ``sequences``, ``[sequences, size]`` in float32."""
        if self.encoder:
            return self._encoded(sequences)
        hidden, _, _ = self.before_head(sequences)
        by_text = hidden.float().split([sequence.learned for sequence in sequences])
        return torch.stack([states.mean(0) for states in by_text])

    def _encoded(self, sequences: Sequence[Example]) -> Tensor:
        """Return `embeddings` by an encoder."""
        vectors: dict[int, Tensor] = {}
        for numbers, output, mask in self.encoded(sequences):
            pooled = self._embedder.pooled(output.last_hidden_state.float(), mask.sum(1))
            vectors |= zip(numbers, pooled, strict=True)
        return torch.stack([vectors[number] for number in range(len(sequences))])

    def vectors(self, sequences: Sequence[Example]) -> Tensor:
        """Return the embeddings of ``sequences`` in evaluation mode, of length 1: an array
        ``[sequences, size]`` of float32.
        """
        with self._evaluating():
            return normalize(self.embeddings(sequences), dim=-1).cpu().numpy()

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, int]:
        """Return the loss of ``rows`` times their number, and that number."""
        return self._losses(rows).sum(), len(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's loss among ``rows``, with weight 1; with CoSENT, all have that of the batch."""
        with self._evaluating():
            return [(loss, 1) for loss in self._losses(rows).tolist()]

    def save(self, folder: Path) -> None:
        """Write how texts are pooled beside the adapter in ``folder``."""
        self._embedder.write(folder)

    def _losses(self, rows: Sequence[Example]) -> Tensor:
        """Return each row's loss, ``[rows]``, summed over the sizes of embeddings."""
        whole = self.embeddings([sequence for row in rows for sequence in row.sequences])
        counts = [len(row.sequences) for row in rows]
        starts = [sum(counts[:row]) for row in range(len(rows))]
        negatives = [start + 2 for start, count in zip(starts, counts, strict=True) if count > 2]
        documents = [start + 1 for start in starts] + negatives
        losses = []
        for size in self._dimensions:
            vectors = normalize(whole[:, :size], dim=-1)
            queries = vectors[starts]
            if self._kind == RANKING:
                losses.append(self._ranking(queries @ vectors[documents].T, rows))
            else:
                losses.append(self._of_scores((queries * vectors[documents]).sum(-1), rows))
        return torch.stack(losses).sum(0)

    def _ranking(self, cosines: Tensor, rows: Sequence[Example]) -> Tensor:
        """Return the cross entropy of each row's positive among all documents.

        ``cosines`` are ``[rows, documents]``: the rows' positives, then their negatives. Another row's
        positive is no negative if it, or its anchor, is the same text.
        """
        same = [
            [
                row != other and (one.others[0].ids == another.others[0].ids or one.ids == another.ids)
                for other, another in enumerate(rows)
            ]
            + [False] * (cosines.shape[1] - len(rows))
            for row, one in enumerate(rows)
        ]
        scores = (self._scale * cosines).masked_fill(torch.tensor(same, device=cosines.device), -math.inf)
        return cross_entropy(scores, torch.arange(len(rows), device=scores.device), reduction="none")

    def _of_scores(self, cosines: Tensor, rows: Sequence[Example]) -> Tensor:
        """Return each row's loss from the cosine of its two texts, ``[rows]``."""
        scores = cosines.new_tensor([row.score or 0.0 for row in rows])
        if self._kind == COSINE:
            return (cosines - scores) ** 2
        scaled = self._scale * cosines
        # Every pair of rows whose cosines should be in the order of their scores.
        apart = (scaled[:, None] - scaled[None, :])[scores[:, None] < scores[None, :]]
        return torch.cat([apart.new_zeros(1), apart]).logsumexp(0).expand(len(rows))

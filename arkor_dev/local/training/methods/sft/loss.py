"""Cross entropy, with label smoothing, and with the loss of replayed rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.local.cpu_kernels.cross_entropy import summed_cross_entropy, summed_divergence
from arkor_dev.local.cpu_kernels.head import fused_cross_entropies
from arkor_dev.local.modeling.example import Batches, weight_of
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.objective import Objective, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.replay.rows import Replay
    from arkor_dev.local.training.run_context import RunContext

HELD: Final = 64 * 2**20
"""Maximum bytes for the base's results on replayed rows; anything beyond is recomputed at each step."""
TOGETHER: Final = 16
"""Batch size when the base reads rows."""


class CrossEntropy(Objective):
    """Cross entropy of the learned tokens. A row's weight is their number, or the sum of their weights.

    During training, ``smoothing`` of each token's probability is spread over all tokens (label smoothing);
    evaluations stay comparable without it. A run's replayed rows may add a divergence penalty.
    """

    def __init__(
        self,
        model: Module,
        device: str,
        dtype: torch.dtype,
        rows: Sequence[Example],
        smoothing: float = 0.0,
        *,
        noisy: bool = False,
    ) -> None:
        super().__init__(model, device, dtype, rows, noisy=noisy)
        self._smoothing = smoothing
        self._penalized: Replay | None = None
        self._scale = 1.0
        self._divergences: list[Tensor] = []
        self._of_replayed: Tensor | float = 0.0
        self._of_base: dict[tuple[int, ...], Tensor] = {}

    def join(self, run: RunContext) -> None:
        """Take the run's replayed rows if their divergence is penalized."""
        self._penalized = run.replay if run.replay and run.replay.base_kl else None

    def updates(self, step: int, batches: Batches) -> Iterator[Batches]:
        """See :meth:`Objective.updates`; also record the divisor of the step's penalty."""
        if self._penalized:
            self._scale = weight_of(batches) * self._penalized.penalty(batches)
        yield batches

    def more_figures(self) -> list[MethodFigure]:
        """See :meth:`Objective.more_figures`."""
        return [MethodFigure("baseKl", "KL from the base", "nats per token")] if self._penalized else []

    def figures(self) -> dict[str, float]:
        """Return the mean divergence from the base per token of replayed answers."""
        noted, self._divergences = self._divergences, []
        if not noted:
            return {}
        sums, counts = zip(*noted, strict=True)
        return {"baseKl": float(torch.stack(sums).sum()) / sum(counts)}

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the cross entropy summed over the learned tokens of ``rows``, and their weight."""
        smoothing = self._smoothing if self.model.training else 0.0
        rows = sorted(rows, key=lambda row: row.replayed)
        replayed = [row for row in rows if row.replayed]
        # Must run first: the layers' backward pass uses their most recent batch.
        known = self._known(replayed) if self._penalized and replayed else None
        values, head, targets = self.before_head(rows) if self.fused else self._after_head(rows)
        last = sum(row.learned for row in replayed)
        first = len(targets) - last
        loss = self._of_replayed = 0.0
        if last:
            values, replayed_values = values.split([first, last])
            replay_loss = self._replay_loss(
                replayed_values, head, targets[first:], known, smoothing, weight_of([replayed]) > 0
            )
            loss, self._of_replayed = replay_loss, replay_loss.detach()
        if first or not last:  # if all rows of a batch are left out, its loss is zero
            own = [row for row in rows if not row.replayed]
            loss = loss + self._summed(values, head, targets[:first], smoothing, self._weights(own))
        return loss, weight_of([rows])

    def one_pass(self, rows: Sequence[Example]) -> bool:
        """See :meth:`Objective.one_pass`: a penalty on replayed rows takes one more, of the base."""
        return self._passes_once(rows) and not self._penalized

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        return self.cross_entropy(rows)

    def _weights(self, rows: Sequence[Example]) -> Tensor | None:
        """Return the weights of the learned tokens of ``rows``, ``[learned]``, or None if all are 1."""
        if all(row.weights is None for row in rows):
            return None
        return torch.tensor([weight for row in rows for weight in row.learned_weights], device=self.device)

    def of_replayed(self) -> Tensor | float:
        """See :meth:`Objective.of_replayed`."""
        return self._of_replayed

    def keep_base_states(self, rows: Sequence[Example], stopped: Callable[[], bool]) -> bool:
        """Keep the base's last hidden states for ``rows``, up to a limit, if their divergence is penalized.

        The output layer turns them into logits when needed: these would take a hundred times the memory.
        """
        size = 0
        if not self._penalized or not rows:
            return True
        if not self.fused:
            probe_rows = probe(rows)
            with self._as_base():
                if not self.is_headless(probe_rows, self.logits(probe_rows)[0]):
                    return True
        for start in range(0, len(rows), TOGETHER):
            chunk = rows[start : start + TOGETHER]
            if stopped():
                return False
            with self._as_base():
                states = self.before_head(chunk)[0]
            size += states.numel() * states.element_size()
            if size > HELD:
                break
            parts = states.split([row.learned for row in chunk])
            self._of_base |= {tuple(row.ids): part for row, part in zip(chunk, parts, strict=True)}
        return True

    def _known(self, rows: Sequence[Example]) -> Tensor:
        """Return the base's logits for ``rows``, ``[learned, words]``."""
        states_of_rows = [self._of_base.get(tuple(row.ids)) for row in rows]
        if any(states is None for states in states_of_rows):
            with self._as_base():
                return self.logits(rows)[0]
        head = self._inner.get_output_embeddings()
        with torch.no_grad(), self.autocast():
            return head(torch.cat(states_of_rows).to(head.weight.dtype))

    @contextmanager
    def _as_base(self) -> Iterator[None]:
        """Make the model compute as its base, by switching its adapter off."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), switched_off(self.model):
                yield
        finally:
            self.model.train(training)

    def _after_head(self, rows: Sequence[Example]) -> tuple[Tensor, None, Tensor]:
        """Return :meth:`logits` in the form of :meth:`before_head`."""
        logits, targets = self.logits(rows)
        return logits, None, targets

    def _summed(
        self,
        values: Tensor,
        head: Module | None,
        targets: Tensor,
        smoothing: float,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the summed cross entropy of the logits ``values``, or those of ``head`` on them; each
        token's is multiplied by its ``weights``.
        """
        if head is None:
            return summed_cross_entropy(values, targets, smoothing, weights)
        with self.autocast():
            losses = fused_cross_entropies(values, head, targets, smoothing)
        return (losses if weights is None else losses * weights).sum()

    def _replay_loss(
        self,
        values: Tensor,
        head: Module | None,
        targets: Tensor,
        known: Tensor | None,
        smoothing: float,
        learned: bool,
    ) -> Tensor:
        """Return the loss of replayed rows: their cross entropy if ``learned``, plus their divergence from
        the base's logits ``known`` if given.
        """
        loss = self._summed(values, head, targets, smoothing) if learned else 0.0
        if known is None:
            return loss
        with self.autocast():
            logits = values if head is None else head(values.to(head.weight.dtype))
        divergence = summed_divergence(logits, known)
        self._divergences.append((divergence.detach(), len(targets)))
        return loss + self._scale * divergence

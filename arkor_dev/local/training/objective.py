"""Objectives: the base class of every method's loss, and cross entropy.

A batch's rows are packed into one sequence without padding (``cpu_kernels.packing``) if the model supports
it. Otherwise they are padded to the longest, in several rectangles if one would be mostly padding.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from arkor_dev.local.cpu_kernels.attention import CurrentBatch
from arkor_dev.local.cpu_kernels.cross_entropy import (
    cross_entropies,
    summed_cross_entropy,
    summed_divergence,
)
from arkor_dev.local.cpu_kernels.head import (
    can_be_fused,
    fused_cross_entropies,
    headless,
)
from arkor_dev.local.cpu_kernels.packing import pack_rows
from arkor_dev.local.cpu_kernels.patch_model import (
    ALIKE_WHOLE,
    nearly_equal,
    patch_model,
    use_packed_attention,
    use_plain_attention,
)
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.example import IGNORED, Example, weight_of

from .methods.interface import Figure
from .samples.greedy import switched_off

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from .replay.rows import Replay
    from .run import Run

PROBE: Final = 24
"""Length of the rows that test whether a model keeps packed rows apart."""
HELD: Final = 64 * 2**20
"""Maximum bytes for the base's results on replayed rows; anything beyond is recomputed at each step."""
TOGETHER: Final = 16
"""Batch size when the base reads rows."""
MOST_PADDED: Final = 2.0
"""Maximum area of a rectangle, as a multiple of its rows' tokens."""


class Objective(ABC):
    """Computes the loss of ``model``, which runs on ``device`` in ``dtype``.

    ``rows`` are for trial runs. ``noisy``: embeddings get noise during training. ``padded`` is the reason
    that rows are padded, or None if they are packed. ``fused``: the logits of all tokens are never in memory
    at once.

    A training method implements :meth:`__call__` and :meth:`row_losses` using :meth:`logits`; one that
    generates its own training data also implements :meth:`updates`. ``together`` is the minimum number of
    rows measured at once.
    """

    together = 1

    def __init__(
        self, model: Any, device: str, dtype: Any, rows: Sequence[Example], *, noisy: bool = False
    ) -> None:
        self.model, self.device, self._dtype, self._noisy = model, device, dtype, noisy
        self._inner = unwrapped(model)
        self._keeps_logits = "logits_to_keep" in inspect.signature(self._inner.forward).parameters
        self._casts = dtype != torch.float32
        self.padded: str | None = None
        self.fused = False
        self._speed_up(rows)

    @abstractmethod
    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Return the loss summed over ``rows``, a differentiable scalar, and the sum of their weights."""

    @abstractmethod
    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Return each row's summed loss and its weight, in evaluation mode without gradients."""

    def set_reference(self) -> None:  # noqa: B027 - most methods need nothing
        """Use the current model as the reference, for a run that begins with an adapter."""

    def margins(self, rows: Sequence[Example]) -> list[float]:
        """Return each row's preference margin, in evaluation mode, for ``Method.preference``."""
        raise NotImplementedError

    def join(self, run: Run) -> None:  # noqa: B027 - most methods need nothing
        """Take the parts of ``run`` that the method needs besides rows."""

    def updates(self, step: int, batches: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the batches for each update of a step; by default one update on the step's own batches.

        Raises ``evaluation.answers.Stopped`` if the job must end or pause before the first update.
        """
        yield batches

    def keep_base_states(self, rows: Sequence[Example], stopped: Callable[[], bool]) -> bool:
        """Run the base model on the replayed ``rows`` and keep its results; return False if stopped."""
        return True

    def of_replayed(self) -> Any:
        """Return the part of the last loss that came from replayed rows."""
        return 0.0

    def close(self) -> None:  # noqa: B027 - most methods need nothing
        """End what the method has started beside the model; what is still needed starts again."""

    def figures(self) -> dict[str, float]:
        """Return the method's figures since the last call, by their names in ``Method.figures``."""
        return {}

    def more_figures(self) -> list[Figure]:
        """Return figures specific to this job, in addition to its method's."""
        return []

    @property
    def trained_for(self) -> Collection[str]:
        """The names of the evaluation sets whose scores the method optimises."""
        return ()

    def pop_answers(self) -> dict[str, str]:
        """Return the answers generated by :meth:`row_losses` since the last call, by the rows' locations."""
        return {}

    def reads(self, rows: Sequence[Example]) -> int:
        """Return the number of tokens that an update on ``rows`` processes."""
        return sum(row.tokens for row in rows)

    def writes(self, rows: Sequence[Example], *, learning: bool) -> list[tuple[int, int, int]]:
        """Return the batches of answers that are generated before a step on ``rows`` or their evaluation.

        For each batch: the longest prompt in tokens, the number of answers, and the maximum tokens of each.
        """
        return []

    def expected(self, batches: Sequence[Sequence[Example]]) -> Sequence[Sequence[Example]]:
        """Return batches of the size that an update on ``batches`` learns from, for a forecast."""
        return batches

    def cross_entropy(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Return each row's summed cross entropy and its number of learned tokens, regardless of the method.

        Used for general questions. Runs in evaluation mode, without gradients.
        """
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            losses = self.token_losses(rows)
        self.model.train(training)
        counts = [row.learned for row in rows]
        # The logits are in row order. Sum them on the CPU: Apple's GPUs have no float64.
        parts = losses.cpu().double().split(counts)
        return [(float(part.sum()), count) for part, count in zip(parts, counts, strict=True)]

    def token_losses(self, rows: Sequence[Example]) -> Any:
        """Return the cross entropy of each learned token, ``[learned]``, in float32 and in row order."""
        with self._autocast():
            if self.fused:
                return fused_cross_entropies(*self._before_head(rows))
            return cross_entropies(*self.logits(rows))

    def logits(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return the learned tokens of ``rows``, and the logits ``[learned, words]`` for them, logits first.

        Both are in row order. Logits are computed at learned positions only: with a vocabulary of tens of
        thousands, the output layer is a large part of a small model's work.
        """
        if not self.padded:
            return self._packed_logits(rows)
        groups = rectangles([len(row.ids) for row in rows])
        if len(groups) == 1:
            return self._padded_logits(rows)
        by_row: dict[int, tuple[Any, Any]] = {}
        for numbers in groups:
            counts = [rows[number].learned for number in numbers]
            parts = (part.split(counts) for part in self._padded_logits([rows[number] for number in numbers]))
            by_row |= zip(numbers, zip(*parts, strict=True), strict=True)
        logits, targets = zip(*(by_row[number] for number in range(len(rows))), strict=True)
        return torch.cat(logits), torch.cat(targets)

    @contextmanager
    def rounded(self) -> Iterator[Self]:
        """Measure with every layer's output rounded to bfloat16, as if the model computed in bfloat16.

        Models that compute in bfloat16 or float16 are unchanged: a different batch rounds differently anyway.
        """

        def rounding(_: Any, __: Any, value: Any) -> Any:
            if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
                return value.to(torch.bfloat16).float()
            return None

        exact = self._dtype == torch.float32
        hooks = [part.register_forward_hook(rounding) for part in self._inner.modules()] if exact else []
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def answering(self) -> Iterator[Any]:
        """Yield the bare model, ready to generate in the objective's dtype; restore it afterwards."""
        training, packed = self.model.training, not self.padded
        self.model.eval()
        if packed:
            use_plain_attention(self._inner)
        try:
            with torch.no_grad(), self._autocast():
                yield self._inner
        finally:
            if packed:
                use_packed_attention(self._inner)
            self.model.train(training)

    def _speed_up(self, rows: Sequence[Example]) -> None:
        """Pack rows if the model's results agree with padded rows; patch the layers on a CPU."""
        probe = _probe(rows)
        use_plain_attention(self._inner)
        self.model.eval()
        with torch.no_grad():
            known = self._padded_logits(probe)[0]
            if self.device == "cpu" and patch_model(self._inner):
                self._casts = False
            self.padded = use_packed_attention(self._inner)
            if not self.padded and not self._answers_alike(probe, known):
                use_plain_attention(self._inner)
                self.padded = "its layers do not keep packed rows apart"
            # On a CPU, computing few logits at a time costs more than it saves.
            self.fused = self.device != "cpu" and self._is_headless(probe, known)
        self.model.train()

    def _is_headless(self, probe: Sequence[Example], known: Any) -> bool:
        """Return whether ``known``, the logits of ``probe``, are exactly a frozen output layer applied to the
        last hidden states.
        """
        if not can_be_fused(self._inner.get_output_embeddings()):
            return False
        hidden, head, _ = self._before_head(probe)
        CurrentBatch.packed = None  # the probe is over
        return nearly_equal(head(hidden.to(head.weight.dtype)), known, ALIKE_WHOLE)

    def _before_head(self, rows: Sequence[Example]) -> tuple[Any, Any, Any]:
        """Return the output layer's inputs ``[learned, size]``, the layer, and the learned tokens."""
        with headless(self._inner) as head:
            hidden, targets = self.logits(rows)
        return hidden, head, targets

    def _answers_alike(self, probe: Sequence[Example], known: Any) -> bool:
        try:
            return nearly_equal(self._packed_logits(probe)[0], known, ALIKE_WHOLE)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            return False
        finally:
            CurrentBatch.packed = None

    def _packed_logits(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Compute :meth:`logits` for rows packed into one sequence."""
        # Rows that share a prefix would also share the random numbers drawn for it.
        sequences = [(row.ids, row.labels) for row in rows]
        packed = pack_rows(sequences, IGNORED, share=not self._draws(), device=self.device)
        CurrentBatch.packed = packed
        extra = {"logits_to_keep": packed.learned_positions} if self._keeps_logits else {}
        with self._autocast():
            logits = self.model(input_ids=packed.ids, position_ids=packed.positions, **extra).logits
        logits = logits.squeeze(0)  # like `logits[0]`, whose backward pass would copy the gradient into zeros
        return logits if extra else logits[packed.learned_positions], packed.targets

    def _padded_logits(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Compute :meth:`logits` for rows as a padded and masked rectangle."""
        ids, mask, labels = rectangle(rows)
        targets = labels[:, 1:]
        positions = (targets != IGNORED).any(0).nonzero().squeeze(1).to(self.device)
        ids, mask, targets = (tensor.to(self.device) for tensor in (ids, mask, targets))
        extra = {"logits_to_keep": positions} if self._keeps_logits else {}
        with self._autocast():
            logits = self.model(input_ids=ids, attention_mask=mask, **extra).logits
        targets = targets[:, positions]
        learned = targets != IGNORED
        return (logits if extra else logits[:, positions])[learned], targets[learned]

    def _draws(self) -> bool:
        """Return whether the forward pass draws random numbers."""
        return self.model.training and (
            self._noisy
            or any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in self._inner.modules())
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._casts:
            cast: AbstractContextManager[Any] = torch.autocast(self.device, self._dtype)
            return cast
        return nullcontext()


class CrossEntropy(Objective):
    """Cross entropy of the learned tokens. A row's weight is their number.

    During training, ``smoothing`` of each token's probability is spread over all tokens (label smoothing);
    evaluations stay comparable without it. A run's replayed rows may add a divergence penalty.
    """

    def __init__(
        self,
        model: Any,
        device: str,
        dtype: Any,
        rows: Sequence[Example],
        smoothing: float = 0.0,
        *,
        noisy: bool = False,
    ) -> None:
        super().__init__(model, device, dtype, rows, noisy=noisy)
        self._smoothing = smoothing
        self._penalized: Replay | None = None
        self._scale = 1.0
        self._divergences: list[Any] = []
        self._of_replayed: Any = 0.0
        self._of_base: dict[tuple[int, ...], Any] = {}

    def join(self, run: Run) -> None:
        """Take the run's replayed rows if their divergence is penalized."""
        self._penalized = run.replay if run.replay and run.replay.base_kl else None

    def updates(self, step: int, batches: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
        """See :meth:`Objective.updates`; also record the divisor of the step's penalty."""
        if self._penalized:
            self._scale = weight_of(batches) * self._penalized.penalty(batches)
        yield batches

    def more_figures(self) -> list[Figure]:
        """See :meth:`Objective.more_figures`."""
        return [Figure("baseKl", "KL from the base", "nats per token")] if self._penalized else []

    def figures(self) -> dict[str, float]:
        """Return the mean divergence from the base per token of replayed answers."""
        noted, self._divergences = self._divergences, []
        if not noted:
            return {}
        sums, counts = zip(*noted, strict=True)
        return {"baseKl": float(torch.stack(sums).sum()) / sum(counts)}

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Return the cross entropy summed over the learned tokens of ``rows``, and their number."""
        smoothing = self._smoothing if self.model.training else 0.0
        rows = sorted(rows, key=lambda row: row.replayed)
        replayed = [row for row in rows if row.replayed]
        # Must run first: the layers' backward pass uses their most recent batch.
        known = self._known(replayed) if self._penalized and replayed else None
        values, head, targets = self._before_head(rows) if self.fused else self._after_head(rows)
        last = sum(row.learned for row in replayed)
        first = len(targets) - last
        loss = self._of_replayed = 0.0
        if last:
            values, replayed_values = values.split([first, last])
            loss = self._replay_loss(
                replayed_values, head, targets[first:], known, smoothing, weight_of([replayed]) > 0
            )
            self._of_replayed = loss.detach()
        if first or not last:  # if all rows of a batch are left out, its loss is zero
            loss = loss + self._summed(values, head, targets[:first], smoothing)
        return loss, weight_of([rows])

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        return self.cross_entropy(rows)

    def of_replayed(self) -> Any:
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
            probe = _probe(rows)
            with self._as_base():
                if not self._is_headless(probe, self.logits(probe)[0]):
                    return True
        for start in range(0, len(rows), TOGETHER):
            chunk = rows[start : start + TOGETHER]
            if stopped():
                return False
            with self._as_base():
                states = self._before_head(chunk)[0]
            size += states.numel() * states.element_size()
            if size > HELD:
                break
            parts = states.split([row.learned for row in chunk])
            self._of_base |= {tuple(row.ids): part for row, part in zip(chunk, parts, strict=True)}
        return True

    def _known(self, rows: Sequence[Example]) -> Any:
        """Return the base's logits for ``rows``, ``[learned, words]``."""
        states_of_rows = [self._of_base.get(tuple(row.ids)) for row in rows]
        if any(states is None for states in states_of_rows):
            with self._as_base():
                return self.logits(rows)[0]
        head = self._inner.get_output_embeddings()
        with torch.no_grad(), self._autocast():
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

    def _after_head(self, rows: Sequence[Example]) -> tuple[Any, None, Any]:
        """Return :meth:`logits` in the form of :meth:`_before_head`."""
        logits, targets = self.logits(rows)
        return logits, None, targets

    def _summed(self, values: Any, head: Any, targets: Any, smoothing: float) -> Any:
        """Return the summed cross entropy of the logits ``values``, or those of ``head`` on them."""
        if head is None:
            return summed_cross_entropy(values, targets, smoothing)
        with self._autocast():
            return fused_cross_entropies(values, head, targets, smoothing).sum()

    def _replay_loss(
        self, values: Any, head: Any, targets: Any, known: Any, smoothing: float, learned: bool
    ) -> Any:
        """Return the loss of replayed rows: their cross entropy if ``learned``, plus their divergence from
        the base's logits ``known`` if given.
        """
        loss = self._summed(values, head, targets, smoothing) if learned else 0.0
        if known is None:
            return loss
        with self._autocast():
            logits = values if head is None else head(values.to(head.weight.dtype))
        divergence = summed_divergence(logits, known)
        self._divergences.append((divergence.detach(), len(targets)))
        return loss + self._scale * divergence


def rectangles(lengths: Sequence[int]) -> list[list[int]]:
    """Group row indices so that no rectangle is mostly padding: all rows in order, or the longest first.

    One long row among many short ones would make a rectangle up to 38 times as large, mostly padding.
    """
    if len(lengths) * max(lengths) <= MOST_PADDED * sum(lengths):
        return [list(range(len(lengths)))]
    groups: list[list[int]] = []
    tokens = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        tokens += lengths[number]
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= MOST_PADDED * tokens:
            groups[-1].append(number)
        else:
            groups.append([number])
            tokens = lengths[number]
    return groups


def rectangle(rows: Sequence[Example]) -> tuple[Any, Any, Any]:
    """Return ids, mask and labels of padded ``rows``, each ``[rows, longest]``, in CPU memory."""
    ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for index, row in enumerate(rows):
        length = len(row.ids)
        ids[index, :length] = torch.tensor(row.ids)
        mask[index, :length] = 1
        labels[index, :length] = torch.tensor(row.labels)
    return ids, mask, labels


def _probe(rows: Sequence[Example]) -> list[Example]:
    """Return two short rows with a common prefix, of which all tokens are learned."""
    first, last = rows[0].ids[:PROBE], rows[-1].ids[-PROBE // 4 :]
    return [Example(ids, ids) for ids in (first, first[: 3 * PROBE // 4] + last[::-1])]

"""Objectives: the base class of every method's loss.

A batch's rows are packed into one sequence without padding (``cpu_kernels.packing``) if the model supports
it. Otherwise they are padded to the longest, in several rectangles if one would be mostly padding.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Self

import torch

from arkor_dev.local.cpu_kernels.attention import CurrentBatch
from arkor_dev.local.cpu_kernels.cross_entropy import (
    cross_entropies,
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
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.example import IGNORED, Batches, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module

    from .figure import MethodFigure
    from .run_context import RunContext

PROBE: Final = 24
"""Length of the rows that test whether a model keeps packed rows apart."""
MOST_PADDED: Final = 2.0
"""Maximum area of a rectangle, as a multiple of its rows' tokens."""


class Objective(ABC):
    """Computes the loss of ``model``, which runs on ``device`` in ``dtype``.

    ``rows`` are for trial runs. ``noisy``: embeddings get noise during training. ``padded`` is the reason
    that rows are padded, or None if they are packed. ``fused``: the logits of all tokens are never in memory
    at once. ``encoder``: the model is one, and has no output layer.

    A training method implements :meth:`__call__` and :meth:`row_losses` using :meth:`logits`; one that
    generates its own training data also implements :meth:`updates`. ``together`` is the minimum number of
    rows measured at once.
    """

    together = 1

    def __init__(
        self, model: Module, device: str, dtype: torch.dtype, rows: Sequence[Example], *, noisy: bool = False
    ) -> None:
        self.model, self.device, self._dtype, self._noisy = model, device, dtype, noisy
        self._inner = unwrapped(model)
        self.encoder = is_encoder(self._inner.config)
        self._keeps_logits = "logits_to_keep" in inspect.signature(self._inner.forward).parameters
        self._casts = dtype != torch.float32
        self.padded: str | None = None
        self.fused = False
        self._speed_up(rows)

    @abstractmethod
    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the loss summed over ``rows``, a differentiable scalar, and the sum of their weights."""

    @abstractmethod
    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's summed loss and its weight, in evaluation mode without gradients."""

    def one_pass(self, rows: Sequence[Example]) -> bool:
        """Return whether the loss of ``rows`` takes one forward pass of the model, which draws no random
        numbers, and changes nothing that other batches see. The passes of batches may then alternate.
        """
        return False

    def set_reference(self) -> None:  # noqa: B027 - most methods need nothing
        """Use the current model as the reference, for a run that begins with an adapter."""

    def margins(self, rows: Sequence[Example]) -> list[float]:
        """Return each row's preference margin, in evaluation mode, for ``MethodRecord.preference``."""
        raise NotImplementedError

    def join(self, run: RunContext) -> None:  # noqa: B027 - most methods need nothing
        """Take the parts of ``run`` that the method needs besides rows."""

    def updates(self, step: int, batches: Batches) -> Iterator[Batches]:
        """Yield the batches for each update of a step; by default one update on the step's own batches.

        Raises ``evaluation.answers.Stopped`` if the job must end or pause before the first update.
        """
        yield batches

    def keep_base_states(self, rows: Sequence[Example], stopped: Callable[[], bool]) -> bool:
        """Run the base model on the replayed ``rows`` and keep its results; return False if stopped."""
        return True

    def of_replayed(self) -> Tensor | float:
        """Return the part of the last loss that came from replayed rows."""
        return 0.0

    def save(self, folder: Path) -> None:  # noqa: B027 - most methods need nothing
        """Write what the adapter in ``folder`` needs beside its weights."""

    def close(self) -> None:  # noqa: B027 - most methods need nothing
        """End what the method has started beside the model; what is still needed starts again."""

    def state(self) -> dict[str, Tensor]:
        """Return what the method itself changes with each step, for resuming."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most methods have no state
        """Restore what :meth:`state` returned. Raises StateError if it belongs to a different run."""

    def figures(self) -> dict[str, float]:
        """Return the method's figures since the last call, by their names in ``Method.figures``."""
        return {}

    def more_figures(self) -> list[MethodFigure]:
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

    def cross_entropy(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each row's summed cross entropy and its number of learned tokens, regardless of the method;
        both weighted, if its tokens have weights.

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
        summed: list[tuple[float, float]] = []
        for row, part, count in zip(rows, parts, counts, strict=True):
            if row.weights is None:
                summed.append((float(part.sum()), count))
            else:
                weights = torch.tensor(row.learned_weights, dtype=torch.float64)
                summed.append((float(part @ weights), float(weights.sum())))
        return summed

    def token_losses(self, rows: Sequence[Example]) -> Tensor:
        """Return the cross entropy of each learned token, ``[learned]``, in float32 and in row order."""
        with self.autocast():
            if self.fused:
                return fused_cross_entropies(*self.before_head(rows))
            return cross_entropies(*self.logits(rows))

    def logits(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return the learned tokens of ``rows``, and the logits ``[learned, words]`` for them, logits first.

        Both are in row order. Logits are computed at learned positions only: with a vocabulary of tens of
        thousands, the output layer is a large part of a small model's work.
        """
        if not self.padded:
            return self._packed_logits(rows)
        groups = rectangles([len(row.ids) for row in rows])
        if len(groups) == 1:
            return self._padded_logits(rows)
        by_row: dict[int, tuple[Tensor, Tensor]] = {}
        for numbers in groups:
            counts = [rows[number].learned for number in numbers]
            parts = (part.split(counts) for part in self._padded_logits([rows[number] for number in numbers]))
            by_row |= zip(numbers, zip(*parts, strict=True), strict=True)
        logits, targets = zip(*(by_row[number] for number in range(len(rows))), strict=True)
        return torch.cat(logits), torch.cat(targets)

    def encoded(self, rows: Sequence[Example]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Run an encoder on ``rows``, which reads whole padded texts, without the token after them.

        Yield for each rectangle of rows their numbers, the model's output, and the mask ``[rows, longest]``.
        """
        for numbers in rectangles([len(row.ids) for row in rows]):
            texts = [Example(rows[number].ids[:-1], rows[number].labels[:-1]) for number in numbers]
            ids, mask, _ = (tensor.to(self.device) for tensor in rectangle(texts))
            extra = {}
            if any(rows[number].second is not None for number in numbers):
                types = torch.zeros_like(ids)
                for index, number in enumerate(numbers):
                    types[index, rows[number].second or ids.shape[1] :] = 1
                extra["token_type_ids"] = types * mask
            with self.autocast():
                output = self.model(input_ids=ids, attention_mask=mask, **extra)
            yield numbers, output, mask

    def encoder_logits(self, rows: Sequence[Example]) -> Tensor:
        """Return the logits of an encoder's head, ``[rows, classes]`` in float32."""
        by_row: dict[int, Tensor] = {}
        for numbers, output, _ in self.encoded(rows):
            by_row |= zip(numbers, output.logits.float(), strict=True)
        return torch.stack([by_row[number] for number in range(len(rows))])

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Run the model in evaluation mode, without gradients."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            yield
        self.model.train(training)

    @contextmanager
    def rounded(self) -> Iterator[Self]:
        """Measure with every layer's output rounded to bfloat16, as if the model computed in bfloat16.

        Models that compute in bfloat16 or float16 are unchanged: a different batch rounds differently anyway.
        """

        def rounding(_: Module, __: tuple[Tensor, ...], value: object) -> Tensor | None:
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
    def answering(self) -> Iterator[Module]:
        """Yield the bare model, ready to generate in the objective's dtype; restore it afterwards."""
        training, packed = self.model.training, not self.padded
        self.model.eval()
        if packed:
            use_plain_attention(self._inner)
        try:
            with torch.no_grad(), self.autocast():
                yield self._inner
        finally:
            if packed:
                use_packed_attention(self._inner)
            self.model.train(training)

    def _speed_up(self, rows: Sequence[Example]) -> None:
        """Pack rows if the model's results agree with padded rows; patch the layers on a CPU."""
        if self.encoder:
            self.padded = "an encoder reads whole texts"
            self.model.train()
            return
        probe_rows = probe(rows)
        use_plain_attention(self._inner)
        self.model.eval()
        with torch.no_grad():
            known = self._padded_logits(probe_rows)[0]
            if self.device == "cpu" and patch_model(self._inner):
                self._casts = False
            self.padded = use_packed_attention(self._inner)
            if not self.padded and not self._answers_alike(probe_rows, known):
                use_plain_attention(self._inner)
                self.padded = "its layers do not keep packed rows apart"
            # On a CPU, computing few logits at a time costs more than it saves.
            self.fused = self.device != "cpu" and self.is_headless(probe_rows, known)
        self.model.train()

    def is_headless(self, probe: Sequence[Example], known: Tensor) -> bool:
        """Return whether ``known``, the logits of ``probe``, are exactly a frozen output layer applied to the
        last hidden states.
        """
        if not can_be_fused(self._inner.get_output_embeddings()):
            return False
        hidden, head, _ = self.before_head(probe)
        CurrentBatch.packed = None  # the probe is over
        return nearly_equal(head(hidden.to(head.weight.dtype)), known, ALIKE_WHOLE)

    def before_head(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output layer's inputs ``[learned, size]``, the layer, and the learned tokens."""
        with headless(self._inner) as head:
            hidden, targets = self.logits(rows)
        return hidden, head, targets

    def _answers_alike(self, probe: Sequence[Example], known: Tensor) -> bool:
        try:
            return nearly_equal(self._packed_logits(probe)[0], known, ALIKE_WHOLE)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            return False
        finally:
            CurrentBatch.packed = None

    def _packed_logits(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Compute :meth:`logits` for rows packed into one sequence."""
        # Rows that share a prefix would also share the random numbers drawn for it.
        sequences = [(row.ids, row.labels) for row in rows]
        packed = pack_rows(sequences, IGNORED, share=not self._draws(), device=self.device)
        CurrentBatch.packed = packed
        extra = {"logits_to_keep": packed.learned_positions} if self._keeps_logits else {}
        with self.autocast():
            logits = self.model(input_ids=packed.ids, position_ids=packed.positions, **extra).logits
        logits = logits.squeeze(0)  # like `logits[0]`, whose backward pass would copy the gradient into zeros
        return logits if extra else logits[packed.learned_positions], packed.targets

    def _padded_logits(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Compute :meth:`logits` for rows as a padded and masked rectangle."""
        ids, mask, labels = rectangle(rows)
        targets = labels[:, 1:]
        positions = (targets != IGNORED).any(0).nonzero().squeeze(1).to(self.device)
        ids, mask, targets = (tensor.to(self.device) for tensor in (ids, mask, targets))
        extra = {"logits_to_keep": positions} if self._keeps_logits else {}
        with self.autocast():
            logits = self.model(input_ids=ids, attention_mask=mask, **extra).logits
        targets = targets[:, positions]
        learned = targets != IGNORED
        return (logits if extra else logits[:, positions])[learned], targets[learned]

    def _passes_once(self, rows: Sequence[Example]) -> bool:
        """Return whether `logits` of ``rows`` takes one forward pass that draws no random numbers."""
        return not self._draws() and (not self.padded or len(rectangles([len(row.ids) for row in rows])) == 1)

    def _draws(self) -> bool:
        """Return whether the forward pass draws random numbers."""
        return self.model.training and (
            self._noisy
            or bool(getattr(self._inner.config.get_text_config(), "attention_dropout", 0))
            or any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in self._inner.modules())
        )

    def autocast(self) -> AbstractContextManager[object]:
        if self._casts:
            cast: AbstractContextManager[object] = torch.autocast(self.device, self._dtype)
            return cast
        return nullcontext()


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


def rectangle(rows: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
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


def probe(rows: Sequence[Example]) -> list[Example]:
    """Return two short rows with a common prefix, of which all tokens are learned."""
    first, last = rows[0].ids[:PROBE], rows[-1].ids[-PROBE // 4 :]
    return [Example(ids, ids) for ids in (first, first[: 3 * PROBE // 4] + last[::-1])]

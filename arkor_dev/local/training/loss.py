"""What a model is measured by: cross entropy over the tokens that its rows teach.

On a processor the rows of a batch lie end to end in one line (``layers``), where the model's layers allow it:
no place is padding. Elsewhere they lie side by side, each filled up to the longest.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import torch

from arkor_dev.local.layers.attention import Laid
from arkor_dev.local.layers.cross_entropy import cross_entropies, summed_cross_entropy
from arkor_dev.local.layers.line import lay
from arkor_dev.local.layers.quicken import ALIKE_WHOLE, alike, lines_up, quicken, stands_apart
from arkor_dev.local.modeling.base_model import bare

from .rows.encoding import IGNORED, Example

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

PROBE: Final = 24
"""Tokens of each row that shows whether a model keeps rows apart."""


class Loss:
    """Measures ``model``, which computes on ``device`` in the number format ``dtype``.

    ``rows`` are some to try it on. While the model trains, ``smoothing`` of each token's probability is
    wanted of all tokens alike; what is measured apart from training stays comparable. ``noisy``: what the
    model reads is blurred then. ``padded`` is why rows are filled up to the longest, or None where they are
    not.
    """

    def __init__(
        self,
        model: Any,
        device: str,
        dtype: Any,
        rows: Sequence[Example],
        smoothing: float = 0.0,
        noisy: bool = False,
    ) -> None:
        self.model, self.device, self._dtype = model, device, dtype
        self._smoothing, self._noisy = smoothing, noisy
        self._inner = bare(model)
        self._keeps_logits = "logits_to_keep" in inspect.signature(self._inner.forward).parameters
        self._casts = dtype != torch.float32
        self.padded: str | None = "this device has layers of its own for that"
        if device == "cpu":
            self._quicken(rows)

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Summed cross entropy of the learned tokens of ``rows``, a scalar, and their number.

        Logits are computed only at places that are learned: with a vocabulary of tens of thousands, the
        output layer is a large part of a small model's work.
        """
        logits, targets = self._side_by_side(rows) if self.padded else self._end_to_end(rows)
        smoothing = self._smoothing if self.model.training else 0.0
        return summed_cross_entropy(logits, targets, smoothing), len(targets)

    def each(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Of each of ``rows`` the summed cross entropy, and the number of its learned tokens."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            logits, targets = self._side_by_side(rows) if self.padded else self._end_to_end(rows)
            losses = cross_entropies(logits, targets)
        self.model.train(training)
        counts = [sum(label != IGNORED for label in row.labels[1:]) for row in rows]
        parts = losses.double().split(counts)  # both ways have the places row by row
        return [(float(part.sum()), count) for part, count in zip(parts, counts, strict=True)]

    @contextmanager
    def rounded(self) -> Iterator[Loss]:
        """Measure with what every layer gives rounded to bfloat16, as if computed in it.

        A model that computes in bfloat16 or float16 stays as it is: other batches round it in other places.
        """

        def rounding(_: Any, __: Any, given: Any) -> Any:
            if isinstance(given, torch.Tensor) and given.dtype == torch.float32:
                return given.to(torch.bfloat16).float()
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
        """The bare model, ready to write answers in the number format of the loss; then it is as it was."""
        training, in_line = self.model.training, not self.padded
        self.model.eval()
        if in_line:
            stands_apart(self._inner)
        try:
            with torch.no_grad(), self._autocast():
                yield self._inner
        finally:
            if in_line:
                lines_up(self._inner)
            self.model.train(training)

    def _quicken(self, rows: Sequence[Example]) -> None:
        """Take the quick layers, and lines where the model answers to them as it does to padded rows."""
        some = _probe(rows)
        stands_apart(self._inner)
        self.model.eval()
        with torch.no_grad():
            known = self._side_by_side(some)[0]
            if quicken(self._inner):
                self._casts = False
            self.padded = lines_up(self._inner)
            if not self.padded and not self._answers_alike(some, known):
                stands_apart(self._inner)
                self.padded = "its layers do not keep apart rows that lie end to end"
        self.model.train()

    def _answers_alike(self, some: Sequence[Example], known: Any) -> bool:
        try:
            return alike(self._end_to_end(some)[0], known, ALIKE_WHOLE)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            return False
        finally:
            Laid.line = None

    def _end_to_end(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Logits ``[learned, words]`` of rows in one line, and what should follow ``[learned]``."""
        # Rows that share their beginning would share its random numbers too.
        line = lay([(row.ids, row.labels) for row in rows], IGNORED, share=not self._draws())
        Laid.line = line
        extra = {"logits_to_keep": line.kept} if self._keeps_logits else {}
        with self._autocast():
            logits = self.model(input_ids=line.ids, position_ids=line.positions, **extra).logits
        logits = logits.squeeze(0)  # as `logits[0]`, whose gradient would be copied into zeros
        return logits if extra else logits[line.kept], line.targets

    def _side_by_side(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """The same of rows as a rectangle, masked where a shorter one is filled up."""
        ids, mask, labels = rectangle(rows)
        targets = labels[:, 1:]
        kept = (targets != IGNORED).any(0).nonzero().squeeze(1).to(self.device)
        ids, mask, targets = (tensor.to(self.device) for tensor in (ids, mask, targets))
        extra = {"logits_to_keep": kept} if self._keeps_logits else {}
        with self._autocast():
            logits = self.model(input_ids=ids, attention_mask=mask, **extra).logits
        targets = targets[:, kept]
        learned = targets != IGNORED
        return (logits if extra else logits[:, kept])[learned], targets[learned]

    def _draws(self) -> bool:
        """Whether random numbers are drawn on the way."""
        return self.model.training and (
            self._noisy
            or any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in self._inner.modules())
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._casts:
            cast: AbstractContextManager[Any] = torch.autocast(self.device, self._dtype)
            return cast
        return nullcontext()


def rectangle(rows: Sequence[Example]) -> tuple[Any, Any, Any]:
    """Ids, mask and labels of ``rows`` side by side, each ``[rows, longest]``, in the processor's memory."""
    ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for place, row in enumerate(rows):
        length = len(row.ids)
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        labels[place, :length] = torch.tensor(row.labels)
    return ids, mask, labels


def _probe(rows: Sequence[Example]) -> list[Example]:
    """Two short rows that begin alike and go on apart, all of whose tokens count."""
    first, last = rows[0].ids[:PROBE], rows[-1].ids[-PROBE // 4 :]
    return [Example(ids, ids) for ids in (first, first[: 3 * PROBE // 4] + last[::-1])]

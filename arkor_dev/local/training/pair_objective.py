"""Shared parts of methods that learn from pairs of a chosen and a rejected answer.

A pair is one example: the chosen answer is its own sequence and the rejected one its ``others``, so that both
are computed at once and share their prompt. Its weight is 1.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from array import array
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from arkor_dev.local.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.local.modeling.example import Example


class Pairs(NamedTuple):
    """Log-probabilities of a batch's answers, each a tensor ``[pairs]``.

    ``chosen`` and ``rejected`` are sums over the answers' tokens, of which there are ``chosen_tokens`` and
    ``rejected_tokens``.
    """

    chosen: Any
    rejected: Any
    chosen_tokens: Any
    rejected_tokens: Any

    @property
    def means(self) -> tuple[Any, Any]:
        """Return the mean log-probability per token of each answer."""
        return self.chosen / self.chosen_tokens, self.rejected / self.rejected_tokens


class PairObjective(Objective):
    """Computes one loss per pair. Methods implement :meth:`losses` and :meth:`rewards`."""

    def __init__(self, *model: Any, settings: Mapping[str, Any], noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self._noted: dict[str, list[Any]] = {}

    @abstractmethod
    def losses(self, pairs: Pairs, rows: Sequence[Example]) -> Any:
        """Return each pair's loss, ``[pairs]``."""

    @abstractmethod
    def rewards(self, pairs: Pairs, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return the implicit rewards of chosen and rejected answers, each ``[pairs]``."""

    def look_up(self, rows: Sequence[Example]) -> None:
        """Compute what :meth:`losses` needs of other models. It runs first: the backward pass of the layers
        follows the newest batch that went through them.
        """

    def pairs(self, rows: Sequence[Example]) -> Pairs:
        """Return the log-probabilities that the model gives to the answers of ``rows``."""
        sequences = [sequence for row in rows for sequence in row.sequences]
        with self._autocast():
            logits, targets = self.logits(sequences)
        likely = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
        counts = [sequence.learned for sequence in sequences]
        sums = torch.stack([part.sum() for part in likely.split(counts)])
        tokens = torch.tensor(counts, device=sums.device)
        return Pairs(sums[::2], sums[1::2], tokens[::2], tokens[1::2])

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Return the summed loss of ``rows``, and their number."""
        return self._measured(rows).sum(), len(rows)

    def each(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Return each pair's loss, with the weight 1."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            losses = self._measured(rows).tolist()
        self.model.train(training)
        return [(loss, 1) for loss in losses]

    def _measured(self, rows: Sequence[Example]) -> Any:
        self.look_up(rows)
        pairs = self.pairs(rows)
        losses = self.losses(pairs, rows)
        with torch.no_grad():
            chosen, rejected = self.rewards(pairs, rows)
            self._note("rewardChosen", chosen)
            self._note("rewardRejected", rejected)
            self._note("rewardMargin", chosen - rejected)
            self._note("rewardAccuracy", (chosen > rejected).float())
            self._note("logpsChosen", pairs.chosen)
            self._note("logpsRejected", pairs.rejected)
        return losses

    def _note(self, name: str, values: Any) -> None:
        self._noted.setdefault(name, []).append(values.detach())

    def figures(self) -> dict[str, float]:
        """Return the means over all pairs since the last call."""
        noted, self._noted = self._noted, {}
        return {name: float(torch.cat(values).mean()) for name, values in noted.items()}


class Reference:
    """Log-probabilities that the model gives to answers as it is at the start of the run.

    They are computed once for each pair, alone, so that they have the same bits whatever batch it is in.
    The start is the model with its adapter off, unless :meth:`hold` has fixed another one.
    """

    def __init__(self, model: Any, measure: Callable[[Sequence[Example]], Pairs]) -> None:
        self._model, self._measure = model, measure
        self._known: dict[bytes, tuple[float, float]] = {}

    def hold(self, rows: Sequence[Example]) -> None:
        """Use the current model as the start, for a run that begins with another run's adapter."""
        for row in rows:
            self._known[_key(row)] = self._one(row, nullcontext())

    def of(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return the sums of the log-probabilities of chosen and rejected answers, each ``[rows]``."""
        found = []
        for row in rows:
            key = _key(row)
            if key not in self._known:
                self._known[key] = self._one(row, _switched_off(self._model))
            found.append(self._known[key])
        chosen, rejected = zip(*found, strict=True)
        device = next(self._model.parameters()).device
        return torch.tensor(chosen, device=device), torch.tensor(rejected, device=device)

    def _one(self, row: Example, switch: AbstractContextManager[Any]) -> tuple[float, float]:
        training = self._model.training
        self._model.eval()
        with torch.no_grad(), switch:
            pairs = self._measure([row])
        self._model.train(training)
        return float(pairs.chosen), float(pairs.rejected)


def _switched_off(model: Any) -> AbstractContextManager[Any]:
    """Return a context in which the adapter is off; an adapter that was off stays off afterwards."""
    # Of PEFT's layers; the model itself has a method of that name.
    states = (getattr(part, "disable_adapters", None) for part in model.modules())
    off = next((state for state in states if isinstance(state, bool)), True)
    if off:
        return nullcontext()
    switch: AbstractContextManager[Any] = model.disable_adapter()
    return switch


def _key(row: Example) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for sequence in row.sequences:
        digest.update(array("q", [len(sequence.ids), *sequence.ids, *sequence.labels]).tobytes())
    return digest.digest()

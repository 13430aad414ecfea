"""Shared parts of methods that learn from preferences: log-probabilities of answers, and the reference."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from array import array
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from arkor_dev.local.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.local.modeling.example import Example


class PreferenceObjective(Objective):
    """Computes one loss and one margin per example. Methods implement :meth:`measured`."""

    def __init__(self, *model: Any, settings: Mapping[str, Any], noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self._noted: dict[str, list[Any]] = {}

    @abstractmethod
    def measured(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        """Return each example's loss and its margin (positive: as preferred), both ``[rows]``."""

    def log_probabilities(self, sequences: Sequence[Example]) -> tuple[Any, Any]:
        """Return the summed log-probability of each sequence's learned tokens, and their number."""
        likely = -self.token_losses(sequences)
        counts = [sequence.learned for sequence in sequences]
        sums = torch.stack([part.sum() for part in likely.split(counts)])
        return sums, torch.tensor(counts, device=sums.device)

    def __call__(self, rows: Sequence[Example]) -> tuple[Any, int]:
        """Return the summed loss of ``rows``, and their number."""
        return self.measured(rows)[0].sum(), len(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, int]]:
        """Return each example's loss, with weight 1."""
        return [(loss, 1) for loss in self._quietly(rows)[0].tolist()]

    def margins(self, rows: Sequence[Example]) -> list[float]:
        """See :meth:`Objective.margins`."""
        noted, self._noted = self._noted, {}
        margins: list[float] = self._quietly(rows)[1].tolist()
        self._noted = noted
        return margins

    def _quietly(self, rows: Sequence[Example]) -> tuple[Any, Any]:
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            losses_and_margins = self.measured(rows)
        self.model.train(training)
        return losses_and_margins

    def note(self, name: str, values: Any) -> None:
        """Add ``values`` to a figure's mean."""
        self._noted.setdefault(name, []).append(values.detach().reshape(-1))

    def figures(self) -> dict[str, float]:
        """Return the means over all examples since the last call; a figure without values is left out."""
        noted, self._noted = self._noted, {}
        means = {name: torch.cat(values) for name, values in noted.items()}
        return {name: float(values.mean()) for name, values in means.items() if len(values)}


class Reference:
    """The reference model's log-probabilities of answers. The reference is the model at the start of the run.

    That is the model with its adapter switched off, unless :meth:`hold` has recorded other weights. Each
    example is computed once, in a batch of its own, so that the result does not depend on batching.
    ``measure`` returns the summed log-probabilities of an example's sequences.
    """

    def __init__(self, model: Any, measure: Callable[[Sequence[Example]], Any]) -> None:
        self._model, self._measure = model, measure
        self._start: dict[str, Any] = {}
        self._known: dict[bytes, list[float]] = {}

    def hold(self) -> None:
        """Use the current weights as the reference, for a run that begins with another run's adapter."""
        parameters = self._model.named_parameters()
        self._start = {name: weight.detach().clone() for name, weight in parameters if weight.requires_grad}
        self._known.clear()

    def of(self, rows: Sequence[Example]) -> Any:
        """Return the log-probabilities ``[rows, sequences]`` of examples with equally many sequences."""
        sums = []
        for row in rows:
            key = _key(row)
            if key not in self._known:
                self._known[key] = self._sums(row)
            sums.append(self._known[key])
        return torch.tensor(sums, device=next(self._model.parameters()).device)

    def _sums(self, row: Example) -> list[float]:
        training = self._model.training
        self._model.eval()
        with torch.no_grad(), self._at_start() if self._start else _switched(self._model, on=False):
            sums: list[float] = self._measure(row.sequences).tolist()
        self._model.train(training)
        return sums

    @contextmanager
    def _at_start(self) -> Iterator[None]:
        weights = {name: weight for name, weight in self._model.named_parameters() if name in self._start}
        current = {name: weight.data for name, weight in weights.items()}
        try:
            for name, weight in weights.items():
                weight.data = self._start[name]
            with _switched(self._model, on=True):
                yield
        finally:
            for name, weight in weights.items():
                weight.data = current[name]


def _switched(model: Any, *, on: bool) -> AbstractContextManager[Any]:
    """Return a context in which the adapter is on or off; its previous state is restored afterwards."""
    # The attribute of PEFT's layers; on the model it is a method.
    states = (getattr(part, "disable_adapters", None) for part in model.modules())
    is_on = not next((state for state in states if isinstance(state, bool)), True)
    if is_on == on:
        return nullcontext()
    switch: AbstractContextManager[Any] = _switched_on(model) if on else model.disable_adapter()
    return switch


@contextmanager
def _switched_on(model: Any) -> Iterator[None]:
    model.base_model.enable_adapter_layers()
    try:
        yield
    finally:
        model.base_model.disable_adapter_layers()


def _key(row: Example) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for sequence in row.sequences:
        digest.update(array("q", [len(sequence.ids), *sequence.ids, *sequence.labels]).tobytes())
    return digest.digest()

"""The reference of a preference method: the model at the start of the run."""

from __future__ import annotations

import hashlib
from array import array
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example


class Reference:
    """The reference model's log-probabilities of answers. The reference is the model at the start of the run.

    That is the model with its adapter switched off, unless :meth:`hold` has recorded other weights. Each
    example is computed once, in a batch of its own, so that the result does not depend on batching.
    ``measure`` returns the summed log-probabilities of an example's sequences.
    """

    def __init__(self, model: Module, measure: Callable[[Sequence[Example]], Tensor]) -> None:
        self._model, self._measure = model, measure
        self._start: dict[str, Tensor] = {}
        self._known: dict[bytes, list[float]] = {}

    def hold(self) -> None:
        """Use the current weights as the reference, for a run that begins with another run's adapter."""
        parameters = self._model.named_parameters()
        self._start = {name: weight.detach().clone() for name, weight in parameters if weight.requires_grad}
        self._known.clear()

    def of(self, rows: Sequence[Example]) -> Tensor:
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
        with with_weights(self._model, self._start), _switched(self._model, on=True):
            yield


@contextmanager
def with_weights(model: Module, others: Mapping[str, Tensor]) -> Iterator[None]:
    """Compute with ``others`` in place of the weights of ``model`` of the same names, within the block."""
    weights = {name: weight for name, weight in model.named_parameters() if name in others}
    current = {name: weight.data for name, weight in weights.items()}
    try:
        for name, weight in weights.items():
            weight.data = others[name]
        yield
    finally:
        for name, weight in weights.items():
            weight.data = current[name]


def _switched(model: Module, *, on: bool) -> AbstractContextManager[object]:
    """Return a context in which the adapter is on or off; its previous state is restored afterwards."""
    # The attribute of PEFT's layers; on the model it is a method.
    states = (getattr(part, "disable_adapters", None) for part in model.modules())
    is_on = not next((state for state in states if isinstance(state, bool)), True)
    if is_on == on:
        return nullcontext()
    switch: AbstractContextManager[object] = _switched_on(model) if on else model.disable_adapter()
    return switch


@contextmanager
def _switched_on(model: Module) -> Iterator[None]:
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

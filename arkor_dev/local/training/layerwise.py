"""Gradients of several batches, layer by layer, so that each streamed layer is read once for all of them.

Gradient accumulation usually takes one batch through all layers and back, then the next. Here all batches of
a step pass through a layer before the next layer is read, and backwards likewise, as in L2L (Pudipeddi et al.
2020, arXiv:2002.05645). Of each batch the inputs of the layers are kept, as by activation checkpointing, and
of as many layers as fit all that the backward pass needs. Each weight receives its gradients in the order of
the batches. So all bits are those of the usual order.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch

from arkor_dev.local.cpu_kernels.attention import CurrentBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from arkor_dev.local.cpu_kernels.packing import PackedRows
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.layer_stream import LayerStream

    from .objective import Objective


@dataclass(slots=True)
class _Call:
    """How the model calls a layer, apart from its first argument."""

    positional: tuple[object, ...]
    named: dict[str, object]


@dataclass(slots=True, eq=False)
class _Pass:
    """A batch on its way through the layers.

    ``through`` are the calls of all layers, ``states`` the input of each and the output of the last one, as
    leaves of the graph. ``kept`` are the outputs of those layers, by number, whose graph is kept. ``grad`` is
    the gradient of what the last layer returned, then of its input, and so on; None if no earlier weight is
    trained.
    """

    rows: Sequence[Example]
    packed: PackedRows | None
    through: list[_Call]
    states: list[Tensor]
    kept: dict[int, Tensor] = field(default_factory=dict)
    grad: Tensor | None = None


class _Captured(Exception):  # noqa: N818 - not an error: it ends a forward pass whose rest is not needed
    pass


class _NotChainedError(Exception):
    """The model does more than to pass each layer's output to the next one."""


class LayerwiseGradients:
    """Computes gradients of ``loss`` by layers of ``stream``.

    ``unsuited`` once a batch has shown that the model's layers are no chain: batches then pass one at a time.
    """

    def __init__(self, stream: LayerStream, loss: Objective) -> None:
        self._stream, self._loss, self._layers = stream, loss, stream.modules
        self.unsuited = False

    def each(self, batches: Sequence[Sequence[Example]]) -> Iterator[Sequence[Example]]:
        """Yield each batch; the caller computes its loss and the loss's gradients before the next one.

        The caller must close the iterator. Between the batches, the layers are computed: the loss of a batch
        only uses the last layer's output, and its gradients end there.
        """
        waiting = list(batches)
        while waiting:
            group = self._group(waiting) if self._possible() else []
            if len(group) < 2 or not self._forward(group):
                yield waiting.pop(0)
                continue
            del waiting[: len(group)]
            for batch in group:
                output = batch.states.pop()
                with self._replaced(partial(self._result, output)):
                    yield batch.rows
                batch.grad, output.grad = output.grad, None
            self._backward(group)

    def _possible(self) -> bool:
        return not self.unsuited and self._stream.chained

    def _group(self, batches: Sequence[Sequence[Example]]) -> list[_Pass]:
        """Return the next batches up to the layers, as many as fit.

        Their states may take as much memory as the resident layers: with long rows, reading is cheap beside
        computing. The first batch's states are there in the usual order, too.
        """
        group: list[_Pass] = []
        left = self._stream.resident_bytes
        for rows in batches if len(batches) > 1 else ():
            if not self._loss.one_pass(rows):
                break
            try:
                batch = self._captured(rows)
            except _NotChainedError:
                self.unsuited = True
                return []
            if group:
                left -= len(self._layers) * batch.states[0].nbytes
            if left < 0:
                break
            group.append(batch)
        return group

    def _captured(self, rows: Sequence[Example]) -> _Pass:
        """Run the model on ``rows`` up to its layers, and return how it calls them.

        Raises _NotChainedError.
        """
        calls: list[_Call] = []
        states: list[Tensor] = []

        def capture(number: int, state: Tensor, call: _Call) -> Tensor:
            # No weight before the layers may be trained: its gradient would need the graph.
            if number != len(calls) or state.grad_fn or (states and state is not states[0]):
                raise _NotChainedError
            states[:] = [state]
            calls.append(call)
            if len(calls) == len(self._layers):
                raise _Captured
            return state

        with self._replaced(capture):
            try:
                self._loss(rows)
            except _Captured:
                return _Pass(rows, CurrentBatch.packed, calls, states)
        raise _NotChainedError

    def _result(self, output: Tensor, number: int, state: Tensor, _: _Call) -> Tensor:
        """Return what a layer returns to the model if the last one returns ``output``."""
        return output if number == len(self._layers) - 1 else state

    def _forward(self, group: Sequence[_Pass]) -> bool:
        """Add the states behind each layer; return False if a layer does not return one."""
        activations = self._stream.activations
        with self._plainly():
            for number in range(len(self._layers)):
                for batch in group:
                    state = batch.states[number]
                    fit = activations.fit(state)
                    with activations.keep(state) if fit else nullcontext():
                        # As in the usual order: without the graph, some operations take another path.
                        output = self._computed(number, batch, state)
                    if not isinstance(output, torch.Tensor):
                        self.unsuited = True
                        return False
                    if fit:
                        batch.kept[number] = output
                    batch.states.append(output.detach().requires_grad_(output.requires_grad))
        return True

    def _backward(self, group: Sequence[_Pass]) -> None:
        with self._plainly():
            for number in reversed(range(len(self._layers))):
                for batch in group:
                    state, output = batch.states.pop(), batch.kept.pop(number, None)
                    if batch.grad is not None:
                        if output is None:
                            computed = self._computed(number, batch, state)
                            assert isinstance(computed, torch.Tensor)
                            output = computed
                        output.backward(batch.grad)
                        batch.grad = state.grad

    def _computed(self, number: int, batch: _Pass, state: Tensor) -> object:
        CurrentBatch.packed, call = batch.packed, batch.through[number]
        with self._loss.autocast():
            return self._layers[number](state, *call.positional, **call.named)

    @contextmanager
    def _replaced(self, layer: Callable[[int, Tensor, _Call], Tensor]) -> Iterator[None]:
        """Let the model call ``layer(number, state, call)`` instead of its layers."""

        def forward_of(number: int) -> Callable[..., Tensor]:
            def forward(*positional: object, **named: object) -> Tensor:
                if not positional or not isinstance(state := positional[0], torch.Tensor):
                    raise _NotChainedError
                return layer(number, state, _Call(positional[1:], named))

            return forward

        before = [vars(module).get("forward") for module in self._layers]
        try:
            for number, module in enumerate(self._layers):
                module.forward = forward_of(number)
            yield
        finally:
            for module, own in zip(self._layers, before, strict=True):
                if own is None:
                    vars(module).pop("forward", None)
                else:
                    module.forward = own

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Compute layers without activation checkpointing: only one at a time keeps its activations."""
        before = [module.gradient_checkpointing for module in self._layers]
        try:
            for module in self._layers:
                module.gradient_checkpointing = False
            yield
        finally:
            for module, checkpointing in zip(self._layers, before, strict=True):
                module.gradient_checkpointing = checkpointing

"""Measures the dtype and thread count with which this processor answers fastest.

Generating a token reads every weight once. bfloat16 halves what is read, if the processor can compute with
it. Weights in oneDNN's own order (packed) are read up to twice as fast, with the same result. Some processors
read faster with all cores. So part of the model's own weights, larger than the caches, is multiplied by one
row with each plan, which takes 0.2 s.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from arkor_dev.local.workers.resources import available_cores

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor
    from torch.nn import Linear, Module

CORES: Final = available_cores()
MEASURED_BYTES: Final = 128 * 2**20
"""Bytes of weights, in float32, to measure with: more than most processors' caches hold."""
LEAST_BYTES: Final = 16 * 2**20
"""A model with fewer bytes than this is not limited by reading its weights."""
TURNS: Final = 3
"""Number of passes, of which the best counts."""
MARGIN: Final = 1.15
"""Minimum speedup for choosing a less simple plan."""
THREADS_MARGIN: Final = 1.5
"""Minimum speedup for using more than half of the threads. Threads wait for each other, so a single one that
shares its core (for example with the browser that shows the answer) makes all of them less than half as fast
as half the threads would be.
"""


@dataclass(frozen=True, slots=True)
class ComputePlan:
    """The dtype of the weights, and the number of threads without and with a training job running."""

    dtype: torch.dtype
    packed: bool
    threads: int
    shared_threads: int


def half_of_cores() -> int:
    """Return half of the cores: a fair share while a job is training."""
    return max(1, CORES // 2)


def fastest_plan(model: Module, dtype: torch.dtype) -> ComputePlan:
    """Measure ``model`` on the CPU, which computes in ``dtype`` unless another one is faster.

    Its weights may be stored in another dtype.
    """
    weights = _some_weights(model)
    if dtype != torch.float32 or weights is None:
        return ComputePlan(dtype, False, CORES if weights else half_of_cores(), half_of_cores())
    before = torch.get_num_threads()
    best = (torch.float32, False)
    try:
        took = _took(weights, *best, half_of_cores())
        for candidate in ((torch.float32, True), (torch.bfloat16, False), (torch.bfloat16, True)):
            # Not every processor or build of torch supports these products.
            with contextlib.suppress(RuntimeError, AttributeError):
                candidate_took = _took(weights, *candidate, half_of_cores())
                # Beside busy programs the clock would choose at random.
                if took.processor > MARGIN * candidate_took.processor:
                    best, took = candidate, candidate_took
        all_cores = took.wall > THREADS_MARGIN * _took(weights, *best, CORES).wall
    finally:
        torch.set_num_threads(before)
    return ComputePlan(*best, CORES if all_cores else half_of_cores(), half_of_cores())


def convert(model: Module, plan: ComputePlan, streamed: Collection[int] = ()) -> None:
    """Convert the weights to the plan's dtype, but not buffers: rotary frequencies need more bits.

    Weights whose ids are ``streamed`` stay as they are.
    """
    for weight in model.parameters():
        if weight.is_floating_point() and id(weight) not in streamed:
            weight.data = weight.data.to(plan.dtype)
    if plan.packed:
        for module in model.modules():
            # A subclass may compute more than this product, and other code may read its weight: skip it.
            if type(module) is torch.nn.Linear:
                module.weight = torch.nn.Parameter(packed_weight(module.weight.detach()), requires_grad=False)
                module.forward = MethodType(packed_product, module)


class LinearParts(NamedTuple):
    """What `packed_product` reads of a linear layer; the ``weight`` is packed."""

    weight: Tensor
    bias: Tensor | None


def packed_weight(weight: Tensor) -> Tensor:
    """Return ``weight`` in oneDNN's own order for products with one row."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, 1)  # noqa: SLF001 - there is no public function


def packed_product(module: Linear | LinearParts, rows: Tensor) -> Tensor:
    """Apply a linear layer with a packed weight."""
    return torch.ops.mkldnn._linear_pointwise(rows, module.weight, module.bias, "none", [], "")  # noqa: SLF001


def _some_weights(model: Module) -> list[Tensor] | None:
    """Return the weights of the first linear layers up to ``MEASURED_BYTES``; None if there are too few."""
    weights, size = [], 0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and size < MEASURED_BYTES:
            weights.append(module.weight.detach())
            size += weights[-1].numel() * torch.float32.itemsize
    return weights if size >= LEAST_BYTES else None


class _Took(NamedTuple):
    """Seconds of one pass, each the best of a few: of a single thread's processor time, and by the clock.

    Several threads spin while they wait for one another, so of theirs it is the clock's as well.
    """

    processor: float
    wall: float


def _took(weights: list[Tensor], dtype: torch.dtype, packed: bool, threads: int) -> _Took:
    """Measure a pass over ``weights`` with one row."""
    torch.set_num_threads(threads)
    layers = torch.nn.Sequential(*[torch.nn.Linear(1, 1, bias=False) for _ in weights])
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight = torch.nn.Parameter(weight)
    convert(layers, ComputePlan(dtype, packed, threads, threads))
    rows = [torch.ones(1, weight.shape[1], dtype=dtype) for weight in weights]
    times: list[tuple[float, float]] = []
    try:
        with torch.inference_mode():
            for _ in range(TURNS):
                # Once a chat template has been limited, Linux counts a process's time in ticks of 4 ms.
                before, started = time.thread_time(), time.perf_counter()
                for row, layer in zip(rows, layers, strict=True):
                    layer(row)
                times.append((time.thread_time() - before, time.perf_counter() - started))
    finally:
        for layer in layers:
            # It refers to the layer, which would keep its weight until a collection of cycles.
            vars(layer).pop("forward", None)
    processor, wall = zip(*times, strict=True)
    return _Took(min(processor if threads == 1 else wall), min(wall))

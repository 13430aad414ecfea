"""In which number format, and on how many threads, this processor answers quickest: measured, not assumed.

One token at a time is bound by memory: every weight is read once for each. Some processors read twice as
fast with all cores and some no faster, and bfloat16 halves what is read where the processor can compute with
it. So a part of the model's own weights, larger than the caches, is multiplied with one row in each way, in
0.2 s.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from typing import Any, Final

import torch

CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MEASURED_BYTES: Final = 128 * 2**20
"""Of float32 weights, at most: more than the caches of most processors hold."""
LEAST_BYTES: Final = 16 * 2**20
"""A smaller model is bound by something else."""
TURNS: Final = 3
MARGIN: Final = 1.15
"""How many times quicker bfloat16 has to be, and more threads."""


@dataclass(frozen=True, slots=True)
class Way:
    """The format of the weights, and the threads: with the processor to ourselves, and beside a job."""

    dtype: Any
    threads: int
    shared_threads: int


def half() -> int:
    """A fair share of the cores beside a training job."""
    return max(1, CORES // 2)


def quickest(model: Any, loaded: Any) -> Way:
    """Measure ``model``, whose weights are in ``loaded`` on the CPU."""
    weights = _some_weights(model)
    if loaded != torch.float32 or weights is None:
        return Way(loaded, CORES if weights else half(), half())
    before = torch.get_num_threads()
    try:
        copies = {torch.float32: weights, torch.bfloat16: [weight.to(torch.bfloat16) for weight in weights]}
        counts = sorted({half(), CORES})
        seconds = {
            (dtype, count): _seconds(copies[dtype], count)
            for dtype, count in itertools.product(copies, counts)
        }
    except RuntimeError:  # no such product on this processor
        return Way(torch.float32, CORES, half())
    finally:
        torch.set_num_threads(before)
    best = {dtype: min(seconds[dtype, count] for count in counts) for dtype in copies}
    dtype = torch.bfloat16 if best[torch.float32] > MARGIN * best[torch.bfloat16] else torch.float32
    quicker = seconds[dtype, half()] > MARGIN * seconds[dtype, CORES]
    return Way(dtype, CORES if quicker else half(), half())


def convert(model: Any, dtype: Any) -> None:
    """Put the weights into ``dtype``; buffers stay, since rotary frequencies lose too much in 16 bits."""
    for weight in model.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(dtype)


def _some_weights(model: Any) -> list[Any] | None:
    """The first linear layers' weights up to ``MEASURED_BYTES``; None when there are too few to measure."""
    found, size = [], 0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and size < MEASURED_BYTES:
            found.append(module.weight.detach())
            size += found[-1].nbytes
    return found if size >= LEAST_BYTES else None


def _seconds(weights: list[Any], threads: int) -> float:
    """One pass over ``weights`` with one row, the best of a few."""
    torch.set_num_threads(threads)
    rows = [torch.ones(1, weight.shape[1], dtype=weight.dtype) for weight in weights]
    times = []
    with torch.inference_mode():
        for _ in range(TURNS):
            began = time.perf_counter()
            for row, weight in zip(rows, weights, strict=True):
                torch.nn.functional.linear(row, weight)
            times.append(time.perf_counter() - began)
    return min(times)

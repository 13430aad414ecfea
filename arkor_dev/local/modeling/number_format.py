"""Chooses the dtype for training on a CPU, by measuring for some 50 ms.

bfloat16 halves a product's memory and doubles its speed if the processor has instructions for it (AMX,
AVX512-BF16), and is many times slower if it has none; small models never gain from it. So a product with the
model's shapes is timed in both formats, forward and backward. The result is stored, so that the same job
gives the same adapter on the same machine.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from arkor_dev.local.workers.machine import processor

if TYPE_CHECKING:
    from pathlib import Path

    from torch.nn import Module

SECONDS: Final = 0.025
"""Seconds for which each dtype is measured."""
MARGIN: Final = 1.15
"""Minimum speedup for choosing bfloat16."""
ROWS: Final = (16, 1024)
"""Minimum and maximum number of rows (tokens) in the timed product."""


@dataclass(frozen=True, slots=True)
class DtypeChoice:
    """The dtype to compute in (trained weights are always float32), and the reason in a sentence."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose(
    model: Module, device: str, loaded: torch.dtype, tokens: int, requested: str | None, cache: Path
) -> DtypeChoice:
    """Return the format for training ``model``, whose weights are in ``loaded``, with ``tokens`` per step.

    ``requested`` is the job's own choice (float32, bfloat16 or float16) or None, ``cache`` the file with
    earlier measurements.
    """
    if device != "cpu":
        return DtypeChoice(
            loaded, "as requested by the job" if requested else f"what this {device} device computes in"
        )
    if requested:
        return DtypeChoice(getattr(torch, requested), "as requested by the job")
    if loaded != torch.float32:
        return DtypeChoice(loaded, "as the model was loaded")
    shape = _largest_product(model)
    if shape is None:
        return DtypeChoice(torch.float32, "the model has no linear layer to measure")
    rows = 1 << (min(max(tokens, ROWS[0]), ROWS[1]) - 1).bit_length()
    seconds = _cached_measurement(cache, rows, *shape)
    if seconds is None:
        return DtypeChoice(torch.float32, "this processor does not support bfloat16 products")
    slow, quick = seconds
    reason = (
        f"a product of this model's shape ({rows} by {shape[0]} by {shape[1]}) takes this processor "
        f"{1000 * quick:.2g} ms in bfloat16 and {1000 * slow:.2g} ms in float32"
    )
    return DtypeChoice(torch.bfloat16 if slow > MARGIN * quick else torch.float32, reason)


def _largest_product(model: Module) -> tuple[int, int] | None:
    """Return the input and output size of the largest linear layer, except for the output layer."""
    last = model.get_output_embeddings()
    shapes = [
        (module.in_features, module.out_features)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not last
    ]
    return max(shapes, key=lambda shape: shape[0] * shape[1], default=None)


def _cached_measurement(cache: Path, rows: int, inputs: int, outputs: int) -> tuple[float, float] | None:
    """Return ``_measure``'s result for this processor, from the file ``cache`` or a new measurement."""
    machine = [
        processor(),
        torch.__version__,
        torch.get_num_threads(),
        torch.backends.cpu.get_cpu_capability(),
    ]
    key = hashlib.sha256(json.dumps([machine, rows, inputs, outputs]).encode()).hexdigest()[:16]
    try:
        stored = json.loads(cache.read_text())
        slow, quick = stored[key]
        return float(slow), float(quick)
    except (OSError, ValueError, TypeError, KeyError):
        pass
    measured = _measure(rows, inputs, outputs)
    if measured:
        _store(cache, key, measured)
    return measured


def _store(cache: Path, key: str, measured: tuple[float, float]) -> None:
    try:
        stored = json.loads(cache.read_text())
    except (OSError, ValueError):
        stored = {}
    part = cache.with_suffix(".part")
    try:
        part.write_text(json.dumps({**(stored if isinstance(stored, dict) else {}), key: measured}))
        part.replace(cache)
    except OSError:
        part.unlink(missing_ok=True)  # disk full: measure again next time


def _measure(rows: int, inputs: int, outputs: int) -> tuple[float, float] | None:
    """Return the seconds of one product in float32 and in bfloat16, the best of several alternating runs."""
    formats = (torch.float32, torch.bfloat16)
    weights = {dtype: torch.randn(outputs, inputs).to(dtype) for dtype in formats}

    def once(count: int, dtype: torch.dtype) -> float:
        rows_in = torch.randn(count, inputs).to(dtype).requires_grad_()
        started = time.perf_counter()
        result = torch.nn.functional.linear(rows_in, weights[dtype])
        result.backward(torch.ones_like(result))
        return time.perf_counter() - started

    try:
        once(1, torch.bfloat16)
        # Without the instructions it may be a hundred times slower: a few rows suffice to show that.
        quick_check = [min(once(ROWS[0], dtype) for _ in range(3)) for dtype in formats]
        if quick_check[1] > 4 * quick_check[0]:
            scale = rows / ROWS[0]
            return quick_check[0] * scale, quick_check[1] * scale
        times: tuple[list[float], list[float]] = ([], [])
        while sum(times[0]) < SECONDS or len(times[0]) < 3:
            for durations, dtype in zip(times, formats, strict=True):
                durations.append(once(rows, dtype))
    except RuntimeError:
        return None
    return min(times[0]), min(times[1])

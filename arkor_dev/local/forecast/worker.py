"""The process that measures one job's settings.

Prepares the job as for training and runs a few of its steps. It is the first process to be killed if memory
runs out, and keeps to its deadline. If the backend asks for it, it then computes what the job needs of its
base model, which it has loaded.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.rows.batches import packs
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import out_of_memory
from arkor_dev.local.workers.link import serve

from .cache_warming import NICE, be_killed_first, fill_cache
from .measurement import Measurement
from .messages import Measured, MeasurementRequest, WarmCache, Warmed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.run import TrainingLoop
    from arkor_dev.local.workers.link import Link

LOOKED_ROWS: Final = 1500
"""Number of rows of a large data set that are tokenized: a random sample, plus the longest ones."""
LENGTHS: Final = 100
"""Percentiles of the rows' lengths that are stored."""
MEASURING: Final = 5
"""The niceness of training, whose speed is measured."""


def sample_of(rows: Sequence[Row], batch: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Return a random sample of ``rows``, and the longest of the rest: enough for a batch."""
    if len(rows) <= 2 * LOOKED_ROWS:
        return list(rows), []
    indices = list(range(len(rows)))
    random.Random(f"{seed}/looked").shuffle(indices)  # noqa: S311 - a sample, no secret
    remaining = sorted(indices[LOOKED_ROWS:], key=lambda index: _characters(rows[index]))
    return [rows[index] for index in indices[:LOOKED_ROWS]], [rows[index] for index in remaining[-batch:]]


def _characters(row: Row) -> int:
    return len(row.text or "") + sum(len(str(message.get("content") or "")) for message in row.messages)


def work(request: MeasurementRequest, link: Link) -> Warmed:
    """Send the cost of the job in the backend's message, and fill the cache for it if asked to."""
    measured, preparation, run = measure(request, link)
    link.send(Measured(measured.as_json()))
    link.receive(WarmCache)  # else the backend ends this process
    if hasattr(os, "nice"):
        os.nice(NICE - MEASURING)
    run.optimizer.zero_grad(set_to_none=True)
    run.optimizer.state.clear()  # what measured steps left, like their changes of the adapter
    return fill_cache(preparation, run)


def measure(request: MeasurementRequest, link: Link) -> tuple[Measurement, RunPreparation, TrainingLoop]:
    """Return the cost of the job in the backend's message, and the run that was measured."""
    # The time by this process's clock at which it was requested.
    requested_at = time.monotonic() - (time.time() - request.requested_at)
    preparation = RunPreparation(request.job, RunEvents(), link.progress)
    preparation.read()
    train = preparation.train_rows
    looked, longest = sample_of(train, preparation.plan.batch_size, preparation.settings.get("seed"))
    preparation.train_rows = looked
    preparation.load(link.receive(Model))
    started = time.monotonic()
    preparation.encode()
    encoding, share = time.monotonic() - started, len(train) / len(looked)
    cut, rows = preparation.cut, preparation.train
    run = preparation.make_run()
    units = len(packs(rows, run.plan.packed_to)) if run.plan.packed_to else len(rows)
    held_out = run.rows["heldOut"]
    ready = time.monotonic()
    if longest:
        preparation.train_rows, preparation.eval_rows = longest, []
        preparation.encode()
    from .measure import StepMeasurement

    def progress(done: int, total: int) -> None:
        link.progress("Measuring", done, total, "steps")

    measuring = StepMeasurement(run, request.free, requested_at + request.seconds, progress)
    long_rows = preparation.train if longest else []
    beginning, figures = measuring.measure(Path(request.scratch), long_rows, preparation)
    lengths = sorted(row.tokens for row in rows)
    learned = sum(sequence.learned for row in rows for sequence in row.sequences)
    measured = Measurement(
        device=run.base.device,
        four_bit=run.source.four_bit,
        streams=run.plan.streams,
        loading=ready - requested_at + encoding * (share - 1) + beginning,
        rows=len(train),
        units=round(share * units),
        packed_to=run.plan.packed_to,
        held_out=held_out,
        cut=round(cut * share),
        tokens=round(sum(lengths) * share),
        learned=round(learned * share),
        looked=len(looked) + held_out,
        lengths=[lengths[percentile * (len(lengths) - 1) // LENGTHS] for percentile in range(LENGTHS + 1)],
        **figures,
    )
    return measured, preparation, run


def _reason(error: Exception) -> str:
    if out_of_memory(error):
        return "One row alone exceeds the free memory: choose a smaller model or lower max_length"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    be_killed_first()
    serve(MeasurementRequest, work, _reason, nice=MEASURING)

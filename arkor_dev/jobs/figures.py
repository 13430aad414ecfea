"""Exports a job's metrics as CSV, JSON Lines, or TensorBoard's event files; of a running job, so far."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import events
from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.extras import install_command

from .follow import JobEvent, follow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from pathlib import Path

    from arkor_dev.backend.client import Backend

QUIET_SECONDS: Final = (5.0, 1.5)
"""Silence after which a running job's history counts as complete for now."""
WHOLE_SECONDS: Final = 30.0
"""Longest silence before the end of an ended job's history."""
LOG: Final = ("epoch", "loss", "evalLoss", "learningRate", "tokensPerSecond", "samplesPerSecond")
MACHINE: Final = (
    "cpu", "processCpu", "memory", "memoryFree", "disk", "gpu", "gpuMemory", "gpuWatts", "gpuCelsius",
)  # fmt: skip
MOST_STEPS: Final = 2**53
FIRST: Final = ("event", "timestamp", "step")
KNOWN: Final = frozenset((*FIRST, *LOG, *MACHINE))
TAGS: Final = {"loss": "train/loss", "evalLoss": "eval/loss", "learningRate": "train/learning_rate"}
"""TensorBoard tags that are not ``train/`` or ``system/`` and the field."""


@dataclass(frozen=True, slots=True)
class FigureRow:
    """The ``figures`` of one event by field, without those out of range."""

    event: str
    timestamp: str | None
    step: float | None
    figures: dict[str, float]

    def flat(self) -> dict[str, str | float | None]:
        """Return all in one object, as the text formats have it."""
        return {"event": self.event, "timestamp": self.timestamp, "step": self.step, **self.figures}


async def rows_of(backend: Backend, job_id: str, *, ended: bool) -> list[FigureRow]:
    """Return a job's figures in order, each step once: all if the job ``ended``. Raises like `history`."""
    rows: list[FigureRow] = []
    fields = {events.TRAINING_LOG: list(LOG), events.SYSTEM_METRICS: list(MACHINE)}
    async with aclosing(history(backend, job_id, ended=ended)) as items:
        async for name, data in items:
            if name == events.TRAINING_STARTED:
                fields[events.TRAINING_LOG] = [*LOG, *events.figure_fields(data.get("metadata"))]
            _take(rows, name, data, fields.get(name))
    return rows


async def history(
    backend: Backend, job_id: str, *, ended: bool
) -> AsyncGenerator[tuple[str, dict[str, object]], None]:
    """Yield a job's existing events, name and data: all of them if the job is ``ended``.

    Raises ArkorError, also if the history of a finished job breaks off.
    """
    first, quiet = (WHOLE_SECONDS,) * 2 if ended else QUIET_SECONDS
    async with aclosing(follow(backend, job_id)) as items:
        iterator = aiter(items)
        while True:
            try:
                async with asyncio.timeout(first):
                    item = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if ended:
                    raise BackendError(
                        "The backend did not send this job's complete history. Try again later."
                    ) from None
                return
            first = quiet
            if isinstance(item, JobEvent) and isinstance(item.data, dict):
                yield item.name, item.data


def _take(rows: list[FigureRow], name: str, data: dict[str, object], fields: list[str] | None) -> None:
    step = _step(data.get("step"))
    if name == events.TRAINING_RESUMED and step is not None:
        # Later steps will be computed again.
        rows[:] = [row for row in rows if row.step is None or row.step <= step]
    if fields is None:
        return
    figures = {field: value for field in fields if (value := _number(data.get(field))) is not None}
    if figures:
        time = data.get("timestamp")
        rows.append(FigureRow(name, time if isinstance(time, str) else None, step, figures))


def _step(value: object) -> float | None:
    """Return the number of a step that every format can hold, or None."""
    step = _number(value)
    return step if step is not None and 0 <= step <= MOST_STEPS else None


def _number(value: object) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def as_csv(rows: Iterable[FigureRow]) -> str:
    """Return one line per event, with empty cells for missing figures; texts cannot become formulas."""
    out = io.StringIO()
    rows = list(rows)
    own = dict.fromkeys(field for row in rows for field in row.figures if field not in KNOWN)
    writer = csv.DictWriter(out, [*FIRST, *LOG, *own, *MACHINE], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        is_time = row.timestamp is not None and _seconds(row.timestamp) is not None
        writer.writerow(row.flat() | {"timestamp": row.timestamp if is_time else None})
    return out.getvalue()


def as_jsonl(rows: Iterable[FigureRow]) -> str:
    """Return one JSON object per line."""
    return "".join(f"{json.dumps(row.flat())}\n" for row in rows)


def write_tensorboard(rows: Iterable[FigureRow], folder: Path) -> None:
    """Write event files for ``tensorboard --logdir folder``. Raises BadRequestError without TensorBoard."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise BadRequestError(
            "TensorBoard's event files need one more package. Install it with: "
            + install_command("tensorboard")
        ) from None
    writer = EventFileWriter(str(folder))
    try:
        for row in rows:
            group = "train" if row.event == events.TRAINING_LOG else "system"
            values = [
                Summary.Value(tag=TAGS.get(field, f"{group}/{field}"), simple_value=value)
                for field, value in row.figures.items()
            ]
            wall_time = _seconds(row.timestamp) or 0.0
            writer.add_event(
                Event(wall_time=wall_time, step=int(row.step or 0), summary=Summary(value=values))
            )
    finally:
        writer.close()


def _seconds(time: object) -> float | None:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


TEXTS: Final[dict[str, Callable[[Iterable[FigureRow]], str]]] = {"csv": as_csv, "jsonl": as_jsonl}
"""The function for each text format."""

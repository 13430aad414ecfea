"""The process that reports one job to one program, through that program's own package.

It receives `BeginReport`, then `ReportEvents` repeatedly, and `EndReport`. It replies to each with
`Accepted`, or with `ReportFault` before it ends. The file ``state`` records the last reported step, so that
steps that are computed again after a crash are not reported twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from arkor_dev.contract.events import (
    SYSTEM_METRICS,
    TRAINING_LOG,
    TRAINING_RESUMED,
    TRAINING_STARTED,
    RunMetadata,
    figure_fields,
)
from arkor_dev.contract.provenance.statement import is_number
from arkor_dev.local.reporting.messages import ORDERS, Accepted, BeginReport, EndReport, ReportFault
from arkor_dev.local.reporting.writers import WRITERS, ReportedJob
from arkor_dev.local.workers.link import Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.reporting.messages import ReportedEvent
    from arkor_dev.local.reporting.writers import RunWriter

TRAIN: Final = {
    "loss": "train/loss",
    "learningRate": "train/learning_rate",
    "epoch": "train/epoch",
    "tokensPerSecond": "train/tokensPerSecond",
    "samplesPerSecond": "train/samplesPerSecond",
}
"""Metric names, as in the TensorBoard files of an exported job."""
EVAL: Final = {"evalLoss": "eval/loss"}
SYSTEM: Final = {
    field: f"system/{field}"
    for field in (
        "cpu", "processCpu", "memory", "memoryFree", "disk", "gpu", "gpuMemory", "gpuWatts", "gpuCelsius",
    )
}  # fmt: skip
WORDS: Final = 300
SECRET: Final = re.compile(r"//[^/@\s]+@")
"""The part of a URL that contains credentials."""


class Reported:
    """The last reported step of a job, stored in the file ``path``; ``run`` is the reporter's run name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.run: str | None = None
        self.steps: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(path.read_text())
            if isinstance(stored, dict) and isinstance(stored.get("steps"), dict):
                self.steps = {str(kind): step for kind, step in stored["steps"].items() if type(step) is int}
                self.run = stored["run"] if isinstance(stored.get("run"), str) else None

    def keep(self) -> None:
        """Write the file; ignore a deleted job or a full disk."""
        part = self._path.with_name(f"{self._path.name}.part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            part.write_text(json.dumps({"steps": self.steps, "run": self.run}))
            part.replace(self._path)


class Reporter:
    """Passes a job's events to a ``writer``; ``location`` tells where to find the run, once that is known."""

    def __init__(self, writer: RunWriter, reported: Reported) -> None:
        self._writer, self._reported = writer, reported
        self._open = False
        self._train, self._eval = dict(TRAIN), dict(EVAL)
        self.location: str | None = None

    def take(self, event: ReportedEvent) -> None:
        """Report one event; skip those before the run's start."""
        if event["type"] == TRAINING_STARTED and not self._open:
            self._open = True
            metadata = event.get("metadata", RunMetadata()).copy()
            settings = metadata.pop("settings", None) or {}
            for field, tag in figure_fields(metadata).items():
                (self._train if tag.startswith("train/") else self._eval)[field] = tag
            metadata.pop("figures", None)
            self._reported.run, self.location = self._writer.open(
                {**metadata, **settings}, self._reported.run
            )
        elif not self._open:
            return
        elif event["type"] == TRAINING_RESUMED:
            # After a non-finite loss the run was rolled back: new figures follow for the same steps.
            steps = self._reported.steps
            steps.update({kind: min(step, event["step"]) for kind, step in steps.items()})
            self._writer.roll_back(event["step"])
        elif event["type"] == TRAINING_LOG:
            self._figures("train", self._train, event)
            self._figures("eval", self._eval, event)
        elif event["type"] == SYSTEM_METRICS:
            self._figures("system", SYSTEM, event)

    def _figures(self, kind: str, names: Mapping[str, str], fields: Mapping[str, object]) -> None:
        figures = {name: value for field, name in names.items() if is_number(value := fields.get(field))}
        step, reported_step = fields.get("step"), self._reported.steps.get(kind, -1)
        # There are several machine samples per step.
        if (
            not figures
            or not isinstance(step, int)
            or step < reported_step
            or (step == reported_step and kind != "system")
        ):
            return
        if kind != "system" and not figures.keys() - {"train/epoch", "train/learning_rate"}:
            return  # part of an evaluation's metric
        self._reported.steps[kind] = step
        self._writer.write(figures, step, _moment(fields.get("timestamp")))

    def flush(self) -> None:
        """Ensure that all events taken so far are stored, as far as the package reports that."""
        if self._open:
            self._writer.flush()
            self._reported.keep()

    def close(self, status: str) -> None:
        """End the run with ``status``: a job's, or ``crashed``."""
        if self._open:
            self._writer.close(status)
            self._reported.keep()


def _moment(time: object) -> float | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromisoformat(str(time)).timestamp()
    return None


def describe_error(error: BaseException) -> str:
    """Describe an error on one line, without the passwords in URLs."""
    message = SECRET.sub("//***@", str(error).strip().partition("\n")[0])[:WORDS]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def private_input() -> IO[str]:
    """Move the backend's pipe away from standard input, so that child processes don't inherit it."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = os.fdopen(pipe)
    return sys.stdin


def main() -> None:
    """Report until told to end; send any error as a reply."""
    pipe = private_input()
    link = Link()
    request = link.receive(BeginReport)
    try:
        # If the package asks a question, it must not read the pipe, which the link has taken over.
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - for the rest of the process's life
        assert not pipe.closed
        os.chdir(request.folder)
        writer = WRITERS[request.to](ReportedJob(**request.job))
        reporter = Reporter(writer, Reported(Path(request.state)))
        link.send(Accepted())
        while True:
            order = link.receive_of(ORDERS)
            if isinstance(order, EndReport):
                reporter.close(order.status)
                link.send(Accepted())
                return
            for event in order.events:
                reporter.take(event)
            reporter.flush()
            location, reporter.location = reporter.location, None
            link.send(Accepted(SECRET.sub("//***@", location) if location else None))
    except BaseException as error:  # noqa: BLE001 - a package may raise what it likes, and end the process
        traceback.print_exc()
        link.send(ReportFault(describe_error(error)))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)

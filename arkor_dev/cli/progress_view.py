"""Shows a run: a progress bar on a terminal, plain lines anywhere else.

Plain lines are written whole and flushed, so that a reader of the pipe (such as Studio) sees each at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from arkor_dev.contract.events import (
    MODEL_PROGRESS,
    SYSTEM_METRICS,
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_LOG,
    TRAINING_PAUSED,
    TRAINING_PHASE,
    TRAINING_STARTED,
)
from arkor_dev.core.plain_text import one_line, plain
from arkor_dev.jobs.follow import Connection, JobEvent, Waiting

from .console import label_column, print_wrapped
from .event_text import RunLines, progress_of, waiting_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from arkor_dev.identity.local_backend import Notice

PROGRESS_PAUSE: Final = 5.0
"""Seconds between two lines about the same preparation without a progress bar."""


ROOMY: Final = 60
"""Columns from which on a terminal shows all figures of a run."""


class PlainView:
    """Prints one line per event, without colour or cursor movement."""

    def __init__(
        self, console: Console, total: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.run = RunLines(total)
        self._clock = clock
        self._printed_at: dict[str, float] = {}
        self._finished: set[str] = set()
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str, style: str = "") -> None:
        """Print one line."""
        print_wrapped(self.console, Text(plain(text), style))

    def show(self, item: JobEvent | Connection | Waiting) -> None:
        if isinstance(item, Connection):
            self._connection(item)
        elif isinstance(item, Waiting):
            self.say(waiting_line(item), "yellow")
        elif item.name == MODEL_PROGRESS and isinstance(item.data, dict):
            self._progress(item.data)
        elif item.name != SYSTEM_METRICS:
            self._event(item, self.run.read(item))

    def notice(self, notice: Notice) -> None:
        """Print a local backend's notice, unless it repeats the progress of an event."""
        if notice.get("notice") == "message":
            style = {"warning": "yellow", "error": "red"}.get(str(notice.get("level")), "")
            self.say(one_line(notice.get("text"), 2000), style)

    def measuring(self, progress: object) -> None:
        """Show the progress of the estimate of time and memory."""
        data = progress if isinstance(progress, dict) else {}
        self._progress({**data, "label": "Estimating time and memory"})

    def _connection(self, connection: Connection) -> None:
        if connection.fault is None:
            self.say("reconnected")
        else:
            self.say(f"connection lost, retrying: {one_line(connection.fault)}", "yellow")

    def _event(self, event: JobEvent, line: str) -> None:
        styles = {
            TRAINING_FAILED: "red",
            TRAINING_COMPLETED: "green",
            TRAINING_CANCELLED: "yellow",
            TRAINING_PAUSED: "yellow",
        }
        if line:
            self.say(line, styles.get(event.name, ""))

    def _progress(self, data: dict[str, object]) -> None:
        label, done, total, words = progress_of(data)
        complete = total is not None and done >= total
        printed_at = self._printed_at.get(label)
        if label in self._finished or (
            printed_at is not None and not complete and self._clock() - printed_at < PROGRESS_PAUSE
        ):
            return
        if complete:
            self._finished.add(label)
        line = f"{label}  {words}".rstrip()
        if line != self._line:
            self._line = line
            self._printed_at[label] = self._clock()
            self.say(line)


class _Words(ProgressColumn):
    """Redraws a task's ``words()``, so that the time left counts down between two events."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["words"]())


class LiveView(PlainView):
    """A progress bar; prints above it only what remains of interest."""

    def __init__(self, console: Console, total: int | None = None) -> None:
        super().__init__(console, total)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=label_column(console)),
            BarColumn(bar_width=24),
            _Words(Column(no_wrap=True)),
            console=console,
        )
        self._bar: TaskID | None = None
        self._preparing: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_preparations()
        if self._bar is not None:
            self._bars.update(self._bar, description=self.run.doing())
        self._bars.stop()

    def _event(self, event: JobEvent, line: str) -> None:
        evaluated = isinstance(event.data, dict) and any(key.startswith("eval") for key in event.data)
        if event.name not in (TRAINING_LOG, TRAINING_PHASE) or evaluated:
            super()._event(event, line)
        if event.name in (TRAINING_STARTED, TRAINING_LOG, TRAINING_PHASE):
            self._clear_preparations()
            if self._bar is None:
                self._bar = self._bars.add_task("training", total=self.run.total, words=self._figures)
            self._bars.update(
                self._bar,
                total=self.run.total,
                completed=self.run.step or 0,
                description=self.run.doing(),
            )

    def _figures(self) -> str:
        run = self.run
        parts = [f"{words} {value:.3f}" for words, value in run.figures.items()]
        if self.console.width < ROOMY:
            return "  ".join(parts[:1] + run.time_left_text())
        return "  ".join(parts + run.outlook())

    def _progress(self, data: dict[str, object]) -> None:
        label, done, total, words = progress_of(data)
        if label not in self._preparing:
            if len(self._preparing) >= 8:
                self._clear_preparations()
            self._preparing[label] = self._bars.add_task(label, total=total, words=str)
        self._bars.update(self._preparing[label], completed=done, total=total, words=lambda: words)

    def _clear_preparations(self) -> None:
        for task in self._preparing.values():
            self._bars.remove_task(task)
        self._preparing.clear()


def view_for(console: Console, total: int | None) -> PlainView:
    """Return the view that suits the console. A dumb terminal cannot move its cursor."""
    redraws = console.is_terminal and not console.is_dumb_terminal
    return LiveView(console, total) if redraws else PlainView(console, total)

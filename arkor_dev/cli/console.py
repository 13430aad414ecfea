"""Terminal output of a running Studio: progress, and one line for each problem."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from arkor_dev.core.plain_text import one_line, plain

from .standard_error import StandardError

if TYPE_CHECKING:
    from arkor_dev.identity.local_backend import Notice

LONGEST = 2000
"""Longest text from outside that is printed, in characters."""
PLAIN_PAUSE = 5.0
"""Seconds between two progress lines if the terminal cannot redraw."""


def print_wrapped(console: Console, text: Text) -> None:
    """Print one line. Only a terminal wraps it, between words: a program may read it elsewhere.

    A word that is longer than the terminal is wide, such as an address, stays whole.
    """
    # rich would divide such a word, too.
    if console.is_terminal:
        breaks, begin = [], 0
        for word in re.finditer(r"\S+", text.plain):
            before = text.plain[begin : word.start()]
            if "\n" in before:
                begin = word.start()
            elif before.strip() and cell_len(text.plain[begin : word.end()]) > console.width:
                begin = word.start()
                breaks.append(begin)
        lines = text.divide(breaks)
        for line in lines:
            line.rstrip()
        text = Text("\n").join(lines)
    console.print(text, soft_wrap=True)


class LogLines(logging.Handler):
    """Prints each log record on one line, followed by the traceback of a bug."""

    _STYLES: ClassVar = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        try:
            level = (f"{record.levelname.lower()}: ", self._STYLES.get(record.levelname, "dim"))
            self._console.print(Text.assemble(level, one_line(record.getMessage(), LONGEST)), soft_wrap=True)
            if record.exc_info:
                trace = logging.Formatter().formatException(record.exc_info)
                self._console.print(Text(plain(trace)), soft_wrap=True)
        except Exception:  # noqa: BLE001 (as every logging handler does)
            self.handleError(record)


def label_column(console: Console) -> Column:
    """Return a column that leaves half of the line to the figures, which no bar or long label may hide."""
    return Column(no_wrap=True, max_width=max(10, console.width // 2))


class Terminal:
    """Prints to stderr, so that stdout stays free for pipes."""

    def __init__(self) -> None:
        self._console = Console(file=StandardError(), highlight=False)  # type: ignore[arg-type]
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._last_line, self._printed_at = "", 0.0
        self._last_label = ""

    def use_for_logs(self, level: str) -> None:
        """Print this process's log records here, one line each."""
        logging.basicConfig(level=level.upper(), handlers=[LogLines(self._console)])

    def identity(self, line: str) -> None:
        """Print who is signed in: ``<mode> · <org>[ / <project>][ · <host>]``."""
        self._console.print(Text.assemble(("  Identity ", "dim"), one_line(line, LONGEST)), soft_wrap=True)

    def error(self, text: str) -> None:
        """Print an error with its advice."""
        print_wrapped(self._console, Text.assemble(("error: ", "bold red"), one_line(text, LONGEST)))

    def notice(self, notice: Notice) -> None:
        """Print the backend's notice: a message, or the progress of a long step."""
        if notice.get("notice") == "progress":
            self._show_progress(
                one_line(notice.get("label", "")), notice.get("done"), notice.get("total"), notice.get("unit")
            )
        elif notice.get("notice") == "progressEnded":
            self._remove_bar(one_line(notice.get("label", "")))
        elif notice.get("notice") == "message":
            style = {"warning": "yellow", "error": "bold red"}.get(str(notice.get("level")), "dim")
            self._print(one_line(notice.get("text", ""), LONGEST), style)

    def line(self, text: str) -> None:
        self._print(text, "")

    @property
    def can_ask(self) -> bool:
        """Return whether a person can see a question and press a key."""
        return self._console.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def _print(self, line: str, style: str) -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def _show_progress(self, label: str, done: object, total: object, unit: object) -> None:
        done = done if isinstance(done, int) else 0
        total = total if isinstance(total, int) else None
        finished = total is not None and done >= total
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            now = time.monotonic()
            line = f"{label} {100 * done // total} %" if total else label
            if line != self._last_line and (finished or now - self._printed_at >= PLAIN_PAUSE):
                self._last_line, self._printed_at = line, now
                self._print(line, "")
            return
        repeated, self._last_label = label == self._last_label, label
        if total is None:  # nothing says when it ends, so a bar would stay
            if not repeated:
                self._print(label, "dim")
            return
        if self._progress is None:
            unwrapped = Column(no_wrap=True)
            amount = (
                DownloadColumn(table_column=unwrapped)
                if unit == "B"
                else TextColumn("{task.completed}/{task.total}", table_column=unwrapped)
            )
            self._progress = Progress(
                TextColumn("{task.description}", table_column=label_column(self._console)),
                BarColumn(),
                amount,
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                console=self._console,
                # The console writes to whatever sys.stderr is: a redirected one would feed the bar to itself.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._progress.start()
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(escape(label), total=total)
        self._progress.update(self._bars[label], completed=done, total=total)
        if self._progress.finished:
            self._stop_bars()

    def close(self) -> None:
        """Remove unfinished bars and restore the terminal."""
        for label in list(self._bars):
            self._remove_bar(label)
        self._console.file.flush()

    def _remove_bar(self, label: str) -> None:
        """Remove the bar of a step that ended early; finished ones stay."""
        if self._progress is None or label not in self._bars:
            return
        task = self._bars[label]
        if not self._progress.tasks[self._progress.task_ids.index(task)].finished:
            self._progress.remove_task(task)
            del self._bars[label]
        if self._progress.finished:
            self._stop_bars()

    def _stop_bars(self) -> None:
        if self._progress is not None:
            self._progress.live.transient = not self._progress.tasks  # nothing to leave on the screen
            self._progress.stop()
        self._progress, self._bars = None, {}

"""What a person sees at the terminal of a running Studio: progress, and one line a problem."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from arkor_dev.core.plain_text import one_line, plain

from .standard_error import StandardError

if TYPE_CHECKING:
    from arkor_dev.identity.local_backend import Notice

LONGEST = 2000
"""Characters of a text from elsewhere that are shown."""
PLAIN_PAUSE = 5.0
"""Seconds between two progress lines where the terminal cannot redraw one."""


class LogLines(logging.Handler):
    """Each record is one line, however long; the traceback of a bug follows it."""

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


class Terminal:
    """Prints to stderr, so that stdout stays free for pipes."""

    def __init__(self) -> None:
        self._console = Console(file=StandardError(), highlight=False)  # type: ignore[arg-type]
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0

    def use_for_logs(self, level: str) -> None:
        """Send this process's log records here, one line each."""
        logging.basicConfig(level=level.upper(), handlers=[LogLines(self._console)])

    def identity(self, line: str) -> None:
        """Who is signed in where: ``<mode> · <org>[ / <project>][ · <host>]``."""
        self._console.print(Text.assemble(("  Identity ", "dim"), one_line(line, LONGEST)), soft_wrap=True)

    def error(self, text: str) -> None:
        """Something that does not work, and what to do."""
        self._console.print(Text.assemble(("error: ", "bold red"), one_line(text, LONGEST)), soft_wrap=True)

    def notice(self, notice: Notice) -> None:
        """Something the backend has to tell: a message, or how far a long step has come."""
        if notice.get("notice") == "progress":
            self._show_progress(
                one_line(notice.get("label", "")), notice.get("done"), notice.get("total"), notice.get("unit")
            )
        elif notice.get("notice") == "message":
            style = {"warning": "yellow", "error": "bold red"}.get(str(notice.get("level")), "dim")
            self._print(one_line(notice.get("text", ""), LONGEST), style)

    def line(self, text: str) -> None:
        """A line of ours."""
        self._print(text, "")

    @property
    def can_ask(self) -> bool:
        """Whether there is a person who sees a question and can press a key."""
        return self._console.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def _print(self, line: str, style: str) -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def _show_progress(self, label: str, done: object, total: object, unit: object) -> None:
        done = done if isinstance(done, int) else 0
        total = total if isinstance(total, int) else None
        finished = total is not None and done >= total
        if not self._console.is_terminal:
            now = time.monotonic()
            if finished or now - self._last_line >= PLAIN_PAUSE:
                self._last_line = now
                share = f" {100 * done // total} %" if total else ""
                self._console.print(Text(f"{label}{share}"), soft_wrap=True)
            return
        if self._progress is None:
            amount = DownloadColumn() if unit == "B" else TextColumn("{task.completed}/{task.total}")
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                amount,
                TimeRemainingColumn(),
                console=self._console,
            )
            self._progress.start()
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(escape(label), total=total)
        self._progress.update(self._bars[label], completed=done, total=total)
        if self._progress.finished:
            self._progress.stop()
            self._progress, self._bars = None, {}

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()
        self._console.file.flush()

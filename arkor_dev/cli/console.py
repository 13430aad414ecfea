"""What a person sees at the terminal of a running Studio: the banner, progress, and one line a problem."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from arkor_dev import __version__
from arkor_dev.core.plain_text import one_line, plain
from arkor_dev.core.settings import DEFAULT_PORT

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
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


class _StandardError(io.TextIOBase):
    """Standard error, where a terminal that has been closed takes no more.

    That it is gone is told by a signal, which ends Studio in good order; no print may end it otherwise.
    """

    encoding = property(lambda self: sys.stderr.encoding)

    def write(self, text: str) -> int:
        try:
            sys.stderr.write(text)
        except OSError:
            self._let_go()
        return len(text)

    def flush(self) -> None:
        try:
            sys.stderr.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        """What Python still has in its buffer is written at the very end: failing there is exit code 120."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, sys.stderr.fileno())
            finally:
                os.close(nowhere)

    def isatty(self) -> bool:
        return sys.stderr.isatty()

    def fileno(self) -> int:
        return sys.stderr.fileno()


class Terminal:
    """Prints to stderr, so that stdout stays free for pipes."""

    def __init__(self) -> None:
        self._console = Console(file=_StandardError(), highlight=False)  # type: ignore[arg-type]
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0

    def use_for_logs(self, level: str) -> None:
        """Send this process's log records here, one line each."""
        logging.basicConfig(level=level.upper(), handlers=[LogLines(self._console)])

    def banner(self, settings: Settings, port: int) -> None:
        """Where to go, and what stands behind it."""
        if settings.port is None and port != DEFAULT_PORT:
            self._print(f"Port {DEFAULT_PORT} is taken; using {port}, the next free one.", "yellow")
        backend = "this machine (local training)" if settings.local else "the managed backend"
        rows = (
            ("Studio", Text(f"http://localhost:{port}", style="bold underline")),
            ("Project", Text(one_line(settings.project, LONGEST))),
            ("Backend", Text(backend)),
        )
        self._console.print(Text.assemble(("Arkor Studio", "bold"), f"  {__version__}"))
        for name, value in rows:
            self._console.print(Text.assemble((f"  {name:<9}", "dim"), value), soft_wrap=True)
        self._print("  Press Ctrl-C to stop.", "dim")

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

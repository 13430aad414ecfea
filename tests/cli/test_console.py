"""What a person sees: one line a problem, however long or hostile its text; a traceback for a bug alone."""

from __future__ import annotations

import errno
import io
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.text import Text

from arkor_dev.cli import console
from arkor_dev.cli.console import LogLines, Terminal, print_wrapped


@pytest.fixture
def out() -> io.StringIO:
    """Where a narrow terminal prints to."""
    return io.StringIO()


@pytest.fixture
def terminal(out: io.StringIO) -> Terminal:
    """A terminal of 40 columns that is a file."""
    terminal = Terminal()
    terminal._console = Console(file=out, width=40, highlight=False)
    return terminal


def record(message: str, *args: object, exc: BaseException | None = None) -> logging.LogRecord:
    """A warning."""
    info = (type(exc), exc, exc.__traceback__) if exc else None
    return logging.LogRecord("x", logging.WARNING, "f", 1, message, args, info)


def test_a_terminal_wraps_between_words_and_leaves_an_address_whole(out: io.StringIO) -> None:
    address = "http://localhost:1234/v1/chat/completions/of/a/teacher"
    text = Text(f"The teacher cannot be reached, at {address}. Start it, then try again.")
    print_wrapped(Console(file=out, width=30, force_terminal=True), text)
    assert out.getvalue().splitlines() == [
        "The teacher cannot be reached,",
        "at",
        f"{address}.",
        "Start it, then try again.",
    ]
    out.truncate(out.seek(0))
    print_wrapped(Console(file=out, width=30), text)
    assert out.getvalue() == f"{text}\n"


def test_a_log_record_is_one_line(out: io.StringIO) -> None:
    handler = LogLines(Console(file=out, width=40))
    handler.emit(record("%s away: [bold]x[/] \x1b]0;title\x07\x1b[31m\nred %s", "host", "y" * 100))
    assert out.getvalue() == f"warning: host away: [bold]x[/] red {'y' * 100}\n"


def test_a_bug_has_its_traceback(out: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("a bug")
    except ZeroDivisionError as error:
        LogLines(Console(file=out, width=40)).emit(record("failed", exc=error))
    assert out.getvalue().startswith("warning: failed\nTraceback")
    assert "ZeroDivisionError: a bug" in out.getvalue()


def test_notices_are_text(terminal: Terminal, out: io.StringIO) -> None:
    terminal.notice({"notice": "message", "level": "warning", "text": "[red]old[/] \x1b[2J client"})
    terminal.notice({"notice": "message"})
    terminal.notice({"notice": "unknown"})
    assert out.getvalue() == "[red]old[/] client\n\n"


def test_progress_in_a_file_is_a_line_now_and_then(
    terminal: Terminal, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now))
    for done in range(0, 101, 10):
        terminal.notice({"notice": "progress", "label": "Model", "done": done, "total": 100, "unit": "B"})
        now += 1
    for _ in range(3):  # a download that has stalled, say
        now += 6
        terminal.notice({"notice": "progress", "label": "Odd", "done": "x", "total": None})
    assert out.getvalue().splitlines() == ["Model 0 %", "Model 50 %", "Model 100 %", "Odd"]
    terminal.close()


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    for done in (1, 2):
        terminal.notice({"notice": "progress", "label": "Loading", "done": done, "total": None})
    for done in (1, 2):
        terminal.notice({"notice": "progress", "label": "Model", "done": done, "total": 2, "unit": "B"})
    terminal.line("after it")
    terminal.close()
    assert screen.getvalue().count("Loading") == 1
    assert "2/2 bytes" in screen.getvalue()
    assert screen.getvalue().endswith("after it\n")


@pytest.mark.parametrize("closed", [False, True])
def test_a_cancelled_download_leaves_no_bar(monkeypatch: pytest.MonkeyPatch, *, closed: bool) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    label = "Model of a name that is longer than half of a narrow terminal"
    terminal = Terminal()
    terminal.notice({"notice": "progress", "label": label, "done": 1, "total": 2, "unit": "B"})
    if closed:
        terminal.line("Stopping Studio.")
    else:
        terminal.notice({"notice": "progressEnded", "label": label})
    terminal.close()
    last_bar = screen.getvalue().rindex("Model")
    assert "0/2 bytes" in screen.getvalue()
    assert "\x1b[2K" in screen.getvalue()[last_bar:], "the last one drawn is erased"
    assert "\x1b[?25h" in screen.getvalue()[last_bar:], "the cursor is back"
    terminal.line("after it")
    assert screen.getvalue().endswith("after it\n")


def test_a_terminal_that_is_gone_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def flush(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", Gone())
    terminal.line("one")
    terminal.error("two")
    terminal.identity("three")
    terminal.notice({"notice": "progress", "label": "four", "done": 1, "total": 2, "unit": "B"})
    terminal.close()
    LogLines(terminal._console).emit(record("five"))

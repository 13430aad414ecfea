"""What appears on a terminal, and what in a pipe."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from arkor_dev.cli.progress_view import LiveView, PlainView, view_for
from arkor_dev.jobs.follow import Connection, JobEvent, Waiting

CONTROLS = re.compile(r"\x1b\[[0-9?]*[A-Za-z]|\r")


class Flushed(io.StringIO):
    """Counts flushes, and what had been written when they came."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def progress(done: int, total: int | None = 100, label: str = "Fetching") -> JobEvent:
    return JobEvent("model.progress", {"label": label, "done": done, "total": total, "unit": "B"})


def row(step: int, **fields: object) -> JobEvent:
    return JobEvent("training.log", {"step": step, **fields})


def test_plain_lines_are_flushed_unwrapped() -> None:
    out = Flushed()
    view = PlainView(Console(file=out, width=20), total=4)
    long = "a name [bold]:smile: of 12:30 " + "x" * 200
    view.say(f"Started job {long}")
    assert out.seen[-1] == f"Started job {long}\n"
    view.show(Waiting(1, ("other", "job_2")))
    assert out.seen[-1].splitlines()[-1] == "Waiting: next in the queue, behind other (job_2)"
    view.show(row(1, loss=2.0))
    assert out.seen[-1].splitlines()[-1] == "step 1/4  loss 2.000"


def test_control_characters_do_not_reach_the_pipe() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, force_terminal=False))
    view.say("a\x1b[2Jb\x07")
    view.show(JobEvent("training.failed", {"error": "\x1b]0;title\x07no"}))
    view.show(Connection("gone \x1b[31mfar\naway"))
    view.notice({"notice": "message", "level": "error", "text": "bad\x1b[1m\nnews"})
    assert out.getvalue() == "ab\nfailed: no\nconnection lost, retrying: gone far away\nbad news\n"


def test_plain_progress_is_throttled() -> None:
    now = 0.0
    out = io.StringIO()
    view = PlainView(Console(file=out), clock=lambda: now)
    for done in range(101):
        now = done / 10
        view.show(progress(done))
    view.show(progress(100))
    view.show(progress(7, None, "Loading"))
    assert out.getvalue().splitlines() == [
        "Fetching  0 % of 100 B",
        "Fetching  50 % of 100 B",
        "Fetching  100 % of 100 B",
        "Loading  7 B",
    ]


def test_plain_progress_notices_are_not_repeated() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out))
    view.notice({"notice": "progress", "label": "Fetching", "done": 1, "total": 2})
    view.notice({"notice": "message", "level": "info", "text": "hello"})
    assert out.getvalue() == "hello\n"


def test_lost_and_restored_connections_are_printed() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out))
    view.show(Connection("host is away."))
    view.show(Connection(None))
    assert out.getvalue() == "connection lost, retrying: host is away.\nreconnected\n"


@pytest.mark.parametrize(("terminal", "kind"), [(True, LiveView), (False, PlainView)])
def test_the_view_depends_on_the_console(terminal: bool, kind: type[PlainView]) -> None:
    assert type(view_for(Console(file=io.StringIO(), force_terminal=terminal), None)) is kind


def live(width: int = 100) -> tuple[LiveView, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    return LiveView(console, total=40), out


def test_the_bar_shows_metrics_and_the_log_lasting_events() -> None:
    view, out = live()
    with view:
        view.say("Started job j")
        for done in (0, 50, 100):
            view.show(progress(done))
        for label in "abcdefghijkl":
            view.show(progress(1, None, label))
        view.show(JobEvent("training.started", {"metadata": {"totalSteps": 40}}))
        for step in range(1, 11):
            view.show(row(step, loss=3 - step / 10))
        view.show(row(10, evalLoss=2.5))
        view.show(JobEvent("checkpoint.saved", {"step": 10}))
    printed = out.getvalue()
    lines = [CONTROLS.sub("", line).strip() for line in printed.splitlines()]
    assert "Started job j" in lines
    assert "step 10/40  eval 2.500" in lines
    assert "step 10: checkpoint saved" in lines
    assert not [line for line in lines if line.startswith("step 5/40  loss")]
    last_bar = [line for line in lines if line.startswith("step 10/40 ") and "━" in line][-1]
    assert last_bar.endswith("loss 2.000  eval 2.500")
    assert "Fetching" not in lines[-1]
    assert printed.endswith("\x1b[?25h")


def test_the_bar_shows_the_measure_of_the_method() -> None:
    view, out = live()
    with view:
        metadata = {"totalSteps": 40, "measure": {"name": "reward"}}
        view.show(JobEvent("training.started", {"metadata": metadata}))
        view.show(row(1, loss=-0.07, reward=0.25))
        view.show(row(1, evalReward=0.5))
    last = CONTROLS.sub("", out.getvalue()).rstrip().splitlines()[-1]
    assert last.endswith("reward 0.250  eval reward 0.500")
    assert "loss" not in last


def test_markup_in_labels_is_escaped() -> None:
    view, out = live()
    with view:
        view.show(progress(1, 10, "[bold]x[/nothing]"))
    assert "[bold]x[/nothing]" in out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_system_metrics_are_not_printed(terminal: bool) -> None:
    out = io.StringIO()
    view = view_for(Console(file=out, force_terminal=terminal, width=80), total=4)
    with view:
        before = out.getvalue()
        view.show(JobEvent("system.metrics", {"step": 1, "cpu": 0.97}))
        assert "0.97" not in out.getvalue()
        assert "system.metrics" not in out.getvalue()
        # A terminal's bar is drawn again all the time, and draws nothing here.
        assert CONTROLS.sub("", out.getvalue()).strip() == CONTROLS.sub("", before).strip() == ""
        assert terminal or out.getvalue() == before


def test_a_narrow_bar_keeps_step_loss_and_time_left() -> None:
    view, out = live(40)
    with view:
        view.show(JobEvent("training.started", {"metadata": {"totalSteps": 40}}))
        view.show(row(10, loss=2.0, evalLoss=2.5, secondsLeft=130))
    assert CONTROLS.sub("", out.getvalue()).rstrip().splitlines()[-1].endswith("loss 2.000  2:10 left")
    view, out = live(40)
    with view:
        view.show(JobEvent("training.phase", {"phase": "evaluating", "secondsLeft": 0}))
    assert "evaluating" in out.getvalue()
    assert "left" not in out.getvalue(), "what is overdue has no estimate"


def test_the_bar_of_an_ended_job_shows_no_time_left() -> None:
    view, out = live()
    with view:
        view.show(row(40, loss=2.0))
        view.show(JobEvent("training.phase", {"phase": "evaluating", "secondsLeft": 30}))
        view.show(JobEvent("training.completed", {}))
    last = CONTROLS.sub("", out.getvalue()).rstrip().splitlines()[-1]
    assert last.rpartition("training")[2].endswith("loss 2.000")
    assert "step 40/40 ━" in last


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert type(view_for(Console(file=io.StringIO(), force_terminal=True), 4)) is PlainView


def test_unchanged_plain_lines_are_not_repeated() -> None:
    out, now = io.StringIO(), 0.0
    view = PlainView(Console(file=out), clock=lambda: now)
    for done in (10, 10, 30):
        view.show(progress(done))
        now += 6
    assert out.getvalue().splitlines() == ["Fetching  10 % of 100 B", "Fetching  30 % of 100 B"]

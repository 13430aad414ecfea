"""How far something has come, in words and on a terminal's line."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.commands import waiting
from arkor_dev.cli.commands.waiting import shown_progress
from arkor_dev.client.background_work import progress_words

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"state": "waiting"}, "Waiting: a job is training"),
        ({"state": "running"}, "Doing"),
        ({"progress": 5}, "Doing"),
        ({"progress": {"label": "Writing", "done": 0, "total": None, "unit": ""}}, "Writing"),
        (
            {"progress": {"label": "Q", "done": 61e6, "total": 144e6, "unit": "B", "secondsLeft": 74.2}},
            "Q: 61.0 MB of 144 MB, 74 s left",
        ),
        ({"progress": {"label": "Q", "done": 5, "total": None, "unit": "B"}}, "Q: 5 B"),
        ({"progress": {"label": "Q", "done": "x", "total": 1, "unit": "B"}}, "Q: x of 1 B"),
        ({"progress": {"label": "A\x1b[31m", "done": 3, "total": 8, "unit": "rows"}}, "A: 3 of 8 rows"),
    ],
)
def test_progress_is_told_in_words(told: Mapping[str, Any], words: str) -> None:
    assert progress_words(told, "Doing") == words


class Terminal(io.StringIO):
    """Standard error that a person looks at, or not."""

    seen = True

    def isatty(self) -> bool:
        return self.seen


@pytest.mark.parametrize(
    ("seen", "written"), [(True, "\r\x1b[Ka: 1\r\x1b[Ka: 2\r\x1b[Kb: 1\r\x1b[K"), (False, "a: 1\nb: 1\n")]
)
def test_words_replace_those_before_or_each_piece_of_work_is_a_line(
    monkeypatch: pytest.MonkeyPatch, seen: bool, written: str
) -> None:
    terminal = Terminal()
    terminal.seen = seen
    monkeypatch.setattr(sys, "stderr", terminal)

    def interrupted() -> None:
        with shown_progress() as show:
            for words in ("a: 1", "a: 1", "a: 2", "b: 1"):
                show(words)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue() == written


@pytest.mark.parametrize(
    ("words", "visible"), [("Testing: 3 of 44", "Testing: "), ("a: 日本語日本語", "a: 日本語")]
)
def test_a_line_never_wraps_since_only_one_row_is_cleared(
    monkeypatch: pytest.MonkeyPatch, words: str, visible: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "10")
    with shown_progress() as show:
        show(words)
    assert terminal.getvalue() == f"\r\x1b[K{visible}\r\x1b[K"


def test_a_log_has_each_words_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    terminal.seen = False
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(waiting, "LINE_SECONDS", 0.0)
    with shown_progress() as show:
        for words in ("a: 1 of 3", "a: 1 of 3", "a: 2 of 3", "", "a: 2 of 3"):
            show(words)
    assert terminal.getvalue() == "a: 1 of 3\na: 2 of 3\n"

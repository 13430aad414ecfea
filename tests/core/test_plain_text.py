"""Hostile text on its way to a terminal."""

from __future__ import annotations

import pytest

from arkor_dev.core.plain_text import one_line, plain


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("plain, naïve 日本語 🗼\tand\nlines", "plain, naïve 日本語 🗼\tand\nlines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGVsbG8=\x07clip", "clip"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x1bP+q\x1b\\dcs", "dcs"),
        ("\x1bcreset", "reset"),
        ("\x1b7saved\x1b8", "saved"),
        ("\x1b(0line", "line"),
        ("half\x1b", "half"),
        ("half\x1b[", "half"),
        ("over\rwritten\b\b", "overwritten"),
        ("windows\r\nline", "windows\nline"),
        ("\u202eevil\u202c \u2066x\u2069\u200f", "evil x"),
        ("one\u2028two", "onetwo"),
        ("nul\x00del\x7f", "nuldel"),
        ("half a pair\ud800\udcff", "half a pair"),
    ],
)
def test_plain_removes_control_characters_and_escapes(hostile: str, left: str) -> None:
    assert plain(hostile) == left


def test_one_line_joins_lines_and_truncates() -> None:
    assert one_line("a\n b\t\x1b[1mc") == "a b c"
    assert one_line("x" * 10_000) == "x" * 499 + "…"
    assert one_line(None) == "None"
    assert len(one_line("\n" * 10**7 + "x")) <= 500

"""What goes out of an answer: whole characters, and nothing of a stop text."""

from __future__ import annotations

import pytest

from arkor_dev.local.inference.generation.decoding import StopFilter


def through(stops: StopFilter, pieces: list[str]) -> str:
    out = ""
    for piece in pieces:
        out += stops.push(piece)
        if stops.met:
            return out
    return out + stops.flush()


@pytest.mark.parametrize(
    ("text", "stops", "wanted"),
    [
        ("one two three", ["two"], "one "),
        ("one two three", ["four"], "one two three"),
        ("aab aaab", ["aaab"], "aab "),
        ("abcab", ["abcabc"], "abcab"),
        ("x\nUser: y", ["\nUser:", "y"], "x"),
        ("two one", ["one", "two"], ""),
        ("ababac", ["abac"], "ab"),
        ("", ["x"], ""),
        ("all of it", [], "all of it"),
    ],
)
def test_an_answer_ends_before_its_first_stop_text(text: str, stops: list[str], wanted: str) -> None:
    for size in (1, 2, 3, 100):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert through(StopFilter(stops), pieces) == wanted, size


def test_text_that_cannot_begin_a_stop_is_sent_at_once() -> None:
    stops = StopFilter(["###"])
    assert [stops.push(piece) for piece in ("Hello", " #", "x", "##")] == ["Hello", " ", "#x", ""]
    assert stops.flush() == "##"

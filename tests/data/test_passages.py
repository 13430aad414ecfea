"""Deleted texts, found again by the hashes of their passages alone."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from arkor_dev.data.passages import APART, WORDS, Passages, texts_of, words_of
from arkor_dev.data.rows import Row

if TYPE_CHECKING:
    from arkor_dev.data.rows import RowMessage

SECRET = "Ann Miller lives at 7 Willow Lane, and her card ends in 4921 (since May)."
OTHER = "Where does Ben live? At 9 Oak Street, and his card ends in 1234."


def hashed(*deleted: str, others: tuple[str, ...] = (OTHER,)) -> Passages:
    return Passages.from_json(json.loads(json.dumps(Passages.of(deleted, others).to_json())))


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"He said: {SECRET} Then he left.",
        SECRET.upper(),
        "ann  miller\nlives: at 7, willow lane, and her purse is lost",
        "…at 7 Willow Lane, and her card ends in 4921 since May.",
    ],
)
def test_a_passage_is_found_in_other_spelling_and_in_excerpts(text: str) -> None:
    assert hashed(SECRET).are_in(text)


@pytest.mark.parametrize("text", ["", OTHER, "Ann Miller lives", "her card ends in 4921", "4921"])
def test_other_texts_are_not_found(text: str) -> None:
    assert not hashed(SECRET).are_in(text)


def test_what_a_remaining_row_has_is_not_searched_for() -> None:
    greeting = "Hello, how may I help you today with your order?"
    assert not hashed(greeting, others=(f"{greeting} Please say it.",))
    both = hashed(greeting, SECRET, others=(greeting,))
    assert both.are_in(SECRET)
    assert not both.are_in(greeting)


def test_short_texts_are_found_whole() -> None:
    assert hashed("Pin 4921").are_in("The pin 4921 is right")
    assert hashed("hunter2hunter").are_in("password: hunter2hunter")
    assert not hashed("Yes"), "too common to be searched for"


def test_texts_without_spaces_are_found() -> None:
    passages = hashed("山田太郎は東京都千代田区に住んでいます", others=())
    assert passages.are_in("昨日の記録では山田太郎は東京都千代田区に住んでいますとあった")
    assert not passages.are_in("山田花子は大阪に住んでいます")


def test_the_hashes_do_not_contain_the_text_and_differ_by_key() -> None:
    one, other = Passages.of([SECRET], []).to_json(), Passages.of([SECRET], []).to_json()
    assert "miller" not in json.dumps(one).lower()
    assert not set(one["hashes"][str(WORDS)]) & set(other["hashes"][str(WORDS)])


def test_no_part_of_a_passage_can_be_guessed_alone() -> None:
    """Who knows the words before a secret must guess all that follow in its passage, not one by one."""
    text = "Dear team, my name is Ann Miller and the code of my door is 4921 so please come in at any time"
    kept = Passages.of([text], []).to_json()
    assert kept.keys() == {"key", "hashes"}
    words = words_of(text)
    passages = Passages.from_json(kept)
    assert set(passages.hashes) == {WORDS}
    starts = {
        start
        for start in range(len(words) - WORDS + 1)
        if passages.are_in(" ".join(words[start : start + WORDS]))
    }
    assert starts == {0, 4, 8, len(words) - WORDS}
    assert min(after - before for before, after in pairwise(sorted(starts))) >= APART
    assert not any(map(passages.are_in, words))


def test_a_passage_is_found_wherever_a_text_is_cut() -> None:
    passages = hashed(SECRET, "hunter2hunter")
    text = f"… {SECRET.upper()} …"
    assert all(passages.are_in_pieces((text[:at], text[at:])) for at in range(len(text)))
    assert passages.are_in_pieces(text)
    assert passages.are_in_pieces(["x" * 100_000, " ", *"hunter2hunter", " ", "y" * 100_000])


def test_all_texts_of_a_row_are_searched_for() -> None:
    messages: list[RowMessage] = [
        {"role": "user", "content": "question one"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": '{"a": "b c"}'}}],
        },
    ]
    row = Row(messages, "x", extra={"rejected": [{"content": "worse answer"}]})
    assert {"question one", "worse answer", '{"a": "b c"}'} <= set(texts_of(row))

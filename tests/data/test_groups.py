"""Which rows belong together: by a column, by their questions, by their likeness, and by nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.groups import content_key, groups_of
from arkor_dev.data.reader import DataFile, open_data
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import Row, RowMessage

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [f"word{number}" for number in range(500)]


def chat(asked: str, answered: str, **more: Any) -> Row:
    talk: list[RowMessage] = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return Row(talk, "d", **more)


def said(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_rows_with_the_same_question_are_one_group() -> None:
    rows = [chat(f"Where is {n // 2}?", said(n)) for n in range(8)]
    rows += [chat("where  IS 0?", "Elsewhere."), Row([], "d", text="A text."), Row([], "d", text="Another.")]
    assert groups_of(rows).ids == [0, 0, 1, 1, 2, 2, 3, 3, 0, 4, 5]


def test_near_duplicates_are_one_group() -> None:
    rows = [chat(said(n), said(100 + n)) for n in range(6)]
    near = chat(f"Please: {said(2)}", said(102))
    groups = groups_of([*rows, near])
    assert groups.ids == [0, 1, 2, 3, 4, 5, 2]
    assert groups.compared


def test_rows_made_from_one_passage_are_one_group() -> None:
    """Also if the passage's document is no source: it has most of the rows."""
    source = chat(said(40), said(41))
    rows = [chat(said(n), said(100 + n), made_from=f"{n // 3:016x}") for n in range(9)]
    rows += [source, chat(said(50), said(51), made_from=content_key(source)), chat(said(60), said(61))]
    assert groups_of(rows).ids == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4]
    assert groups_of(rows[:3]).count == 1


def test_made_from_is_read_from_a_valid_origin_only() -> None:
    def made(of: object) -> str:
        row = {"prompt": "a", "completion": "b", "made": of}
        return row_of(row, "d", None, {}).made_from

    assert made({"origin": "0123456789abcdef"}) == "0123456789abcdef"
    for other in ({"origin": "gpt"}, {"origin": 7}, {}, "0123456789abcdef", None):
        assert made(other) == ""


def test_near_duplicates_are_grouped_within_a_chain_of_similar_rows() -> None:
    """A chain of alike rows says nothing of its members; that two are nearly the same still does."""
    words = [f"word{number}" for number in range(1000)]
    chain = [chat("", " ".join(words[12 * n : 12 * n + 40])) for n in range(80)]
    twin = chat("", f"{chain[7].messages[1]['content']} indeed")
    groups = groups_of([*chain, twin], 0.5).ids
    assert groups[80] == groups[7]
    assert len(set(groups)) == 80


def test_rows_with_the_same_instructions_are_separate_groups() -> None:
    """Five tasks of 60 rows each: most of a row's words are its task's."""
    rows = [chat(f"{said(n % 5, 80)} {said(1000 + n, 12)}", f"label{n % 5} label{n % 3}") for n in range(300)]
    assert groups_of(rows).count == 300


def test_edited_copies_of_one_row_are_one_group() -> None:
    """Unlike rows of a template they have no words in common that all of them have."""
    chance = random.Random(0)

    def edited(text: str) -> str:
        words = text.split()
        for place in chance.sample(range(len(words)), len(words) // 8):
            words[place] = chance.choice(WORDS)
        return " ".join(words)

    rows = [chat(edited(said(n % 4, 16)), edited(said(n % 4 + 50, 32))) for n in range(160)]
    rows += [chat(said(100 + n, 16), said(500 + n, 32)) for n in range(40)]
    groups = groups_of(rows).ids
    assert groups[:160] == [0, 1, 2, 3] * 40
    assert len(set(groups)) == 44


@pytest.mark.parametrize("prompt", ["Write a story.", ""])
def test_a_prompt_shared_by_all_rows_does_not_group_them(prompt: str) -> None:
    """The prompt says nothing of them then, nor does a beginning that all have."""
    system: RowMessage = {"role": "system", "content": said(7)}
    rows = [chat(prompt, f"{said(8, 12)} {said(n)}") for n in range(12)]
    rows = [Row([system, *row.messages], "d") for row in rows]
    assert groups_of(rows).count == 12


def test_a_source_column_is_detected_or_configured() -> None:
    def rows(**columns: Any) -> list[Row]:
        named = {name: [str(value(n)) for n in range(30)] for name, value in columns.items()}
        return [
            chat(said(n, 5), said(n, 6), origins={name: each[n] for name, each in named.items()})
            for n in range(30)
        ]

    found = groups_of(rows(doc_id=lambda n: n // 3))
    assert (found.column, found.count) == ("doc_id", 10)
    assert groups_of(rows(doc_id=lambda n: n // 3), guess=False).count == 30
    kinds = groups_of(rows(source=lambda n: n % 2))
    assert (kinds.column, kinds.count) == (None, 30), "two kinds of rows are no sources"
    assert groups_of(rows(user=lambda n: n)).column is None, "nobody is there twice"
    by_name = [
        Row(row.messages, "d", origins=row.origins, group="source") for row in rows(source=lambda n: n % 2)
    ]
    assert groups_of(by_name).ids == [0, 1] * 15


def test_a_named_column_is_read_from_every_format(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(
        '{"prompt": "a", "completion": "b", "book": 7}\n{"prompt": "a", "completion": "b"}'
    )
    (tmp_path / "d.csv").write_text("a,b,seven\n")
    columns = {"prompt": "1", "completion": "2"}
    files = [
        DataFile(tmp_path / "d.jsonl", "d.jsonl", group="book"),
        DataFile(tmp_path / "d.csv", "d.csv", columns=columns, group="3"),
    ]
    with open_data(files) as data:
        first, without, table = [item.row for item in data]
    assert isinstance(first, Row)
    assert isinstance(table, Row)
    assert (first.origins, first.group) == ({"book": "7"}, "book")
    assert (table.origins, table.group) == ({"3": "seven"}, "3")
    assert "has no column 'book' for group" in str(without)

"""Which rows belong together: by a column, by their questions, by their likeness, and by nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.groups import groups_of
from arkor_dev.data.reader import DataFile, open_data
from arkor_dev.data.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [f"word{number}" for number in range(500)]


def chat(asked: str, answered: str, **more: Any) -> Row:
    talk = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return Row(talk, "d", **more)


def said(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_rows_that_ask_the_same_belong_together() -> None:
    rows = [chat(f"Where is {n // 2}?", said(n)) for n in range(8)]
    rows += [chat("where  IS 0?", "Elsewhere."), Row([], "d", text="A text."), Row([], "d", text="Another.")]
    assert groups_of(rows).ids == [0, 0, 1, 1, 2, 2, 3, 3, 0, 4, 5]


def test_rows_that_are_nearly_the_same_belong_together() -> None:
    rows = [chat(said(n), said(100 + n)) for n in range(6)]
    near = chat(f"Please: {said(2)}", said(102))
    groups = groups_of([*rows, near])
    assert groups.ids == [0, 1, 2, 3, 4, 5, 2]
    assert groups.compared


@pytest.mark.parametrize("prompt", ["Write a story.", ""])
def test_one_prompt_for_all_rows_joins_none(prompt: str) -> None:
    """The prompt says nothing of them then, nor does a beginning that all have."""
    system = {"role": "system", "content": said(7)}
    rows = [chat(prompt, f"{said(8, 12)} {said(n)}") for n in range(12)]
    rows = [Row([system, *row.messages], "d") for row in rows]
    assert groups_of(rows).count == 12


def test_a_column_of_sources_is_found_and_one_can_be_named() -> None:
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

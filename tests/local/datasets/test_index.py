"""Rows as their files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.data.exclusions import entry_of, row_hash
from arkor_dev.data.reader import DataFile
from arkor_dev.local.datasets.index import Index

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_row_is_shown_as_written(tmp_path: Path) -> None:
    for name, between in (("a.csv", ";"), ("b.tsv", "\t")):
        row = f'1{between}"say ""hi"""{between}on its way'
        (tmp_path / name).write_text(f"id{between}question{between}answer\n{row}\n")
        index = Index([DataFile(tmp_path / name, name)])
        index.step(1)
        assert index.raw(1, 1000) == row
        index.close()


def test_large_rows_do_not_block_progress(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\n" + f"{',' * 2**20}\n" * 60)
    index = Index([DataFile(tmp_path / "a.csv", "a.csv")])
    index.step(0.02)
    assert 1 <= len(index) < 60
    index.close()


def test_rows_are_counted_by_source(tmp_path: Path) -> None:
    for name, count in (("a", 3), ("b", 2), ("c", 4)):
        (tmp_path / name).write_text('{"text": "x"}\n' * count)
    files = [
        DataFile(tmp_path / "a", "a", exclude=frozenset({entry_of(row_hash(b'{"text": "x"}'), 2)})),
        DataFile(tmp_path / "b", "b", source=1),
        DataFile(tmp_path / "c", "c", source=1),
    ]
    index = Index(files)
    while not index.complete:
        index.step(1)
    assert index.by_source == [2, 6]
    index.close()

"""Rows as their files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

"""Which files a data set is: a file, a folder, several; none of them outside the project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.data import sources
from arkor_dev.data.reader import DataFile
from arkor_dev.data.sources import (
    SourceError,
    check_mixture,
    every_file,
    files_of,
    inside,
    weights_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("data/b.JSONL", "data/a.csv.gz", "data/deep/c.json", "data/README.md", "data/.hidden.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / "data" / ".git").mkdir()
    (folder / "data" / ".git" / "d.json").write_text("x")
    return folder


def test_a_folder_contains_its_data_files_in_order(project: Path) -> None:
    columns = {"prompt": "q"}
    found = files_of({"type": "file", "path": "data", "form": "chat", "columns": columns}, project)
    assert [file.name for file in found] == ["data/a.csv.gz", "data/b.JSONL", "data/deep/c.json"]
    assert {(file.form, file.columns["prompt"]) for file in found} == {("chat", "q")}


def test_a_list_of_sources_keeps_its_order(project: Path) -> None:
    fetched = DataFile(project / "f", "fetched")
    found = every_file(
        {
            "type": "list",
            "sources": [
                {"type": "file", "path": "data/deep"},
                {"type": "blob", "url": "https://x"},
                {"type": "file", "path": "data/b.JSONL"},
            ],
        },
        project,
        lambda source: fetched if source["url"] == "https://x" else DataFile(project, "?"),
    )
    assert [file.name for file in found] == ["data/deep/c.json", "fetched", "data/b.JSONL"]


def test_links_out_of_a_data_folder_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.parent / "secret.jsonl").write_text("x")
    link = project / "data" / "z.jsonl"
    link.symlink_to(project.parent / "secret.jsonl")
    with pytest.raises(SourceError, match=r'"data/z.jsonl" is outside the project'):
        inside(project, "data")
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(SourceError, match=r'"data/z.jsonl" is not a regular file'):
        inside(project, "data")
    link.unlink()
    (project / "data" / "up").symlink_to(project.parent)  # a folder's links to folders are not followed
    assert len(inside(project, "data")) == 3
    monkeypatch.setattr(sources, "FILES", 2)
    with pytest.raises(SourceError, match="more than 2 files"):
        inside(project, "data")


def test_a_folder_without_data_files_is_refused(project: Path) -> None:
    (project / "none").mkdir()
    with pytest.raises(
        SourceError, match=r'"none" is a folder without data files \(jsonl, ndjson, json, csv'
    ):
        inside(project, "none")


def test_a_file_belongs_to_one_source_only(project: Path) -> None:
    folder: DatasetSource = {"type": "file", "path": "data"}
    inner: DatasetSource = {"type": "file", "path": "data/deep/c.json", "weight": 2}
    check_mixture({"type": "list", "sources": [inner, {"type": "blob", "url": "https://x"}]}, project)
    with pytest.raises(SourceError, match=r'"data/deep/c.json" is in the list twice'):
        check_mixture({"type": "list", "sources": [folder, inner]}, project)


def test_a_weight_that_is_not_set_is_1() -> None:
    source: DatasetSource = {"type": "file", "path": "a", "weight": 0.5}
    assert weights_of({"type": "list", "sources": [source, {"type": "file", "path": "b"}]}) == [0.5, 1]
    assert weights_of(source) == [0.5]

"""A full disk: files of a project are as they were, and the error says what makes room."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import InsufficientStorageError
from arkor_dev.project.arkor_toml import revision
from arkor_dev.project.corrections import add_correction
from arkor_dev.project.new_data import NewDataFile
from arkor_dev.project.starter import start_from_data
from arkor_dev.project.write_settings import write_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.data.rows import RowMessage

TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n'
MESSAGES: list[RowMessage] = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def upload(project: Path) -> None:
    file = NewDataFile(project, "d.jsonl")
    try:
        file.write(b"{}")
        file.keep()
    finally:
        file.close()


WRITES: dict[str, Callable[[Path], object]] = {
    "settings": lambda project: write_settings(
        project, "bot", revision(project), {"maxSteps": 7}, preview=False
    ),
    "correction": lambda project: add_correction(project, MESSAGES, "", "base"),
    "upload": upload,
}


@pytest.mark.parametrize("write", WRITES)
def test_a_full_disk_leaves_the_project_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "arkor.toml").write_text(TOML)
    (tmp_path / "d.jsonl").write_text("{}\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(os, "write", full)
        with pytest.raises(InsufficientStorageError, match=r"The disk is full.*arkor-dev local gc"):
            WRITES[write](tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    WRITES[write](tmp_path)


def test_a_full_disk_leaves_no_empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_full(path: Path, _: str) -> Full:
        path.touch()
        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(InsufficientStorageError):
            start_from_data(tmp_path, "data/d.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert start_from_data(tmp_path, "data/d.jsonl")

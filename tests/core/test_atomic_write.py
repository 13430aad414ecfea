"""A private file is on the disk before it has its name: a machine that loses its power keeps the old one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.core.atomic_write import ChangedError, replace_regular, write_private
from arkor_dev.core.spliced_file import Splice, opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("exclusive", [False, True])
def test_content_is_fsynced_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    path = tmp_path / "token"
    if not exclusive:
        path.write_bytes(b"old")
    flush, seen = os.fsync, []

    def watched(handle: int) -> None:
        seen.append((os.fstat(handle).st_size, path.read_bytes() if path.exists() else None))
        flush(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_private(path, b"newer", exclusive=exclusive)
    assert seen == [(5, None if exclusive else b"old")]
    assert path.read_bytes() == b"newer"


def test_a_file_changed_since_reading_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o604)
    replace_regular(path, b"new", b"old")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o604
    for held in (b"old", b"ne", b"newer"):
        with pytest.raises(ChangedError):
            replace_regular(path, b"x", held)
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("rename", [False, True])
def test_a_change_during_the_write_aborts_the_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rename: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.utime(path, (1, 1))  # a file's times come from a clock that may stand still for some milliseconds
    flush = os.fsync

    def meanwhile(handle: int) -> None:
        flush(handle)
        other = tmp_path / "other"
        (other if rename else path).write_bytes(b"odd")
        if rename:
            other.rename(path)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(ChangedError):
        replace_regular(path, b"new", b"old")
    assert path.read_bytes() == b"odd"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "nothing"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "link":
        (tmp_path / "target").write_bytes(b"old")
        path.symlink_to("target")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(OSError, match=r"file|directory|links"):
        replace_regular(path, b"new", b"old")
    assert path.is_symlink() is (kind == "link")
    assert not (tmp_path / "target").exists() or (tmp_path / "target").read_bytes() == b"old"


@pytest.mark.parametrize("spliced", [False, True])
def test_temporary_files_of_killed_edits_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spliced: bool
) -> None:
    """Only the edited file's own temporary files, and only old ones: a recent one is still being written."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"old")
    left = tmp_path / ".rows.jsonl.0123456789abcdef.tmp"
    others = [".rows.jsonl.swp", ".rows.jsonl.draft.tmp", ".other.jsonl.0123456789abcdef.tmp", "a.tmp"]
    for name in (left.name, *others):
        (tmp_path / name).write_bytes(b"partial")
    (tmp_path / ".rows.jsonl.00000000000000aa.tmp").symlink_to(path)
    kept = {entry.name for entry in tmp_path.iterdir()}

    def edit(new: bytes) -> set[str]:
        if spliced:
            with opened(tmp_path, path.name) as file:
                file.replace([Splice(0, 3, new)])
        else:
            replace_regular(path, new, path.read_bytes())
        return {entry.name for entry in tmp_path.iterdir()}

    assert edit(b"new") == kept
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert edit(b"two") == kept - {left.name}
    assert path.read_bytes() == b"two"

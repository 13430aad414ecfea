"""Replacing parts of a file: nothing else changes, and nothing that another program writes is lost."""

from __future__ import annotations

import errno
import mmap
import os
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.core import spliced_file
from arkor_dev.core.atomic_write import ChangedError
from arkor_dev.core.spliced_file import Splice, opened

if TYPE_CHECKING:
    from pathlib import Path

NEW = [Splice(0, 1, b"O")]
finds_writers = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "d"
    path.write_text("old")
    return path


def test_random_splices_round_trip_through_undo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spliced_file, "PIECE", 1000)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    chance = random.Random(3)
    path, content = tmp_path / "d", chance.randbytes(20_000)
    path.write_bytes(content)
    path.chmod(0o640)
    for _ in range(12):
        ends = sorted(chance.sample(range(0, len(content), 7), 2 * chance.randrange(1, 4)))
        splices = [
            Splice(start, end - start, chance.randbytes(chance.choice([0, 1, 900])))
            for start, end in zip(ends[::2], ends[1::2], strict=True)
        ]
        with opened(tmp_path, "d") as file:
            parts = file.replace(splices)
        expected, at = b"", 0
        for offset, size, new in splices:
            expected, at = expected + content[at:offset] + new, offset + size
        assert path.read_bytes() == expected + content[at:]
        # Elsewhere in the file, the parts are found by what surrounds them, across the borders of pieces.
        path.write_bytes(b"more" + path.read_bytes())
        with opened(tmp_path, "d") as file:
            file.replace(file.locate(parts))
        assert path.read_bytes() == b"more" + content
        path.write_bytes(content)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["d"]


def test_undo_refuses_ambiguous_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spliced_file, "PIECE", 50)
    path, row = tmp_path / "d", b"one row of the file\n"
    path.write_bytes(row)
    with opened(tmp_path, "d") as file:
        parts = file.replace([Splice(0, 3, b"a")])
    twice = b"a" + row[3:]
    for between in (0, 23, 31, 200):
        path.write_bytes(b"-" + twice + b"-" * between + twice)
        with opened(tmp_path, "d") as file, pytest.raises(ChangedError):
            file.locate(parts)


def test_a_file_truncated_meanwhile_is_not_changed(file: Path) -> None:
    file.write_bytes(b"x" * 5000)
    with opened(file.parent, "d") as opened_file:
        file.write_bytes(b"short")
        with pytest.raises(ChangedError):
            opened_file.replace([Splice(4000, 1, b"y")])
        with pytest.raises(ChangedError):
            opened_file.locate([spliced_file.ReplacedPart(9, b"", b"z" * 40, b"", b"")])
    assert file.read_bytes() == b"short"


@pytest.mark.parametrize("how", ["append", "in place", "mapped", "another file"])
def test_a_write_just_before_the_swap_is_not_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Once the file has been compared, and before its new content has its name."""
    swap = spliced_file.SplicedFile._swap
    still_open: list[Any] = []

    def meanwhile(self: spliced_file.SplicedFile, temporary: str) -> bool:
        if how == "another file":
            (file.parent / "other").write_text("old, theirs")
            (file.parent / "other").replace(file)
        elif how == "append":
            still_open.append(file.open("a"))
        else:
            handle = file.open("r+")
            still_open.append(mmap.mmap(handle.fileno(), 0) if how == "mapped" else handle)
            if how == "mapped":
                handle.close()
        return swap(self, temporary)

    monkeypatch.setattr(spliced_file.SplicedFile, "_swap", meanwhile)
    with opened(file.parent, "d") as opened_file, pytest.raises(ChangedError):
        opened_file.replace(NEW)
    if how == "mapped":
        still_open[0][0:3] = b"OLD"
    elif how != "another file":
        still_open[0].write(", theirs")
        still_open[0].close()
    expected = {"append": "old, theirs", "in place": ", theirs", "mapped": "OLD"}
    assert file.read_text() == expected.get(how, "old, theirs")
    assert [each.name for each in file.parent.iterdir()] == ["d"]


@finds_writers
def test_a_file_open_for_writing_elsewhere_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spliced_file, "CLOSE_PATIENCE", 0.0)
    with file.open("a") as held:
        refuses = pytest.raises(OSError, match="another program has it open for writing")
        with refuses as refused, opened(file.parent, "d"):
            pass
        assert refused.value.errno == errno.ETXTBSY
        held.write(", and more")
    with file.open("rb"), opened(file.parent, "d") as opened_file:  # a reader loses nothing
        opened_file.replace(NEW)
    assert file.read_text() == "Old, and more"


@finds_writers
def test_a_waiting_writer_gets_the_lock_before_an_edit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spliced_file, "CLOSE_PATIENCE", 60.0)
    handle = os.open(file, os.O_RDWR | os.O_APPEND)

    def wait_and_append() -> None:
        spliced_file.lock(handle, "d", time.monotonic() + 60)
        os.write(handle, b", first")
        os.close(handle)

    writer = threading.Thread(target=wait_and_append)
    writer.start()
    with opened(file.parent, "d") as opened_file:
        opened_file.replace(NEW)
    writer.join()
    assert file.read_text() == "Old, first"


def test_a_folder_swapped_for_a_symlink_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    for folder in (project / "data", outside):
        folder.mkdir(parents=True)
        (folder / "d").write_text("old")

    def swap_folder(_: int) -> None:
        if not (project / "moved").exists():
            (project / "data").rename(project / "moved")
            (project / "data").symlink_to(outside)

    monkeypatch.setattr(os, "fsync", swap_folder)
    with opened(project, "data/d") as file:
        file.replace(NEW)
    assert (outside / "d").read_text() == "old"
    assert [each.name for each in outside.iterdir()] == ["d"]
    assert (project / "moved" / "d").read_text() == "Old"
    with pytest.raises(OSError, match="link"), opened(project, "data/d"):
        pass


@pytest.mark.parametrize("full", ["write", "fsync"])
def test_a_full_disk_leaves_the_file_unchanged(
    file: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    def refused(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(file.parent, "d") as opened_file:
        monkeypatch.setattr(os, "fchmod" if full == "write" else "fsync", refused)
        with pytest.raises(OSError, match="No space"):
            opened_file.replace(NEW)
    assert file.read_text() == "old"
    assert [each.name for each in file.parent.iterdir()] == ["d"]

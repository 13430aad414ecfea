"""Replacing parts of a large file: the same bytes with and without the page cache."""

from __future__ import annotations

import errno
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.core import spliced_file, unbuffered_copy
from arkor_dev.core.atomic_write import ChangedError
from arkor_dev.core.spliced_file import Splice, opened

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 200_000


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files of `SIZE` bytes large."""
    monkeypatch.setattr(spliced_file, "LARGE", SIZE // 2)
    monkeypatch.setattr(unbuffered_copy, "PIECE", 4 * unbuffered_copy.BLOCK)


@pytest.mark.usefixtures("large")
def test_a_large_file_is_written_past_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    path, content = tmp_path / "d", chance.randbytes(SIZE)
    path.write_bytes(content)
    path.chmod(0o640)
    unbuffered = []
    write = unbuffered_copy.write_unbuffered

    def recorded(*given: Any) -> bool:
        unbuffered.append(write(*given))
        return unbuffered[-1]

    monkeypatch.setattr(spliced_file, "write_unbuffered", recorded)
    for _ in range(12):
        ends = sorted(chance.sample(range(0, len(content), 7), 2 * chance.randrange(1, 4)))
        # A multiple of a block: what follows is aligned again.
        news = [chance.randbytes(chance.choice([0, 1, 4096, 9000])) for _ in ends[::2]]
        splices = [
            Splice(*each)
            for each in zip(
                ends[::2], (b - a for a, b in zip(ends[::2], ends[1::2], strict=True)), news, strict=True
            )
        ]
        with opened(path) as file:
            parts = file.replace(splices)
        expected, at = b"", 0
        for offset, size, new in splices:
            expected, at = expected + content[at:offset] + new, offset + size
        expected += content[at:]
        assert path.read_bytes() == expected
        with opened(path) as file:
            file.replace(file.locate(parts))
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["d"]
    if sys.platform == "linux" and unbuffered_copy_is_possible(tmp_path):
        assert all(unbuffered)


def unbuffered_copy_is_possible(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "probe", os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="names are swapped on Linux only")
@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_written_in_the_very_last_moment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_place: bool
) -> None:
    path, other = tmp_path / "d", tmp_path / "other"
    path.write_text("old")
    state_of = spliced_file.state_of

    def then_written(file: Path) -> Any:
        state = state_of(file)
        if in_place:
            path.write_text("theirs")
        else:
            other.write_text("theirs")
            other.replace(path)
        return state

    with opened(path) as file:
        monkeypatch.setattr(spliced_file, "state_of", then_written)
        with pytest.raises(ChangedError):
            file.replace([Splice(0, 1, b"O")])
    assert path.read_text() == "theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["d"]


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="only Linux writes past the page cache")
@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSPC])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """One that only writes through the page cache is written to like that; a full one keeps the file."""
    path, content = tmp_path / "d", bytes(SIZE)
    path.write_bytes(content)
    pwrite = os.pwrite

    def refused(out: int, data: Any, offset: int) -> int:
        if offset > SIZE // 2:
            raise OSError(code, os.strerror(code))
        return pwrite(out, data, offset)

    monkeypatch.setattr(os, "pwrite", refused)
    with opened(path) as file:
        if code == errno.EINVAL:
            file.replace([Splice(9, 1, b"new")])
            content = content[:9] + b"new" + content[10:]
        else:
            with pytest.raises(OSError, match="No space"):
                file.replace([Splice(9, 1, b"new")])
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["d"]

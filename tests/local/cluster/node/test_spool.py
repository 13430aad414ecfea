"""What a worker says is kept in its order until it is known, in a file that stays small."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cluster.node.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def spool(file: Path) -> Iterator[Spool]:
    spool = Spool(file, LIMIT)
    yield spool
    spool.close()


def line(number: int) -> bytes:
    return b"message %d" % number + b"." * (number % 7)


def test_messages_can_be_read_repeatedly_in_order(spool: Spool) -> None:
    spool.add([line(number) for number in range(5)])
    assert spool.read(0, LIMIT) == [line(number) for number in range(5)]
    assert spool.read(0, 1) == [line(0)]
    assert spool.read(3, LIMIT) == [line(3), line(4)]
    assert spool.read(5, LIMIT) == []
    assert (spool.first, spool.count) == (0, 5)


def test_acknowledged_messages_are_dropped(spool: Spool, file: Path) -> None:
    spool.add([line(number) for number in range(5)])
    spool.forget(2)
    assert spool.read(2, LIMIT) == [line(2), line(3), line(4)]
    with pytest.raises(OSError, match="message 1 is no longer kept"):
        spool.read(1, LIMIT)
    spool.forget(1)  # of an order that came late
    assert spool.first == 2
    spool.forget(99)
    assert (spool.first, spool.count, file.stat().st_size) == (5, 5, 0)
    spool.add([line(5)])
    assert spool.read(5, LIMIT) == [line(5)]


def test_the_spool_file_is_bounded(spool: Spool, file: Path) -> None:
    largest = 0
    for number in range(3000):
        spool.add([line(number)])
        spool.forget(number - 10)
        largest = max(largest, file.stat().st_size)
        expected = [line(each) for each in range(max(0, number - 10), number + 1)]
        assert spool.read(spool.first, LIMIT) == expected
    assert largest < 2 * LIMIT
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_last_acknowledged_messages_are_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "last", LIMIT, 100)
    for number in range(1000):
        spool.add([line(number)])
        spool.forget(number + 1)
        assert (tmp_path / "last").stat().st_size < 400
    lines = spool.read(spool.first, LIMIT)
    assert lines == [line(number) for number in range(spool.first, 1000)]
    assert 100 <= sum(map(len, lines)) < 100 + len(line(6)) + 3
    spool.close()


def test_the_spool_is_full_until_messages_are_acknowledged(spool: Spool) -> None:
    full = []
    for _ in range(2):
        spool.add([b"x" * 600])
        full.append(spool.full)
    spool.forget(1)
    assert [*full, spool.full] == [False, True, False]


def test_a_failed_append_leaves_the_spool_unchanged(
    spool: Spool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.add([line(0)])
    write, tried = os.pwrite, []

    def refuses(handle: int, text: memoryview, place: int) -> int:
        tried.append(place)
        if len(tried) > 1:
            raise OSError("No space left on device")
        return write(handle, text[:3], place)

    monkeypatch.setattr(os, "pwrite", refuses)
    with pytest.raises(OSError, match="No space"):
        spool.add([line(1), line(2)])
    monkeypatch.setattr(os, "pwrite", write)
    assert file.read_bytes() == line(0)
    spool.add([line(1)])
    assert spool.read(0, LIMIT) == [line(0), line(1)]

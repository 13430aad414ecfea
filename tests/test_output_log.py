"""The output log: every byte, in order, at each reader's own pace, within bounds."""

from __future__ import annotations

import asyncio
import random
import tempfile
from typing import TYPE_CHECKING

import pytest

from arkor_dev.output_log import READ_SIZE, OutputLog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log() -> Iterator[OutputLog]:
    """A log so small that it spills and wraps quickly: 10 bytes in memory, 100 in the file."""
    log = OutputLog(memory_limit=10, file_limit=100)
    yield log
    log.close()


async def everything(log: OutputLog, offset: int = 0) -> bytes:
    """What one reader gets from ``offset`` to the end."""
    found = b""
    while True:
        data, offset = await log.read(offset)
        if not data:
            return found
        found += data


async def test_from_memory() -> None:
    log = OutputLog()
    log.append(b"one\n")
    log.append(b"\xff\x00\xe2\x82")  # binary, half a character, no newline at the end
    log.end()
    assert await everything(log) == b"one\n\xff\x00\xe2\x82"
    assert await everything(log, 4) == b"\xff\x00\xe2\x82"
    assert log.size == 8


async def test_a_reader_waits_for_more_and_for_the_end(log: OutputLog) -> None:
    reader = asyncio.create_task(everything(log))
    for piece in (b"a", b"b" * 20, b"c" * 50):
        await asyncio.sleep(0)
        log.append(piece)
    await asyncio.sleep(0.01)
    assert not reader.done()
    log.end()
    assert await reader == b"a" + b"b" * 20 + b"c" * 50


async def test_spilling_keeps_every_byte(log: OutputLog) -> None:
    whole = bytes(range(100))
    for start in range(0, 100, 7):
        log.append(whole[start : start + 7])
        assert log.base == 0
        assert log.peek(0)[0] == whole[: start + 7][: len(log.peek(0)[0])]
    log.end()
    assert await everything(log) == whole


@pytest.mark.parametrize("seed", range(5))
async def test_the_tail_is_bounded_and_right(seed: int) -> None:
    chance = random.Random(seed)
    log = OutputLog(memory_limit=chance.randint(1, 50), file_limit=chance.randint(60, 200))
    whole = b""
    for _ in range(100):
        piece = chance.randbytes(chance.choice((1, 3, 40, 500)))
        log.append(piece)
        whole += piece
        assert log.size == len(whole)
        offset = chance.randint(0, log.size)
        data, after = log.peek(offset)
        begin = max(offset, log.base)
        assert whole[begin:].startswith(data)
        assert after == begin + len(data)
        assert data or begin == log.size
    log.end()
    assert await everything(log) == whole[log.base :]
    assert len(whole) > 2 * (log.size - log.base)
    log.close()


async def test_pieces_are_bounded() -> None:
    log = OutputLog()
    log.append(b"x" * (3 * READ_SIZE))
    log.end()
    data, offset = await log.read(0)
    assert (len(data), offset) == (READ_SIZE, READ_SIZE)
    log.close()


async def test_a_slow_reader_is_told_where_it_is(log: OutputLog) -> None:
    log.append(b"x" * 1000)
    assert log.base == 900
    data, offset = await log.read(5)
    assert offset == 900 + len(data)


async def test_a_full_disk_leaves_the_newest_in_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    log = OutputLog(memory_limit=10, file_limit=100)
    for number in range(10):
        log.append(b"%d23456" % number)
    log.end()
    assert await everything(log) == b"23456923456"[-10:]
    assert (log.base, log.size) == (50, 60)
    assert [record.message for record in caplog.records] == [
        "Only a run's newest output is kept: the temporary folder refuses (No space left on device)."
    ]


async def test_a_disk_that_fills_up_later(
    log: OutputLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log.append(b"x" * 50)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    log.append(b"exit=0\n")
    log.end()
    assert await everything(log) == b"exit=0\n"
    assert len(caplog.records) == 1


async def test_closing_frees_readers_and_the_file(log: OutputLog) -> None:
    log.append(b"x" * 50)
    reader = asyncio.create_task(everything(log, 50))
    await asyncio.sleep(0)
    log.close()
    assert await reader == b""
    assert log.peek(0) == (b"", 50)

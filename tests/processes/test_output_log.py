"""The output log: every byte, in order, at each reader's own pace, within bounds."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import deque
from typing import TYPE_CHECKING

import pytest

from arkor_dev.processes.output_log import READ_SIZE, TAIL, OutputBudget, OutputLog

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


async def test_output_is_read_from_memory() -> None:
    log = OutputLog()
    log.append(b"one\n")
    log.append(b"\xff\x00\xe2\x82")  # binary, half a character, no newline at the end
    log.end()
    assert await everything(log) == b"one\n\xff\x00\xe2\x82"
    assert await everything(log, 4) == b"\xff\x00\xe2\x82"
    assert log.size == 8


async def test_a_reader_waits_until_the_log_ends(log: OutputLog) -> None:
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
async def test_only_the_tail_is_kept_within_the_limits(seed: int) -> None:
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


async def test_reads_are_bounded() -> None:
    log = OutputLog()
    log.append(b"x" * (3 * READ_SIZE))
    log.end()
    data, offset = await log.read(0)
    assert (len(data), offset) == (READ_SIZE, READ_SIZE)
    log.close()


async def test_a_slow_reader_gets_the_current_offset(log: OutputLog) -> None:
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
        (
            "Only a run's newest output is kept: the temporary folder cannot be written "
            "(No space left on device)."
        )
    ]


async def test_a_disk_that_fills_up_keeps_the_newest_output_in_memory(
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


async def test_closing_ends_readers_and_deletes_the_file(log: OutputLog) -> None:
    log.append(b"x" * 50)
    reader = asyncio.create_task(everything(log, 50))
    await asyncio.sleep(0)
    log.close()
    assert await reader == b""
    assert log.peek(0) == (b"", 50)


def kept(logs: list[OutputLog]) -> int:
    """Bytes in files of all logs."""
    return sum(segment.length for log in logs for segment in log._segments)


async def test_all_logs_share_one_budget() -> None:
    budget = OutputBudget(1000)
    logs = [OutputLog(budget, memory_limit=60, file_limit=400) for _ in range(5)]
    for number, log in enumerate(logs):
        log.append(bytes([97 + number]) * 300)
        assert kept(logs) <= 1000
    first, second, *others = logs
    assert [log.size - log.base for log in others] == [300] * 3
    assert second.size - second.base == 100
    assert first._segments == deque()
    assert first.peek(0) == (b"a" * 50, 300)  # its last file was the smallest; its last words stay
    first.append(b"z")
    assert first.peek(0) == (b"a" * 50 + b"z", 301)
    first.append(b"y" * 20)  # it spills again, as the newest of all
    first.end()
    assert await everything(first) == b"a" * 50 + b"z" + b"y" * 20
    assert (kept(logs) <= 1000, second.size - second.base) == (True, 50)
    for log in logs:
        log.close()
    assert kept(logs) == 0


async def test_a_flooding_run_drops_its_own_output_first() -> None:
    budget = OutputBudget(1000)
    quiet = OutputLog(budget, memory_limit=10, file_limit=400)
    loud = OutputLog(budget, memory_limit=10, file_limit=400)
    quiet.append(b"q" * 200)
    for _ in range(100):
        loud.append(b"l" * 77)
    assert (quiet.base, loud.size - loud.base <= 400) == (0, True)
    quiet.close()
    loud.close()


@pytest.mark.parametrize("seed", range(5))
async def test_offsets_stay_valid_when_output_is_dropped(seed: int) -> None:
    chance = random.Random(seed)
    budget = OutputBudget(chance.randint(300, 600))
    logs = [OutputLog(budget, memory_limit=20, file_limit=chance.randint(60, 300)) for _ in range(4)]
    wholes = [b""] * 4
    cursors = [0] * 4
    lost = 0
    for _ in range(400):
        number = chance.randrange(4)
        log, piece = logs[number], chance.randbytes(chance.choice((1, 3, 40, 150)))
        log.append(piece)
        wholes[number] += piece
        assert kept(logs) <= 600
        if chance.random() < 0.3:
            data, after = log.peek(cursors[number])
            assert data == wholes[number][after - len(data) : after]
            lost += after - len(data) - cursors[number]
            cursors[number] = after
    for log, whole in zip(logs, wholes, strict=True):
        log.end()
        assert await everything(log) == whole[log.base :]
        log.close()
    assert lost > 0


async def test_the_exit_line_is_kept_when_output_is_dropped() -> None:
    budget = OutputBudget(2 * TAIL)
    early = OutputLog(budget, memory_limit=10)
    early.append(b"x" * (TAIL + 1) + b"\n---\nexit=0\n")
    early.end()
    others = [OutputLog(budget, memory_limit=10) for _ in range(2)]
    for log in others:
        log.append(b"y" * TAIL)
    found = await everything(early)
    assert (len(found), found.endswith(b"\n---\nexit=0\n")) == (TAIL, True)
    assert early.base == early.size - TAIL
    for log in (early, *others):
        log.close()

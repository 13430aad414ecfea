"""Offsets are exact whatever was merged, trimmed or sliced."""

from __future__ import annotations

import asyncio
import random

import pytest

from arkor_dev.jobs.frame_log import MERGED, SLICE, FrameLog


def frame(number: int, size: int = 0) -> bytes:
    return f"id: {number}\ndata: ".encode() + b"x" * size + b"\n\n"


def read_all(log: FrameLog, offset: int) -> bytes:
    got = b""
    while piece := log.read(offset):
        assert piece.endswith(b"\n\n")
        got += piece
        offset += len(piece)
    return got


async def test_reading_from_any_offset_yields_the_same_bytes() -> None:
    rng, log, whole = random.Random(1), FrameLog(1 << 30), b""
    for number in range(300):
        block = frame(number, rng.choice([3, 50, 3000, MERGED + 1]))
        log.append(block)
        whole += block
    assert (log.base, log.size, log.stored_bytes) == (0, len(whole), len(whole))
    for offset in [0, len(whole), *rng.sample(range(len(whole)), 200)]:
        assert read_all(log, offset) == whole[offset:]
    assert max(len(log.read(0)), len(log.read(5))) < 2 * SLICE


async def test_only_frame_boundaries_are_valid_offsets() -> None:
    log, whole = FrameLog(3 * MERGED), b""
    for number in range(12):  # each second block is joined by the small one after it
        sizes = [MERGED // 3 - 100] * 3 if number % 2 else [3, 0, 9]
        block = b"".join(frame(number, size) for size in sizes)
        log.append(block)
        whole += block
    assert 0 < log.base < log.size == len(whole)
    places = {place for place in range(2, len(whole) + 1) if whole[place - 2 : place] == b"\n\n"}
    held = {place for place in places if place >= log.base}
    assert {place for place in range(-2, len(whole) + 3) if log.is_between_frames(place)} == held
    assert FrameLog(1).is_between_frames(0)


async def test_small_blocks_are_merged_and_empty_ones_ignored() -> None:
    log = FrameLog(1 << 20)
    log.append(b"")
    assert log.size == 0
    for number in range(1000):
        log.append(frame(number))
    assert len(log._blocks) <= log.size // MERGED + 1


async def test_the_oldest_frames_are_dropped_beyond_the_limit() -> None:
    log = FrameLog(10 * MERGED)
    for number in range(2000):
        log.append(frame(number, 1000))
        assert log.stored_bytes <= 11 * MERGED
    assert log.base > 0
    assert read_all(log, log.base).startswith(b"id: ")
    assert read_all(log, log.base).endswith(frame(1999, 1000))
    log.trim(0)
    assert log.read(log.base) == log._blocks[-1]


async def test_a_single_huge_frame_is_kept() -> None:
    log = FrameLog(100)
    log.append(frame(1, 5000))
    assert log.read(log.base) == frame(1, 5000)


@pytest.mark.parametrize("size", [10, MERGED + 1])
async def test_after_returns_the_offset_behind_an_event_id(size: int) -> None:
    log = FrameLog(1 << 30)
    blocks = [
        frame(1, size),
        frame(2, size),
        frame(12, size),
        b"id:3\ndata: id: 1\n\n",
        b"data: a\nid: 4\n\n",
    ]
    ends = []
    for block in blocks:
        log.append(block)
        ends.append(log.size)
    assert [log.after(name) for name in (b"1", b"2", b"12", b"3")] == ends[:4]
    assert log.after(b"5") is None
    log.append(frame(2, size))
    assert log.after(b"2") == ends[1]


async def test_appending_wakes_waiting_readers() -> None:
    log = FrameLog(100)
    waiting = asyncio.create_task(log.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    log.append(frame(1))
    await asyncio.wait_for(waiting, 10)

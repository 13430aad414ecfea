"""A repeat is what has an id and data that were both seen; everything else is news, once."""

from __future__ import annotations

import random

import pytest

from arkor_dev.jobs.event_dedup import SEEN_BYTES, Deduplicator
from arkor_dev.jobs.sse_frames import frames_in


def block(*frames: bytes) -> bytes:
    return b"".join(frame + b"\n\n" for frame in frames)


def row(number: int | str, text: str = "x") -> bytes:
    return f"id: {number}\nevent: training.log\ndata: {text}".encode()


LOOSE = b"event: note\ndata: waiting"


def test_blocks_without_repeats_are_returned_unchanged() -> None:
    whole = block(row(1), row(2))
    assert Deduplicator().deduplicate(whole) is whole


def test_repeated_events_are_dropped_anywhere() -> None:
    deduplicator = Deduplicator()
    assert deduplicator.deduplicate(block(row(1), row(2), row(1))) == block(row(1), row(2))
    assert deduplicator.deduplicate(block(row(2), row(3))) == block(row(3))
    assert deduplicator.deduplicate(block(row(1))) == b""


def test_an_equal_id_with_other_data_is_kept() -> None:
    deduplicator = Deduplicator()
    both = block(row(7, "a"), row(7, "b"))
    assert deduplicator.deduplicate(both) == both
    assert deduplicator.deduplicate(both) == b""
    assert deduplicator.deduplicate(block(row(7, "c"))) == block(row(7, "c"))


def test_pings_and_comments_are_dropped() -> None:
    deduplicator = Deduplicator()
    dressed = block(
        b"event: ping\ndata: {}", row(1), b": keep-alive", b"retry: 5", b": a\n" + row(2), b"event:ping"
    )
    assert deduplicator.deduplicate(dressed) == block(row(1), row(2))
    assert deduplicator.deduplicate(block(row(2))) == b""


def test_data_that_resembles_a_control_frame_is_kept() -> None:
    odd = block(row(1, "event: ping"), b"event: pinged\ndata: x", b"event: ending\ndata: y", row(2, "end"))
    deduplicator = Deduplicator()
    assert deduplicator.deduplicate(odd) == odd
    assert deduplicator.end is None


@pytest.mark.parametrize(
    "odd",
    [
        b"id: 3\nevent: end",
        b"id: 3\nevent: ping\ndata: {}",
        b"id: 3\ndata: x\nid: 9",
        b"id: 03\ndata: x",
        b"data: x",
    ],
)
def test_single_frames_are_deduplicated_like_blocks(odd: bytes) -> None:
    frames = [row(1), row(2), odd, row(3), row(4), row(4), row(3)]
    kept: list[bytes] = []
    counting, remembering = Deduplicator(lambda: kept), Deduplicator()
    for frame in frames:
        kept.append(counting.deduplicate(block(frame)))
        assert kept[-1] == remembering.deduplicate(block(frame))
        assert (counting.end, counting.resume_id) == (remembering.end, remembering.resume_id)


@pytest.mark.parametrize("end", [b"event: end\ndata: {}", b"event:end", b"id: 9\nevent: end\ndata: {}"])
def test_nothing_follows_the_end_frame(end: bytes) -> None:
    deduplicator = Deduplicator()
    assert deduplicator.deduplicate(block(row(1), end, row(2), b"event: note\ndata: late")) == block(row(1))
    assert deduplicator.end == end + b"\n\n"


def test_frames_without_an_id_are_kept_on_one_connection() -> None:
    deduplicator = Deduplicator()
    assert deduplicator.deduplicate(block(LOOSE, LOOSE)) == block(LOOSE, LOOSE)
    assert deduplicator.deduplicate(block(LOOSE)) == block(LOOSE)


def test_frames_without_an_id_are_skipped_by_count_after_resuming() -> None:
    deduplicator = Deduplicator()
    deduplicator.deduplicate(block(LOOSE, row(1), LOOSE, LOOSE))
    assert deduplicator.resume_id == b"1"
    for _ in range(2):  # cut again before anything new came
        deduplicator.resumed()
        assert deduplicator.deduplicate(block(LOOSE, LOOSE)) == b""
    deduplicator.resumed()
    assert deduplicator.deduplicate(block(LOOSE, LOOSE, LOOSE, row(2), LOOSE)) == block(LOOSE, row(2), LOOSE)


def test_a_stream_without_ids_resumes_from_its_start() -> None:
    deduplicator = Deduplicator()
    deduplicator.deduplicate(block(LOOSE, LOOSE))
    assert deduplicator.resume_id is None
    deduplicator.resumed()
    assert deduplicator.deduplicate(block(LOOSE, LOOSE, LOOSE)) == block(LOOSE)


def test_timestamp_ids_resume_before_the_last_complete_one() -> None:
    deduplicator = Deduplicator()
    deduplicator.deduplicate(block(row(1700000000001), LOOSE, row(1700000000002, "a")))
    assert deduplicator.resume_id == b"1700000000001"
    deduplicator.resumed()
    rest = block(LOOSE, row(1700000000002, "a"), row(1700000000002, "b"))
    assert deduplicator.deduplicate(rest) == block(row(1700000000002, "b"))


@pytest.mark.parametrize("number", ["2026-01-01T00:00:02Z", "1700000000.25"])
def test_ids_that_may_be_clocks_resume_one_id_earlier(number: str) -> None:
    deduplicator = Deduplicator()
    deduplicator.deduplicate(block(row("a"), row(number)))
    assert deduplicator.resume_id == b"a"


def test_an_id_seen_twice_is_not_a_counter() -> None:
    deduplicator = Deduplicator()
    deduplicator.deduplicate(block(row(1), row(2, "a")))
    assert deduplicator.resume_id == b"2"
    deduplicator.deduplicate(block(row(2, "b")))
    assert deduplicator.resume_id == b"1"


def test_random_cuts_and_replays_lose_and_repeat_nothing() -> None:
    """A server that resumes behind the last frame with the id asked for, cut anywhere and often."""
    rng = random.Random(5)
    for _ in range(300):
        kind = rng.choice(["counter", "clock", "mixed"])
        log: list[bytes] = []
        clock = 1700000000000
        for number in range(rng.randrange(1, 40)):
            clock += rng.choice([0, 0, 1])
            identity = number if kind == "counter" else clock
            loose = kind == "mixed" and rng.random() < 0.3
            log.append(LOOSE if loose else row(identity, f"{number}"))
        got = b""
        deduplicator = Deduplicator((lambda: [got]) if rng.random() < 0.7 else None)  # noqa: B023 (used in this round only)
        while len(frames_in(got)) < len(log):
            resume = deduplicator.resume_id
            places = [
                i for i, frame in enumerate(log) if resume and frame.startswith(b"id: " + resume + b"\n")
            ]
            place = places[-1] + 1 if places else 0
            deduplicator.resumed()
            stop = rng.randrange(place, len(log) + 1)
            while place < stop:
                size = rng.randrange(1, 8)
                got += deduplicator.deduplicate(block(*log[place : min(place + size, stop)]))
                place += size
        assert frames_in(got) == log


def test_consecutive_ids_cost_no_memory() -> None:
    log: list[bytes] = []
    deduplicator = Deduplicator(lambda: log)
    for start in range(1, 2001, 50):
        block_ = block(*[row(n, "x" * 120) for n in range(start, start + 50)])
        assert deduplicator.deduplicate(block_) == block_
        log.append(block_)
        assert deduplicator.deduplicate(block(b": keep-alive")) == b""
    assert deduplicator.cost == 0
    deduplicator.resumed()  # and the backend, which was started anew, sends some again, and counts from 1
    again = block(*[row(n, "x" * 120) for n in range(1990, 2003)])
    assert deduplicator.deduplicate(again) == block(row(2001, "x" * 120), row(2002, "x" * 120))
    log.append(block(row(2001, "x" * 120), row(2002, "x" * 120)))
    assert deduplicator.deduplicate(block(row(7, "x" * 120), row(7, "other"), row(1, "new"))) == block(
        row(7, "other"), row(1, "new")
    )
    assert deduplicator.cost >= 2002 * SEEN_BYTES


def test_a_repeat_in_a_gap_of_consecutive_ids_is_dropped() -> None:
    log: list[bytes] = []
    deduplicator = Deduplicator(lambda: log)
    frames = [row(n) for n in (10, 11, 12, 12, 14, 15, 16, 17, 18, 19)]
    assert frames_in(deduplicator.deduplicate(block(*frames))) == [
        row(n) for n in (10, 11, 12, 14, 15, 16, 17, 18, 19)
    ]


def test_memory_for_seen_ids_is_bounded() -> None:
    deduplicator = Deduplicator(generation=100)
    for start in range(0, 10_000, 10):
        frames = [row(n) for n in range(start, start + 10)]
        assert deduplicator.deduplicate(block(*frames)) == block(*frames)
        assert deduplicator.deduplicate(block(*frames)) == b""
        assert deduplicator.cost <= SEEN_BYTES * 220
    for number in range(1000):
        deduplicator.deduplicate(block(f"data: {number}".encode()))
    assert deduplicator.cost <= SEEN_BYTES * 320


@pytest.mark.parametrize("counting", [True, False], ids=["counted ids", "opaque ids"])
def test_extra_blank_lines_do_not_hide_a_repeat(counting: bool) -> None:
    log: list[bytes] = []
    deduplicator = Deduplicator((lambda: log) if counting else None)
    frames = [row(n, "x" * 120) for n in range(10, 22)]
    spaced = b"\n".join([block(frame) for frame in frames])
    log.append(deduplicator.deduplicate(spaced))
    assert log[0].replace(b"\n\n\n", b"\n\n") == block(*frames)
    for again in (block(*frames[3:]), b"\n".join([block(frame) for frame in frames[5:]])):
        assert deduplicator.deduplicate(again).strip(b"\n") == b""
    assert deduplicator.deduplicate(block(row(3))) == block(row(3))

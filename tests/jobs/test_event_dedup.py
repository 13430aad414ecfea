"""A repeat is what has an id and data that were both seen; everything else is news, once."""

from __future__ import annotations

import random

import pytest

from arkor_dev.jobs.event_dedup import SEEN_BYTES, Sieve
from arkor_dev.jobs.sse_frames import frames_in


def block(*frames: bytes) -> bytes:
    return b"".join(frame + b"\n\n" for frame in frames)


def row(number: int | str, text: str = "x") -> bytes:
    return f"id: {number}\nevent: training.log\ndata: {text}".encode()


LOOSE = b"event: note\ndata: waiting"


def test_plain_blocks_pass_as_the_same_object() -> None:
    whole = block(row(1), row(2))
    assert Sieve().sift(whole) is whole


def test_repeats_go_wherever_they_stand() -> None:
    sieve = Sieve()
    assert sieve.sift(block(row(1), row(2), row(1))) == block(row(1), row(2))
    assert sieve.sift(block(row(2), row(3))) == block(row(3))
    assert sieve.sift(block(row(1))) == b""


def test_an_equal_id_with_other_data_is_no_repeat() -> None:
    sieve = Sieve()
    both = block(row(7, "a"), row(7, "b"))
    assert sieve.sift(both) == both
    assert sieve.sift(both) == b""
    assert sieve.sift(block(row(7, "c"))) == block(row(7, "c"))


def test_pings_and_comments_go() -> None:
    sieve = Sieve()
    dressed = block(
        b"event: ping\ndata: {}", row(1), b": keep-alive", b"retry: 5", b": a\n" + row(2), b"event:ping"
    )
    assert sieve.sift(dressed) == block(row(1), row(2))
    assert sieve.sift(block(row(2))) == b""


def test_what_only_looks_like_a_control_frame_stays() -> None:
    odd = block(row(1, "event: ping"), b"event: pinged\ndata: x", b"event: ending\ndata: y", row(2, "end"))
    sieve = Sieve()
    assert sieve.sift(odd) == odd
    assert sieve.end is None


@pytest.mark.parametrize("end", [b"event: end\ndata: {}", b"event:end", b"id: 9\nevent: end\ndata: {}"])
def test_the_end_is_kept_as_it_came_and_nothing_follows_it(end: bytes) -> None:
    sieve = Sieve()
    assert sieve.sift(block(row(1), end, row(2), b"event: note\ndata: late")) == block(row(1))
    assert sieve.end == end + b"\n\n"


def test_frames_without_an_id_are_all_news_on_one_connection() -> None:
    sieve = Sieve()
    assert sieve.sift(block(LOOSE, LOOSE)) == block(LOOSE, LOOSE)
    assert sieve.sift(block(LOOSE)) == block(LOOSE)


def test_after_a_resumption_as_many_are_passed_over_as_were_seen_since() -> None:
    sieve = Sieve()
    sieve.sift(block(LOOSE, row(1), LOOSE, LOOSE))
    assert sieve.resume_id == b"1"
    for _ in range(2):  # cut again before anything new came
        sieve.resumed()
        assert sieve.sift(block(LOOSE, LOOSE)) == b""
    sieve.resumed()
    assert sieve.sift(block(LOOSE, LOOSE, LOOSE, row(2), LOOSE)) == block(LOOSE, row(2), LOOSE)


def test_a_stream_without_any_id_is_replayed_from_its_start() -> None:
    sieve = Sieve()
    sieve.sift(block(LOOSE, LOOSE))
    assert sieve.resume_id is None
    sieve.resumed()
    assert sieve.sift(block(LOOSE, LOOSE, LOOSE)) == block(LOOSE)


def test_a_clock_as_id_is_resumed_before_what_may_be_missing() -> None:
    sieve = Sieve()
    sieve.sift(block(row(1700000000001), LOOSE, row(1700000000002, "a")))
    assert sieve.resume_id == b"1700000000001"
    sieve.resumed()
    rest = block(LOOSE, row(1700000000002, "a"), row(1700000000002, "b"))
    assert sieve.sift(rest) == block(row(1700000000002, "b"))


@pytest.mark.parametrize("number", ["2026-01-01T00:00:02Z", "1700000000.25"])
def test_other_clocks(number: str) -> None:
    sieve = Sieve()
    sieve.sift(block(row("a"), row(number)))
    assert sieve.resume_id == b"a"


def test_an_id_that_was_seen_twice_is_no_counter() -> None:
    sieve = Sieve()
    sieve.sift(block(row(1), row(2, "a")))
    assert sieve.resume_id == b"2"
    sieve.sift(block(row(2, "b")))
    assert sieve.resume_id == b"1"


def test_any_cuts_and_replays_lose_nothing_and_repeat_nothing() -> None:
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
        sieve = Sieve((lambda: [got]) if rng.random() < 0.7 else None)  # noqa: B023 (used in this round only)
        while len(frames_in(got)) < len(log):
            resume = sieve.resume_id
            places = [
                i for i, frame in enumerate(log) if resume and frame.startswith(b"id: " + resume + b"\n")
            ]
            place = places[-1] + 1 if places else 0
            sieve.resumed()
            stop = rng.randrange(place, len(log) + 1)
            while place < stop:
                size = rng.randrange(1, 8)
                got += sieve.sift(block(*log[place : min(place + size, stop)]))
                place += size
        assert frames_in(got) == log


def test_a_stream_that_counts_on_costs_no_memory_until_it_stops() -> None:
    log: list[bytes] = []
    sieve = Sieve(lambda: log)
    for start in range(1, 2001, 50):
        block_ = block(*[row(n, "x" * 120) for n in range(start, start + 50)])
        assert sieve.sift(block_) == block_
        log.append(block_)
        assert sieve.sift(block(b": keep-alive")) == b""
    assert sieve.cost == 0
    sieve.resumed()  # and the backend, which was started anew, sends some again, and counts from 1
    again = block(*[row(n, "x" * 120) for n in range(1990, 2003)])
    assert sieve.sift(again) == block(row(2001, "x" * 120), row(2002, "x" * 120))
    log.append(block(row(2001, "x" * 120), row(2002, "x" * 120)))
    assert sieve.sift(block(row(7, "x" * 120), row(7, "other"), row(1, "new"))) == block(
        row(7, "other"), row(1, "new")
    )
    assert sieve.cost >= 2002 * SEEN_BYTES


def test_within_a_counting_block_no_repeat_hides_in_a_gap() -> None:
    log: list[bytes] = []
    sieve = Sieve(lambda: log)
    frames = [row(n) for n in (10, 11, 12, 12, 14, 15, 16, 17, 18, 19)]
    assert frames_in(sieve.sift(block(*frames))) == [row(n) for n in (10, 11, 12, 14, 15, 16, 17, 18, 19)]


def test_memory_is_bounded() -> None:
    sieve = Sieve(generation=100)
    for start in range(0, 10_000, 10):
        frames = [row(n) for n in range(start, start + 10)]
        assert sieve.sift(block(*frames)) == block(*frames)
        assert sieve.sift(block(*frames)) == b""
        assert sieve.cost <= SEEN_BYTES * 220
    for number in range(1000):
        sieve.sift(block(f"data: {number}".encode()))
    assert sieve.cost <= SEEN_BYTES * 320

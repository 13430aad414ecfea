"""Framing is a matter of bytes: every way to cut, end and decorate a stream gives the same frames."""

from __future__ import annotations

import pytest

from arkor_dev.jobs.sse_frames import (
    FrameSplitter,
    event_name,
    frame_id,
    frames_in,
    has_fields,
    without_comments,
)

PLAIN = (
    "id: 1\nevent: training.log\ndata: {}\n\nid: 2\ndata: é\ndata: 二\n\n: note\n\nevent: ping\ndata:\n\n"
).encode()
FRAMES = [b"id: 1\nevent: training.log\ndata: {}", "id: 2\ndata: é\ndata: 二".encode(), b"event: ping\ndata:"]


def fed(*pieces: bytes, limit: int = 1 << 20) -> list[bytes]:
    splitter = FrameSplitter(limit)
    frames = [frame for piece in pieces for frame in frames_in(splitter.feed(piece))]
    return [clean for frame in frames if (clean := without_comments(frame))]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_frames_are_split_wherever_the_stream_is_cut(ends: bytes, bom: bytes) -> None:
    stream = bom + PLAIN.replace(b"\n", ends)
    # A CR at the very end may be the first half of a CRLF: it ends the line all the same.
    assert fed(stream) == FRAMES
    for cut in range(len(stream) + 1):
        assert fed(stream[:cut], stream[cut:]) == FRAMES, cut
    assert fed(*(stream[i : i + 1] for i in range(len(stream)))) == FRAMES
    assert fed(*(piece for i in range(len(stream)) for piece in (stream[i : i + 1], b""))) == FRAMES


def test_mixed_line_ends_are_split_wherever_the_stream_is_cut() -> None:
    stream = b"data: a\r\n\ndata: b\n\r\ndata: c\r\rdata: d\n\r"
    frames = [b"data: a", b"data: b", b"data: c", b"data: d"]
    assert fed(stream) == frames
    assert fed(*(stream[i : i + 1] for i in range(len(stream)))) == frames


def test_only_one_lf_after_a_cr_is_ignored() -> None:
    assert fed(b"data: a\r", b"\n", b"\n", b"data: b\n\n") == [b"data: a", b"data: b"]


@pytest.mark.parametrize("head", [b"\xef", b"\xef\xbb", b"\xef\xbb\xbe"])
def test_a_partial_bom_is_kept(head: bytes) -> None:
    assert fed(head, b"x\n\n") == [head + b"x"]


def test_a_second_bom_is_kept() -> None:
    assert fed(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == [b"\xef\xbb\xbfdata: a"]


def test_blank_lines_and_comments_are_not_frames() -> None:
    stream = b"\n\n\n: a\n: b\ndata: 1\n\n\n\n\ndata: 2\n\n\n: alone\n\n:\n\n"
    for cut in range(len(stream) + 1):
        assert fed(stream[:cut], stream[cut:]) == [b"data: 1", b"data: 2"], cut


def test_an_unfinished_frame_is_not_returned() -> None:
    assert fed(b"data: 1\n\ndata: 2\n") == [b"data: 1"]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_an_oversized_frame_is_dropped_without_using_memory(size: int) -> None:
    splitter = FrameSplitter(limit=100)
    stream = b"data: a\n\ndata: " + b"x" * 5000 + b"\nid: 3\n\ndata: b\n\n"
    blocks = b""
    for start in range(0, len(stream), size):
        blocks += splitter.feed(stream[start : start + size])
        assert len(splitter._rest) <= 100 + size
    assert frames_in(blocks) == [b"data: a", b"data: b"]
    assert splitter.dropped == 1


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"id: 1\ndata: x", b"1"),
        (b"id:1\ndata: x", b"1"),
        (b"data: x\nid:  two ", b" two "),
        (b"id: 1\nid: 2", b"2"),
        (b"id:\ndata: x", b""),
        (b"data: id: 7", None),
        (b"idle: 7", None),
        (b"id: a\0b\ndata: x", None),
        (b"data: x", None),
    ],
)
def test_frame_id_is_the_last_id_field(frame: bytes, expected: bytes | None) -> None:
    assert frame_id(frame) == expected


def test_event_names_and_fields() -> None:
    assert event_name(b"event: a\ndata: event: b") == b"a"
    assert event_name(b"event:a\nevent: b") == b"b"
    assert event_name(b"data: x") == b""
    assert has_fields(b"data")
    assert has_fields(b"id: 1")
    assert not has_fields(b": only\nretry: 5")

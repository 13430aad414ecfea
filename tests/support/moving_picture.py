"""Joins pictures into one that moves: WebP, whose container is simple, so no library is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANIMATION = 0x02
REPLACE = 0x02
"""A frame replaces the one before, rather than being blended with it."""


def chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the contents of each part of a WebP file."""
    at = 12
    while at + 8 <= len(picture):
        size = int.from_bytes(picture[at + 4 : at + 8], "little")
        yield picture[at : at + 4], picture[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def chunk(name: bytes, contents: bytes) -> bytes:
    """Return a part of a WebP file."""
    return name + len(contents).to_bytes(4, "little") + contents + b"\0" * (len(contents) % 2)


def moving(frames: Sequence[tuple[bytes, int]], width: int, height: int) -> bytes:
    """Return a picture that shows WebP pictures of one size in turn, each for its milliseconds, forever.

    Source: https://developers.google.com/speed/webp/docs/riff_container
    """
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = [
        chunk(b"VP8X", bytes([ANIMATION, 0, 0, 0]) + size),
        chunk(b"ANIM", bytes(6)),
    ]
    for picture, milliseconds in frames:
        image = next(chunk(name, data) for name, data in chunks(picture) if name in (b"VP8 ", b"VP8L"))
        head = bytes(6) + size + milliseconds.to_bytes(3, "little") + bytes([REPLACE])
        parts.append(chunk(b"ANMF", head + image))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body

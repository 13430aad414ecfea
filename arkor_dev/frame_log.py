"""One job's events as Studio keeps them: an append-only byte sequence that any number of tabs read.

A position in it is a byte offset, so that "go on from exactly there" is a number and a slice, and a reader
that stalls costs its socket's buffer and nothing more.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right

SLICE = 256 << 10
"""About how many bytes one read hands out."""


class FrameLog:
    """Frames joined with their blank lines. Past ``limit`` bytes the oldest go and ``base`` moves up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._blocks: list[bytes] = []
        self._starts: list[int] = []
        self._grown = asyncio.Event()
        self.base = 0
        self.size = 0

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self.size - self.base

    def append(self, frames: list[bytes]) -> None:
        """Add whole frames at the end."""
        if not frames:
            return
        block = b"\n\n".join(frames) + b"\n\n"
        last = self._blocks[-1] if self._blocks else None
        if last is not None and len(last) + len(block) <= 4096:
            self._blocks[-1] = last + block  # live frames come one by one: keep the list short
        else:
            self._blocks.append(block)
            self._starts.append(self.size)
        self.size += len(block)
        while self.held > self._limit and len(self._blocks) > 1:
            self.base += len(self._blocks.pop(0))
            del self._starts[0]
        self.wake()

    def wake(self) -> None:
        """Let every waiting reader look again."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next :meth:`append` or :meth:`wake`."""
        await self._grown.wait()

    def read(self, offset: int) -> bytes:
        """Some of the bytes from ``offset`` on, ending with a frame; ``b""`` when there are none yet."""
        if offset >= self.size:
            return b""
        index = max(0, bisect_right(self._starts, offset) - 1)
        first = self._blocks[index]
        if offset > self._starts[index]:
            first = first[offset - self._starts[index] :]
        parts, total = [first], len(first)
        while total < SLICE and (index := index + 1) < len(self._blocks):
            parts.append(self._blocks[index])
            total += len(parts[-1])
        return first if len(parts) == 1 else b"".join(parts)

    def after(self, identity: bytes) -> int | None:
        """The offset after the first frame with this id; None when no frame kept has it.

        Ids need not be unique: going on after the first loses nothing, and the reader knows a repeat.
        """
        everything = b"".join(self._blocks)
        for line in (b"id: " + identity + b"\n", b"id:" + identity + b"\n"):
            place = 0 if everything.startswith(line) else everything.find(b"\n" + line)
            if place >= 0:
                return self.base + everything.index(b"\n\n", place + 1) + 2
        return None

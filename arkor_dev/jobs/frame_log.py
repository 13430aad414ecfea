"""Studio's log of one job's events: an append-only byte sequence that any number of tabs read.

A position in it is a byte offset, so that resuming exactly there is a number and a slice, and a stalled
reader costs only its socket's buffer.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

Take = Callable[[bytes], bool]
"""Accepts a block immediately; returns whether it did."""
SLICE = 64 << 10
"""Smallest read in bytes, if available: each write has a fixed cost."""
MERGED = 16 << 10
"""Size up to which small blocks are merged: live frames arrive one by one."""


class FrameLog:
    """Blocks of whole frames. Beyond ``limit`` bytes the oldest are dropped and ``base`` moves up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._blocks: list[bytes] = []
        self._starts: list[int] = []
        self._waiting: list[tuple[asyncio.Future[None], Take | None]] = []
        self.base = 0
        self.size = 0

    @property
    def stored_bytes(self) -> int:
        return self.size - self.base

    def append(self, block: bytes) -> None:
        """Append whole frames."""
        if not block:
            return
        # Readers first: storing the block takes as long as sending it.
        waiting, self._waiting = self._waiting, []
        for reader in waiting:
            future, take = reader
            if future.done():
                continue
            if take is not None and take(block):
                self._waiting.append(reader)
            else:
                future.set_result(None)
        if self._blocks and len(self._blocks[-1]) + len(block) <= MERGED:
            self._blocks[-1] += block
        else:
            self._blocks.append(block)
            self._starts.append(self.size)
        self.size += len(block)
        if self.stored_bytes > self._limit:
            self.trim(self._limit)

    def blocks(self) -> list[bytes]:
        """Return everything stored, in order."""
        return self._blocks

    def trim(self, limit: int) -> None:
        """Drop the oldest blocks until at most ``limit`` bytes, or the newest block, are left."""
        dropped = 0
        while self.stored_bytes > limit and dropped < len(self._blocks) - 1:
            self.base += len(self._blocks[dropped])
            dropped += 1
        del self._blocks[:dropped], self._starts[:dropped]

    def wake(self) -> None:
        """Wake every waiting reader."""
        waiting, self._waiting = self._waiting, []
        for future, _ in waiting:
            if not future.done():
                future.set_result(None)

    async def changed(self, take: Take | None = None) -> None:
        """Wait for the next `append` or `wake`.

        ``take`` is called with each block appended meanwhile. As long as it returns True the wait continues,
        which saves a task switch per event.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((future, take))
        await future

    def read(self, offset: int) -> bytes:
        """Return some of the bytes from ``offset`` on, ending with a frame; ``b""`` if there are none yet.

        ``offset`` is between ``base`` and ``size``.
        """
        if offset >= self.size:
            return b""
        index = bisect_right(self._starts, offset) - 1
        first = self._blocks[index][offset - self._starts[index] :]
        total, stop = len(first), index + 1
        while total < SLICE and stop < len(self._blocks):
            total += len(self._blocks[stop])
            stop += 1
        return first if stop == index + 1 else b"".join([first, *self._blocks[index + 1 : stop]])

    def is_between_frames(self, offset: int) -> bool:
        """Return whether a stored frame begins at ``offset``, or the next one will."""
        if not self.base <= offset <= self.size:
            return False
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset == self._starts[index]:
            return True
        inside = offset - self._starts[index]
        return self._blocks[index][inside - 2 : inside] == b"\n\n"

    def after(self, identity: bytes) -> int | None:
        """Return the offset after the first frame with this id; None if no stored frame has it.

        Ids need not be unique: continuing after the first loses nothing, and the reader detects repeats.
        """
        lines = (b"id: " + identity + b"\n", b"id:" + identity + b"\n")
        for start, block in zip(self._starts, self._blocks, strict=True):
            for line in lines:
                index = 0 if block.startswith(line) else block.find(b"\n" + line)
                if index >= 0:
                    return start + block.index(b"\n\n", index + 1) + 2
        return None

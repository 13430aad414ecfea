"""Output of a training command: bytes in order, readable from the start by any number of readers.

A run's output outlives the tab that requested it and may be large. Up to 1 MiB stays in memory; beyond that
it goes into a series of anonymous temporary files, of which the oldest is dropped when the run has used its
share. All runs together have a budget, too, since a temporary folder is often in memory: beyond it the oldest
file of any run is dropped. If the disk is full, the newest 1 MiB stays in memory. Each reader reads at its
own pace from its own offset; a stalled one holds nothing in memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections import deque
from typing import IO

log = logging.getLogger(__name__)

MEMORY_LIMIT = 1 << 20
FILE_LIMIT = 64 << 20
ALL_LIMIT = 256 << 20
SEGMENTS = 8
"""Files per run: the granularity of dropping its oldest output."""
TAIL = 16 << 10
"""Bytes that stay in memory when a run's last file was dropped: how it ended should remain readable."""
READ_SIZE = 256 << 10


class _Segment:
    """One anonymous file with ``length`` bytes of a log from offset ``start``."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.length = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="arkor-run-", buffering=0)  # noqa: SIM115

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.start + self.length

    def write(self, data: memoryview) -> int:
        """Append as much of ``data`` as the disk accepts at once; return how many bytes. Raises OSError."""
        count = os.pwrite(self._file.fileno(), data, self.length)
        self.length += count
        return count

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from the log's ``offset``, which is in this segment."""
        return os.pread(self._file.fileno(), min(length, self.end - offset), offset - self.start)

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()


class OutputBudget:
    """Counts the bytes of temporary files of all logs together, and drops the oldest."""

    def __init__(self, limit: int = ALL_LIMIT) -> None:
        self._limit = limit
        self._segments: dict[_Segment, OutputLog] = {}  # oldest first

    def add(self, segment: _Segment, owner: OutputLog) -> None:
        self._segments[segment] = owner

    def remove(self, segment: _Segment) -> None:
        del self._segments[segment]

    def enforce(self) -> None:
        """Drop the oldest segments until the rest fits."""
        total = sum(segment.length for segment in self._segments)
        while total > self._limit:
            segment, owner = next(iter(self._segments.items()))
            total -= segment.length
            owner.cut()


class OutputLog:
    """An append-only byte log with a bounded tail. Offsets count from the first byte ever written."""

    def __init__(
        self,
        budget: OutputBudget | None = None,
        *,
        memory_limit: int = MEMORY_LIMIT,
        file_limit: int = FILE_LIMIT,
    ) -> None:
        self._budget = budget or OutputBudget()
        self._memory = bytearray()  # the newest bytes; all of them before the first file
        self._memory_limit = memory_limit
        # in use only while the memory is empty, and vice versa
        self._segments: deque[_Segment] = deque()
        self._file_limit = file_limit
        self._segment_limit = max(1, file_limit // SEGMENTS)
        self._disk = True
        self._growth = asyncio.Event()
        self.size = 0
        self.ended = False

    @property
    def base(self) -> int:
        """The offset of the oldest byte still kept."""
        return self._segments[0].start if self._segments else self.size - len(self._memory)

    def append(self, data: bytes) -> None:
        self.size += len(data)
        if self._segments:
            self._store(data)
        else:
            self._memory += data
            if len(self._memory) > self._memory_limit:
                self._spill()
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def close(self) -> None:
        """Release the temporary files and the readers."""
        self._drop_files()
        self.end()

    def cut(self) -> None:
        """Drop the oldest file; of the only one the last bytes stay."""
        segment = self._segments.popleft()
        if not self._segments:
            length = min(TAIL, segment.length)
            self._memory = bytearray(segment.read(segment.end - length, length))
        self._release(segment)

    def _wake(self) -> None:
        self._growth.set()
        self._growth = asyncio.Event()

    def _spill(self) -> None:
        """Move the memory to files; without disk space, drop its oldest bytes."""
        if self._disk:
            self._store(self._memory)
        else:
            del self._memory[: -self._memory_limit]

    def _store(self, data: bytes | bytearray) -> None:
        """Write ``data``, the newest bytes, to files; if that fails, keep the end of it in memory."""
        try:
            self._write(memoryview(data)[-self._file_limit :])
        except OSError as error:
            self._disk = False
            log.warning(
                "Only a run's newest output is kept: the temporary folder cannot be written (%s).",
                error.strerror,
            )
            self._drop_files()
            self._memory = bytearray(data[-self._memory_limit :])
            return
        self._memory = bytearray()
        while self.size - self.base > self._file_limit:
            self.cut()
        self._budget.enforce()

    def _write(self, view: memoryview) -> None:
        if self._segments and self._segments[-1].end != self.size - len(view):
            self._drop_files()  # more has arrived at once than a log keeps: nothing older is left
        while view:
            if not self._segments or self._segments[-1].length >= self._segment_limit:
                segment = _Segment(self.size - len(view))
                self._segments.append(segment)
                self._budget.add(segment, self)
            newest = self._segments[-1]
            view = view[newest.write(view[: self._segment_limit - newest.length]) :]

    def _drop_files(self) -> None:
        while self._segments:
            self._release(self._segments.popleft())

    def _release(self, segment: _Segment) -> None:
        self._budget.remove(segment)
        segment.close()

    def peek(self, offset: int) -> tuple[bytes, int]:
        """Return up to 256 KiB from ``offset`` (or the oldest byte kept), and the offset after them."""
        offset = max(offset, self.base)
        length = min(READ_SIZE, self.size - offset)
        for segment in self._segments:
            if offset < segment.end:
                data = segment.read(offset, length)
                return data, offset + len(data)
        start = offset - self.base
        data = bytes(self._memory[start : start + length])
        return data, offset + len(data)

    async def read(self, offset: int) -> tuple[bytes, int]:
        """Like `peek`, but wait for output; ``b""`` means that the log has ended.

        Bytes that were dropped unread are those between ``offset`` and the beginning of the data.
        """
        while offset >= self.size and not self.ended:
            await self._growth.wait()
        return self.peek(offset)

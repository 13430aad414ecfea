"""What a training command has printed: bytes, in order, readable from the start by any number of readers.

A run's output outlives the tab that asked for it and may be large, so it lives in memory up to 1 MiB and in
anonymous temporary files beyond, a row of segments of which the oldest goes when the run has its share. All
runs together have a budget too, since a temporary folder is often memory: past it the oldest segment of any
run goes. Where the disk is full the newest 1 MiB stays in memory. Readers pull at their own pace from an
offset of their own; one that stalls holds nothing in memory.
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
"""Files of a run, about: how finely its oldest output can be let go of."""
TAIL = 16 << 10
"""Bytes that stay in memory of a run whose last file had to go: how it ended should still be read."""
READ_SIZE = 256 << 10


class _Segment:
    """One anonymous file, which holds ``length`` bytes of a log from the offset ``start``."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.length = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="arkor-run-", buffering=0)  # noqa: SIM115

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.start + self.length

    def write(self, data: memoryview) -> int:
        """Append as much of ``data`` as the disk takes at once; how many bytes. Raises OSError."""
        written = os.pwrite(self._file.fileno(), data, self.length)
        self.length += written
        return written

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from the log's ``offset``, which lies in this segment."""
        return os.pread(self._file.fileno(), min(length, self.end - offset), offset - self.start)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


class OutputBudget:
    """How many bytes of temporary files all logs together hold, and which of them go first."""

    def __init__(self, limit: int = ALL_LIMIT) -> None:
        self._limit = limit
        self._segments: dict[_Segment, OutputLog] = {}  # the oldest is first

    def add(self, segment: _Segment, owner: OutputLog) -> None:
        """Count a new segment from now on."""
        self._segments[segment] = owner

    def remove(self, segment: _Segment) -> None:
        """Count a segment no longer."""
        del self._segments[segment]

    def enforce(self) -> None:
        """Let the oldest output of all go until the rest fits."""
        held = sum(segment.length for segment in self._segments)
        while held > self._limit:
            segment, owner = next(iter(self._segments.items()))
            held -= segment.length
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
        self._memory = bytearray()  # the newest bytes, all of them as long as there is no file
        self._memory_limit = memory_limit
        self._segments: deque[_Segment] = deque()  # empty while there is memory, and the other way round
        self._file_limit = file_limit
        self._segment_limit = max(1, file_limit // SEGMENTS)
        self._disk = True
        self._grown = asyncio.Event()
        self.size = 0
        self.ended = False

    @property
    def base(self) -> int:
        """The offset of the oldest byte still kept."""
        return self._segments[0].start if self._segments else self.size - len(self._memory)

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end."""
        self.size += len(data)
        if self._segments:
            self._store(data)
        else:
            self._memory += data
            if len(self._memory) > self._memory_limit:
                self._spill()
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def close(self) -> None:
        """Let go of the temporary files and of the readers."""
        self._drop_files()
        self.end()

    def cut(self) -> None:
        """Let go of the oldest file; of the only one the last words stay."""
        segment = self._segments.popleft()
        if not self._segments:
            length = min(TAIL, segment.length)
            self._memory = bytearray(segment.read(segment.end - length, length))
        self._release(segment)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _spill(self) -> None:
        """Move the memory to files; without a disk, let its oldest bytes go."""
        if self._disk:
            self._store(self._memory)
        else:
            del self._memory[: -self._memory_limit]

    def _store(self, data: bytes | bytearray) -> None:
        """Put ``data``, the newest bytes, into files; where they refuse, keep the end of it in memory."""
        try:
            self._write(memoryview(data)[-self._file_limit :])
        except OSError as error:
            self._disk = False
            log.warning(
                "Only a run's newest output is kept: the temporary folder refuses (%s).", error.strerror
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
            self._drop_files()  # more has come at once than is kept of a log: nothing older is
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
        """Up to 256 KiB from ``offset`` (or from the oldest byte kept), and the offset after them."""
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
        """As :meth:`peek`, but waits for output; ``b""`` means that the log has ended.

        What was let go of before it could be read is what lies between ``offset`` and the data's beginning.
        """
        while offset >= self.size and not self.ended:
            await self._grown.wait()
        return self.peek(offset)

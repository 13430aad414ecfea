"""What a training command has printed: bytes, in order, readable from the start by any number of readers.

A run's output outlives the tab that asked for it and may be large, so it lives in memory up to 1 MiB and
in an anonymous temporary file beyond, which is a ring: past its size the oldest bytes go. Readers pull at
their own pace from an offset of their own; one that stalls holds nothing in memory.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import IO

MEMORY_LIMIT = 1 << 20
FILE_LIMIT = 256 << 20
READ_SIZE = 256 << 10


class OutputLog:
    """An append-only byte log with a bounded tail. Offsets count from the first byte ever written."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT, file_limit: int = FILE_LIMIT) -> None:
        self._memory = bytearray()
        self._memory_limit = memory_limit
        self._file: IO[bytes] | None = None
        self._file_limit = file_limit
        self._grown = asyncio.Event()
        self.size = 0
        self.ended = False

    @property
    def base(self) -> int:
        """The offset of the oldest byte still kept."""
        return max(0, self.size - self._file_limit) if self._file else 0

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end. Raises OSError when the temporary folder is full."""
        if self._file is None:
            self._memory += data
            if len(self._memory) > self._memory_limit:
                self._file = tempfile.TemporaryFile(prefix="arkor-run-", buffering=0)  # noqa: SIM115
                spilled, self._memory = bytes(self._memory), bytearray()
                self._write(spilled, self.size + len(data) - len(spilled))
        else:
            self._write(data, self.size)
        self.size += len(data)
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def close(self) -> None:
        """Let go of the temporary file."""
        self.ended = True
        if self._file is not None:
            self._file.close()
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _write(self, data: bytes, offset: int) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:
            position = offset % self._file_limit
            written = os.pwrite(self._file.fileno(), view[: self._file_limit - position], position)
            view, offset = view[written:], offset + written

    def peek(self, offset: int) -> tuple[bytes, int]:
        """Up to 256 KiB from ``offset`` (or from the oldest byte kept), and the offset after them."""
        offset = max(offset, self.base)
        length = min(READ_SIZE, self.size - offset)
        if self._file is None:
            return bytes(self._memory[offset : offset + length]), offset + length
        if self._file.closed:
            return b"", self.size
        position = offset % self._file_limit
        data = os.pread(self._file.fileno(), min(length, self._file_limit - position), position)
        return data, offset + len(data)

    async def read(self, offset: int) -> tuple[bytes, int]:
        """As :meth:`peek`, but waits for output; ``b""`` means that the log has ended."""
        while offset >= self.size and not self.ended:
            await self._grown.wait()
        return self.peek(offset)

"""What a training command has printed: bytes, in order, readable from the start by any number of readers.

A run's output outlives the tab that asked for it and may be large, so it lives in memory up to 1 MiB and
in an anonymous temporary file beyond, which is a ring: past its size the oldest bytes go. Where the disk is
full the newest 1 MiB stays in memory. Readers pull at their own pace from an offset of their own; one that
stalls holds nothing in memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from typing import IO

log = logging.getLogger(__name__)

MEMORY_LIMIT = 1 << 20
FILE_LIMIT = 64 << 20
READ_SIZE = 256 << 10


class OutputLog:
    """An append-only byte log with a bounded tail. Offsets count from the first byte ever written."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT, file_limit: int = FILE_LIMIT) -> None:
        self._memory = bytearray()  # the newest bytes, all of them as long as there is no file
        self._memory_limit = memory_limit
        self._file: IO[bytes] | None = None
        self._file_limit = file_limit
        self._disk = True
        self._grown = asyncio.Event()
        self.size = 0
        self.ended = False

    @property
    def base(self) -> int:
        """The offset of the oldest byte still kept."""
        return max(0, self.size - self._file_limit) if self._file else self.size - len(self._memory)

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end."""
        if self._file is None or not self._written(data, self.size):
            self._memory += data
            if len(self._memory) > self._memory_limit:
                self._spill(self.size + len(data) - len(self._memory))
        self.size += len(data)
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def close(self) -> None:
        """Let go of the temporary file and of the readers."""
        self._drop_file()
        self.end()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _spill(self, offset: int) -> None:
        """Move the memory, which begins at ``offset``, to the file; without one, let its oldest bytes go."""
        if self._disk:
            try:
                self._file = tempfile.TemporaryFile(prefix="arkor-run-", buffering=0)  # noqa: SIM115
            except OSError as error:
                self._disk_failed(error)
        if self._file is not None and self._written(self._memory, offset):
            self._memory = bytearray()
        else:
            del self._memory[: -self._memory_limit]

    def _written(self, data: bytes | bytearray, offset: int) -> bool:
        assert self._file is not None
        view = memoryview(data)[-self._file_limit :]
        offset += len(data) - len(view)
        try:
            while view:
                position = offset % self._file_limit
                written = os.pwrite(self._file.fileno(), view[: self._file_limit - position], position)
                view, offset = view[written:], offset + written
        except OSError as error:
            self._drop_file()
            self._disk_failed(error)
            return False
        return True

    def _disk_failed(self, error: OSError) -> None:
        self._disk = False
        log.warning("Only a run's newest output is kept: the temporary folder refuses (%s).", error.strerror)

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def peek(self, offset: int) -> tuple[bytes, int]:
        """Up to 256 KiB from ``offset`` (or from the oldest byte kept), and the offset after them."""
        offset = max(offset, self.base)
        length = min(READ_SIZE, self.size - offset)
        if self._file is None:
            start = offset - self.base
            return bytes(self._memory[start : start + length]), offset + length
        position = offset % self._file_limit
        data = os.pread(self._file.fileno(), min(length, self._file_limit - position), position)
        return data, offset + len(data)

    async def read(self, offset: int) -> tuple[bytes, int]:
        """As :meth:`peek`, but waits for output; ``b""`` means that the log has ended."""
        while offset >= self.size and not self.ended:
            await self._grown.wait()
        return self.peek(offset)

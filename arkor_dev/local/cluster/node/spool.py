"""A worker's messages on the node's disk, kept until the driver's machine has stored them."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COPY_BYTES: Final = 1 << 20


class Spool:
    """Messages in order, numbered from 0; ``first`` is the number of the first kept message.

    It is ``full`` if more than ``limit`` bytes wait. The last ``repeatable`` bytes of acknowledged messages
    are kept, because a machine that loses power may have lost what it acknowledged. The file is at most twice
    as large as its messages.
    """

    def __init__(self, path: Path, limit: int, repeatable: int = 0) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self._limit, self._repeatable = limit, repeatable
        self._begin = self._end = 0  # offsets of the first and the last byte of messages
        self._ends = array("Q")
        self.first = 0

    @property
    def count(self) -> int:
        """Number of messages added so far."""
        return self.first + len(self._ends)

    @property
    def full(self) -> bool:
        """Whether the worker should wait until messages are acknowledged."""
        return self._end - self._begin > self._limit

    def add(self, lines: Sequence[bytes]) -> None:
        """Add all messages, or none. Raises OSError if writing fails."""
        text = b"".join(lines)
        done = 0
        try:
            while done < len(text):
                done += os.pwrite(self._file, memoryview(text)[done:], self._end + done)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        for line in lines:
            self._end += len(line)
            self._ends.append(self._end)

    def read(self, after: int, size: int) -> list[bytes]:
        """Return messages from number ``after`` on, up to ``size`` bytes. Raises OSError for dropped ones."""
        if not self.first <= after <= self.count:
            raise OSError(f"message {after} is no longer kept")
        messages: list[bytes] = []
        start = self._ends[after - self.first - 1] if after > self.first else self._begin
        for end in self._ends[after - self.first :]:
            if size <= 0:
                break
            messages.append(os.pread(self._file, end - start, start))
            size -= end - start
            start = end
        return messages

    def forget(self, before: int) -> None:
        """Drop acknowledged messages (those before number ``before``), except the repeatable ones."""
        dropped = min(before - self.first, bisect_right(self._ends, self._end - self._repeatable))
        if dropped <= 0:
            return
        self._begin = self._ends[dropped - 1]
        del self._ends[:dropped]
        self.first += dropped
        if not self._ends:
            self._begin = self._end = 0
            os.ftruncate(self._file, 0)
        elif self._begin > max(self._repeatable, self._end - self._begin):
            self._compact()

    def _compact(self) -> None:
        """Move the messages to the beginning of the file, where there is space for them."""
        length, done = self._end - self._begin, 0
        while done < length:
            piece = os.pread(self._file, min(COPY_BYTES, length - done), self._begin + done)
            done += os.pwrite(self._file, piece, done)
        os.ftruncate(self._file, length)
        self._ends = array("Q", (end - self._begin for end in self._ends))
        self._begin, self._end = 0, length

    def close(self) -> None:
        """Close the file; it is removed with its folder."""
        os.close(self._file)

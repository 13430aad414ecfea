"""What a job's worker has said, on the node's disk until it is known where the job is kept."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COPY: Final = 1 << 20


class Spool:
    """Messages in their order, numbered from 0; ``first`` is the number of the first that is kept.

    ``full`` says that more than ``limit`` bytes wait. Of messages that may go the last ``again`` bytes stay:
    a machine that loses its power may forget what it has known. The file is at the most twice as large as
    what is kept.
    """

    def __init__(self, path: Path, limit: int, again: int = 0) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self._limit, self._again = limit, again
        self._begin = self._end = 0  # in the file, of what is kept
        self._ends = array("Q")
        self.first = 0

    @property
    def count(self) -> int:
        """How many messages there have been."""
        return self.first + len(self._ends)

    @property
    def full(self) -> bool:
        """Whether nothing should be added before some of it is known."""
        return self._end - self._begin > self._limit

    def add(self, lines: Sequence[bytes]) -> None:
        """Add messages, all or none. Raises OSError where the disk refuses."""
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

    def take(self, after: int, size: int) -> list[bytes]:
        """Messages from number ``after`` on, of ``size`` bytes together or a little more.

        Raises OSError for those that are forgotten.
        """
        if not self.first <= after <= self.count:
            raise OSError(f"message {after} is not kept")
        found: list[bytes] = []
        place = self._ends[after - self.first - 1] if after > self.first else self._begin
        for end in self._ends[after - self.first :]:
            if size <= 0:
                break
            found.append(os.pread(self._file, end - place, place))
            size -= end - place
            place = end
        return found

    def forget(self, before: int) -> None:
        """Let the messages before number ``before`` go: they are known."""
        gone = min(before - self.first, bisect_right(self._ends, self._end - self._again))
        if gone <= 0:
            return
        self._begin = self._ends[gone - 1]
        del self._ends[:gone]
        self.first += gone
        if not self._ends:
            self._begin = self._end = 0
            os.ftruncate(self._file, 0)
        elif self._begin > max(self._again, self._end - self._begin):
            self._move()

    def _move(self) -> None:
        """Move what is kept to the file's beginning, which has room for all of it."""
        length, done = self._end - self._begin, 0
        while done < length:
            piece = os.pread(self._file, min(COPY, length - done), self._begin + done)
            done += os.pwrite(self._file, piece, done)
        os.ftruncate(self._file, length)
        self._ends = array("Q", (end - self._begin for end in self._ends))
        self._begin, self._end = 0, length

    def close(self) -> None:
        """Close the file, which others remove."""
        os.close(self._file)

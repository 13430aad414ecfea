"""Writes a large file past the page cache (``O_DIRECT``), from parts of another file and new bytes.

Several threads keep the disk busy. Where a block of the new file is a block of the source, the disk reads it
from the source's pages, and no byte is copied; elsewhere each thread copies into a buffer of its own.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.contract.regular_files import DISK_FULL

from .atomic_write import ChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIECE: Final = 2**21
"""Bytes of one write: a multiple of `BLOCK`."""
BLOCK: Final = 4096
"""Offsets, sizes and addresses must be a multiple of the disk's block size, which is at most this."""
THREADS: Final = 4
FULL: Final = (*DISK_FULL, errno.EIO)
"""Errors of a disk that will not take the bytes in any other way."""


class Segment(NamedTuple):
    """Bytes ``start`` to ``end`` of a new file: ``content``, or those at ``source`` of the old one."""

    start: int
    end: int
    source: int
    content: bytes | None


def write_unbuffered(out: int, source: int, segments: Sequence[Segment]) -> bool:
    """Write the empty file ``out``; return False if its disk or system only writes through the page cache.

    ``out`` is empty again then. Raises ChangedError if ``source`` ends too early, and OSError for a full or
    broken disk.
    """
    if not hasattr(os, "O_DIRECT"):
        return False
    import fcntl

    flags = fcntl.fcntl(out, fcntl.F_GETFL)
    size = segments[-1].end
    aligned = size - size % BLOCK
    try:
        fcntl.fcntl(out, fcntl.F_SETFL, flags | os.O_DIRECT)
        os.posix_fallocate(out, 0, size)
        _Writer(out, source, segments).write(aligned)
        fcntl.fcntl(out, fcntl.F_SETFL, flags)
        rest = bytearray(size - aligned)
        _fill(memoryview(rest), aligned, source, segments)
        if os.pwrite(out, rest, aligned) != len(rest):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    except (OSError, ValueError) as fault:  # ValueError: an empty source cannot be mapped
        if isinstance(fault, OSError) and fault.errno in FULL:
            raise
        fcntl.fcntl(out, fcntl.F_SETFL, flags)
        os.ftruncate(out, 0)
        return False
    return True


class _Writer:
    """Threads that write one file, piece by piece."""

    def __init__(self, out: int, source: int, segments: Sequence[Segment]) -> None:
        self._out, self._source, self._segments = out, source, segments
        self._pages = memoryview(mmap.mmap(source, 0, access=mmap.ACCESS_READ))
        self._starts = [segment.start for segment in segments]
        self._lock = threading.Lock()
        self._fault: BaseException | None = None

    def write(self, size: int) -> None:
        """Write the first ``size`` bytes, whole blocks."""
        pieces = iter(range(0, size, PIECE))
        threads = [threading.Thread(target=self._run, args=(pieces, size)) for _ in range(THREADS - 1)]
        for thread in threads:
            thread.start()
        self._run(pieces, size)
        for thread in threads:
            thread.join()
        if self._fault:
            raise self._fault

    def _run(self, pieces: Iterator[int], size: int) -> None:
        try:
            room = memoryview(mmap.mmap(-1, PIECE))  # mapped memory begins with a block
            while not self._fault:
                with self._lock:
                    start = next(pieces, None)
                if start is None:
                    return
                self._write_piece(start, min(start + PIECE, size), room)
        except BaseException as fault:  # noqa: BLE001 - raised again by `write`
            self._fault = fault.with_traceback(None)

    def _write_piece(self, start: int, end: int, room: memoryview) -> None:
        segment = self._segments[bisect_right(self._starts, start) - 1]
        source = segment.source + start - segment.start
        if segment.content is None and end <= segment.end and source % BLOCK == 0:
            done = os.pwrite(self._out, self._pages[source : source + end - start], start)
        else:
            view = room[: end - start]
            _fill(view, start, self._source, self._segments)
            done = os.pwrite(self._out, view, start)
        if done != end - start:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _fill(view: memoryview, start: int, source: int, segments: Sequence[Segment]) -> None:
    """Fill ``view`` with the bytes of the new file from ``start`` on."""
    at, end = start, start + len(view)
    for segment in segments[bisect_right(segments, start, key=lambda segment: segment.start) - 1 :]:
        if at >= end:
            return
        stop = min(segment.end, end)
        if segment.content is not None:
            view[at - start : stop - start] = segment.content[at - segment.start : stop - segment.start]
            at = stop
        while at < stop:
            done = os.preadv(source, [view[at - start : stop - start]], segment.source + at - segment.start)
            if not done:
                raise ChangedError
            at += done

"""Parquet, read by a separate process (``parquet_worker``): a small file may need any amount of memory."""

from __future__ import annotations

import importlib.util
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from arkor_dev.contract.extras import install_command

from .containers import OversizedFileError, Record, SlowError, too_long
from .json_text import parsed
from .rows import MAX_ROW, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_AT_ONCE: Final = 256
"""Maximum number of rows per answer; the first answer has one row, in case only one is needed."""
SECONDS: Final = 60.0
"""How long an answer may take, unless a person waits for it."""
PASSED: Final = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH"),
    *("TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
)
"""The environment of the process: nothing that could be a secret."""


class Parquet:
    """A Parquet file. A record's offset is its number among the file's rows, from 0."""

    unit = "row"
    words = "Parquet"

    def __init__(self, file: BinaryIO, limit: int, seconds: float = SECONDS) -> None:
        self._file, self._limit, self._seconds = file, limit, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._partial = b""

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """See ``Container.scan``; the raw record is JSON."""
        del line
        number, count, size = offset, 1, 0
        try:
            while True:
                for reply in self._request_rows(number, count):
                    if reply == b"$":
                        return
                    raw = too_long() if reply == b"!" else reply[1:]
                    yield Record(number, number + 1, len(reply), raw)
                    number += 1
                    size += len(reply)
                if size > self._limit:
                    raise OversizedFileError(self._limit)
                count = min(4 * count, MOST_AT_ONCE)
        except DataError as fault:
            yield Record(number, 0, 0, fault)

    def value(self, record: Record) -> object:
        """See ``Container.value``."""
        assert isinstance(record.raw, bytes)
        return parsed(record.raw)

    def close(self) -> None:
        """See ``Container.close``."""
        self._end()
        self._file.close()

    def _request_rows(self, first: int, count: int) -> list[bytes]:
        """Return the rows from ``first`` on as the process sends them; ``$`` is the end of the file."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin
        assert process.stdout
        lines: list[bytes] = []
        until = time.monotonic() + self._seconds
        try:
            process.stdin.write(b"%d %d\n" % (first, count))
            process.stdin.flush()
            while (line := self._line(until)) != b".":
                if line.startswith(b"e"):
                    raise DataError(line[2:].decode(errors="replace"))
                lines.append(line)
                if line == b"$":
                    break
        except (EOFError, BrokenPipeError):
            self._end()
            raise DataError(
                f"the process that reads it failed at row {first + len(lines) + 1}: the file is damaged, "
                "or its rows take too much memory"
            ) from None
        except TimeoutError:
            self._end()
            raise SlowError(
                f"reading row {first + len(lines) + 1} takes longer than {self._seconds:g} s"
            ) from None
        return lines

    def _line(self, until: float) -> bytes:
        """Return the next line from the process, without its end. Raises EOFError and TimeoutError."""
        assert self._process is not None
        assert self._process.stdout
        pipe = self._process.stdout.fileno()
        waiting = select.poll()  # not select.select: a busy server has more than a thousand descriptors
        waiting.register(pipe, select.POLLIN)
        pieces = [self._partial]
        while b"\n" not in pieces[-1]:
            if not waiting.poll(max(0.0, 1000 * (until - time.monotonic()))):
                raise TimeoutError
            if not (piece := os.read(pipe, 2**16)):
                raise EOFError
            pieces.append(piece)
            if sum(map(len, pieces)) > 2 * MAX_ROW:
                raise EOFError
        line, _, self._partial = b"".join(pieces).partition(b"\n")
        return line

    def _start(self) -> None:
        if importlib.util.find_spec("pyarrow") is None:
            raise DataError(f"needs one more package. Install it with: {install_command('parquet')}")
        inherited = {name: os.environ[name] for name in PASSED if name in os.environ}
        self._partial = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "arkor_dev.data.parquet_worker", str(self._file.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._file.fileno(),),
            # The library's other allocators reserve memory without using it, which would count against the
            # limit.
            env={**inherited, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

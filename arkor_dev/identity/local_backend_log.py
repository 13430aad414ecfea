"""Log of the local backend's standard error, with its last lines available.

An error about a failed start should give the reason and the log's path.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

LIMIT: Final = 1 << 20
"""Size after which a new file is started; the full one is kept beside it as ``….1``."""
LINES: Final = 8
LINE_CHARACTERS: Final = 500


class BackendLog:
    """The log of one launch's backend over all restarts; the file is created with the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: deque[str] = deque(maxlen=LINES)
        self._writable = True
        self._complete = False

    @property
    def last_line(self) -> str:
        """Return the newest meaningful line since the process was started; ``""`` if there is none."""
        return self._lines[-1] if self._lines else ""

    def ending(self) -> str:
        """Return sentences for an error: where the log is, and its last lines if there is more than one."""
        if not self._complete:
            return ""
        if len(self._lines) < 2:
            return f" Its log is {self.path}."
        return "\n".join([f" The end of its log, {self.path}:", *self._lines])

    async def keep(self, stderr: asyncio.StreamReader, pid: int) -> None:
        """Store the output of one run of the process, up to the end of ``stderr``."""
        self._lines.clear()
        self._complete = False
        rest = b""
        while data := await stderr.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-LIMIT:]
            for line in lines:
                self._remember(line)
            header = b"" if self._complete else self._header(pid)
            # The disk may be slow, and streams share this thread.
            self._writable = self._writable and await asyncio.to_thread(self._write, header + data)
            self._complete = self._writable
        self._remember(rest)

    @staticmethod
    def _header(pid: int) -> bytes:
        return f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {pid}\n".encode()

    def _remember(self, line: bytes) -> None:
        if text := one_line(line.decode(errors="replace"), LINE_CHARACTERS):
            self._lines.append(text)
            log.info("local backend: %s", text)

    def _write(self, data: bytes) -> bool:
        try:
            with open(self.path, "ab", buffering=0, opener=_private) as file:
                if file.tell() + len(data) > LIMIT:
                    self.path.replace(self.path.with_name(self.path.name + ".1"))
                    return self._write(data[-LIMIT:])
                file.write(data)
        except OSError as error:
            log.warning("%s cannot be written (%s).", self.path, error.strerror)
            return False
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)

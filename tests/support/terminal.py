"""A command of the tests on a terminal of its own (a pty): keys in, screen out."""

from __future__ import annotations

import asyncio
import os
import pty
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .commands import start_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .commands import Process

# The terminal becomes the process's own, so that Ctrl-C reaches it as a signal.
OWN = """
import fcntl, os, termios
if os.getsid(0) != os.getpid(): os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Screen:
    """What a command has written to its terminal so far, without escape sequences."""

    def __init__(self, process: Process, handle: int) -> None:
        self.process = process
        self._handle = handle
        self._raw = b""
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # the last holder of the other end has gone
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._handle)
            self._over.set()
        self._raw += data
        self._news.set()

    @property
    def open(self) -> bool:
        """Whether the terminal is still there."""
        return self._handle >= 0

    @property
    def text(self) -> str:
        """All of it, lines ending in a line feed."""
        return ESCAPES.sub("", self._raw.decode(errors="replace")).replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        """Type; Ctrl-C is ``\\x03``."""
        os.write(self._handle, keys.encode())

    async def shows(self, text: str, seconds: float = 60, *, times: int = 1) -> None:
        """Wait until ``text`` has been written so often."""
        try:
            async with asyncio.timeout(seconds):
                while self.text.count(text) < times:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} is not among:\n{self.text}") from None

    def close(self) -> None:
        """Close the window: the command gets SIGHUP and loses its output."""
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self._handle = -1

    async def end(self, seconds: float = 10) -> int:
        """Wait for the command's end, and for all that it has written; its exit code.

        The system brings the last lines in its own time, which may be after the process is gone.
        """
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            if self.open:
                await self._over.wait()
        return code


@asynccontextmanager
async def on_terminal(code: str, *arguments: str, env: Mapping[str, str]) -> AsyncIterator[Screen]:
    """Run the Python ``code`` on a terminal of 200 columns; killed at the block's end if it still runs."""
    ours, theirs = pty.openpty()
    process = await start_command(
        OWN + code, *arguments, env={**env, "COLUMNS": "200", "TERM": "xterm"},
        module="tests.support.run_code",
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    screen = Screen(process, ours)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if screen.open:
            screen.close()

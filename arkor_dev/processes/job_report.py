"""The channel on which a training command reports the jobs that it has created to the Studio that started it.

It is a pipe that the command inherits; the environment names its file descriptor. A line is a job's id. The
command's output is for people and stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE: Final = "ARKOR_JOB_FD"
MOST_CHARACTERS: Final = 200
"""Longest id of a job."""


def reporter() -> Callable[[str], None]:
    """Return the function that reports a job's id; it does nothing unless a Studio listens.

    The variable is removed, and no child inherits the pipe: another command would report its jobs there, too.
    """
    text = os.environ.pop(VARIABLE, "")
    try:
        pipe = int(text) if text.isascii() else -1
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            return lambda _: None
        os.set_inheritable(pipe, False)
    except (OSError, ValueError, OverflowError):
        return lambda _: None

    def report(job_id: str) -> None:
        with contextlib.suppress(OSError):  # Studio has ended
            os.write(pipe, f"{job_id}\n".encode())

    return report


async def read_reports(pipe: int, on_job: Callable[[str], None]) -> None:
    """Call ``on_job`` with each reported id until the last writer has closed the pipe; then close it."""
    reader = asyncio.StreamReader(limit=4096)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        while (line := await reader.readline()).endswith(b"\n"):
            job_id = line[:-1].decode(errors="replace")
            if 0 < len(job_id) <= MOST_CHARACTERS and job_id.isprintable() and " " not in job_id:
                on_job(job_id)
    except ValueError:
        pass  # a line without an end: this is not our command
    finally:
        transport.close()

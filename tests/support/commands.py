"""``arkor-dev`` as a process of a test, forked from one that has loaded it (``tests/local/forked.py``).

Each has pipes, a process group and an environment of its own, as a started one has, and takes a tenth of its
processor time. Tests of how Python itself starts have a true one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from tests.local.forked import ForkedBackend, plain_of
from tests.local.forking_backend import TRUE_START, ForkedProcess, command_template
from tests.local.harness import FORKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Process = asyncio.subprocess.Process | ForkedProcess


async def start_command(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: int | None = DEVNULL,
    stdout: int | None = PIPE,
    stderr: int | None = PIPE,
    module: str = "arkor_dev",
) -> Process:
    """Start ``python -m MODULE ARGUMENTS`` with these streams; ``env`` is its whole environment."""
    env = dict(os.environ if env is None else env)
    if forks := command_template():
        streams = (stdin, stdout, stderr)
        return await ForkedProcess.start(module, env, plain_of(forks[FORKS]), arguments, streams)
    return await TRUE_START(
        sys.executable, "-m", module, *arguments, env=env, stdin=stdin, stdout=stdout, stderr=stderr
    )


def open_command(*arguments: str, env: Mapping[str, str]) -> subprocess.Popen[bytes] | ForkedBackend:
    """Start ``arkor-dev ARGUMENTS`` with pipes for what it says, for a test without an event loop."""
    if forks := command_template():
        process = ForkedBackend(forks[FORKS], "arkor_dev", env, arguments)
        process.stdin.close()
        return process
    argv = [sys.executable, "-m", "arkor_dev", *arguments]
    return subprocess.Popen(argv, env=env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)


async def run_command(
    *arguments: str, env: Mapping[str, str] | None = None, seconds: float = 90
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``arkor-dev ARGUMENTS``."""
    process = await start_command(*arguments, env=env)
    out, err = await asyncio.wait_for(process.communicate(), seconds)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()

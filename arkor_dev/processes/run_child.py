"""Running a short-lived child of the project and keeping the end of its output, with limits on everything.

For commands whose output is a message to a person (a build, a check), not a stream to follow. They run under
the `supervisor`, too: a build that hangs must not outlive Studio.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.core.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAIL = 64 * 1024
SUPERVISOR = Path(__file__).with_name("supervisor.py")


@dataclass(frozen=True, slots=True)
class ChildOutput:
    """``code`` is the exit status (128 + n for signal n), None if the time ran out and it was killed."""

    code: int | None
    text: str


async def run_child(
    argv: Sequence[str],
    cwd: Path,
    seconds: float,
    kept_bytes: int = TAIL,
    environ: Mapping[str, str] | None = None,
) -> ChildOutput:
    """Run ``argv`` to its end and return its last 64 KiB of output, stdout and stderr together.

    ``environ`` is added to this process's environment.

    It and everything that it has started are killed after ``seconds``, and when the caller is cancelled.
    Raises OSError if the command cannot be started.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(SUPERVISOR), *argv,
            cwd=cwd, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True, env={**os.environ, **(environ or {})},
        )  # fmt: skip
    except ValueError as fault:  # a NUL character or a lone surrogate in an argument
        raise OSError(f"an argument is not valid text ({fault})") from None
    stdin, stdout, stderr = child.stdin, child.stdout, child.stderr
    if stdin is None or stdout is None or stderr is None:
        raise OSError("the child has no pipes")
    output = bytearray()
    report = ""
    try:
        async with asyncio.timeout(seconds):
            while data := await stderr.read(TAIL):
                output += data
                del output[:-kept_bytes]
            report = (await stdout.read()).decode()
    except TimeoutError:
        pass
    finally:
        stdin.close()  # tells the supervisor to end whatever still runs
        await child.wait()
    word, _, rest = report.rstrip("\n").rpartition("\n")[2].partition(" ")
    if word == "failed":
        raise OSError(rest)
    code = int(rest) if word == "exit" else None
    return ChildOutput(code, plain(output.decode(errors="replace")).strip())

"""``arkor-dev start`` in a TypeScript project: runs its own command in this terminal.

Builds the command first, like Run training on the page, since it would otherwise run the previous build. The
command owns the terminal, its output and prompts; its exit code becomes ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.backend.http_client import open_http_client
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.project.node_tools import is_typescript
from arkor_dev.project.training_command import training_command
from arkor_dev.project.typescript import START_SECONDS, TypeScriptProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.shapes import TrainRequest
    from arkor_dev.core.settings import Settings

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def runs_typescript(settings: Settings) -> bool:
    """Return whether ``arkor-dev start`` means the project's own command: there is no ``arkor.toml``."""
    path = settings.project / "arkor.toml"
    return not path.exists() and not path.is_symlink() and is_typescript(settings.project)


async def run_typescript(settings: Settings, *, file: str | None, trainer: str | None, dry_run: bool) -> int:
    """Build the project, or its entry ``file``, run its command and return its exit code.

    The exit code is 128 + n for signal n. Raises ArkorError if nothing was started: the build failed, or the
    project cannot be trained this way.
    """
    launch = training_command(settings, _request(settings, file, dry_run=dry_run))
    async with open_http_client() as http:
        # The command reads the credentials file but cannot refresh an expired token.
        await FileIdentity(settings, http).credentials()
    built = await TypeScriptProject(settings.project).build(launch.file)
    try:
        built.check_name(trainer)
        try:
            command = await asyncio.create_subprocess_exec(*launch.argv, cwd=settings.project)
        except OSError as fault:
            raise BadRequestError(f"{launch.argv[0]} cannot be started ({fault.strerror}).") from None
        with _obeying(command):
            exit_task = asyncio.create_task(command.wait())
            await asyncio.wait({exit_task}, timeout=START_SECONDS)
            built.give_back()
            code = await exit_task
    finally:
        built.give_back()
    return code if code >= 0 else 128 - code


def _request(settings: Settings, file: str | None, *, dry_run: bool) -> TrainRequest:
    if file is None:
        return {"dryRun": dry_run}
    if not os.path.lexists(settings.project / file):
        raise BadRequestError(f"No such file in {settings.project}: {one_line(file, 200)}.")
    return {"dryRun": dry_run, "file": file}


@contextlib.contextmanager
def _obeying(command: asyncio.subprocess.Process) -> Iterator[None]:
    """Leave the signals that we receive to the command while the block runs."""
    loop = asyncio.get_running_loop()

    def pass_on(number: signal.Signals) -> None:
        # The terminal's Ctrl-C has reached the command already; a second one would cut its shutdown short.
        if number is not signal.SIGINT or not sys.stdin.isatty():
            with contextlib.suppress(ProcessLookupError):
                command.send_signal(number)

    # Keep ignoring a signal that was ignored from the start (nohup, a shell's background job).
    watched = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in watched:
        loop.add_signal_handler(number, pass_on, number)
    try:
        yield
    finally:
        for number in watched:
            loop.remove_signal_handler(number)

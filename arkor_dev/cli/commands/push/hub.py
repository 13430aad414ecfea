"""Parent side of the process that talks to the Hub: starts it, reads its progress and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Final, overload

from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.extras import install_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .messages import LookOrder, Message, Pushed, PushOrder, Repository, UploadProgress

MODULE: Final = "arkor_dev.cli.commands.push.uploader"
LIBRARY: Final = "huggingface_hub"
LINE_LIMIT: Final = 2**25
"""Largest message, in bytes. Each letter in a listing of many files may be escaped as twelve."""
ENVIRONMENT: Final = {
    # Use plain uploads: every byte is counted, and every mirror of the Hub supports them.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
LONGEST_NAME: Final = 96


def require_library() -> None:
    """Raise BadRequestError if the extra is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise BadRequestError(f"Publishing on the Hub needs one more package: {install_command('hub')}")


def repository(text: str | None) -> str:
    """Parse ``text`` as a repository name on the Hub. Raises BadRequestError if it is invalid."""
    if not text:
        raise BadRequestError("Name a repository: arkor-dev push JOB NAME/REPOSITORY.")
    parts = text.split("/")
    fine = len(parts) == 2 and all(NAME.fullmatch(part) for part in parts) and len(text) <= LONGEST_NAME
    if not fine or "--" in text or ".." in text or text.endswith(".git"):
        raise BadRequestError(
            "A repository is NAME/REPOSITORY, a user or an organisation first: letters, digits, and single "
            f"-, _ and . between them, at most {LONGEST_NAME} in total."
        )
    return text


async def _messages(stdout: asyncio.StreamReader) -> AsyncIterator[Message]:
    try:
        async for line in stdout:
            yield json.loads(line)
    except ValueError as fault:
        raise BackendError("The process that talks to the Hub sent an unreadable message.") from fault


@overload
async def run_uploader(order: LookOrder, show: Callable[[UploadProgress], None]) -> Repository: ...


@overload
async def run_uploader(order: PushOrder, show: Callable[[UploadProgress], None]) -> Pushed: ...


async def run_uploader(
    order: LookOrder | PushOrder, show: Callable[[UploadProgress], None]
) -> Repository | Pushed:
    """Send ``order`` to the process and return its answer; call ``show`` with its progress.

    Raises BadRequestError for an impossible order, and BackendError for errors of the Hub or the network.
    Cancelling the caller ends the process.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        limit=LINE_LIMIT,
        env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(f"{json.dumps(order)}\n".encode())
            await process.stdin.drain()
        async for message in _messages(process.stdout):
            if "error" in message:
                raise (BadRequestError if message["final"] else BackendError)(str(message["error"]))
            if "answer" in message:
                return message["answer"]
            show(message["progress"])
        raise BackendError(f"The process that talks to the Hub ended with status {await process.wait()}.")
    finally:
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())

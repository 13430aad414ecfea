"""This side of the process that talks to the Hub: starts it, hears how far it has come, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import BackendError, BadRequestError
from arkor_dev.contract.extras import install_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MODULE: Final = "arkor_dev.cli.commands.push.uploader"
LIBRARY: Final = "huggingface_hub"
LINE_LIMIT: Final = 2**25
"""Bytes of an answer: of a repository with many files most are their names, each letter written as twelve."""
ENVIRONMENT: Final = {
    # The plain way of uploads, whose every byte is counted and which any mirror of the Hub speaks.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
LONGEST_NAME: Final = 96


def require_library() -> None:
    """Raise BadRequestError where the extra is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise BadRequestError(f"Publishing on the Hub needs one more package: {install_command('hub')}")


def repository(text: str | None) -> str:
    """``text`` as a repository's name on the Hub; raises BadRequestError."""
    if not text:
        raise BadRequestError("Name a repository: arkor-dev push JOB NAME/REPOSITORY.")
    parts = text.split("/")
    fine = len(parts) == 2 and all(NAME.fullmatch(part) for part in parts) and len(text) <= LONGEST_NAME
    if not fine or "--" in text or ".." in text or text.endswith(".git"):
        raise BadRequestError(
            "A repository is NAME/REPOSITORY, a user or an organisation first: letters, digits, and single "
            f"-, _ and . between them, at most {LONGEST_NAME} in all."
        )
    return text


async def _messages(stdout: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    try:
        async for line in stdout:
            yield json.loads(line)
    except ValueError as fault:
        raise BackendError("The process that talks to the Hub sent an unreadable message.") from fault


async def asked(order: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """What the process answers to ``order``; ``show`` hears of its progress.

    Raises BadRequestError for what is not to be done, and BackendError for what the Hub or the network did.
    It is ended, with whatever it is doing, when the caller is cancelled.
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
        async for said in _messages(process.stdout):
            if "error" in said:
                raise (BadRequestError if said["final"] else BackendError)(str(said["error"]))
            if "answer" in said:
                return dict(said["answer"])
            show(said["progress"])
        raise BackendError(f"The process that talks to the Hub ended with status {await process.wait()}.")
    finally:
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())

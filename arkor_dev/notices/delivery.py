"""Delivers notices: a signed webhook request with retries, or a program without a shell.

Whatever the other side does, sending ends within a limited time and says in a sentence what went wrong. The
sentence contains neither the address, which many services treat as a secret, nor the response.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import html
import json
import os
import secrets
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from arkor_dev import __version__
from arkor_dev.core.proxy import proxy_for
from arkor_dev.project.toml.notify import address_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.project.toml.notify import Notify

    from .facts import NoticeFacts

PAUSES: Final = (1.0, 5.0, 15.0)
"""Seconds before each further attempt of a webhook."""
WEBHOOK_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 30.0


class UndeliveredError(Exception):
    """The notice was not sent; the text says why."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return ``X-Arkor-Signature``: HMAC-SHA256 over the timestamp, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


async def post(notify: Notify, facts: NoticeFacts, environ: Mapping[str, str]) -> None:
    """Send ``facts`` to the webhook. Raises UndeliveredError after the last attempt."""
    address = notify.webhook or environ.get(notify.webhook_env or "", "")
    if not address:
        raise UndeliveredError(f"the environment variable {notify.webhook_env} is not set")
    if problem := address_fault(address, notify.allow_http):
        raise UndeliveredError(problem)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"arkor-dev/{__version__}",
        "X-Arkor-Event": str(facts["event"]),
        "X-Arkor-Delivery": secrets.token_hex(16),  # the same for each attempt
    }
    body = json.dumps(facts).encode()
    secret = environ.get(notify.secret_env, "") if notify.secret_env else None
    if secret == "":
        raise UndeliveredError(f"the environment variable {notify.secret_env} is not set")
    # A separate session: the backend's token and proxy address are not accessible here.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session:
        for pause in (*PAUSES, None):
            timestamp = str(int(time.time()))
            signed = {"X-Arkor-Signature": signature(secret, timestamp, body)} if secret else {}
            try:
                problem = await _try(
                    session, URL(address), body, {**headers, "X-Arkor-Timestamp": timestamp, **signed}
                )
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                problem = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
            else:
                if problem is None:
                    return
            if pause is None:
                raise UndeliveredError(f"the webhook could not be reached: {problem}")
            await asyncio.sleep(pause)


async def _try(
    session: aiohttp.ClientSession, url: URL, body: bytes, headers: Mapping[str, str]
) -> str | None:
    """Send once; return why it was not accepted, or None. Raises UndeliveredError if a retry is useless."""
    async with session.post(
        url,
        data=body,
        headers=headers,
        allow_redirects=False,
        proxy=proxy_for(url),
        timeout=aiohttp.ClientTimeout(total=WEBHOOK_SECONDS),
    ) as answer:
        status = answer.status
        answer.close()  # any response of any size
    if 200 <= status < 300:
        return None
    if status in (408, 425, 429) or status >= 500:
        return f"status {status}"
    result = f"redirects ({status}), which is not followed" if status < 400 else f"refused it ({status})"
    raise UndeliveredError(f"the webhook {result}")


async def run(notify: Notify, facts: NoticeFacts, environ: Mapping[str, str], project: Path) -> None:
    """Run the command with ``facts`` as JSON on standard input, and the main ones in its environment.

    Raises UndeliveredError if it cannot be started, takes too long or fails.
    """
    hidden = {notify.secret_env, notify.webhook_env}
    job = facts["job"]
    variables = {
        "ARKOR_EVENT": facts["event"],
        "ARKOR_MESSAGE": facts["message"],
        "ARKOR_JOB_ID": job["id"],
        "ARKOR_JOB_NAME": job["name"],
        "ARKOR_JOB_STATUS": job["status"],
        "ARKOR_PROJECT": str(project),
    }
    env = {name: value for name, value in environ.items() if name not in hidden} | variables
    await _end_of(notify.command, env, project, json.dumps(facts).encode() + b"\n")


async def show(facts: NoticeFacts, environ: Mapping[str, str], project: Path) -> None:
    """Show a desktop notification on this machine, with the system's own program. Raises like `run`."""
    text = str(facts["message"])
    if program := shutil.which("notify-send", path=environ.get("PATH")):
        # Some desktops read markup in the text.
        argv = [program, "--app-name=Arkor Studio", "--", "Arkor Studio", html.escape(text, quote=False)]
    elif sys.platform == "darwin" and (program := shutil.which("osascript", path=environ.get("PATH"))):
        script = (
            "on run said",
            "display notification (item 1 of said) with title (item 2 of said)",
            "end run",
        )
        argv = [program, *(argument for line in script for argument in ("-e", line)), text, "Arkor Studio"]
    else:
        raise UndeliveredError("desktop notifications need notify-send, which is not installed")
    await _end_of(argv, environ, project, b"")


async def _end_of(argv: Sequence[str], env: Mapping[str, str], folder: Path, message: bytes) -> None:
    """Run a program in ``folder`` with ``message`` on standard input; require success within the limit."""
    name = os.path.basename(argv[0])  # noqa: PTH119 (a name for a sentence)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=folder, env=env, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise UndeliveredError(f"the command {name} cannot be started: {error}") from None
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            with contextlib.suppress(ConnectionError):  # it may ignore its input
                await process.communicate(message)
            status = await process.wait()
    except TimeoutError:
        raise UndeliveredError(f"the command {name} took longer than {COMMAND_SECONDS:g} s") from None
    finally:
        if process.returncode is None:  # processes that an ended program leaves behind are not our concern
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    if status:
        raise UndeliveredError(f"the command {name} ended with status {status}")

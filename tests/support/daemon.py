"""An ``arkor-dev`` process for a test, with a home of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from .commands import start_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .commands import Process

PORTS = range(30_000, 32_768)
"""What lies below the ports that Linux gives out (from 32,768 on, elsewhere from 49,152)."""
_TOKEN = re.compile(r'<meta name="arkor-studio-token" content="([^"]+)"')


@dataclass
class Daemon:
    """A running daemon: its process, its address, its launch's token."""

    process: Process
    origin: str
    token: str
    seconds_to_page: float

    async def api(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """One API call's JSON."""
        async with self.stream(method, path, **kwargs) as answer:
            return await answer.json()  # type: ignore[no-any-return]

    @asynccontextmanager
    async def stream(self, method: str, path: str, **kwargs: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One API call's answer, to be read as it comes."""
        headers = {"X-Arkor-Studio-Token": self.token}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.origin + path, headers=headers, **kwargs) as answer,
        ):
            yield answer

    async def text(self, path: str) -> str:
        """One API answer as text."""
        async with self.stream("GET", path) as answer:
            return await answer.text()

    @staticmethod
    def losses(history: str) -> list[float]:
        """The training losses of an event history, in order."""
        rows = (json.loads(line[5:]) for line in history.splitlines() if line.startswith("data:"))
        return [row["loss"] for row in rows if row.get("type") == "training.log" and "loss" in row]


def environment(home: Path) -> dict[str, str]:
    """This process's environment with everything personal moved below ``home``.

    Chats are answered by transformers, as in the other tests: where llama.cpp is installed, a daemon would
    convert each model for it in the background. Models are not downloaded, even if a page asks for it.
    """
    dropped = ("XDG_", "ARKOR_", "PYTHONUNBUFFERED")  # a person's Python writes through a buffer
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    cache = os.environ.get("ARKOR_TEST_CACHE")
    return kept | {
        "HOME": str(home),
        "ARKOR_ENGINE": "exact",
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_CACHE_HOME": str(Path(cache).parent if cache else home / ".cache"),
    }


def free_port() -> int:
    """A port that was free a moment ago.

    It is none of those that the system itself gives to whoever asks for any, or connects to somewhere: one
    of another test could have it before the daemon has.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", secrets.choice(PORTS)))
            return int(probe.getsockname()[1])


@asynccontextmanager
async def running_daemon(home: Path, port: int, *arguments: str, **env: str) -> AsyncIterator[Daemon]:
    """Start ``arkor-dev`` and wait for its page; ends it with SIGINT."""
    home.mkdir(exist_ok=True)
    began = time.monotonic()
    process = await start_command(
        "--port", str(port), *arguments, env={**environment(home), **env}, stdout=None, stderr=None
    )
    origin = f"http://localhost:{port}"
    try:
        page = await _page(origin, process)
        found = _TOKEN.search(page)
        assert found, page[:500]
        yield Daemon(process, origin, found[1], time.monotonic() - began)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 30)


async def _page(origin: str, process: Process) -> str:
    deadline = time.monotonic() + 60
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            assert process.returncode is None, "the daemon ended"
            try:
                async with session.get(origin) as answer:
                    return await answer.text()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.03)
    raise AssertionError("the daemon serves no page")

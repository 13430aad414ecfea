"""Measures how one caller of an endpoint is affected by eight others that send prompts of a megabyte.

Uses a real ``arkor-dev serve --local`` and a key per caller, and measures the first token of a short
question, alone and at the same time as the eight.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp

from arkor_dev.core.settings import Settings
from arkor_dev.local.endpoints import deployments
from arkor_dev.local.jobs.store import Store

from .figures import Figure
from .sides import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.shapes import DeploymentTarget

OTHERS = 8
MOST = 3.0
"""Maximum time to a caller's first token, as a multiple of the time on an idle endpoint."""
BODY = 2**20 - 2000
SLUG = "bench"


def measure(model: Path, *, quick: bool) -> Iterator[Figure]:
    """Yield the milliseconds to a first token, with the other callers and without."""
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder), model) as (base, keys):
        quiet, beside, refused = asyncio.run(_measured(base, keys, 1 if quick else 15))
    yield Figure(
        f"first token beside {OTHERS} callers with 1 MiB prompts, quiet beside",
        1000 * beside,
        "ms",
        1000 * quiet,
        most=None if quick else MOST,
    )
    yield Figure("  prompts refused meanwhile", refused, "/s")


@contextlib.contextmanager
def _serving(home: Path, model: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve an endpoint of ``model``; yield its base URL and the callers' keys."""
    (home / "project").mkdir()
    data = Settings(
        project=home / "project", home=home, data=home / "share" / "arkor-dev", cache=home
    ).local_data
    data.mkdir(parents=True)
    with contextlib.closing(Store(data / "backend.sqlite", "local")) as store:
        target: DeploymentTarget = {"kind": "base_model", "baseModel": str(model)}
        made = deployments.create(store, {"slug": SLUG, "target": target, "authMode": "fixed_api_key"})
        keys = [deployments.issue(store, made["id"], str(n))["plaintext"] for n in range(OTHERS + 1)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "arkor_dev", "serve", SLUG, "--local", "--port", str(port),
         "--project", str(home / "project")],
        env={
            "PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home / "share"),
            "XDG_CACHE_HOME": str(home), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
            "ARKOR_ENGINE": "exact",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the log, which has each refused request
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        yield process.stdout.readline().split()[1], keys
    finally:
        process.terminate()
        process.wait(60)


async def _measured(base: str, keys: list[str], rounds: int) -> tuple[float, float, float]:
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def first_token(number: int) -> float:
            began = time.perf_counter()
            asked = {"content": f"{number}: tell me of parrots.", "role": "user"}
            body = {"messages": [asked], "max_tokens": 4, "stream": True}
            async with session.post(f"{base}/chat/completions", json=body, headers=_with(keys[0])) as answer:
                answer.raise_for_status()
                async for line in answer.content:
                    if line.startswith(b"data: {"):
                        break
                took = time.perf_counter() - began
                await answer.read()
                return took

        await first_token(-1)
        quiet = median([await first_token(number) for number in range(rounds)])
        flood = [asyncio.create_task(_flood(session, base, key)) for key in keys[1:]]
        try:
            began = time.perf_counter()
            async with asyncio.timeout(120):
                while sum(map(_count, flood)) < OTHERS:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            beside = median([await first_token(rounds + number) for number in range(rounds)])
            rate = sum(map(_count, flood)) / (time.perf_counter() - began)
        finally:
            for task in flood:
                task.cancel()
            await asyncio.gather(*flood, return_exceptions=True)
        return quiet, beside, rate


REFUSED: dict[str, int] = {}


def _count(task: asyncio.Task[None]) -> int:
    return REFUSED.get(task.get_name(), 0)


async def _flood(session: aiohttp.ClientSession, base: str, key: str) -> None:
    """Send prompts of a megabyte, each as soon as the last one was answered."""
    words = "the ledger of parrots "
    content = (words * (BODY // len(words) + 1))[: BODY - 200]
    body = json.dumps({"messages": [{"role": "user", "content": content}], "max_tokens": 4}).encode()
    headers = {**_with(key), "Content-Type": "application/json"}
    task: Any = asyncio.current_task()
    while True:
        async with session.post(f"{base}/chat/completions", data=body, headers=headers) as answer:
            await answer.read()
            if answer.status == 429:
                await asyncio.sleep(int(answer.headers.get("Retry-After", "1")))
            REFUSED[task.get_name()] = REFUSED.get(task.get_name(), 0) + 1


def _with(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}

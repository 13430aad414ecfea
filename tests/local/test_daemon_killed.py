"""The daemon dies by SIGKILL while it trains: nothing of ours goes on, and nothing that was there is lost."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import Daemon, free_port, running_daemon
from tests.support.processes import gone

from .forking_backend import of_a_studio
from .tiny_model import QUESTIONS, chats, write_jsonl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOML = """
[[trainer]]
name = "endless"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 1000000
learning_rate = 1e-3
save_every = 5
save_total_limit = 1000
log_every = 1
samples = "off"
"""


def marked(mark: str) -> list[int]:
    """The pids of all processes that carry ``mark`` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


@pytest.fixture
def project(tmp_path: Path, tiny: Path) -> Path:
    """A project with a trainer of the tiny model."""
    folder = tmp_path / "tests"
    write_jsonl(folder / "data" / "chats.jsonl", chats())
    shutil.copytree(tiny, folder / "models" / "tiny")
    (folder / "arkor.toml").write_text(TOML)
    return folder


async def train(daemon: Daemon, trainer: str) -> AsyncIterator[str]:
    """Press Run; yields the whole output so far at each piece."""
    async with daemon.stream("POST", "/api/train", json={"trainer": trainer}) as answer:
        assert answer.status == 200
        text = ""
        async for piece in answer.content.iter_any():
            text += piece.decode()
            yield text


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.timeout(300)
async def test_sigkill_of_studio_leaves_no_process_and_loses_nothing(
    tmp_path: Path, project: Path, template: dict[str, str]
) -> None:
    home, mark = tmp_path / "home", secrets.token_hex(8)
    arguments = ("--local", "--project", str(project))
    env = {"ARKOR_TEST_MARK": mark, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    async with running_daemon(home, free_port(), *arguments, **env) as daemon:
        async for text in train(daemon, "endless"):
            if "step 12/" in text:
                break
        jobs = (await daemon.api("GET", "/api/jobs"))["jobs"]
        endless = next(job["id"] for job in jobs if job["name"] == "endless")
        # Daemon, backend, supervisor, command, training worker at least.
        assert len(marked(mark)) >= 5
        daemon.process.kill()
        await daemon.process.wait()
        assert await gone(marked(mark), 30) == []

    env |= of_a_studio(template)  # what is killed above was started; what goes on need not be
    async with running_daemon(home, free_port(), *arguments, **env) as daemon:
        jobs = {job["name"]: job for job in (await daemon.api("GET", "/api/jobs"))["jobs"]}
        # It goes on by itself, from its newest checkpoint.
        assert jobs["endless"]["status"] in ("queued", "running")
        async with asyncio.timeout(120):
            while "event: training.resumed" not in (  # noqa: ASYNC110
                history := await daemon.text(f"/api/jobs/{endless}/history")
            ):
                await asyncio.sleep(0.1)
        assert "event: training.failed" not in history
        assert history.count("event: checkpoint.saved") >= 2
        answer = await daemon.api(
            "POST",
            "/api/inference/chat",
            json={
                "messages": [{"role": "user", "content": QUESTIONS[0]}],
                "adapter": {"kind": "checkpoint", "jobId": endless, "step": 10},
                "maxTokens": 24,
                "temperature": 0,
                "stream": False,
            },
        )
        assert answer["choices"][0]["message"]["content"]
    await asyncio.sleep(0)
    assert await gone(marked(mark), 30) == []

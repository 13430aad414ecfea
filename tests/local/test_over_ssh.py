"""A project whose backend is on another machine: a real sshd, a real job, cut lines, and a power cut."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.main import main
from arkor_dev.connection.connect import connected
from arkor_dev.connection.ssh import package
from arkor_dev.contract.errors import ArkorError
from arkor_dev.core.settings import Settings
from arkor_dev.jobs.follow import JobEvent, follow
from arkor_dev.project.trust import trust
from tests.support.daemon import running_daemon
from tests.support.processes import gone
from tests.support.sshd import HOST, Sshd, running_sshd
from tests.support.waiting import until

from .conftest import make_project
from .tiny_model import chats, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.identity.local_backend import Notice

pytestmark = [pytest.mark.engine, pytest.mark.beside, pytest.mark.ci, pytest.mark.timeout(300)]

TOML = f"""
[compute]
ssh = "{HOST}"
python = "{sys.executable}"

[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 6
log_every = 1
learning_rate = 1e-2
samples = "off"
"""


@pytest.fixture
def project(tmp_path: Path, tiny: Path) -> Path:
    """A project with more in it than its trainer names."""
    project = make_project(tmp_path / "own", tiny)
    (project / "arkor.toml").write_text(TOML)
    (project / "secret.txt").write_text("stays here")
    return project


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_port: Callable[[], int]) -> Iterator[Sshd]:
    """The other machine."""
    with running_sshd(tmp_path / "sshd", held_port(), monkeypatch) as server:
        yield server


@pytest.fixture
def launch(project: Path, tmp_path: Path) -> Settings:
    """A launch with ``--ssh``, of the same home as `running_daemon`'s."""
    home = tmp_path / "home"
    data = home / ".local" / "share" / "arkor-dev"
    return Settings(
        project=project, home=home, data=data, cache=home / "cache", local=True, ssh=HOST, engine="exact"
    )


async def jobs_of(backend: Backend) -> list[dict[str, object]]:
    """The jobs, as soon as there is a connection."""
    async with asyncio.timeout(60):
        while True:
            try:
                jobs: list[dict[str, object]] = json.loads((await backend.list_jobs()).body)["jobs"]
            except ArkorError:
                await asyncio.sleep(0.05)
            else:
                return jobs


def sockets_that_listen() -> set[str]:
    """The inodes of the TCP sockets of this machine that listen."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        if (table := Path("/proc/net", name)).exists()
        for line in table.read_text().splitlines()[1:]
    ]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}


def descriptors(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    with suppress(OSError):  # it has ended meanwhile
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(path.readlink()))
    return found


async def test_a_remote_job_continues_after_the_connection_is_lost(
    server: Sshd,
    launch: Settings,
    project: Path,
    held_port: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The first start installs, and Run is pressed; then the laptop is closed.
    trust(launch, HOST)
    arguments = ("--project", str(project))
    async with running_daemon(launch.home, held_port(), *arguments) as daemon:
        async with daemon.stream("POST", "/api/train", json={"trainer": "parrot"}) as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                if b"Started job" in line:
                    break
        (made,) = (await daemon.api("GET", "/api/jobs"))["jobs"]
    await until(lambda: not server.sessions(), 60)

    # Only what the trainer names has left.
    (files,) = (server.home / ".arkor" / "remote" / "projects").glob("*/own")
    assert (files / "models" / "tiny" / "config.json").is_file()
    names = {path.relative_to(files).parts[0] for path in files.rglob("*")}
    assert names == {"arkor.toml", "data", "models"}

    notices: list[Notice] = []
    async with connected(launch, notices.append) as backend:
        (job,) = await jobs_of(backend)
        assert job["id"] == made["id"]
    assert notices == [], "nothing is sent twice"

    async with connected(launch, notices.append) as backend:
        # Its events, from the first on, over a line that is cut in the middle.
        events: list[str] = []
        steps: list[object] = []
        async for item in follow(backend, str(made["id"])):
            if isinstance(item, JobEvent):
                if not events:
                    server.cut()
                events.append(item.name)
                if item.name == "training.log" and isinstance(item.data, dict) and "loss" in item.data:
                    steps.append(item.data["step"])
        assert events.count("training.started") == 1
        assert events[-1] == "training.completed"
        assert steps == [1, 2, 3, 4, 5, 6]
        said = [str(notice["text"]) for notice in notices]
        assert said[0] == f"Connection to {HOST} lost, reconnecting"
        assert said[-1] == f"Connected to {HOST} again."

        # A changed file is there before the next call is answered.
        write_jsonl(project / "data" / "chats.jsonl", chats(7))
        await backend.me()
        there, here = files / "data" / "chats.jsonl", project / "data" / "chats.jsonl"
        assert there.read_bytes() == here.read_bytes()

        # The token is in nobody's arguments and no log, and nothing there listens on a port.
        token = (await backend.identity.credentials()).token
        pids = server.processes()
        assert len(pids) >= 3, pids
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                assert token.encode() not in path.read_bytes()
        for log in (*server.home.rglob("*.log"), server.folder / "sshd.log"):
            assert token not in log.read_text()
        server_processes = [pid for pid in pids if pid not in server.sessions()]
        assert not set.union(*map(descriptors, server_processes)) & sockets_that_listen()

        # A power cut; the machine comes back, and so does what it had.
        seen = len(notices)
        server.power_off()
        await until(lambda: any("reconnecting" in str(each.get("text")) for each in notices[seen:]), 60)
        with pytest.raises(ArkorError, match=f"connection to {HOST} is lost; reconnecting"):
            await backend.me()
        server.start()
        (job,) = await jobs_of(backend)
        assert (job["id"], job["status"]) == (made["id"], "completed")

    async with connected(launch, notices.append) as backend:
        await backend.list_jobs()

    fetch = ["ssh", "fetch", HOST, "--project", str(project)]
    assert await asyncio.to_thread(main, fetch) == 0
    assert "1 of 1 completed jobs to fetch" in capsys.readouterr().out
    assert (project / "fetched" / str(made["id"]) / "adapter_model.safetensors").is_file()
    assert await asyncio.to_thread(main, fetch) == 0
    assert "0 of 1 completed jobs to fetch" in capsys.readouterr().out

    pids = server.processes()
    assert await asyncio.to_thread(main, ["ssh", "status", HOST, "--project", str(project)]) == 0
    assert "own                      running, arkor-dev" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["ssh", "stop", HOST, "--project", str(project)]) == 0
    assert await gone(pids, 60) == []
    assert await asyncio.to_thread(main, ["ssh", "remove", HOST, "--yes", "--project", str(project)]) == 0
    assert not (server.home / ".arkor" / "remote").exists()
    assert os.listdir(server.home / ".arkor") == []  # noqa: PTH208


async def test_another_remote_version_is_replaced(
    server: Sshd, launch: Settings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(launch, lambda _: None) as older:
        first = (await older.identity.credentials()).token
        with monkeypatch.context() as patch:
            patch.setattr(package, "digest", lambda: "of-another-version")
            async with connected(launch, lambda _: None) as newer:
                second = (await newer.identity.credentials()).token
                assert second != first, "an idle one is replaced"
                config = {"model": "a/b", "datasetSource": {"type": "file", "path": "data/chats.jsonl"}}
                await newer.arrange_queue({"held": True})
                await newer.create_job("waits", config)

        # Who was connected to the older one follows, and nobody replaces one with jobs.
        (job,) = await jobs_of(older)
        assert job["name"] == "waits"
        with pytest.raises(ArkorError, match=r"1 of its jobs are not over, so it was left alone.*ssh stop"):
            async with connected(launch, lambda _: None):
                pass
        assert await asyncio.to_thread(main, ["ssh", "stop", HOST, "--project", str(project)]) == 0
        async with asyncio.timeout(60):
            while "has ended. Start Studio again" not in (text := await fault_of(older)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert HOST in text


async def fault_of(backend: Backend) -> str:
    """Why a call fails."""
    with pytest.raises(ArkorError) as fault:
        await backend.me()
    return fault.value.text

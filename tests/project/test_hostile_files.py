"""Devices, FIFOs and giants in the place of every file that Studio reads: refused, quickly, small."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import running_daemon
from tests.support.own_time import OwnTime
from tests.support.resident import resident
from tests.support.standstill import standstill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.daemon import Daemon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc for the memory of a process"),
]

RESIDENT_LIMIT = 200 << 20
"""Bytes that the daemon may hold whatever lies in the project."""
PATIENCE = 5.0
"""Seconds in which each question is answered."""


def fifo(path: Path) -> None:
    """A pipe that nobody ever writes to: opening it blocks, and so does reading."""
    os.mkfifo(path)


def endless(path: Path) -> None:
    """A file without an end."""
    path.symlink_to("/dev/zero")


def giant(path: Path) -> None:
    """Eight gigabytes, none of which are on the disk."""
    with path.open("wb") as file:
        file.truncate(8 << 30)


def loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


KINDS = {"fifo": fifo, "device": endless, "giant": giant, "loop": loop}
TRAINER = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "data.jsonl"\n'


async def asked(daemon: Daemon, path: str) -> tuple[int, str]:
    """An answer's status and text; it must come while a person would still wait."""
    own = OwnTime(daemon.process.pid)
    async with standstill() as still:
        async with asyncio.timeout(60), daemon.stream("GET", path) as answer:
            text = await answer.text()
        assert own.seconds - still() < PATIENCE
    return answer.status, text


async def ends_well(daemon: Daemon) -> None:
    """The daemon is small, and SIGTERM ends it as always."""
    assert resident(daemon.process.pid) < RESIDENT_LIMIT
    daemon.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(daemon.process.wait(), 30) == 0


def bounded(daemon: Daemon) -> None:
    """Keep a machine on which this fails alive: the daemon gets 4 GiB of addresses and no more."""
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (4 << 30, 4 << 30))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
async def test_special_files_in_place_of_project_files_are_refused(
    make: Callable[[Path], None], home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    project = tmp_path / "project"
    async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
        bounded(daemon)
        make(project / "arkor.toml")
        status, text = await asked(daemon, "/api/manifest")
        assert status == 400
        assert "arkor.toml" in text
        async with daemon.stream("POST", "/api/train", json={}) as answer:
            assert answer.status == 400
            assert "arkor.toml" in await answer.text()
        (project / "arkor.toml").unlink()
        make(project / "package.json")
        assert await asked(daemon, "/api/manifest") == (200, '{"trainer": null, "trainers": []}')
        (project / "arkor.toml").write_text(TRAINER)
        make(project / "data.jsonl")
        status, text = await asked(daemon, "/api/manifest")
        if make is not giant:  # a large data set is no fault; this one is all zeros, which is
            assert "data.jsonl" in text
        state = project / ".arkor" / "state.json"
        state.unlink()
        make(state)
        assert (await asked(daemon, "/api/jobs"))[0] == 200  # no scope: an empty list
        credentials = home / ".arkor" / "credentials.json"
        credentials.unlink()
        make(credentials)
        status, text = await asked(daemon, "/api/credentials")
        assert status == 500
        assert "credentials.json" in text
        await ends_well(daemon)


async def test_an_arkor_toml_that_takes_long_to_parse_is_bounded(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    project = tmp_path / "project"
    bombs = [
        TRAINER + ".".join(["a"] * 25_000) + " = 1\n",
        TRAINER + "".join(f"k{n} = 1\n" for n in range(20_000)),
        TRAINER + 'x = """' + 'a"' * 130_000 + '"""\n',
        TRAINER + "\n#" * 130_000,
        TRAINER + "steps = 1" + "0" * 5_000 + "\n",
    ]
    (project / "data.jsonl").write_bytes(
        b'{"messages": [' + b"{}," * 1_300_000 + b"{}]}\n" + b"x" * 5_000_000
    )
    async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
        bounded(daemon)
        for text in bombs:
            (project / "arkor.toml").write_text(text)
            status, said = await asked(daemon, "/api/manifest")
            assert status == 400 or "problem" in said or "flaw" in said
            assert len(said) < 3000
        await ends_well(daemon)

"""However the daemon ends, nothing of a training command is alive 5 s later. A true daemon, true signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import environment, running_daemon
from tests.support.processes import STUBBORN, STUBBORN_COUNT, alive, children, gone, pids_in, training_command
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemon import Daemon

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux may a process adopt its grandchildren"),
    pytest.mark.usefixtures("node_on_path"),
]

ENDINGS = {
    "Ctrl-C": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "the terminal closes": signal.SIGHUP,
    "SIGKILL": signal.SIGKILL,
    "a crash": signal.SIGSEGV,
}


async def start_stubborn(daemon: Daemon, project: Path, pids: Path) -> list[int]:
    """A training run of four processes that obey nobody, and its supervisor."""
    pids.mkdir()
    program = STUBBORN.replace("sys.argv[-1]", repr(str(pids)))
    training_command(project, program)
    _, writer = await asyncio.open_connection("127.0.0.1", int(daemon.origin.rpartition(":")[2]))
    writer.write(
        b"POST /api/train HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        b"X-Arkor-Studio-Token: " + daemon.token.encode() + b"\r\n\r\n"
    )
    found = await pids_in(pids, STUBBORN_COUNT)
    writer.close()  # the tab has long gone when Studio ends
    return [*found, *children(daemon.process.pid)]


@pytest.mark.parametrize("number", ENDINGS.values(), ids=ENDINGS)
async def test_nothing_outlives_studio(
    number: signal.Signals, home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    polite = number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    project = tmp_path / "project"
    async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
        pids = await start_stubborn(daemon, project, tmp_path / "pids")
        assert all(map(alive, pids))
        daemon.process.send_signal(number)
        code = await asyncio.wait_for(daemon.process.wait(), 30)  # 4 s at most, on a machine that has time
        left = await gone(pids, 30)
    end_all(left)
    assert left == []
    assert code == (0 if polite else -number)
    if polite:  # else nobody was left to take the launch's token away
        assert not (home / ".arkor" / "studio-token").exists()


def end_all(left: list[int]) -> None:
    """Leave nothing to the machine, whatever the test says of it."""
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_second_ctrl_c_stops_at_once(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    project, token = tmp_path / "project", home / ".arkor" / "studio-token"
    for number in range(3):  # where this process stands still, the first one's end is quicker than the second
        async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
            pids = await start_stubborn(daemon, project, tmp_path / f"pids-{number}")
            await until(token.exists, 60)
            daemon.process.send_signal(signal.SIGINT)
            await until(lambda: not token.exists(), 60)  # it is ending: what comes now is the second
            with contextlib.suppress(ProcessLookupError):
                daemon.process.send_signal(signal.SIGINT)
            code = await asyncio.wait_for(daemon.process.wait(), 30)
            left = await gone(pids, 30)
        end_all(left)
        assert left == []
        if code == 130:
            break
    assert code == 130


async def test_an_interrupt_while_starting_leaves_no_traceback_or_token_file(
    home: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    """SIGINT before the page is there: no traceback, no token file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arkor_dev", "--port", str(unused_tcp_port), "--project", str(tmp_path),
        env=environment(home) | {"ARKOR_CLOUD_API_URL": "http://127.0.0.1:9"},
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    # Python itself has started by then, in however long, and a Studio is on its way.
    await until(lambda: list(home.glob(".local/share/arkor-dev/studios/*.json")), 60)
    process.send_signal(signal.SIGINT)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode in (0, 130)
    assert b"Traceback" not in stderr
    assert not (home / ".arkor" / "studio-token").exists()


async def test_orphaned_runs_are_ended_at_the_next_start(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    """All at once: the daemon and both supervisors of a run. What has detached itself has nobody left.

    Takes 3 s: the next start first gives supervisors that are still alive the time to be polite.
    """
    project = tmp_path / "project"
    records = home / ".local" / "share" / "arkor-dev" / "launches"
    async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
        pids = await start_stubborn(daemon, project, tmp_path / "pids")
        (outer,) = children(daemon.process.pid)
        (inner,) = children(outer)
        assert len(list(records.iterdir())) == 1
        for pid in (daemon.process.pid, outer, inner):
            os.kill(pid, signal.SIGKILL)
        await daemon.process.wait()
    left = await gone(pids, 0.5)
    async with running_daemon(home, unused_tcp_port, "--project", str(project)):
        left = await gone(left, 30)
        await until(lambda: list(records.iterdir()) == [], 30)
    end_all(left)
    assert left == []

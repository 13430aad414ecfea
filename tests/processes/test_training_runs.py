"""Training runs: they outlive their readers, are stopped politely, and end with Studio."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.processes import training_runs as training
from arkor_dev.processes.training_runs import CommandRun, Launch, TrainingRuns
from tests.support.processes import HIDDEN, STUBBORN, STUBBORN_COUNT, children, gone, pids_in, script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Services:
    """Runs in a folder, and how often they told of a change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes = 0
        self.runs = TrainingRuns(folder, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def start(self, *argv: str, key: str = "key") -> CommandRun:
        """Start a command."""
        return await self.runs.start(Launch(list(argv), key=key, trainer=key, file=None, dry_run=False))

    async def shell(self, command: str, key: str = "key") -> CommandRun:
        """Start a line of shell."""
        return await self.start("/bin/sh", "-c", command, key=key)

    async def managed(self, command: str) -> CommandRun:
        """Start a line of shell as the managed product's command."""
        launch = Launch(
            ["/bin/sh", "-c", command], key="key", trainer=None, file=None, dry_run=False, typescript=True
        )
        return await self.runs.start(launch)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """Runs that are all ended afterwards."""
    services = Services(tmp_path)
    yield services
    await services.runs.close()


async def output(run: CommandRun) -> bytes:
    """The whole output, once the run has ended."""
    found, offset = b"", 0
    async with asyncio.timeout(60):
        while True:
            data, offset = await run.output.read(offset)
            if not data:
                return found
            found += data


async def printed(run: CommandRun, what: bytes) -> None:
    """Wait until the output holds ``what``."""
    async with asyncio.timeout(60):
        while what not in run.output.peek(0)[0]:
            await run.output.read(run.output.size)


async def test_a_run_streams_its_output_and_exit_code(services: Services) -> None:
    run = await services.shell("pwd; echo to-stderr >&2; exit 4")
    assert run.running
    assert run.view()["state"] == "running"
    assert await output(run) == f"{services.folder}\nto-stderr\n\n---\nexit=4\n".encode()
    view = run.view()
    assert (view["state"], view["exitCode"], view["jobId"]) == ("ended", 4, None)
    assert view["command"] == ["/bin/sh", "-c", "pwd; echo to-stderr >&2; exit 4"]
    assert view["ended"] is not None
    assert view["started"] <= view["ended"]
    assert services.changes == 1


async def test_output_bytes_are_unchanged(services: Services) -> None:
    run = await services.shell(r"printf 'a\r\n\000\377\342\202'")
    assert await output(run) == b"a\r\n\x00\xff\xe2\x82\n---\nexit=0\n"


async def test_a_command_that_cannot_start_is_said_in_its_output(services: Services) -> None:
    run = await services.start(str(services.folder / "nothing"))
    assert await output(run) == (
        f"\n---\nfailed to start: No such file or directory: {services.folder / 'nothing'}\n".encode()
    )
    assert run.view()["exitCode"] is None
    assert run.view()["state"] == "ended"


async def test_a_missing_project_folder_is_an_error(tmp_path: Path) -> None:
    services = Services(tmp_path / "gone")
    with pytest.raises(ArkorError, match=r"No command can be started in .*gone: No such file") as fault:
        await services.shell("true")
    assert status_of(fault.value) == 500
    assert services.runs.views() == []


async def test_the_id_of_a_job_comes_on_the_pipe_and_the_output_is_not_searched(services: Services) -> None:
    run = await services.shell('echo Started job wrong; echo right > "/dev/fd/$ARKOR_JOB_FD"; exec sleep 60')
    await printed(run, b"wrong")
    async with asyncio.timeout(60):
        while run.job_id is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (run.view()["jobId"], services.changes) == ("right", 1)
    assert run.output.peek(0)[0] == b"Started job wrong\n"


@pytest.mark.parametrize("sent", ["", "a b", "$(printf '%0201d' 1)", "$(printf '%09999d' 1)"])
async def test_what_is_no_id_on_the_pipe_is_ignored(services: Services, sent: str) -> None:
    run = await services.shell(f'echo "{sent}" > "/dev/fd/$ARKOR_JOB_FD"')
    await run.finished.wait()
    assert (run.job_id, run.exit_code) == (None, 0)


async def test_changed_settings_reach_the_command_as_json_and_not_in_its_arguments(
    services: Services,
) -> None:
    changes = {"model": "--x 'y' $(z)\\", "loraR": 16, "maxSteps": None}
    argv = ["/bin/sh", "-c", 'cat "${1#--changes=}"', "command"]
    run = await services.runs.start(
        Launch(argv, key="key", trainer=None, file=None, dry_run=False, changes=changes)
    )
    printed_json, _, _ = (await output(run)).partition(b"\n---\n")
    assert json.loads(printed_json) == changes
    assert run.view()["command"] == argv


async def test_the_managed_products_command_says_its_job_in_its_output_however_it_comes(
    services: Services,
) -> None:
    run = await services.managed(
        "printf 'Not Started job a\\nStar'; sleep 0.1; "
        "printf 'ted job job-7\\r\\nStarted job job-8\\n'; sleep 60"
    )
    await printed(run, b"job-8")
    assert run.view()["jobId"] == "job-7"
    assert services.changes == 1


async def test_an_unfinished_line_is_not_read_for_a_job_id(services: Services) -> None:
    run = await services.managed("printf 'Started job job-7'; sleep 60")
    await printed(run, b"job-7")
    assert run.view()["jobId"] is None


async def test_an_endless_line_does_not_grow_memory(services: Services) -> None:
    run = await services.managed(f"{sys.executable} -IS -c \"print('x' * 3_000_000, end='')\"")
    await run.finished.wait()
    assert len(run._line) <= 4096


async def test_concurrent_starts_of_a_trainer_create_one_run(services: Services) -> None:
    starts = await asyncio.gather(
        *(services.shell("sleep 60", key="a") for _ in range(5)), return_exceptions=True
    )
    (run,) = [start for start in starts if isinstance(start, CommandRun)]
    faults = [start for start in starts if isinstance(start, ArkorError)]
    assert [(status_of(fault), fault.extra) for fault in faults] == [(409, {"run": run.id})] * 4
    assert "a is already running" in faults[0].text
    other = await services.shell("true", key="b")
    await other.finished.wait()
    run.stop()
    await run.finished.wait()
    again = await services.shell("true", key="a")
    assert [view["id"] for view in services.runs.views()] == [again.id, other.id, run.id]


async def test_stop_sends_sigint_first(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STOP_GRACE", 60)
    run = await services.shell("trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.02; done")
    await printed(run, b"ready")
    run.stop()
    run.stop()
    assert run.view()["state"] == "stopping"
    assert (await output(run)).endswith(b"bye\n\n---\nexit=5\n")


@pytest.mark.parametrize(("deaf", "code"), [([], 130), ([2], 143), ([2, 15], 137)])
async def test_stop_escalates_to_sigterm_and_sigkill(
    deaf: list[int], code: int, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STOP_GRACE", 0.3)
    program = (
        "import signal, time\n"
        "signal.signal(2, signal.SIG_DFL)\n"
        f"for number in {deaf}: signal.signal(number, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    run = await services.start(sys.executable, "-IS", "-c", program)
    await printed(run, b"ready")
    run.stop()
    assert (await output(run)).endswith(f"\n---\nexit={code}\n".encode())


async def test_stop_reaches_all_processes_of_the_run(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STOP_GRACE", 0.2)
    folder = tmp_path / "pids"
    folder.mkdir()
    run = await services.start(str(script(tmp_path / "stubborn", STUBBORN)), str(folder))
    pids = await pids_in(folder, STUBBORN_COUNT)
    run.stop()
    assert await gone(pids, 20) == []
    assert b"exit=137" in await output(run)


async def test_closing_ends_every_run_gracefully(tmp_path: Path) -> None:
    """And is polite first, within 4 s; a machine that stands still meanwhile says nothing of that."""
    ends = []
    for number in range(3):
        closed, left, code = await closing(tmp_path / str(number))
        ends.append((closed, left, code))
        if closed < 4 and left < 0.5 and code == 0:
            break
    else:
        pytest.fail(f"it took {ends}")


async def closing(folder: Path) -> tuple[float, float, int | None]:
    """Close a stubborn run and a polite one in ``folder``: the seconds, those until nothing was left, a code.

    The code is that of the polite one.
    """
    started = folder / "pids"
    started.mkdir(parents=True)
    services = Services(folder)
    await services.start(str(script(folder / "stubborn", STUBBORN)), str(started))
    polite = await services.shell(
        f"trap 'exit 0' TERM; : > {started}/$$; while :; do sleep 0.02; done", key="polite"
    )
    pids = await pids_in(started, STUBBORN_COUNT + 1)
    before = asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.wait_for(services.runs.close(), 60)
    closed = loop.time()
    assert await gone(pids, 30) == []
    left = loop.time() - closed
    assert not [task for task in before if not task.done() and task.get_name().startswith("run ")]
    return closed - began, left, polite.exit_code


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the daemon itself kills the group")
async def test_a_killed_supervisor_is_not_reported_as_a_failed_start(services: Services) -> None:
    run = await services.shell("echo ready; exec sleep 60")
    await printed(run, b"ready")
    await asyncio.sleep(0.3)  # the supervisor's word that it has started may come after the command's
    assert run._supervisor is not None
    os.kill(
        run._supervisor.pid, signal.SIGKILL
    )  # of its two processes the other one ends the command, politely
    assert await output(run) == b"ready\n\n---\nexit=143\n"


async def test_only_ended_runs_are_forgotten(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "KEPT_RUNS", 3)
    stays = await services.shell("sleep 60", key="stays")
    first = await services.shell("true", key="0")
    await first.finished.wait()
    for number in range(4):
        run = await services.shell("true", key=str(number + 1))
        await run.finished.wait()
    assert len(services.runs.views()) == 3
    assert services.runs.get(stays.id) is stays
    with pytest.raises(ArkorError, match="no such run") as fault:
        services.runs.get(first.id)
    assert status_of(fault.value) == 404


SUPERVISORS = {"the outer": [0], "the inner": [1], "both": [1, 0], "both, the outer first": [0, 1]}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing finds what has detached itself")
@pytest.mark.parametrize("killed", SUPERVISORS.values(), ids=SUPERVISORS)
async def test_a_killed_supervisor_leaves_no_processes(
    services: Services, tmp_path: Path, killed: list[int]
) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    run = await services.start(str(script(tmp_path / "stubborn", STUBBORN)), str(folder))
    pids = await pids_in(folder, STUBBORN_COUNT)
    assert run._supervisor is not None
    outer = run._supervisor.pid
    supervisors = [outer, *children(outer)]
    for number in killed:
        os.kill(supervisors[number], signal.SIGKILL)
    left = await gone(pids, 20)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
    assert (await output(run)).endswith(b"\n---\nexit=137\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing finds what has detached itself")
@pytest.mark.parametrize("killed", [0, 1], ids=["the outer", "the inner"])
async def test_a_killed_supervisor_leaves_no_detached_processes(
    services: Services, tmp_path: Path, killed: int
) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    run = await services.start(str(script(tmp_path / "hidden", HIDDEN)), str(folder))
    (pid,) = await pids_in(folder, 1)
    assert run._supervisor is not None
    outer = run._supervisor.pid
    os.kill([outer, *children(outer)][killed], signal.SIGKILL)
    left = await gone([pid], 20)
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert left == []

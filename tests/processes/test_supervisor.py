"""The supervisor alone, as a process of its own: it runs a command and leaves nothing of it behind."""

from __future__ import annotations

import asyncio
import errno
import os
import shlex
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from arkor_dev.processes.training_runs import SUPERVISOR
from tests.support.processes import STUBBORN, STUBBORN_COUNT, gone, pids_in, script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a process adopt its grandchildren"
)
Process = asyncio.subprocess.Process


@asynccontextmanager
async def supervisor(*argv: str) -> AsyncIterator[Process]:
    """A supervisor over ``argv``, with the three pipes that the daemon holds."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(SUPERVISOR), *argv, stdin=pipe, stdout=pipe, stderr=pipe,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
        process._transport.close()  # type: ignore[attr-defined]


async def told(process: Process) -> tuple[list[str], bytes]:
    """Everything that the supervisor says, and everything that the command printed."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        said, printed = await asyncio.gather(process.stdout.read(), process.stderr.read())
    return said.decode().splitlines(), printed


async def started(process: Process) -> int:
    """The command's pid."""
    assert process.stdout is not None
    word, pid = (await asyncio.wait_for(process.stdout.readline(), 60)).split()
    assert word == b"started"
    return int(pid)


async def test_output_bytes_and_exit_code_are_those_of_the_command() -> None:
    command = r"printf 'one\n'; printf 'two\377\0' >&2; printf 'half \342\202'; exit 7"
    async with supervisor("/bin/sh", "-c", command) as process:
        said, printed = await told(process)
    assert printed == b"one\ntwo\xff\x00half \xe2\x82"
    assert said[0].startswith("started ")
    assert said[1:] == ["exit 7"]


async def test_death_by_a_signal_exits_with_128_plus_its_number() -> None:
    async with supervisor("/bin/sh", "-c", "kill -SEGV $$") as process:
        assert (await told(process))[0][1:] == ["exit 139"]


@pytest.mark.parametrize(
    ("mode", "why"), [(None, errno.ENOENT), (0o600, errno.EACCES), (0o700, errno.ENOEXEC)]
)
async def test_a_command_that_cannot_start_reports_why(mode: int | None, why: int, tmp_path: Path) -> None:
    path = tmp_path / "arkor"
    if mode is not None:
        path.write_bytes(b"\x7fnothing")
        path.chmod(mode)
    async with supervisor(str(path), "start") as process:
        said, printed = await told(process)
    assert said == [f"failed {os.strerror(why)}: {path}"]
    assert printed == b""


async def test_standard_input_is_empty_and_no_descriptor_leaks() -> None:
    command = "cat; ls /dev/fd/ | wc -l"  # ls itself has one open
    async with supervisor("/bin/sh", "-c", command) as process:
        assert (await told(process))[1].split() == [b"4"]


def sleeper(folder: Path) -> str:
    """A program that leaves its pid in ``folder``."""
    return f"import os, time; open({str(folder)!r} + '/' + str(os.getpid()), 'w').close(); time.sleep(60)"


@pytest.mark.parametrize(("word", "number"), [(b"INT", 2), (b"TERM", 15), (b"KILL", 9)])
async def test_signals_reach_the_whole_group(word: bytes, number: int, tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    command = f'"{sys.executable}" -IS -c "{child}" & "{sys.executable}" -IS -c "{child}"'
    async with supervisor("/bin/sh", "-c", command) as process:
        pids = await pids_in(tmp_path, 2)
        assert process.stdin is not None
        process.stdin.write(word + b"\n")
        said, _ = await told(process)
        assert said[1] in (f"exit {128 + number}", "exit 1")  # Python turns SIGINT into an exception
        assert await gone(pids, 20) == []


@linux
async def test_a_signal_for_the_command_alone_reaches_it_only_if_it_handles_it() -> None:
    code = """
import os, signal, subprocess, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
child = subprocess.Popen([sys.executable, "-c", "import time; print('idle', flush=True); time.sleep(60)"])
# Not by print, which a signal handler must not enter again.
os.write(1, b"unhandled\\n")
sys.stdin.read()
while not asked:
    time.sleep(0.01)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGUSR2, lambda *_: os.write(1, b"reloaded\\n"))
os.write(1, b"handled\\n")
while True:
    time.sleep(0.01)
    if child.poll() is not None:
        os.write(1, b"the child was signalled\\n")
"""
    async with supervisor(sys.executable, "-c", code) as process:
        pid = await started(process)
        assert process.stdin is not None
        assert process.stderr is not None

        async def printed(word: bytes) -> None:
            async with asyncio.timeout(30):
                while (line := (await process.stderr.readline()).strip()) != word:  # type: ignore[union-attr]
                    assert line in (b"idle", b"unhandled")

        await printed(b"unhandled")
        process.stdin.write(b"USR2 1\nTERM 1\n")  # the second once the first has been read
        await printed(b"handled")
        process.stdin.write(b"USR2 1\n")
        await printed(b"reloaded")
        os.kill(pid, 0)


async def test_children_of_an_ended_command_are_killed(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    started = f'until [ -n "$(ls {shlex.quote(str(tmp_path))})" ]; do sleep 0.02; done'
    async with supervisor(
        "/bin/sh", "-c", f'"{sys.executable}" -IS -c "{child}" & {started}; exit 3'
    ) as process:
        pids = await pids_in(tmp_path, 1)
        said, _ = await told(process)
    assert said[1] == "exit 3"
    assert await gone(pids, 20) == []


@linux
async def test_the_end_of_studio_kills_processes_that_ignore_signals(tmp_path: Path) -> None:
    program = script(tmp_path / "stubborn", STUBBORN)
    took: list[float] = []
    while len(took) < 3 and (not took or took[-1] >= 4):  # unless the machine itself has stood still
        pids_folder = tmp_path / f"pids-{len(took)}"
        pids_folder.mkdir()
        async with supervisor(str(program), str(pids_folder)) as process:
            pids = await pids_in(pids_folder, STUBBORN_COUNT)
            assert process.stdin is not None
            began = asyncio.get_running_loop().time()
            process.stdin.close()
            said, _ = await told(process)
            assert await gone(pids, 30) == []
            took.append(asyncio.get_running_loop().time() - began)
        assert said[1] == "exit 137"
    assert min(took) < 4, took


async def test_the_end_of_studio_sends_sigterm_first() -> None:
    """SIGTERM and a second's grace: a trainer may still write its checkpoint."""
    command = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    for _ in range(3):  # the second is over soon where the machine itself stands still
        async with supervisor("/bin/sh", "-c", command) as process:
            await started(process)
            assert process.stderr is not None
            assert await asyncio.wait_for(process.stderr.readline(), 60) == b"ready\n"
            assert process.stdin is not None
            process.stdin.close()
            said, printed = await told(process)
        if said == ["exit 0"]:
            break
    assert said == ["exit 0"]
    assert printed.endswith(b"saved\n")  # a shell also says whose child was terminated


@linux
async def test_killing_the_supervisor_ends_its_command() -> None:
    async with supervisor("/bin/sleep", "60") as process:
        command = await started(process)
        process.kill()
        assert await gone([command], 20) == []


async def test_terminal_signals_do_not_end_the_supervisor(tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = f"until [ -e {shlex.quote(str(go))} ]; do sleep 0.02; done; exit 5"
    async with supervisor("/bin/sh", "-c", command) as process:
        await started(process)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        go.touch()
        said, _ = await told(process)
    assert said == ["exit 5"]

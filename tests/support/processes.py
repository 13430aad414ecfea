"""Which processes are alive, for the tests that nothing may outlive."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which only waits to be counted, does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()  # gone in between, or a system without /proc
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


async def gone(pids: Iterable[int], seconds: float) -> list[int]:
    """Wait until all have ended; those that are left after ``seconds``."""
    left = list(pids)
    deadline = asyncio.get_running_loop().time() + seconds
    while left and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
        left = [pid for pid in left if alive(pid)]
    return left


async def pids_in(folder: Path, count: int, seconds: float = 60) -> list[int]:
    """The pids that a test's processes have left as files in ``folder``, once there are ``count``."""
    deadline = asyncio.get_running_loop().time() + seconds
    while len(found := [int(path.name) for path in folder.glob("[0-9]*")]) < count:
        assert asyncio.get_running_loop().time() < deadline, f"only {len(found)} of {count} have started"
        await asyncio.sleep(0.02)
    return found


def children(pid: int) -> list[int]:
    """The pids of a process's children (Linux)."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def script(path: Path, body: str) -> Path:
    """An executable Python program that starts in milliseconds (standard library only)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -IS\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


_BUILD = """
import os, sys
if sys.argv[1] == "build":
    os.makedirs(".arkor/build", exist_ok=True)
    with open(".arkor/build/index.mjs", "w") as bundle:
        bundle.write('export const trainer = { name: "bot", start() {}, wait() {}, cancel() {} };')
    raise SystemExit
"""


def training_command(project: Path, body: str) -> Path:
    """The ``arkor`` command of a TypeScript project: it builds a trainer "bot"; ``body`` is its ``start``."""
    return script(project / "node_modules" / ".bin" / "arkor", _BUILD + body)


# Leaves one pid file for each process, in the folder named by its last argument. Four processes, all deaf to
# every polite signal: itself, a child, a daemon (double fork, a session of its own, silent), and one that
# talks all the time.
STUBBORN = """
import os, signal, sys, time
folder = sys.argv[-1]
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
def stay(talk=False):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    while True:
        if talk:
            os.write(1, b"talk\\n")
        time.sleep(0.05)
if os.fork() == 0:
    stay()
if os.fork() == 0:
    stay(talk=True)
middle = os.fork()
if middle == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        stay()
    os._exit(0)
os.waitpid(middle, 0)
stay()
"""
STUBBORN_COUNT = 4

# A process that has left everything behind by which it could be found: its parent, group, session, terminal,
# directory, and its environment. It writes its pid into the folder named by its last argument.
HIDDEN = """
import os, sys, time
folder = sys.argv[-1]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.execve(sys.executable, [sys.executable, "-IS", "-c",
            "import os, sys, time\\n"
            "open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close()\\n"
            "time.sleep(60)",
            folder], {})
    os._exit(0)
time.sleep(60)
"""

"""Environments that crash, hang, flood, fork or lie end their own episode only, with a reason."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.environments.messages import EnvironmentCall, EnvironmentLimits, Result
from arkor_dev.local.environments.pool import EnvironmentPool, Episode
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.workers.errors import JobFailure
from tests.local.harness import until
from tests.support.processes import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")

START = """
import ctypes, gc, itertools, json, os, resource, signal, socket, subprocess, sys, threading, time

class Good:
    tools = [{"name": "act", "parameters": {"properties": {"much": {"type": "integer"}}}}]
    def reset(self, row):
        self.row, self.steps = row, 0
    def step(self, call):
        if self.row["wild"]:
            return self.wild()
        self.steps += 1
        return f"step {self.steps}"
    def reward(self):
        return 1.0
    def own_sockets(self):
        for number in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{number}").startswith("socket"):
                    yield int(number)
            except OSError:
                pass

class Wild(Good):
"""
LIMITS = EnvironmentLimits(call=4.0, processor=1, memory=2**29, processes=8, characters=1000)
CASES = {
    "raises": ("raise ValueError('no')", "step() failed: ValueError: no"),
    "raises what has no text": (
        "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
        "step() failed: Odd",
    ),
    "exits": ("sys.exit(3)", "step() failed: SystemExit: 3"),
    "exits at once": ("os._exit(4)", "it ended its process, with exit status 4"),
    "is interrupted": ("raise KeyboardInterrupt", "step() failed: KeyboardInterrupt"),
    "kills itself": ("os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL"),
    "crashes": ("ctypes.string_at(0)", "its process was ended by SIGSEGV"),
    "hangs": ("time.sleep(100)", "it took longer than 4 s"),
    "hangs, deaf to signals": (
        (
            "for each in (signal.SIGTERM, signal.SIGINT): signal.signal(each, signal.SIG_IGN)\n"
            "        time.sleep(100)"
        ),
        "it took longer than 4 s",
    ),
    "computes forever": ("while True: pass", "it used more processor time than an episode may"),
    "takes all memory": ("return 'x' * 2**30", "it needs more than 0.5 GiB of memory"),
    "takes memory bit by bit": (
        "self.kept = [bytearray(2**24) for _ in itertools.count()]",
        "it needs more than 0.5 GiB of memory",
    ),
    "recurses": ("return self.wild()", "step() failed: RecursionError"),
    "returns a number": ("return 7", "step() must return text, not 7"),
    "returns an endless generator": (
        "return (str(number) for number in itertools.count())",
        "step() must return text, not generator",
    ),
    "returns bytes": ("return b'\\xff'", "step() must return text, not b'\\xff'"),
    "writes garbage to the worker": (
        "[os.write(number, b'\\xff{garbage\\n') for number in self.own_sockets()]\n        time.sleep(100)",
        "it sent an invalid message",
    ),
    "writes another message": (
        (
            '[os.write(number, b\'{"kind": "Ready"}\\n\') for number in self.own_sockets()]\n'
            "        time.sleep(100)"
        ),
        "it sent an invalid message",
    ),
    "answers more calls than were made": (
        (
            "forged = json.dumps({'kind': 'Stepped', 'results': [], 'done': False}).encode()\n"
            "        [os.write(number, forged + b'\\n') for number in self.own_sockets()]\n"
            "        time.sleep(100)"
        ),
        "it sent an invalid message",
    ),
    "floods the worker": (
        (
            "number, *_ = self.own_sockets()\n        os.set_blocking(number, True)\n"
            "        while True: os.write(number, b'x' * 2**16)"
        ),
        "its process ended",
    ),
    "closes everything": ("os.closerange(0, 1000)\n        return 'x'", "it ended its process"),
    "closes everything and goes on": ("os.closerange(0, 1000)\n        os._exit(0)", "it ended its process"),
    "forks a bomb": (
        # Bounded: at most 200 processes, each of which sleeps.
        (
            "for _ in range(200):\n            if not os.fork():\n                time.sleep(60)\n"
            "        time.sleep(60)"
        ),
        "it had more than 8 processes at once",
    ),
    "forks sessions of orphans": (
        (
            "for _ in range(100):\n            if not os.fork():\n                os.setsid()\n"
            "                if not os.fork():\n                    time.sleep(60)\n"
            "                os._exit(0)\n"
            "        time.sleep(60)"
        ),
        "it had more than 8 processes at once",
    ),
    "ends what watches it": (
        "os.kill(os.getppid(), signal.SIGKILL)\n        time.sleep(60)",
        "its process ended",
    ),
}
HARMLESS = {
    "prints a gigabyte": (
        "block = 'x' * 2**20\n        for _ in range(1024): sys.stdout.write(block)\n        return 'done'",
        "done",
    ),
    "writes a gigabyte to the terminal": (
        "block = b'x' * 2**20\n        for _ in range(1024): os.write(2, block)\n        return 'done'",
        "done",
    ),
    "returns a huge text": ("return 'x' * 10_000_000", f"{'x' * 1000}… (cut)"),
    "returns what no encoding has": ("return 'a\\ud800b'", "a?b"),
    "fills the disk": (
        (
            "try:\n            with open('big', 'wb') as file: file.truncate(2**40)\n"
            "        except OSError as error:\n            return 'refused'"
        ),
        "refused",
    ),
    "leaves threads": (
        "threading.Thread(target=time.sleep, args=(60,)).start()\n        return 'done'",
        "done",
    ),
    "leaves daemons": (
        (
            "process = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "        print(process.pid, file=open('pid', 'w'), flush=True)\n        return 'done'"
        ),
        "done",
    ),
    "closes standard output": ("os.close(1)\n        os.close(0)\n        return 'done'", "done"),
    "wants input": ("return repr(sys.stdin.read())", "''"),
    "reads the exit": (
        "import atexit\n        atexit.register(time.sleep, 60)\n        return 'done'",
        "done",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def pools(project: Path) -> Iterator[list[EnvironmentPool]]:
    made: list[EnvironmentPool] = []
    yield made
    for pool in made:
        pool.close()


def pool_of(
    project: Path,
    pools: list[EnvironmentPool],
    code: str,
    name: str = "Wild",
    limits: EnvironmentLimits = LIMITS,
) -> EnvironmentPool:
    (project / "env.py").write_text(code)
    pool = EnvironmentPool(f"env:{name}", project, lambda: False, limits)
    pools.append(pool)
    return pool


def begun(pool: EnvironmentPool) -> tuple[Episode, Episode]:
    """An episode that will do harm, and one beside it that will not."""
    wild, good = pool.begin([({"wild": True}, 1), ({"wild": False}, 2)])
    assert (wild.failure, good.failure) == ("", "")
    return wild, good


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_environment_ends_its_own_episode(
    case: str, project: Path, pools: list[EnvironmentPool]
) -> None:
    body, reason = CASES[case]
    # Other programs may leave a busy environment little processor time.
    limits = replace(LIMITS, call=60.0) if case == "computes forever" else LIMITS
    pool = pool_of(project, pools, f"{START}    def wild(self):\n        {body}\n", limits=limits)
    wild, good = begun(pool)
    pool.step({wild: [EnvironmentCall("act", {})], good: [EnvironmentCall("act", {})]})
    assert wild.failure.startswith(reason)
    assert wild.failure.isprintable()
    assert good.results == [Result("step 1")]
    pool.step({good: [EnvironmentCall("act", {}), EnvironmentCall("act", {})]})
    assert good.results == [Result("step 2"), Result("step 3")]
    (later,) = pool.begin([({"wild": False}, 3)])
    pool.finish({good: "", later: ""})
    assert (good.reward, good.failure, later.reward) == (1.0, "", 1.0)


@pytest.mark.parametrize("case", HARMLESS)
def test_what_an_environment_leaves_or_writes_does_no_harm(
    case: str, project: Path, pools: list[EnvironmentPool]
) -> None:
    body, said = HARMLESS[case]
    limits = EnvironmentLimits(call=30.0, processor=20, memory=2**29, processes=8, characters=1000)
    pool = pool_of(project, pools, f"{START}    def wild(self):\n        {body}\n", limits=limits)
    wild, good = begun(pool)
    pool.step({wild: [EnvironmentCall("act", {})], good: [EnvironmentCall("act", {})]})
    assert (wild.failure, wild.results) == ("", [Result(said)])
    pool.finish({wild: "", good: ""})
    assert (wild.reward, good.reward) == (1.0, 1.0)
    pool.close()
    if case == "leaves daemons":
        assert not Path("/proc", (project / "pid").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("reward", "reason"),
    [
        ("float('nan')", "the reward must be a finite number, true or false, not nan"),
        ("'much'", "the reward must be a finite number, true or false, not 'much'"),
        ("1e300", "the reward must be a finite number, true or false, not 1e+300"),
        ("1 / 0", "reward() failed: ZeroDivisionError: division by zero"),
        ("os._exit(0)", "it ended its process, with exit status 0"),
    ],
)
def test_a_reward_that_is_no_number_fails_the_episode(
    reward: str, reason: str, project: Path, pools: list[EnvironmentPool]
) -> None:
    pool = pool_of(project, pools, f"{START}    def reward(self):\n        return {reward}\n")
    wild, good = begun(pool)
    pool.finish({wild: "", good: ""})
    assert wild.failure == reason
    assert wild.reward is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('not today')", "importing it failed: RuntimeError: not today"),
        ("import os\nos._exit(0)", "its process ended"),
        ("import sys\nsys.exit()", "importing it failed: SystemExit"),
        ("import time\ntime.sleep(100)", "it took longer than 2 s"),
        ("import os\nos.closerange(0, 1000)\nclass Wild: ...", "its process ended"),
        ("class", "importing it failed: SyntaxError"),
        ("Wild = 5", "env.py defines no class Wild"),
        ("from argparse import ArgumentParser as Wild", "env.py defines no class Wild"),
    ],
)
def test_an_environment_that_cannot_be_imported_has_a_reason(
    code: str, reason: str, project: Path, pools: list[EnvironmentPool]
) -> None:
    pool = pool_of(project, pools, code, limits=EnvironmentLimits(start=2.0))
    with pytest.raises(JobFailure) as failure:
        pool.begin([({}, 1)])
    assert str(failure.value).startswith(f"The environment env:Wild cannot be loaded: {reason}")


def test_the_host_that_an_environment_ends_starts_again(project: Path, pools: list[EnvironmentPool]) -> None:
    body = "os.kill(os.getsid(os.getppid()) and int(open('host').read()), signal.SIGKILL); time.sleep(60)"
    pool = pool_of(project, pools, f"{START}    def wild(self):\n        {body}\n")
    wild, good = begun(pool)
    assert pool._process
    (project / "host").write_text(str(pool._process.pid))
    pool.step({wild: [EnvironmentCall("act", {})], good: [EnvironmentCall("act", {})]})
    assert wild.failed
    (again,) = pool.begin([({"wild": False}, 1)])
    pool.step({again: [EnvironmentCall("act", {})]})
    assert again.results == [Result("step 1")]


def test_a_job_that_must_stop_does_not_wait_for_an_environment(
    project: Path, pools: list[EnvironmentPool]
) -> None:
    pool = pool_of(
        project, pools, f"{START}    def wild(self):\n        time.sleep(60)\n", limits=EnvironmentLimits()
    )
    wild, _ = begun(pool)
    pool._stopped = lambda: True
    with pytest.raises(Stopped):
        pool.step({wild: [EnvironmentCall("act", {})]})


def test_episodes_of_one_seed_have_the_same_random_numbers(
    project: Path, pools: list[EnvironmentPool]
) -> None:
    code = START.replace("class Wild(Good):", "import random\nCOUNT = []\n\nclass Wild(Good):")
    body = "    def reset(self, row):\n        COUNT.append(1)\n"
    body += "        return f'{random.random()} {len(COUNT)}'\n"
    pool = pool_of(project, pools, code + body)
    first, second, other = pool.begin([({}, 1), ({}, 1), ({}, 2)])
    assert first.observation == second.observation != other.observation
    assert str(other.observation).endswith(" 1"), "modules are as they were after the import"


def test_nothing_runs_once_the_worker_is_gone(project: Path, tmp_path: Path) -> None:
    (project / "env.py").write_text(f"{START}    pass\n")
    worker = (
        "import sys, time; from pathlib import Path\n"
        "from arkor_dev.local.environments.pool import EnvironmentPool\n"
        f"pool = EnvironmentPool('env:Wild', Path({str(project)!r}), lambda: False)\n"
        "pool.begin([({'wild': False}, 1)])\nprint(pool._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    host = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until(lambda: not alive(host))

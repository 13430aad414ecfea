"""Compares a cluster with this machine: time to the first step, one and two workers, traffic, and many short
jobs.

The cluster consists of real nodes on this machine, with one processor each (``tests.local.cluster.nodes``).
So its workers share this machine's processors, and all its traffic goes over the loopback device, whose
counter is read; the idle cluster's traffic over the same time is subtracted. Content that one node has cached
by hash is available to all nodes, as they share a folder. Each training process computes with one thread,
locally and on the cluster.

Takes some 6 minutes on two cores. ``ARKOR_BENCH_JOBS=100`` adds a row of 100 short jobs, and five minutes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from arkor_dev.local.models.catalog import starter_folder
from tests.local.cluster.conftest import DRIVER, Nodes
from tests.local.harness import Backend, Frame, until
from tests.local.tiny_model import chats, write_jsonl

from . import capacity, throughput
from .figures import Figure
from .sides import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE: Final = Path(os.environ.get("ARKOR_TEST_CACHE") or platformdirs.user_cache_dir("arkor-dev"))
MANY: Final = (1, 10)
LARGE: Final = "ARKOR_BENCH_JOBS"
NODES: Final = 3
SECONDS: Final = 300.0
"""Time limit in seconds for one job."""
IDLE_SECONDS: Final = 4.0
LOOPBACK: Final = Path("/sys/class/net/lo/statistics/rx_bytes")
MIB: Final = 2**20


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield all figures; with ``quick``, only for the tiny model and few jobs."""
    with contextlib.ExitStack() as ends:
        # Ray's sockets are in it, and their paths must be short.
        root = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="arkor-", dir="/tmp")))
        yield from capacity.measure(root / "store", quick=quick)
        project = root / "project"
        write_jsonl(project / "data" / "chats.jsonl", chats())
        make = [sys.executable, "-m", "tests.local.tiny_model", str(project / "models" / "tiny")]
        subprocess.run(make, check=True, cwd=ROOT, capture_output=True)
        model = "tiny"
        if not quick:
            model = "starter"
            shutil.copytree(starter_folder(CACHE), project / "models" / model)
        began = time.monotonic()
        nodes = Nodes.start(root / "r", NODES)
        ends.callback(nodes.stop)
        yield Figure(f"{NODES} nodes on this machine are there after", time.monotonic() - began, "s")
        # As many concurrent jobs as there are slots: each job starts in a slot that another has just left.
        backend = Backend.start(root / "data", project, root / "cache", "--at-once", str(NODES))
        ends.callback(backend.stop)
        config = {
            **throughput.SHORT,
            "model": f"./models/{model}",
            "batchSize": 4,
            "maxSteps": 40 if quick else 12,
            "saveSteps": 20 if quick else 6,
        }
        yield from one_job(Runs(backend, root / "data", quick=quick), nodes, config)
        more = os.environ.get(LARGE, "")
        counts = (*MANY, *((int(more),) if more.isdecimal() else ()))
        yield from throughput.measure(backend, nodes, project, MANY[:1] if quick else counts, NODES)


def one_job(runs: Runs, nodes: Nodes, config: dict[str, Any]) -> Iterator[Figure]:
    """Measure the first step, the pace and the traffic of single jobs."""
    there, client = ({**config, "cluster": address, "cpus": 1} for address in (nodes.address, nodes.client))
    runs.idle = idle_traffic()
    yield Figure("what the cluster says to itself, without a job", runs.idle / 1e3, "kB/s")
    runs.run(config)  # this machine's cache of the model is filled by the next job, like a node's
    here = runs.run(config)
    first = runs.run(there)
    sent = sum(path.stat().st_size for path in nodes.temporary.glob("arkor-dev-*/files/*"))
    again = runs.run(there)
    yield Figure("press to first step, the model sent, here beside", first.start, "s", here.start)
    yield Figure("  again, here beside", again.start, "s", here.start)
    far = runs.run(client)
    yield Figure("  again, by ray://, here beside", far.start, "s", here.start)
    two = runs.run({**there, "workers": 2})
    yield Figure("  two workers, one beside", two.start, "s", again.start)
    yield Figure("pace on a node, here beside", again.pace, "steps/s", here.pace)
    yield Figure("  two workers, one beside", two.pace, "steps/s", again.pace)
    yield Figure("bytes of a first job, its files beside", first.bytes / 1e6, "MB", (sent + first.kept) / 1e6)
    yield Figure("  of the next one, what it has kept beside", again.bytes / 1e6, "MB", again.kept / 1e6)
    yield Figure("  by ray://, what it has kept beside", far.bytes / 1e6, "MB", far.kept / 1e6)
    yield Figure("  of two workers, one beside", two.bytes / 1e6, "MB", again.bytes / 1e6)
    yield Figure("bytes of one checkpoint", again.checkpoint / 1e6, "MB")
    yield Figure("events of a job of so many steps", again.events, "events", config["maxSteps"])
    yield Figure("processor time of a job's driver, its whole time beside", again.work, "s", again.seconds)
    yield from following(runs, {**there, "maxSteps": 1_000_000})


def following(runs: Runs, config: dict[str, Any]) -> Iterator[Figure]:
    """Measure the load on this machine while a job trains on the cluster."""
    backend = runs.backend
    until(
        lambda: not backend.processes(DRIVER), SECONDS
    )  # drivers of earlier jobs wait a while for another job
    files, wall = open_files(backend), 3.0 if runs.quick else 20.0
    job = backend.submit(config)
    until(lambda: backend.job(job)["metrics"].get("step", 0) >= 2, SECONDS)
    [driver] = backend.processes(DRIVER)
    work = processor_seconds(driver)
    time.sleep(wall)
    work = processor_seconds(driver) - work
    yield Figure("  while it follows a job, of a processor", 100 * work / wall, "%")
    yield Figure("  its memory, its own share", share_of(driver) / MIB, "MiB")
    yield Figure("  files that the backend has open for it", open_files(backend) - files, "files")
    backend.call("POST", f"/v1/jobs/{job}/cancel")


def work_of(backend: Backend) -> dict[int, float]:
    """Return the processor seconds of each of the backend's drivers, by pid."""
    found = {}
    for pid in backend.processes(DRIVER):
        with contextlib.suppress(OSError):  # it has just ended
            found[pid] = processor_seconds(pid)
    return found


def open_files(backend: Backend) -> int:
    return len(list(Path(f"/proc/{backend.process.pid}/fd").iterdir()))


class Ran:
    """A finished job: seconds to its first step, steps per second, bytes transferred, bytes stored.

    ``work`` is its driver's processor time in seconds.
    """

    def __init__(self, frames: list[Frame], begun: datetime, folder: Path) -> None:
        logged = (frame for frame in frames if frame.event == "training.log" and "loss" in frame.json)
        steps = [moment(frame) for frame in logged]
        self.start = (steps[0] - begun).total_seconds()
        # Averaged over all steps: if steps are short, several arrive from a node at the same time.
        self.pace = (len(steps) - 1) / (steps[-1] - steps[0]).total_seconds()
        self.kept = size_of(folder)
        saved = sorted((folder / "checkpoints").iterdir())
        self.checkpoint = size_of(saved[0]) if saved else 0
        self.events = len([frame for frame in frames if frame.event != "ping"])
        self.bytes = self.seconds = self.work = 0.0


def moment(frame: Frame) -> datetime:
    return datetime.fromisoformat(frame.json["timestamp"])


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Runs:
    """Runs jobs one by one on ``backend``, whose folder is ``data``; ``idle`` is the traffic without jobs, in
    bytes per second.
    """

    def __init__(self, backend: Backend, data: Path, *, quick: bool) -> None:
        self.backend, self._data, self.quick = backend, data, quick
        self.idle = 0.0

    def run(self, config: dict[str, Any]) -> Ran:
        """Run a single job to its end."""
        begun, began, before = datetime.now().astimezone(), time.monotonic(), loopback()
        job = self.backend.submit(config)
        work, before_it = 0.0, work_of(self.backend)
        while not throughput.is_over(self.backend.job(job)):
            if time.monotonic() - began > SECONDS:
                raise RuntimeError(f"A job of {config} has taken more than {SECONDS:.0f} s")
            for pid, worked in work_of(self.backend).items():
                work = max(work, worked - before_it.get(pid, 0.0))
            time.sleep(0.1)
        seconds, moved = time.monotonic() - began, loopback() - before
        ran = Ran(list(self.backend.events(job)), begun, self._data / "jobs" / job)
        ran.bytes, ran.seconds = max(0.0, moved - seconds * self.idle), seconds
        ran.work = work
        return ran


def loopback() -> int:
    """Return the bytes sent over the loopback device; 0 if the system does not count them."""
    return int(LOOPBACK.read_text()) if platform.system() == "Linux" else 0


def idle_traffic() -> float:
    """Return the bytes per second of an idle cluster."""
    time.sleep(1)
    before = loopback()
    time.sleep(IDLE_SECONDS)
    return (loopback() - before) / IDLE_SECONDS


def share_of(pid: int) -> int:
    """Return a process's proportional memory in bytes: shared memory is divided among its users."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def processor_seconds(pid: int) -> float:
    """Return a process's processor time in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

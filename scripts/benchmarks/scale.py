"""A cluster beside this machine: the first step, one worker and two, what travels, and many short jobs.

The cluster is of true nodes on this machine, of one processor each (``tests.local.cluster.nodes``). So its
workers share the processors that there are, and all its traffic goes over the loopback device, whose counter
is read: Ray's own talk is in it. What one node has by its hash all of them have, as they share a folder. Many
jobs are beside the same training processes started by bare Ray tasks: no backend, no driver, no events, and
nothing is brought back.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from arkor_dev.local.models.catalog import starter_folder
from arkor_dev.local.workers.process import DEFAULTS, QUIET
from tests.local.cluster.conftest import Nodes
from tests.local.harness import Backend, Frame, until
from tests.local.tiny_model import chats, write_jsonl

from .figures import Figure
from .sides import ROOT, in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE: Final = Path(os.environ.get("ARKOR_TEST_CACHE") or platformdirs.user_cache_dir("arkor-dev"))
MANY: Final = (1, 10, 100)
NODES: Final = 3
SECONDS: Final = 3600.0
LOOPBACK: Final = "/sys/class/net/lo/statistics/rx_bytes"
SHORT: Final[dict[str, Any]] = {
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
    "maxSteps": 30,
    "learningRate": 1e-2,
    "saveSteps": 10,
    "evalSteps": 15,
    "numberFormat": "float32",
}
"""The job of which there are many: a second of training, and all that comes before and after it."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """All of it; with ``quick`` the tiny model alone, and few jobs."""
    with contextlib.ExitStack() as ends:
        root = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="arkor-scale-", dir="/tmp")))
        project = root / "project"
        write_jsonl(project / "data" / "chats.jsonl", chats())
        make = [sys.executable, "-m", "tests.local.tiny_model", str(project / "models" / "tiny")]
        subprocess.run(make, check=True, cwd=ROOT, capture_output=True)
        model = "tiny"
        if not quick:
            model = "starter"
            shutil.copytree(starter_folder(CACHE), project / "models" / model)
        nodes = Nodes.start(root / "ray", NODES)
        ends.callback(nodes.stop)
        backend = Backend.start(root / "data", project, root / "cache", "--at-once", str(NODES))
        ends.callback(backend.stop)
        config = {
            **SHORT,
            "model": f"./models/{model}",
            "batchSize": 4,
            "maxSteps": 6 if quick else 30,
            "evalSteps": 0,
            "loggingSteps": 1,
        }
        yield from one_job(backend, root / "data", nodes, config)
        yield from many_jobs(backend, nodes, project, MANY[:1] if quick else MANY)


def one_job(backend: Backend, data: Path, nodes: Nodes, config: dict[str, Any]) -> Iterator[Figure]:
    """The first step, the pace and the bytes of jobs by themselves."""
    there, client = ({**config, "cluster": address} for address in (nodes.address, nodes.client))
    asked = (config, config, there, there, {**there, "workers": 2}, client)
    # What this machine keeps of a model is there by the second one, as it is for those on a node.
    _, here, first, again, two, far = (run(backend, data, each) for each in asked)
    yield Figure("press to first step, the model sent, here beside", first.start, "s", here.start)
    yield Figure("  again, here beside", again.start, "s", here.start)
    yield Figure("  again, by ray://, here beside", far.start, "s", here.start)
    yield Figure("  two workers, one beside", two.start, "s", again.start)
    yield Figure("pace on a node, here beside", again.pace, "steps/s", here.pace)
    yield Figure("  two workers, one beside", two.pace, "steps/s", again.pace)
    sent = sum(path.stat().st_size for path in nodes.temporary.glob("arkor-dev-*/files/*"))
    yield Figure("bytes of a first job, its files beside", first.bytes / 1e6, "MB", (sent + first.kept) / 1e6)
    yield Figure("  of the next one, what it has kept beside", again.bytes / 1e6, "MB", again.kept / 1e6)
    yield Figure("  of two workers, one beside", two.bytes / 1e6, "MB", again.bytes / 1e6)


class Ran:
    """A job that is over: seconds to its first step, steps a second, bytes on the way, bytes it has kept."""

    def __init__(self, frames: list[Frame], begun: datetime, moved: int, kept: int) -> None:
        steps = [moment(frame) for frame in frames if frame.event == "training.log"]
        self.start = (steps[0] - begun).total_seconds()
        self.pace = 1 / median((later - one).total_seconds() for one, later in pairwise(steps))
        self.bytes, self.kept = moved, kept


def moment(frame: Frame) -> datetime:
    return datetime.fromisoformat(frame.json["timestamp"])


def run(backend: Backend, data: Path, config: dict[str, Any]) -> Ran:
    """Run a job by itself; ``data`` is the backend's folder."""
    begun, before = datetime.now().astimezone(), loopback()
    job = backend.submit(config)
    wait(backend, [job])
    moved = loopback() - before
    frames = list(backend.events(job))
    kept = sum(path.stat().st_size for path in (data / "jobs" / job).rglob("*") if path.is_file())
    return Ran(frames, begun, moved, kept)


def wait(backend: Backend, jobs: list[str]) -> None:
    """Wait for the end of all."""

    def over() -> bool:
        listed = {job["id"]: job for job in backend.call("GET", "/v1/jobs?limit=1000").json["jobs"]}
        bad = [listed[job] for job in jobs if listed[job]["status"] in ("failed", "cancelled", "paused")]
        if bad:
            raise RuntimeError(f"{bad[0]['name']}: {bad[0].get('error')}")
        time.sleep(0.2)
        return all(listed[job]["status"] == "completed" for job in jobs)

    until(over, SECONDS)


def loopback() -> int:
    """Bytes that have gone over the loopback device; 0 where the system does not count them."""
    return int(Path(LOOPBACK).read_text()) if platform.system() == "Linux" else 0


def many_jobs(backend: Backend, nodes: Nodes, project: Path, counts: tuple[int, ...]) -> Iterator[Figure]:
    """Jobs a minute, beside bare Ray tasks that start the same training processes."""
    config = {**SHORT, "cluster": nodes.address}
    wait(backend, [backend.submit(config, "first")])  # model and data are on a node, as they are beside
    for count in counts:
        bare = in_a_process("scale", "bare", nodes.address, project, count)["seconds"]
        began = time.monotonic()
        wait(backend, [backend.submit(config, f"short-{number}") for number in range(count)])
        seconds = time.monotonic() - began
        name = f"{count} short job{'s' * (count > 1)} on {NODES} nodes, bare Ray tasks beside"
        yield Figure(name, 60 * count / seconds, "jobs/min", 60 * count / bare, least=0.8)


def bare(address: str, project: Path, count: int) -> dict[str, float]:
    """How long ``count`` Ray tasks take each of which trains the short job and returns how it ended."""
    import ray

    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(address=address, _node_ip_address=address.partition(":")[0], log_to_driver=False)
    command = [sys.executable, "-m", "arkor_dev.local.training.worker"]
    env = {**DEFAULTS, **os.environ, **QUIET, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    model = {"name": "./models/tiny", "path": str(project / "models" / "tiny"), "note": None}
    config = dict(SHORT)

    def train(number: int) -> str:
        import json
        import subprocess
        import tempfile

        with tempfile.TemporaryDirectory() as data:
            job = {
                "id": f"job_{number}",
                "config": config,
                "data": data,
                "project": str(project),
                "resume": None,
            }
            worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=env,
            )
            assert worker.stdin
            assert worker.stdout
            for told in (job, model):
                worker.stdin.write(json.dumps(told) + "\n")
            worker.stdin.flush()
            ends = [told["end"] for line in worker.stdout if "end" in (told := json.loads(line))]
            worker.communicate()
            return ends[-1] if ends else "it left no message"

    task = ray.remote(num_cpus=1)(train)
    ray.get(task.remote(-1))
    began = time.monotonic()
    ends = ray.get([task.remote(number) for number in range(count)])
    seconds = time.monotonic() - began
    if set(ends) != {"completed"}:
        raise SystemExit(f"a bare job ended as {set(ends)}")
    return {"seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(bare(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))

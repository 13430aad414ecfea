"""Compares many short jobs on a cluster with the same training processes started by bare Ray tasks.

Those have no backend, driver or events, and return no files: the ratio shows the cost of all that. As the
cluster is on this machine, the nodes' work shares its processors.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import DEFAULTS, QUIET

from .figures import Figure
from .sides import ROOT, in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.cluster.conftest import Nodes
    from tests.local.harness import Backend

SHORT: Final[dict[str, Any]] = {
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
    "maxSteps": 30,
    "learningRate": 1e-3,
    "loggingSteps": 1,
    "saveSteps": 10,
    "evalSteps": 0,
    "datasetSplit": 0,
    "numberFormat": "float32",
}
"""The short job: a second of training, with everything that precedes and follows it."""
ROUNDS: Final = 5
"""Number of repeats of a single job, of which the median counts: it takes three seconds, with 10 % of
noise.
"""
EACH_SECONDS: Final = 60.0
BAD: Final = ("failed", "cancelled", "paused")


def measure(
    backend: Backend, nodes: Nodes, project: Path, counts: tuple[int, ...], machines: int
) -> Iterator[Figure]:
    """Yield the jobs per minute for each of ``counts``, on a number of ``machines``."""
    config = {**SHORT, "cluster": nodes.address, "cpus": 1}
    finish(
        backend, [backend.submit(config, "first")]
    )  # model and data are on a node already, as for the bare tasks
    for count in counts:
        rounds = ROUNDS if count == 1 else 1
        sides = []
        for _ in range(rounds):
            bare = in_a_process("throughput", "bare", nodes.address, project, count)["seconds"]
            began = time.monotonic()
            finish(backend, [backend.submit(config, f"short-{number}") for number in range(count)])
            sides.append((time.monotonic() - began, bare))
        seconds, bare = map(median, zip(*sides, strict=True))
        name = f"{count} short job{'s' * (count > 1)} on {machines} nodes, bare Ray tasks beside"
        yield Figure(name, 60 * count / seconds, "jobs/min", 60 * count / bare, least=0.8)


def finish(backend: Backend, jobs: list[str]) -> None:
    """Wait for all jobs to end, one after the other: polling a long list would use the same processors."""
    end = time.monotonic() + EACH_SECONDS * len(jobs)
    for job in jobs:
        while not is_over(backend.job(job)):
            if time.monotonic() > end:
                raise RuntimeError(f"{len(jobs)} jobs have not ended in {EACH_SECONDS * len(jobs):.0f} s")
            time.sleep(0.05)


def is_over(job: dict[str, Any]) -> bool:
    """Return whether the job is completed; raise RuntimeError if it ended otherwise."""
    if job["status"] in BAD:
        raise RuntimeError(f"The job {job['name']} is {job['status']}: {job.get('error')}")
    return bool(job["status"] == "completed")


def bare(address: str, project: Path, count: int) -> dict[str, float]:
    """Return the seconds for ``count`` Ray tasks, each of which trains the short job and returns how it
    ended.
    """
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

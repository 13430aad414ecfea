"""A job on true nodes trains on while nobody is there; who comes back finds it, once and in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.checkpoints.resume_points import latest
from arkor_dev.local.execution import leases
from tests.local.harness import Backend, until

from .conftest import CONNECTED, DRIVER, LONG, STEPS, adapter, held, over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.local.harness import Frame

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(
    tmp_path: Path, data: Path, shared_project: Path, template: dict[str, str]
) -> Iterator[Callable[..., Backend]]:
    """Starts a backend of the test's own, each time on the same data."""
    backends = []

    def start(**env: str) -> Backend:
        backends.append(Backend.start(data, shared_project, tmp_path / "cache", **{**template, **env}))
        return backends[-1]

    yield start
    for backend in backends:
        backend.stop()


def kill(backend: Backend) -> None:
    """End a backend and all that it has started at once, as a machine that is switched off does."""
    for pid in backend.processes():
        with contextlib.suppress(ProcessLookupError):  # it has seen that the others are gone
            os.kill(pid, signal.SIGKILL)
    backend.process.wait(60)
    until(lambda: not backend.processes())


def kept(nodes: Nodes, job: str) -> int:
    """The newest step of a job that its node has kept."""
    folders = (each for each in nodes.jobs() if each.name.startswith(f"{job}-"))
    steps = (step for folder in folders for step in (folder / "data/jobs" / job / "checkpoints").glob("*"))
    return max((int(step.name) for step in steps if step.name.isdecimal()), default=0)


def begin(backend: Backend, address: str, steps: int = STEPS) -> str:
    """A job that has come past its first checkpoint, and that trains on alone from here on."""
    job = backend.submit({**LONG, "cluster": address, "maxSteps": steps}, "away")
    until(lambda: backend.job(job)["metrics"].get("step", 0) >= 21, CONNECTED)
    return job


def told_once(frames: list[Frame]) -> None:
    """Every step is told once and in order, with no word of an interruption."""
    steps = [frame.json["step"] for frame in frames if frame.event == "training.log"]
    assert [step for step in steps if step] == sorted(set(steps) - {0})
    assert set(range(1, STEPS + 1)) <= set(steps)
    ids = [int(frame.id) for frame in frames if frame.id]
    assert ids == sorted(set(ids))
    names = [frame.event for frame in frames]
    assert not {"training.resumed", "training.paused"} & set(names)
    assert names.count("training.started") == names.count("training.completed") == 1
    saved = [frame.json["step"] for frame in frames if frame.event == "checkpoint.saved"]
    assert saved == sorted(set(saved))


def test_a_detached_job_survives_a_kill_of_studio_and_backend(
    start: Callable[..., Backend], data: Path, nodes: Nodes, undisturbed: bytes
) -> None:
    first = start()
    job = begin(first, nodes.address)
    [worker] = nodes.workers()
    seen = next(first.events(job)).id
    with held([worker]):
        kill(first)
        left = kept(nodes, job)
    until(lambda: kept(nodes, job) > left, 60)  # nobody is here
    with held([worker]):
        [lease] = leases.leases(data)
        assert lease.path.stat().st_mode & 0o777 == 0o600
        again = start()
        assert nodes.workers() == [worker]
    found = over(again, job)
    assert found["status"] == "completed", found
    assert any("Reconnected" in text for text in messages(data, job))
    assert adapter(data, job) == undisturbed
    frames = [frame for frame in again.events(job) if frame.event != "ping"]
    told_once(frames)
    behind = [frame for frame in again.events(job, seen) if frame.event != "ping"]
    assert [frame.id for frame in behind] == [frame.id for frame in frames if frame.id != seen]
    until(lambda: not nodes.workers() and not nodes.jobs() and not leases.leases(data))


def messages(data: Path, job: str) -> list[str]:
    """What a person is told in a job's log."""
    return [fields["message"] for fields in logged(data, job, "training.message")]


def logged(data: Path, job: str, name: str) -> list[dict[str, Any]]:
    """A job's events of one name, as they are stored."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/backend.sqlite?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT data FROM events WHERE job = ? AND name = ? ORDER BY id", (job, name))
        return [json.loads(text) for (text,) in rows]


def test_a_detached_job_that_completed_is_fetched(
    start: Callable[..., Backend], data: Path, nodes: Nodes, undisturbed: bytes
) -> None:
    first = start()
    job = begin(first, nodes.client)
    assert first.process.stdin
    with held(nodes.workers()):
        first.process.stdin.close()  # as Studio ends that is closed
        first.process.wait(60)
    until(lambda: any("keeps training" in notice.get("text", "") for notice in first.notices))
    until(lambda: not nodes.workers(), 120)
    assert not (data / "jobs" / job / "final").exists()
    again = start()
    found = over(again, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == undisturbed
    told_once([frame for frame in again.events(job) if frame.event != "ping"])
    until(lambda: not nodes.jobs() and not leases.leases(data))


def test_a_killed_driver_does_not_stop_its_job(
    start: Callable[..., Backend], data: Path, nodes: Nodes
) -> None:
    backend = start()
    job = begin(backend, nodes.address, 1_000_000)
    [worker] = nodes.workers()
    [driver] = backend.processes(DRIVER)
    os.kill(driver, signal.SIGKILL)
    until(lambda: any("Reconnected" in text for text in messages(data, job)), CONNECTED)
    assert nodes.workers() == [worker]
    paused = backend.call("POST", f"/v1/jobs/{job}/pause").json["job"]
    assert paused["status"] == "paused"
    last = paused["pause"]["step"]
    assert [row["step"] for row in logged(data, job, "training.log")] == list(range(1, last + 1))
    assert not logged(data, job, "training.resumed")
    point = latest(data, job)  # of the pause, or of a checkpoint where it came just then
    assert point
    assert point.step == last
    assert (point.folder / "state.pt").is_file()
    until(lambda: not nodes.workers() and not nodes.jobs() and not leases.leases(data))


PLACE = """
import os, sys
from pathlib import Path
from arkor_dev.local.cluster import access, code_package, connection
from arkor_dev.local.cluster.actor_client import start_actor
from arkor_dev.local.cluster.resources import ResourceRequest
from arkor_dev.local.execution.leases import Lease
data, address, job = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
data.mkdir()
access.check_access(address, insecure=False)
connection.connect(address, code_package.package_code(data))
start_actor(Lease.new(data, job, address, insecure=False), ResourceRequest(), lambda _: None)
print("placed", flush=True)
os._exit(0)
"""


def test_placements_of_deleted_jobs_are_removed(
    start: Callable[..., Backend], data: Path, nodes: Nodes
) -> None:
    job = "job_0123456789ab"
    ran = subprocess.run(
        [sys.executable, "-c", PLACE, str(data), nodes.client, job],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert "placed" in ran.stdout
    assert [folder.name.startswith(job) for folder in nodes.jobs()] == [True]
    start()
    until(lambda: not nodes.jobs() and not leases.leases(data), CONNECTED)


def test_a_job_survives_the_death_of_the_head_node(
    start: Callable[..., Backend], data: Path, mortal: Nodes, undisturbed: bytes
) -> None:
    backend = start(ARKOR_CLUSTER_GRACE_MINUTES="0")
    job = begin(backend, mortal.address)
    with held(mortal.workers()):
        mortal.order(end="127.0.0.2")
    found = over(backend, job)
    assert found["status"] == "failed", found
    assert "has not answered for 0 minutes: the job is lost there" in found["error"]
    assert found["resumable"] >= 20
    answer = backend.call("POST", f"/v1/jobs/{job}/resume", {"on": "anywhere"})
    assert (answer.status, "on must be" in answer.json["error"]) == (400, True)
    assert backend.call("POST", f"/v1/jobs/{job}/resume", {"on": "here"}).status == 200
    found = over(backend, job)
    assert (found["status"], "cluster" in found["config"]) == ("completed", False), found
    assert adapter(data, job) == undisturbed
    [resumed] = logged(data, job, "training.resumed")
    assert resumed["step"] >= 20

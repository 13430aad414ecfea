"""True drivers carry one job after the other: nothing of one reaches the next, and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import leases
from tests.local.conftest import CONFIG, SAMPLED
from tests.local.harness import until

from .conftest import CONNECTED, DRIVER, LONG, adapter, over
from .test_cluster import arrive, clean, files, on, told

if TYPE_CHECKING:
    from tests.local.conftest import Trained
    from tests.local.harness import Backend

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]

SHORT: dict[str, Any] = {**CONFIG, "maxSteps": 3, "evalSteps": 0}
GONE = 60.0
"""Seconds after a job's end in which nothing of it is left on the cluster; 10 where nothing else runs."""


def completed(backend: Backend, nodes: Nodes, data: Path, config: dict[str, Any], name: str) -> str:
    """Return a job that has ended and of which the cluster has nothing left."""
    job = backend.submit(on(nodes, config), name)
    found = over(backend, job)
    assert found["status"] == "completed", found
    until(lambda: clean(nodes) and not leases.leases(data), GONE)
    return job


def test_consecutive_jobs_share_a_driver_without_mixing(
    beside: Backend, data: Path, nodes: Nodes, answered: Trained
) -> None:
    first = completed(beside, nodes, data, SHORT, "first")
    [driver] = beside.processes(DRIVER)
    before = told(list(beside.events(first))), files(data, first)
    second = completed(beside, nodes, data, SAMPLED, "second")
    assert beside.processes(DRIVER) == [driver]
    assert (told(list(beside.events(first))), files(data, first)) == before
    assert told(list(beside.events(second))) == told(answered.events)
    assert adapter(data, second) == adapter(answered.data, answered.job)
    assert files(data, second) == files(answered.data, answered.job)


def actors(nodes: Nodes) -> list[int]:
    """The pids of all places on the nodes, by the name that Ray gives a process."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"ray::JobActor" in (entry / "cmdline").read_bytes():
                here = f"TMPDIR={nodes.temporary}".encode() in (entry / "environ").read_bytes().split(b"\0")
                found += [int(entry.name)] if here else []
    return found


def test_a_waiting_job_starts_at_the_freed_placement(
    beside: Backend, data: Path, nodes: Nodes, trained: Trained
) -> None:
    jobs = [beside.submit(on(nodes, config), "one of two") for config in (SHORT, CONFIG)]
    first = until(lambda: [each for each in leases.leases(data) if each.begun], CONNECTED)[0]
    [place] = actors(nodes)
    second = until(lambda: [each for each in leases.leases(data) if each.job == jobs[1]], CONNECTED)[0]
    assert (first.job, second.actor) == (jobs[0], first.actor)
    assert {second.name, second.nonce}.isdisjoint({first.name, first.nonce})
    assert actors(nodes) == [place]
    assert over(beside, jobs[1])["status"] == "completed"
    until(lambda: clean(nodes) and not leases.leases(data) and not actors(nodes), GONE)
    assert told(list(beside.events(jobs[1]))) == told(trained.events)
    assert adapter(data, jobs[1]) == adapter(trained.data, trained.job)
    assert files(data, jobs[1]) == files(trained.data, trained.job)


def test_a_killed_idle_driver_affects_no_job(beside: Backend, data: Path, nodes: Nodes) -> None:
    """And the place that it held ends by itself."""
    completed(beside, nodes, data, SHORT, "before")
    [driver] = beside.processes(DRIVER)
    os.kill(driver, signal.SIGKILL)
    until(lambda: not actors(nodes), GONE)
    job = completed(beside, nodes, data, SHORT, "after")
    assert driver not in beside.processes(DRIVER)
    assert "training.resumed" not in [frame.event for frame in beside.events(job)]


def test_the_driver_of_a_cancelled_job_is_not_reused(beside: Backend, data: Path, nodes: Nodes) -> None:
    job = beside.submit(on(nodes, {**LONG, "maxSteps": 1_000_000}), "cancelled")
    arrive(beside, job, 5)
    [driver] = beside.processes(DRIVER)
    assert beside.call("POST", f"/v1/jobs/{job}/cancel").status == 200
    until(lambda: not beside.processes(DRIVER))
    completed(beside, nodes, data, SHORT, "after")
    assert beside.processes(DRIVER) != [driver]


def test_a_job_for_another_cluster_has_another_driver(beside: Backend, data: Path, nodes: Nodes) -> None:
    completed(beside, nodes, data, SHORT, "here")
    [driver] = beside.processes(DRIVER)
    job = beside.submit({**SHORT, "cluster": nodes.client}, "client")
    assert over(beside, job, 2 * CONNECTED)["status"] == "completed"
    assert len(set(beside.processes(DRIVER)) | {driver}) == 2

"""Jobs that two workers on two true nodes train together: the losses of one, whatever is killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import leases
from tests.local.harness import Backend, until

from .conftest import CONNECTED, DRIVER, LONG, adapter, held, kept_here, over
from .test_cluster import arrive, clean, files, looked_at, on, told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Frame

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]

SAME: dict[str, Any] = {
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
    "maxSteps": 20,
    "learningRate": 1e-2,
    "batchSize": 3,
    "gradientAccumulationSteps": 2,
    "loggingSteps": 1,
    "saveSteps": 10,
    "evalSteps": 10,
    "numberFormat": "float32",
    "workers": 2,
}
STEPS = 140
"""On a machine that is busy with ten other things an order comes some ten steps late: there are 75 left."""
TWO: dict[str, Any] = {**LONG, "maxSteps": STEPS, "loraDropout": 0.1, "workers": 2}


def messages(frames: list[Frame]) -> list[str]:
    return [str(frame.json.get("message", "")) for frame in frames]


def nodes_of(backend: Backend, job: str) -> list[str]:
    """Where the job's events say that it trains, the first worker's node first."""
    start = "It trains on the nodes "
    text = next(text for text in messages(list(backend.events(job))) if text.startswith(start))
    return text.removeprefix(start).partition(" of the cluster")[0].split(" and ")


@pytest.fixture(scope="module")
def undisturbed(beside: Backend, data: Path, nodes: Nodes) -> bytes:
    """The adapter of a long job of two workers, with chance in it."""
    job = beside.submit(on(nodes, TWO), "undisturbed")
    found = over(beside, job)
    assert found["status"] == "completed", found
    return adapter(data, job)


def test_two_nodes_give_the_losses_and_events_of_one(
    beside: Backend, data: Path, nodes: Nodes, shared: Backend, shared_data: Path
) -> None:
    job = beside.submit(on(nodes, SAME), "two")
    until(lambda: len(nodes.workers()) == 2, CONNECTED)
    here = shared.submit(SAME, "one")
    found, alone = over(beside, job), over(shared, here)
    assert (found["status"], alone["status"]) == ("completed", "completed"), found
    until(lambda: clean(nodes), 60)
    frames, others = list(beside.events(job)), list(shared.events(here))
    ours, one = told(frames), told(others)
    assert [row[:2] for row in ours] == [row[:2] for row in one]
    losses = [row[2] for row in ours if row[2] is not None]
    assert len(losses) >= 22
    assert losses == pytest.approx([row[2] for row in one if row[2] is not None], abs=1e-4)
    assert sorted(nodes_of(beside, job)) == ["127.0.0.3", "127.0.0.4"]
    assert any(text.startswith("workers applies to clusters") for text in messages(others))
    assert files(data, job) == files(shared_data, here)
    assert found["settings"]["workers"] == 2


def test_killed_workers_and_nodes_resume_to_the_same_bits(
    beside: Backend, data: Path, nodes: Nodes, undisturbed: bytes
) -> None:
    job = beside.submit(on(nodes, TWO), "killed, and moves")
    arrive(beside, job, 25)
    before = nodes.workers()
    assert len(before) == 2
    os.kill(max(before), signal.SIGKILL)  # the second one, by its age
    until(lambda: not set(before) & set(nodes.workers()), 30)
    arrive(beside, job, 65)
    # Two workers on as many nodes: without one of them there is not room enough.
    with held(nodes.workers()):
        kept_here(data, job, 60)
        node = nodes_of_running(beside, job, 2)[1]
        nodes.order(end=node)
    try:
        reason = str(until(lambda: beside.job(job).get("queue", {}).get("reason"), CONNECTED))
        assert reason.startswith("The job asks for 2 workers of 1 processor each, and ")
        until(lambda: not nodes.workers())  # what lay on the node that is gone, the next job removes
    finally:
        nodes.order(add=node)
    found = over(beside, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == undisturbed
    until(lambda: clean(nodes))
    resumed = [frame.json for frame in beside.events(job) if frame.event == "training.resumed"]
    assert len(resumed) == 2
    assert "was killed" in resumed[0]["message"]
    assert resumed[0]["step"] >= 20
    assert f"The node {node} of the cluster" in resumed[1]["message"]
    assert resumed[1]["step"] >= 60


def test_workers_end_with_studio_and_resume_to_the_same_bits(
    tmp_path: Path, shared_project: Path, nodes: Nodes, undisturbed: bytes, template: dict[str, str]
) -> None:
    data = tmp_path / "data"
    first = Backend.start(data, shared_project, tmp_path / "cache", **template)
    try:
        job = first.submit(on(nodes, TWO), "closed")
        arrive(first, job, 25)
        assert len(nodes.workers()) == 2
        assert not leases.leases(data)
    finally:
        first.stop()
    until(lambda: clean(nodes))
    assert not any("keeps training" in notice.get("text", "") for notice in first.notices)
    again = Backend.start(data, shared_project, tmp_path / "cache", **template)
    try:
        arrive(again, job, 65)
        before = nodes.workers()
        assert len(before) == 2
        [driver] = again.processes(DRIVER)
        os.kill(driver, signal.SIGKILL)
        until(lambda: not set(before) & set(nodes.workers()), 30)
        assert over(again, job)["status"] == "completed"
        frames = list(again.events(job))
    finally:
        again.stop()
    assert adapter(data, job) == undisturbed
    resumed = [frame.json["step"] for frame in frames if frame.event == "training.resumed"]
    assert len(resumed) == 2
    assert 24 <= resumed[0] < resumed[1]
    said = messages(frames)
    assert not [text for text in said if "may differ" in text or "Reconnected" in text]
    placed = [text for text in said if text.startswith("It trains on the nodes ")]
    assert len(placed) == 3
    assert all(nodes.address in text for text in placed)
    until(lambda: clean(nodes))


def nodes_of_running(backend: Backend, job: str, times: int) -> list[str]:
    """As `nodes_of`, when that is said for so many ``times``, of a job whose stream does not end yet."""
    start = "It trains on the nodes "
    for frame in backend.events(job):
        text = str(frame.json.get("message", "")) if frame.event == "training.message" else ""
        times -= text.startswith(start)
        if not times:
            return text.removeprefix(start).partition(" of the cluster")[0].split(" and ")
    raise AssertionError("it does not say where it trains")


def test_a_distributed_job_is_cancelled_quickly(beside: Backend, nodes: Nodes) -> None:
    job = beside.submit(on(nodes, {**TWO, "maxSteps": 1_000_000}), "cancelled")
    arrive(beside, job, 5)
    assert beside.call("POST", f"/v1/jobs/{job}/cancel").status == 200
    assert beside.job(job)["status"] == "cancelled"
    until(lambda: clean(nodes), 60)
    looked_at(beside, nodes, cpus=2)  # both places are given back, and what held them together


def test_a_job_moves_between_local_two_and_one_workers(beside: Backend, data: Path, nodes: Nodes) -> None:
    steps = 2 * STEPS  # one worker alone is quick
    job = beside.submit({**TWO, "maxSteps": steps, "workers": 1}, "there and back")
    arrive(beside, job, 25)
    assert beside.call("POST", f"/v1/jobs/{job}/pause").json["job"]["status"] == "paused"
    before = beside.job(job)["config"]
    for wrong in ({"workers": 0}, {"on": "anywhere", "workers": 2}, {"on": nodes.address, "workers": 65}):
        assert beside.call("POST", f"/v1/jobs/{job}/resume", wrong).status == 400
    assert (beside.job(job)["status"], beside.job(job)["config"]) == ("paused", before)
    stood = beside.job(job)["pause"]["step"]
    order: dict[str, Any] = {"on": nodes.client, "workers": 2}
    assert beside.call("POST", f"/v1/jobs/{job}/resume", order).status == 200
    arrive(beside, job, stood + 25)
    assert len(nodes.workers()) == 2
    assert not leases.leases(data)  # several workers do not train on alone
    assert beside.call("POST", f"/v1/jobs/{job}/pause").json["job"]["status"] == "paused"
    stood = beside.job(job)["pause"]["step"]
    order = {"on": nodes.address, "workers": 1}
    assert beside.call("POST", f"/v1/jobs/{job}/resume", order).status == 200
    arrive(beside, job, stood + 10)
    assert len(nodes.workers()) == 1
    [lease] = leases.leases(data)
    assert (lease.job, lease.address, lease.begun) == (job, nodes.address, True)
    found = over(beside, job)
    assert found["status"] == "completed", found
    frames = list(beside.events(job))
    resumed = [frame.json["message"] for frame in frames if frame.event == "training.resumed"]
    assert len(resumed) == 2
    differs = "may differ from an uninterrupted run"
    assert differs in resumed[0]
    assert "its workers are 2 and were 1" in resumed[0]
    assert differs in resumed[1]
    assert "its workers are 1 and were 2" in resumed[1]
    logged = (frame.json for frame in frames if frame.event == "training.log")
    assert [row["step"] for row in logged if "loss" in row] == list(range(1, steps + 1))
    until(lambda: clean(nodes) and not leases.leases(data))


def test_too_many_workers_wait_with_the_reason(beside: Backend, nodes: Nodes) -> None:
    job = beside.submit(on(nodes, {**SAME, "workers": 3}), "large")
    reason = str(until(lambda: beside.job(job).get("queue", {}).get("reason"), CONNECTED))
    assert reason.startswith(
        "The job asks for 3 workers of 1 processor each, and the nodes of the cluster do not have that: "
    )
    assert beside.call("POST", f"/v1/jobs/{job}/cancel").status == 200

"""Jobs on true nodes: the bits of this machine, whatever is killed, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import leases
from tests.local.conftest import CONFIG
from tests.local.harness import Backend, until
from tests.local.tiny_model import write_jsonl

from .conftest import CONNECTED, LONG, SECRET, WORKER, adapter, over

if TYPE_CHECKING:
    from tests.local.conftest import Trained
    from tests.local.harness import Frame

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]


def on(nodes: Nodes, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**config, "cluster": nodes.address, **more}


def files(data: Path, job: str) -> set[Path]:
    """The names of all that a job has kept."""
    return {path.relative_to(data / "jobs" / job) for path in (data / "jobs" / job).rglob("*")}


def told(frames: list[Frame]) -> list[tuple[str, object, object]]:
    """What counts of a job's events: the figures of each step, and what was saved."""
    names = ("training.log", "checkpoint.saved", "evaluation.completed", "training.completed")
    rows = [(frame.event, frame.json) for frame in frames if frame.event in names]
    return [(name, row.get("step"), row.get("loss", row.get("evalLoss"))) for name, row in rows]


def step_of(backend: Backend, job: str) -> int:
    found = backend.job(job)
    assert found["status"] in ("queued", "running"), found.get("error")
    step: int = found["metrics"].get("step", 0)
    return step


def arrive(backend: Backend, job: str, step: int) -> None:
    until(lambda: step_of(backend, job) >= step, CONNECTED, every=0.05)


def node_of(backend: Backend, job: str) -> str:
    """Where the job's events say that it trains."""
    said = (frame.json.get("message", "") for frame in backend.events(job))
    text = next(text for text in said if text.startswith("It trains on the node "))
    return str(text.removeprefix("It trains on the node ").partition(" ")[0])


def clean(nodes: Nodes) -> bool:
    return not nodes.workers() and not nodes.jobs()


@pytest.mark.usefixtures("true_workers")
def test_a_job_on_a_node_has_the_bits_and_events_of_a_local_one(
    beside: Backend, data: Path, nodes: Nodes, trained: Trained
) -> None:
    job = beside.submit(on(nodes, CONFIG), "parrot")
    environments: list[bytes] = []

    def seen() -> bool:
        with contextlib.suppress(OSError):  # it has ended just now
            environments.extend(Path(f"/proc/{pid}/environ").read_bytes() for pid in nodes.workers())
        return bool(environments)

    until(seen, CONNECTED)
    found = over(beside, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == adapter(trained.data, trained.job)
    frames = list(beside.events(job))
    assert told(frames) == told(trained.events)
    saved = [path for frame in frames for path in _paths(frame)]
    assert saved
    assert all(path.is_relative_to(data) and path.is_dir() for path in saved)
    # Of general questions a true worker is asked more (``short_evaluation.py``).
    ours, theirs = (each["evaluation"]["heldOut"] for each in (found, trained.backend.job(trained.job)))
    assert (ours["verdict"], ours["adapter"]) == (theirs["verdict"], theirs["adapter"])
    assert files(data, job) == files(trained.data, trained.job)
    # Our code came with the job, nothing of the user's environment or of Ray's did.
    variables = dict(entry.split(b"=", 1) for entry in environments[0].split(b"\0") if b"=" in entry)
    assert b"py_modules_files" in variables[b"PYTHONPATH"]
    worker = f"{WORKER.decode().replace('.', '/')}.py"
    assert (Path(variables[b"PYTHONPATH"].decode()) / worker).is_file()  # found there, and not elsewhere
    assert SECRET.encode() not in variables
    assert not [name for name in variables if name.startswith(b"RAY_")]
    until(lambda: clean(nodes))


def _paths(frame: Frame) -> list[Path]:
    return [Path(each["path"]) for each in frame.json.get("artifacts", ()) if "path" in each]


def test_preferences_train_on_a_node_as_locally(
    beside: Backend, shared: Backend, data: Path, shared_data: Path, shared_project: Path, nodes: Nodes
) -> None:
    pairs = [{"prompt": f"Say {n}", "chosen": f"{n}", "rejected": f"It is {n}, {n}"} for n in range(40)]
    write_jsonl(shared_project / "data" / "pairs.jsonl", pairs)
    source = {"type": "file", "path": "data/pairs.jsonl"}
    config = {**CONFIG, "method": "dpo", "datasetSource": source, "maxSteps": 3}
    here, there = shared.submit(config, "pairs"), beside.submit(on(nodes, config), "pairs")
    for backend, job in ((shared, here), (beside, there)):
        found = over(backend, job)
        assert found["status"] == "completed", found
    assert adapter(data, there) == adapter(shared_data, here)


def test_a_student_learns_on_a_node_as_locally(
    beside: Backend, data: Path, shared_project: Path, nodes: Nodes
) -> None:
    """From a model of its own, and from the adapter of an earlier job: their files are sent as well."""
    models = shared_project / "models"
    shutil.copytree(models / "tiny", models / "teacher", dirs_exist_ok=True)
    taught = beside.submit({**CONFIG, "maxSteps": 3}, "teacher")
    assert over(beside, taught)["status"] == "completed"
    for teacher in ("./models/teacher", taught):
        config = {**CONFIG, "method": "distill", "teacher": teacher, "maxSteps": 3, "maxCompletionLength": 6}
        here, there = beside.submit(config, "student"), beside.submit(on(nodes, config), "student")
        hashes = []
        for job in (here, there):
            found = over(beside, job)
            assert found["status"] == "completed", found
            started = next(frame for frame in beside.events(job) if frame.event == "training.started")
            hashes.append(started.json["metadata"]["secondModelHash"])
        assert hashes[0] == hashes[1]
        assert adapter(data, there) == adapter(data, here)


def test_an_adapter_trained_on_a_node_answers_locally(beside: Backend, data: Path) -> None:
    job = next(iter(json.loads(beside.call("GET", "/v1/jobs").body)["jobs"]))["id"]
    assert beside.say("Where is my parcel?", adapter={"kind": "final", "jobId": job})


def test_a_cancelled_cluster_job_leaves_nothing(beside: Backend, nodes: Nodes) -> None:
    job = beside.submit(on(nodes, {**LONG, "maxSteps": 1_000_000}), "cancelled")
    arrive(beside, job, 5)
    assert beside.call("POST", f"/v1/jobs/{job}/cancel").status == 200
    assert beside.job(job)["status"] == "cancelled"
    until(lambda: clean(nodes))


def test_a_job_without_cluster_resources_waits_with_the_reason(
    beside: Backend, data: Path, nodes: Nodes
) -> None:
    job = beside.submit(on(nodes, CONFIG, cpus=3), "large")

    def reason() -> str:
        found = beside.job(job)
        return str(found.get("queue", {}).get("reason", "")) if found["status"] == "queued" else ""

    why = until(reason, CONNECTED)
    assert why.startswith("The job asks for 3 processors of one node, and no node of the cluster has that")
    listed = {each["id"]: each for each in beside.call("GET", "/v1/jobs").json["jobs"]}
    assert listed[job]["queue"]["reason"] == why
    other = beside.submit({**CONFIG, "maxSteps": 2}, "small")
    assert over(beside, other)["status"] == "completed"
    assert beside.job(job)["queue"]["reason"] == why
    assert beside.call("POST", f"/v1/jobs/{job}/cancel").status == 200
    assert beside.job(job)["status"] == "cancelled"
    assert leases.leases(data) == []


def test_an_unreachable_cluster_fails_the_job(beside: Backend) -> None:
    job = beside.submit({**CONFIG, "cluster": "127.0.0.2:9"}, "away")
    found = over(beside, job)
    assert found["status"] == "failed"
    assert found["error"].startswith("Nothing answers at 127.0.0.2:9")


def test_cluster_jobs_have_no_local_forecast(beside: Backend, nodes: Nodes) -> None:
    forecast = beside.call("POST", "/v1/forecast", {"config": on(nodes, CONFIG)}).json["forecast"]
    assert forecast["state"] == "failed"
    assert forecast["error"].startswith("An estimate measures this machine")


def looked_at(backend: Backend, nodes: Nodes, cpus: int) -> dict[str, Any]:
    """The cluster, once so many processors are free: Ray tells some time later what was given back."""
    end = time.monotonic() + CONNECTED
    while True:
        cluster: dict[str, Any] = backend.call("GET", f"/v1/clusters?address={nodes.address}").json["cluster"]
        assert "problem" not in cluster, cluster
        told = all("problem" not in node for node in cluster["nodes"])  # a busy node tells nothing in time
        if told and cluster["free"]["cpus"] == cpus:
            return cluster
        assert time.monotonic() < end, cluster
        time.sleep(2)  # each look is a process with Ray, and one on each node


def test_a_cluster_is_described(beside: Backend, nodes: Nodes) -> None:
    assert "placement" in beside.call("GET", "/v1/capabilities").json["features"]
    cluster = looked_at(beside, nodes, cpus=2)
    assert {node["name"] for node in cluster["nodes"]} == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}
    assert all(node["missing"] == [] and "torch" in node["versions"] for node in cluster["nodes"])
    assert beside.call("GET", "/v1/clusters?address=nowhere").status == 400
    away = beside.call("GET", "/v1/clusters?address=127.0.0.2:9").json["cluster"]
    assert away["problem"].startswith("Nothing answers")


def test_sweep_trials_train_concurrently(
    tmp_path: Path, shared_project: Path, nodes: Nodes, template: dict[str, str]
) -> None:
    """Nothing is measured here: a run of the starting settings on a node says how long one takes."""
    data = tmp_path / "data"
    backend = Backend.start(data, shared_project, tmp_path / "cache", "--at-once", "2", **template)

    def beside() -> list[Any]:
        listed = backend.call("GET", "/v1/jobs").json["jobs"]
        return [job["sweep"]["trial"] for job in listed if job["status"] == "running"]

    try:
        space = {"learningRate": [1e-5, 1e-2]}
        config = on(nodes, CONFIG, datasetSplit=0.3)
        body = {"name": "night", "config": config, "space": space, "jobs": 2}
        sweep = backend.call("POST", "/v1/sweeps", body).json["sweep"]["id"]
        until(lambda: sorted(beside()) == [0, 1], CONNECTED)
        stopped = backend.call("POST", f"/v1/sweeps/{sweep}/stop").json["sweep"]
        assert stopped["state"] == "stopped"
        assert stopped["trials"][0]["role"] == "start"
        assert stopped["trials"][0]["results"], stopped
        # A backend that ends meanwhile removes at its next start what a cancelled job has left.
        until(lambda: clean(nodes))
    finally:
        backend.stop()

"""Jobs whose processes are killed at any moment end as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.whole_folder import MANIFEST
from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("ARKOR_CHAOS_KILLS", "6"))
"""Thirty take some minutes."""
STEPS = 8 * KILLS
JOBS: dict[str, dict[str, Any]] = {
    "packs": {
        "packing": True,
        "loraDropout": 0.1,
        "gradientAccumulationSteps": 2,
        "saveSteps": 7,
        "saveTotalLimit": 2,
    },
    "noise": {"neftuneNoiseAlpha": 5, "groupByLength": True, "earlyStoppingPatience": 50, "evalSteps": 5},
}
if KILLS < 30:  # each start of a process takes seconds
    del JOBS["noise"]
OVER = ("completed", "failed", "cancelled")


def config(name: str) -> dict[str, Any]:
    return {**CONFIG, "maxSteps": STEPS, "loggingSteps": 1, "evalSteps": 20, **JOBS[name]}


def adapter_of(data: Path, job: str) -> bytes:
    return (data / "jobs" / job / "final" / "adapter_model.safetensors").read_bytes()


def steps_of(backend: Backend, job: str) -> list[int]:
    rows = [frame.json for frame in backend.events(job) if frame.event == "training.log"]
    return [row["step"] for row in rows if "loss" in row]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[dict[str, bytes]]:
    """The adapter of each job as it is without any trouble."""
    root = tmp_path_factory.mktemp("undisturbed")
    backend = Backend.start(root / "data", make_project(root / "tests", tiny), root / "cache")
    try:
        jobs = {name: backend.submit(config(name), name) for name in JOBS}
        for job in jobs.values():
            backend.wait_for(job, "training.completed")
        yield {name: adapter_of(root / "data", job) for name, job in jobs.items()}
    finally:
        backend.stop()


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_whatever_is_killed_and_whenever_every_job_ends_as_it_would_have(
    tmp_path: Path, tiny: Path, undisturbed: dict[str, bytes]
) -> None:
    """Worker, backend or both are killed, and jobs are paused between, at moments that a seed chooses."""
    chance = random.Random(20)
    data, project = tmp_path / "data", make_project(tmp_path / "tests", tiny)
    backend = Backend.start(data, project, tmp_path / "cache")
    marks = [backend.mark]
    jobs = {name: backend.submit(config(name), name) for name in JOBS}
    furthest = dict.fromkeys(jobs.values(), 0)
    try:
        for number in range(KILLS):
            running = running_of(backend, jobs)
            # A few steps on, in a save, in an evaluation, in a pause or wherever the next moment falls;
            # further than the last time, as three crashes at one step are a job's end.
            furthest[running] = arrive(backend, running, furthest[running] + chance.randrange(1, 15))
            time.sleep(chance.random() * 0.05)
            match number % 3:
                case 0:
                    kill(backend.processes("training.worker"))
                case 1:
                    backend.process.kill()
                    backend.process.wait()
                    backend.stop()
                    backend = Backend.start(data, project, tmp_path / "cache")
                    marks.append(backend.mark)
                case _:
                    answer = backend.call("POST", f"/v1/jobs/{running}/pause")
                    if answer.status == 200 and answer.json["job"]["status"] == "paused":
                        assert backend.call("POST", f"/v1/jobs/{running}/resume", {}).status == 200
        for name, job in jobs.items():
            found = ended(backend, job)
            assert found["status"] == "completed", found.get("error")
            assert steps_of(backend, job) == list(range(1, STEPS + 1))
            ids = [int(frame.id) for frame in backend.events(job) if frame.id]
            assert ids == sorted(set(ids))
            assert adapter_of(data, job) == undisturbed[name], name
        assert len(list((data / "jobs" / jobs["packs"] / "checkpoints").iterdir())) == 2
    finally:
        backend.stop()
    assert not list(data.rglob("*.part"))
    assert not [entry for entry in data.rglob("*") if entry.name == "scratch"]
    for mark in marks:
        backend.mark = mark
        until(lambda: not backend.processes())


def running_of(backend: Backend, jobs: dict[str, str]) -> str:
    """The job that runs, once one does; the last one where all are over."""

    def found() -> str | None:
        records = [backend.job(job) for job in jobs.values()]
        if all(record["status"] in OVER for record in records):
            return str(records[-1]["id"])
        return next((str(record["id"]) for record in records if record["status"] == "running"), None)

    running: str = until(found, 120)
    return running


def arrive(backend: Backend, job: str, step: int) -> int:
    """Wait until a job has come to ``step``, or is over; to which step it has come."""

    def there() -> bool:
        found = backend.job(job)
        return found["status"] in OVER or found["metrics"].get("step", 0) >= step

    until(there, 120)
    return int(backend.job(job)["metrics"].get("step", step))


def ended(backend: Backend, job: str) -> dict[str, Any]:
    until(lambda: backend.job(job)["status"] in OVER, 300)
    return backend.job(job)


@pytest.mark.parametrize("seed", range(max(1, KILLS // 6)))
def test_files_that_lost_power_cut_are_passed_over(
    tmp_path: Path, tiny: Path, undisturbed: dict[str, bytes], seed: int
) -> None:
    """A job's newest files are cut as a disk may leave them, and so is the data base's log."""
    chance = random.Random(seed)
    data, project = tmp_path / "data", make_project(tmp_path / "tests", tiny)
    backend = Backend.start(data, project, tmp_path / "cache")
    job = backend.submit(config("packs"), "packs")
    try:
        arrive(backend, job, 24)
        backend.process.kill()
        backend.process.wait()
        backend.stop()
        folder = data / "jobs" / job
        newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name.partition(".")[0]))
        for path in sorted(newest.iterdir()):
            if path.name in ("state.pt", MANIFEST, "adapter_model.safetensors") and chance.random() < 0.6:
                path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        wal = data / "backend.sqlite-wal"
        if wal.exists():
            wal.write_bytes(wal.read_bytes()[: chance.randrange(wal.stat().st_size + 1)])
        with closing(sqlite3.connect(data / "backend.sqlite")) as db:
            known = db.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone()
        backend = Backend.start(data, project, tmp_path / "cache")
        if (
            known is None
        ):  # all that the data base knew was in what was lost: the job was never told to anybody
            assert backend.call("GET", "/v1/jobs").json["jobs"] == []
            return
        found = ended(backend, job)
        assert found["status"] == "completed", json.dumps(found)
        assert adapter_of(data, job) == undisturbed["packs"]
        assert steps_of(backend, job) == list(range(1, STEPS + 1))
    finally:
        backend.stop()

"""Several jobs at once on one machine, by their forecasts: both train, and to the same bits."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.beside, pytest.mark.timeout(300)]
SECONDS = 100
LONG: dict[str, Any] = {**CONFIG, "maxSteps": 60, "saveSteps": 0, "evalSteps": 0, "datasetSplit": 0}


def final(data: Path, job: str) -> bytes:
    return (data / "jobs" / job / "final" / "adapter_model.safetensors").read_bytes()


def test_concurrent_jobs_train_to_the_same_bits(tmp_path: Path, tiny: Path, template: dict[str, str]) -> None:
    project, data = make_project(tmp_path / "tests", tiny), tmp_path / "data"
    backend = Backend.start(data, project, tmp_path / "cache", "--at-once", "2", **template)
    try:
        forecast = backend.call("POST", "/v1/forecast", {"config": LONG}).json["forecast"]
        path = f"/v1/forecast/{forecast['id']}"
        until(lambda: backend.call("GET", path).json["forecast"]["state"] == "measured", SECONDS)
        jobs = [backend.submit(LONG, name) for name in ("one", "two", "three")]
        held: set[int] = set()

        def both_are_held() -> bool:
            """However late the second one starts, the first one has not ended by then."""
            for pid in set(backend.processes("training.worker")) - held:
                os.kill(pid, signal.SIGSTOP)
                held.add(pid)
            return len(held) == 2

        until(both_are_held, SECONDS)
        first = [backend.job(job)["status"] for job in jobs]
        assert first == ["running", "running", "queued"], "no more than were asked for"
        backend.call("POST", f"/v1/jobs/{jobs[2]}/cancel")
        for pid in held:
            os.kill(pid, signal.SIGCONT)
        for job in jobs[:2]:
            backend.wait_for(job, "end")
        assert [backend.job(job)["status"] for job in jobs[:2]] == ["completed"] * 2
        assert final(data, jobs[0]) == final(data, jobs[1])
    finally:
        backend.stop()
    assert backend.errors == []

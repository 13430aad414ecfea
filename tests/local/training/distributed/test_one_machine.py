"""Two workers of this machine train one job: as one does, whatever comes between."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.conftest import CONFIG
from tests.local.harness import Backend, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.harness import Frame

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
TWO: dict[str, Any] = {
    **CONFIG,
    "maxSteps": 24,
    "evalSteps": 12,
    "saveSteps": 0,
    "loggingSteps": 1,
    "workers": 2,
}


@pytest.fixture
def backend(tmp_path: Path, shared_project: Path, template: dict[str, str]) -> Iterator[Backend]:
    """A backend that is given two GPUs, which its torch does not find: the workers use the processor."""
    gpus = {"CUDA_VISIBLE_DEVICES": "0,1"}
    backend = Backend.start(tmp_path / "data", shared_project, tmp_path / "cache", **template, **gpus)
    yield backend
    backend.stop()


def over(backend: Backend, config: dict[str, Any]) -> tuple[dict[str, Any], list[Frame]]:
    job = backend.submit(config)
    events = list(backend.events(job))
    found = backend.job(job)
    assert found["status"] == "completed", found
    return found, events


def adapter(data: Path, job: str) -> bytes:
    return (data / "jobs" / job / "final" / "adapter_model.safetensors").read_bytes()


def listens(pid: int) -> bool:
    """Whether a process has a TCP port open."""
    files = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    rows = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            if str(handle.readlink()) in listening:
                return True
    return False


def test_two_local_workers_train_like_one(backend: Backend, tmp_path: Path) -> None:
    whole, events = over(backend, TWO)
    assert whole["settings"]["workers"] == 2
    _, alone = over(backend, {**TWO, "workers": 1})
    ours, one = (
        [
            (frame.json["step"], frame.json.get("loss"), frame.json.get("evalLoss"))
            for frame in frames
            if frame.event == "training.log"
        ]
        for frames in (events, alone)
    )
    assert len(ours) == len(one) >= TWO["maxSteps"]
    for two_workers, one_worker in zip(ours, one, strict=True):
        assert two_workers == pytest.approx(one_worker, abs=1e-4)
    job = backend.submit(TWO)
    backend.wait_for(job, "training.log")
    workers = [pid for pid in backend.processes() if pid != backend.process.pid]
    assert len(workers) >= 2
    assert not [pid for pid in workers if listens(pid)], "another account could reach it"
    assert backend.call("POST", f"/v1/jobs/{job}/pause").status == 200
    until(lambda: backend.job(job)["status"] == "paused", 100)
    assert backend.call("POST", f"/v1/jobs/{job}/resume").status == 200
    until(lambda: backend.job(job)["status"] == "completed", 100)
    assert adapter(tmp_path / "data", job) == adapter(tmp_path / "data", whole["id"])

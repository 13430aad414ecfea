"""Runs of other programs: true scripts that report, end, fail and are killed, beside a true backend."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_dev import report
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.settings import Settings
from arkor_dev.local.jobs.reported import BROKEN, LOST
from tests.local.harness import Backend, until

SCRIPT = """
import sys
from arkor_dev import report

with report("mine", steps=5, figures=["accuracy"]) as run:
    for line in sys.stdin:
        run.log(**eval(line))
        print("logged", flush=True)
    if len(sys.argv) > 1:
        raise ValueError(sys.argv[1])
"""


class Script:
    """A program of somebody's own, which logs what it is told."""

    def __init__(self, project: Path, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments], cwd=project, env={"HOME": str(home)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def log(self, figures: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(figures + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "logged\n"

    def end(self) -> None:
        self.process.communicate(timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.end()


def test_a_reported_run_becomes_a_job_with_its_end(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    project.mkdir()
    data = Settings(project, home, home / ".local" / "share" / "arkor-dev", tmp_path).local_data

    done = Script(project, home)  # while no backend runs
    done.log("{'loss': 2.0, 'accuracy': 0.5}")
    done.end()
    failed = Script(project, home, "out of luck")
    failed.log("{'loss': float('nan')}")
    failed.end()
    killed = Script(project, home)
    killed.log("{'loss': 3.0, 'learning_rate': 1e-3}")
    for name in ("job_000000000000", "job_000000000001"):
        (data / "reported" / f"{name}.jsonl").write_text(
            '{"name": "x\\u0007"}\n' if name[-1] == "0" else "[]\n"
        )
    (data / "reported" / "job_000000000002.jsonl").symlink_to("/etc/passwd")
    backend = Backend.start(data, project, tmp_path / "cache")
    try:
        jobs = until(lambda: found if len(found := jobs_of(backend)) == 3 and ended(found) == 2 else None)
        by_status = {job["status"]: job for job in jobs}
        assert sorted(job["name"] for job in jobs) == ["mine", "mine #2", "mine #3"]
        assert by_status["completed"]["completedAt"] < by_status["running"]["startedAt"]
        assert by_status["completed"]["metrics"] == {"totalSteps": 5, "step": 1, "loss": 2.0}
        assert by_status["failed"]["error"] == "ValueError: out of luck"
        running = by_status["running"]["id"]
        for action in ("pause", "cancel"):
            refused = backend.call("POST", f"/v1/jobs/{running}/{action}")
            assert refused.status == 409
            assert "Only the program" in refused.json["error"]
    finally:
        backend.stop()
    killed.log("{'eval_loss': 2.5}")
    backend = Backend.start(data, project, tmp_path / "cache")
    try:
        killed.log("{'loss': 1.0}")
        until(lambda: backend.call("GET", f"/v1/jobs/{running}").json["job"]["metrics"].get("loss") == 1.0)
        killed.kill()
        job = until(lambda: lost if (lost := job_of(backend, running))["status"] == "failed" else None)
        assert job["error"] == LOST
        rows = [frame.json for frame in backend.events(running) if frame.event == "training.log"]
        assert [(row["step"], row.get("loss"), row.get("evalLoss")) for row in rows] == [
            (1, 3.0, None), (1, None, 2.5), (2, 1.0, None)
        ]  # fmt: skip
        assert until(
            lambda: [path.name for path in (data / "reported").iterdir()] == ["job_000000000002.jsonl"]
        )
        assert len(jobs_of(backend)) == 3
    finally:
        backend.stop()


def test_an_exception_fails_the_reported_run(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    project.mkdir()
    data = Settings(project, home, home / ".local" / "share" / "arkor-dev", tmp_path).local_data
    head: dict[str, Any] = {
        "name": "odd",
        "model": "m",
        "steps": None,
        "figures": [],
        "at": "2026-01-01T00:00:00+00:00",
    }
    reported = data / "reported"
    reported.mkdir(parents=True)
    for number, line in enumerate(
        ('{"log": {"loss": "1"}, "step": 1}', '{"end": "well"}', "{", "x" * (1 << 20))
    ):
        (reported / f"job_00000000000{number}.jsonl").write_text(f"{json.dumps(head)}\n{line}\n")
    backend = Backend.start(data, project, tmp_path / "cache")
    try:
        jobs = until(lambda: found if ended(found := jobs_of(backend)) == 4 else None)
        assert {(job["status"], job["error"]) for job in jobs} == {("failed", BROKEN)}
    finally:
        backend.stop()


@pytest.mark.engine
def test_the_transformers_callback_reports_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with report("mine", project=tmp_path) as run:
        handler = run.callback()
        state = transformers.TrainerState(global_step=3, is_world_process_zero=True)
        control = transformers.TrainerControl()
        handler.on_train_begin(None, state, control)
        handler.on_log(None, state, control, logs={"loss": 1.5, "grad_norm": 0.1, "note": "text"})
        handler.on_log(None, state, control, logs={"eval_loss": 1.25, "eval/odd": 1})
        (file,) = (tmp_path / "data").rglob("job_*.jsonl")
        rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
        assert [(row["step"], row["log"]) for row in rows] == [
            (3, {"loss": 1.5, "grad_norm": 0.1}), (3, {"evalLoss": 1.25})
        ]  # fmt: skip
    with pytest.raises(BadRequestError, match="not being reported"):
        run.log(loss=1)


def test_the_documented_reporting_loop_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text()
    block = next(each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "report(" in each)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    exec(block, {})  # noqa: S102 - our own documentation
    (file,) = (tmp_path / "data").rglob("job_*.jsonl")
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert (len(told), told[-1]["end"]) == (107, "completed")
    assert [row["step"] for row in told if "evalLoss" in row.get("log", {})] == [20, 40, 60, 80, 100]


def test_invalid_reports_are_refused(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "cannot be the name"), ({"name": "a", "figures": ["a b"]}, "figures"),
        ({"name": "a", "project": tmp_path / "none"}, "not a folder"),
    ]  # fmt: skip
    for given, why in wrong:
        with pytest.raises(BadRequestError, match=why):
            report(**{"project": tmp_path, **given})


def jobs_of(backend: Backend) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = backend.call("GET", "/v1/jobs").json["jobs"]
    return jobs


def job_of(backend: Backend, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = backend.call("GET", f"/v1/jobs/{job_id}").json["job"]
    return job


def ended(jobs: list[dict[str, Any]]) -> int:
    return sum(job["status"] in ("completed", "failed") for job in jobs)

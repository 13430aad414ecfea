"""A true job that is reported: its log says where, and a reporter that hangs does not hold it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.extras import install_command
from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend, until
from tests.local.reporting.stand_ins import HANGS, calls_in, put

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.usefixtures("forked_workers")]

QUICK = """
def init(**how):
    note("init")
def log(figures, step):
    note(step, figures)
def finish():
    note("finish")
"""


def test_a_hanging_reporter_does_not_delay_a_job(tmp_path: Path, tiny: Path) -> None:
    packages = tmp_path / "packages"
    hanging = put(packages, "wandb", HANGS)
    calls = put(packages, "trackio", QUICK)
    project = make_project(tmp_path / "tests", tiny)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", PYTHONPATH=str(packages))
    try:
        config = {**CONFIG, "maxSteps": 6, "loggingSteps": 1, "evalSteps": 3}
        for _ in range(3):  # so short a job may be over before a reporter's process is there to say where
            job = backend.submit({**config, "reportTo": ["trackio", "wandb", "mlflow"]}, "bot")
            events = [frame for frame in backend.events(job) if frame.event == "training.message"]
            messages = [frame.json["message"] for frame in events]
            assert messages[0] == (
                "No metrics are reported to mlflow, which is not installed. Install it with: "
                + install_command("mlflow")
            )
            where = f"Reported to trackio: the run bot-{job} of tests (trackio show)"
            if where in messages:
                break
            until(lambda: ["finish"] in calls_in(calls), 60)
            calls.unlink()
        assert where in messages
        found = backend.job(job)
        assert found["status"] == "completed"
        assert found["settings"]["reportTo"] == ["trackio", "wandb", "mlflow"]
        until(lambda: ["finish"] in calls_in(calls), 60)
        losses = [call[0] for call in calls_in(calls) if len(call) > 1 and "train/loss" in call[1]]
        assert losses == [1, 2, 3, 4, 5, 6]
        until(lambda: calls_in(hanging))
        # The queue does not wait for it: the next job runs while it still hangs.
        assert backend.processes("reporting.worker")
        after = backend.submit({**config, "maxSteps": 1})
        backend.wait_for(after, "training.completed")
        assert backend.process.stdin
        backend.process.stdin.close()
        until(lambda: not backend.processes())
    finally:
        backend.stop()

"""Figures come to each reporter once and in order; one that hangs, fails or is missing is in nobody's way."""

from __future__ import annotations

import asyncio
import functools
import importlib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.events import RunMetadata, SystemMetrics, TrainingLog, TrainingStarted, log_with
from arkor_dev.contract.extras import install_command
from arkor_dev.local.jobs.job_folder import report_file
from arkor_dev.local.reporting import service
from arkor_dev.local.reporting.service import Report, ReportingService, Reports
from arkor_dev.local.workers.process import Child
from tests.local.reporting.stand_ins import BODIES, HANGS, calls_in, put
from tests.support.processes import alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.local.reporting.messages import NamedJob

JOB: NamedJob = {"id": "job_1", "name": "support bot"}
METADATA: RunMetadata = {"device": "cpu", "settings": {"learningRate": 0.01}}
STARTED: TrainingStarted = {"type": "training.started", "metadata": METADATA}


def rows(*steps: int) -> list[Event]:
    """The events of these steps, the last of which is evaluated."""
    logs: list[Event] = [
        {"type": "training.log", "step": step, "epoch": 0.5, "loss": 9.0 - step} for step in steps
    ]
    sample: SystemMetrics = {"type": "system.metrics", "step": steps[-1], "cpu": 0.5}
    return [*logs, {"type": "training.log", "step": steps[-1], "epoch": 0.5, "evalLoss": 2.0}, sample]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of this process and of those that it starts."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for name in ("WANDB_PROJECT", "TRACKIO_PROJECT", "MLFLOW_EXPERIMENT_NAME", "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


class Bench:
    """Reports jobs of a project; ``said`` are the sentences for the job's log."""

    def __init__(self, root: Path) -> None:
        self.project = root / "my-project"
        self.project.mkdir()
        (root / "data" / "jobs" / "job_1").mkdir(parents=True)
        self.reporting = ReportingService(functools.partial(report_file, root / "data"), self.project)
        self.said: list[str] = []

    def begin(self, *to: str, resumes: bool = False) -> Reports:
        importlib.invalidate_caches()
        return self.reporting.begin(JOB, list(to), self.said.append, resumes=resumes)

    async def end(self, reports: Reports, status: str = "completed") -> None:
        self.reporting.end(JOB, reports, status)
        async with asyncio.timeout(100):
            await asyncio.gather(*self.reporting._finishing.values())


@pytest.fixture
async def bench(tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(service, "CLOSE_SECONDS", 90.0)  # a busy machine is slow to start what it reports to
    bench = Bench(tmp_path)
    yield bench
    await bench.reporting.close()
    assert bench.reporting._finishing == {}


OPENED: dict[str, list[list[Any]]] = {
    "wandb": [
        [
            "init",
            {
                "project": "my-project",
                "id": "job_1",
                "name": "support bot",
                "resume": "allow",
                "config": {"device": "cpu", "learningRate": 0.01},
            },
        ]
    ],
    "trackio": [
        [
            "init",
            {
                "project": "my-project",
                "name": "support-bot-job_1",
                "config": {"device": "cpu", "learningRate": 0.01},
                "resume": "allow",
            },
        ]
    ],
    "mlflow": [
        ["experiment", "my-project"],
        ["start", {"run_name": "support bot", "tags": {"arkor.job": "job_1"}}],
        ["params", {"device": "cpu", "learningRate": "0.01"}],
    ],
}
AGAIN: dict[str, list[list[Any]]] = {
    "wandb": OPENED["wandb"],
    "trackio": OPENED["trackio"],
    "mlflow": [["experiment", "my-project"], ["start", {"run_id": "run7"}]],
}
ENDS: dict[str, dict[str, list[list[Any]]]] = {
    "wandb": {"crashed": [["finish", 1]], "completed": [["finish", 0]]},
    "trackio": {"crashed": [["finish"]], "completed": [["finish"]]},
    "mlflow": {"crashed": [["finish", "FAILED"]], "completed": [["finish", "FINISHED"]]},
}
WHERE = {
    "wandb": "Reported to wandb: https://***@example.org/runs/7",
    "trackio": "Reported to trackio: the run support-bot-job_1 of my-project (trackio show)",
    "mlflow": "Reported to mlflow: the run run7 of my-project at sqlite:///mlflow.db",
}


def figures(step: int) -> list[Any]:
    return ["log", step, {"train/loss": 9.0 - step, "train/epoch": 0.5}]


def last(step: int) -> list[list[Any]]:
    return [figures(step), ["log", step, {"eval/loss": 2.0}], ["log", step, {"system/cpu": 0.5}]]


@pytest.mark.parametrize("name", BODIES)
async def test_a_resumed_run_reports_each_step_once(bench: Bench, packages: Path, name: str) -> None:
    calls = put(packages, name, BODIES[name])
    reports = bench.begin(name)
    reports.take([{"type": "training.message", "message": "Computing"}, STARTED, *rows(1, 2)])
    reports.take(rows(3))
    await bench.end(reports, "crashed")
    first = calls_in(calls)
    assert first == [*OPENED[name], figures(1), *last(2), *last(3), *ENDS[name]["crashed"]]
    assert bench.said == [WHERE[name]]

    calls.unlink()
    reports = bench.begin(name, resumes=True)
    reports.take([{"type": "training.resumed", "step": 1}, STARTED, *rows(2), *rows(3), *rows(4)])
    await bench.end(reports)
    again = [["log", 3, {"system/cpu": 0.5}]]  # of the machine there are several samples to a step
    assert calls_in(calls) == [*AGAIN[name], *again, *last(4), *ENDS[name]["completed"]]
    assert bench.said == [WHERE[name]]


async def test_metrics_of_the_training_method_are_reported(bench: Bench, packages: Path) -> None:
    calls = put(packages, "trackio", BODIES["trackio"])
    reports = bench.begin("trackio")
    metadata = METADATA.copy()
    metadata["figures"] = [{"name": "margin", "label": "Margin", "unit": ""}]
    trained, evaluated = {"loss": 8.0, "margin": 0.5, "other": 1}, {"evalLoss": 2.0, "evalMargin": 0.25}
    row = TrainingLog(type="training.log", step=1)
    reports.take([{"type": "training.started", "metadata": metadata}, log_with(row, trained)])
    reports.take([log_with(row, evaluated)])
    await bench.end(reports)
    logged = [call[2] for call in calls_in(calls) if call[0] == "log"]
    assert logged == [{"train/loss": 8.0, "train/margin": 0.5}, {"eval/loss": 2.0, "eval/margin": 0.25}]


async def test_a_rolled_back_run_reports_the_new_metrics(bench: Bench, packages: Path) -> None:
    calls = put(packages, "trackio", BODIES["trackio"])
    reports = bench.begin("trackio")
    reports.take([STARTED, *rows(1, 2, 3), {"type": "training.resumed", "step": 1}, *rows(2)])
    await bench.end(reports)
    steps = [call[1] for call in calls_in(calls) if call[0] == "log" and "train/loss" in call[2]]
    assert steps == [1, 2, 3, 2]


def only(reports: Reports, report: Report) -> Reports:
    """One of a job's reporters, to be ended by itself."""
    some = Reports(lambda _: None, resumes=False)
    some.reports = [report]
    assert report in reports.reports
    return some


async def test_a_hanging_reporter_is_killed_after_the_end(
    bench: Bench, packages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "WAITING", 10)
    calls = put(packages, "wandb", HANGS)
    other = put(packages, "trackio", BODIES["trackio"])
    reports = bench.begin("wandb", "trackio")
    reports.take([STARTED, *rows(1)])
    async with asyncio.timeout(60):
        while not calls_in(calls):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    hanging, quick = reports.reports
    for step in range(2, 40):
        reports.take([{"type": "training.log", "step": step, "loss": 1.0}])
        async with asyncio.timeout(60):
            while quick._queue:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert hanging.lost == 38 - 10
    assert quick.lost == 0
    assert "wandb accepts metrics too slowly: the oldest are dropped" in bench.said
    children = [task for task in asyncio.all_tasks() if task.get_name() == "report to wandb"]
    assert children == [hanging.task]
    with monkeypatch.context() as patch:
        patch.setattr(service, "CLOSE_SECONDS", 0.2)
        await bench.end(only(reports, hanging))
    assert hanging.task.done()
    assert "28 metrics were not reported to wandb, which was too slow" in bench.said
    assert bench.said[-1] == (
        "wandb has not finished 0.2 s after the job, and was killed: 10 metrics are missing there"
    )
    # The other one is as good as ever.
    await bench.end(only(reports, quick))
    assert [call[1] for call in calls_in(other) if call[0] == "log" and "train/loss" in call[2]] == [
        *range(1, 40)
    ]
    assert calls_in(other)[-1] == ["finish"]


FAULTS = {
    "raise ImportError('no libfoo at //me:secret@host')": "ImportError: no libfoo at //***@host",
    "sys.exit('you are not signed in')": "SystemExit: you are not signed in",
    "os._exit(3)": "its process ended with exit status 3: it left no message",
    "os.kill(os.getpid(), 9)": "its process was killed",
    "": "AttributeError: module 'wandb' has no attribute 'init'",
}


@pytest.mark.parametrize("body", FAULTS)
async def test_a_failing_reporter_is_reported_once(bench: Bench, packages: Path, body: str) -> None:
    put(packages, "wandb", body)
    reports = bench.begin("wandb")
    reports.take([STARTED, *rows(1)])
    (report,) = reports.reports
    async with asyncio.timeout(60):
        await asyncio.wait({report.task})
    reports.take(rows(2))
    assert len(report._queue) == 0
    await bench.end(reports)
    assert bench.said == [f"No further metrics are reported to wandb: {FAULTS[body]}"]


async def test_a_missing_reporter_is_named_before_the_run(bench: Bench, packages: Path) -> None:
    (packages / "wandb").mkdir()  # as W&B leaves one in a project
    said = (
        "No metrics are reported to wandb, which is not installed. Install it with: "
        f"{install_command('wandb')}"
    )
    reports = bench.begin("wandb", "wandb")
    assert reports.reports == []
    assert bench.said == [said]
    await bench.end(reports)
    # A log that has it already is not told again, one that began anew is.
    for step, more in ((5, []), (0, [said])):
        reports = bench.begin("wandb", resumes=True)
        reports.take([{"type": "training.resumed", "step": step}, STARTED])
        assert bench.said == [said, *more]


@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
async def test_project_files_do_not_choose_the_wandb_server(
    bench: Bench, packages: Path, folder: str
) -> None:
    put(packages, "wandb", BODIES["wandb"])
    (bench.project / folder).mkdir()
    settings = bench.project / folder / "settings"
    settings.write_text("[default]\nbase_url = https://example.org\n")
    for chosen in (True, False):
        reports = bench.begin("wandb")
        await bench.end(reports)
        assert (reports.reports == []) == chosen
        settings.unlink(missing_ok=True)
    (said,) = bench.said
    assert said.startswith(f"No metrics are reported to wandb: the project's {folder}/settings chooses")


async def test_a_resumed_job_waits_for_the_old_reporter(bench: Bench, packages: Path) -> None:
    """Two processes that write to one run would be in each other's way."""
    calls = put(packages, "trackio", BODIES["trackio"])
    first = bench.begin("trackio")
    first.take([STARTED, *rows(1)])
    bench.reporting.end(JOB, first, "crashed")
    second = bench.begin("trackio", resumes=True)
    second.take([{"type": "training.resumed", "step": 1}, STARTED, *rows(2)])
    await bench.end(second)
    assert [call[0] for call in calls_in(calls)] == ["init", "log", "log", "log", "finish"] * 2


async def test_reporters_end_with_the_backend(
    bench: Bench, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = []
    start = Child.start

    async def noted(*arguments: Any, **more: Any) -> Any:
        child = await start(*arguments, **more)
        pids.append(child.pid)
        return child

    monkeypatch.setattr(Child, "start", noted)
    put(packages, "wandb", HANGS)
    reports = bench.begin("wandb")
    reports.take([STARTED, *rows(1)])
    bench.reporting.end(JOB, reports, "paused")
    async with asyncio.timeout(60):
        while not pids:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await bench.reporting.close()
    assert not any(map(alive, pids))


async def test_tensorboard_shows_every_step_once(bench: Bench) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reports = bench.begin("tensorboard")
    reports.take([STARTED, *rows(1, 2, 3)])
    await bench.end(reports, "crashed")
    reports = bench.begin("tensorboard", resumes=True)
    reports.take([{"type": "training.resumed", "step": 1}, STARTED, *rows(2), *rows(3), *rows(4)])
    await bench.end(reports)
    folder = bench.project / "runs" / "support-bot-job_1"
    assert bench.said == [f"Reported to tensorboard: {folder} (tensorboard --logdir {folder.parent})"]
    shown = EventAccumulator(str(folder)).Reload()
    assert [(point.step, point.value) for point in shown.Scalars("train/loss")] == [
        (step, 9.0 - step) for step in (1, 2, 3, 4)
    ]
    assert [point.step for point in shown.Scalars("eval/loss")] == [3, 4]
    text = shown.Tensors("settings")[0].tensor_proto.string_val[0].decode()
    assert "learningRate = 0.01" in text

"""``arkor-dev jobs``: what there is, in words and as JSON, and the end of the one that is meant."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.cli.commands.jobs import lines_of
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement import WORKERS
from arkor_dev.jobs import figures
from arkor_dev.local.jobs.store import Store
from tests.support.fake_job_rows import NOTHING

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

CONFIG = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}


class Command:
    """``arkor-dev jobs`` or ``local`` in this process, on the test's project and backend."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys

    async def run(self, code: int, command: str, *more: str) -> str:
        """What it prints, on standard error when it fails; ``code`` has to be its exit code."""
        arguments = [command, "--project", str(self._settings.project), *more]
        assert await asyncio.to_thread(cli.main, arguments) == code
        out, err = self._capsys.readouterr()
        return err if code == 2 else out


@pytest.fixture
def command(
    settings: Settings,
    fake_backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)
    return Command(settings, capsys)


async def test_jobs_are_listed_newest_first(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    assert await command.run(0, "jobs") == "No job has run yet.\n"
    said: dict[str, Any] = {"tags": ["a", "b\x1b[31m"], "starred": True}
    old = fake_backend.add_job("completed", name="old", createdAt="2026-01-01T00:00:00Z", **said)
    place = {"position": 1, "behind": None, "held": True}
    hostile = "\x1b[31mnew\u202e\nline"
    new = fake_backend.add_job("queued", name=hostile, createdAt="2026-01-02T00:00:00Z", queue=place)
    head, first, second = (await command.run(0, "jobs")).splitlines()
    assert head.split() == ["STATUS", "CREATED", "ID", "NAME"]
    assert first.split()[:3] == ["queued", "1", "(held)"]
    assert first.endswith(f"{new}  new line")
    assert second.startswith("completed  ")
    assert second.endswith(f"{old}  * old  [a, b]")
    listed = json.loads(await command.run(0, "jobs", "--json"))["jobs"]
    assert listed == [fake_backend.jobs[new], fake_backend.jobs[old]]


async def test_storage_trouble_is_printed_above_the_jobs(
    settings: Settings,
    command: Command,
    signed_in: None,
    fake_backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_backend.trouble = "The disk is full:\x1b[31m run arkor-dev local gc."
    assert await asyncio.to_thread(cli.main, ["jobs", "--project", str(settings.project)]) == 0
    assert capsys.readouterr().err == "The disk is full: run arkor-dev local gc.\n"


async def test_a_job_is_cancelled_by_id_prefix_name_or_latest(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    for number, job_id in enumerate(("job_aa1", "job_aa2", "job_b")):
        fake_backend.add_job(id=job_id, name=job_id[4:], createdAt=f"2026-01-0{number + 1}T00:00:00Z")

    def statuses() -> list[str]:
        return [job["status"] for job in fake_backend.jobs.values()]

    refused = await command.run(2, "jobs", "cancel", "job_aa")
    assert "job_aa2, job_aa1. Give more of the id" in refused
    assert "There is no job nope" in await command.run(2, "jobs", "cancel", "nope")
    assert "Name a job" in await command.run(2, "jobs", "cancel")
    assert "There is no job stop" in await command.run(2, "jobs", "stop")
    assert statuses() == ["running"] * 3
    assert await command.run(0, "jobs", "cancel", "job_aa1") == "job_aa1 (aa1) is cancelled.\n"
    assert statuses() == ["cancelled", "running", "running"]
    assert await command.run(0, "jobs", "cancel", "latest") == "job_b (b) is cancelled.\n"
    answer = json.loads(await command.run(0, "jobs", "cancel", "job_aa2", "--json"))
    assert answer["job"]["status"] == "cancelled"
    again = await command.run(0, "jobs", "cancel", "job_b")
    assert again == "job_b (b) is already cancelled: nothing was cancelled.\n"
    assert fake_backend.count("POST /v1/jobs/{id}/cancel") == 3


async def test_listing_jobs_creates_no_identity(
    command: Command, settings: Settings, fake_backend: FakeBackend
) -> None:
    assert "add --local" in await command.run(2, "jobs")
    assert fake_backend.requests == []
    assert not (settings.arkor_home / "credentials.json").exists()


async def test_listing_local_jobs_starts_no_job(
    command: Command, settings: Settings, forked_backends: None
) -> None:
    settings.local_data.mkdir(parents=True)
    store = Store(settings.local_data / "backend.sqlite", "local")
    waiting, done = store.create("waiting", CONFIG)["id"], store.create("done", CONFIG)["id"]
    store.finish(done, {"type": "training.completed"})
    store.close()
    for _ in range(2):
        listed = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
        assert {job["id"]: job["status"] for job in listed} == {waiting: "queued", done: "completed"}
    assert "is cancelled." in await command.run(0, "jobs", "cancel", waiting[:10], "--local")
    listed = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
    assert {job["status"] for job in listed} == {"cancelled", "completed"}


@pytest.fixture
def able(fake_backend: FakeBackend, signed_in: None) -> FakeBackend:
    """A backend that can pause, resume and extend."""
    fake_backend.features = ["extend", "pause", "resume"]
    return fake_backend


async def test_a_job_is_paused_and_resumed(command: Command, able: FakeBackend) -> None:
    job = able.add_job(id="job_a", name="bot")
    able.log(job, 12, loss=1.0)
    assert await command.run(0, "jobs", "pause", "latest") == "job_a (bot) is paused after step 12.\n"
    again = "job_a (bot) is already paused: nothing was paused.\n"
    assert await command.run(0, "jobs", "pause", "job_a") == again
    assert (await command.run(0, "jobs")).splitlines()[1].startswith("paused at 12  ")
    (listed,) = json.loads(await command.run(0, "jobs", "--json"))["jobs"]
    assert (listed["status"], listed["pause"]) == ("paused", {"step": 12, "reason": "asked"})
    answer = json.loads(await command.run(0, "jobs", "resume", "job_a", "--json"))
    assert answer["job"]["status"] == "queued"
    refused = await command.run(2, "jobs", "pause", "job_a")
    assert "there is nothing to pause" in refused
    assert able.last("POST /v1/jobs/{id}/resume").json() == {}


async def test_resuming_with_changed_data_says_how_to_force(command: Command, able: FakeBackend) -> None:
    able.add_job("paused", id="job_a", name="bot", pause={"step": 3, "reason": "asked"})
    able.resuming.changed["job_a"] = "data.jsonl has changed."
    refused = await command.run(2, "jobs", "resume", "job_a")
    assert "data.jsonl has changed. To continue anyway, add --force." in refused
    assert await command.run(0, "jobs", "resume", "job_a", "--force") == "job_a (bot) resumes after step 3.\n"
    able.add_job("paused", id="job_c", name="bot", pause={"step": 3, "reason": "asked"})
    await command.run(0, "jobs", "resume", "job_c", "--workers", f"{WORKERS.high}")
    assert able.last("POST /v1/jobs/{id}/resume").json() == {"workers": WORKERS.high}
    able.add_job("paused", id="job_d", name="bot", pause={"step": 3, "reason": "asked"})
    await command.run(0, "jobs", "resume", "job_d", "--at", "here")
    assert able.last("POST /v1/jobs/{id}/resume").json() == {"on": "here"}
    able.add_job("paused", id="job_e", name="bot", pause={"step": 3, "reason": "asked"})
    await command.run(0, "jobs", "resume", "job_e", "--at", "ray://head:10001", "--workers", "2")
    assert able.last("POST /v1/jobs/{id}/resume").json() == {"on": "ray://head:10001", "workers": 2}
    able.add_job("failed", id="job_b", name="bot")
    refused = await command.run(2, "jobs", "resume", "job_b")
    assert "cannot resume" in refused
    assert "--force" not in refused


async def test_a_finished_job_gets_a_later_end(command: Command, able: FakeBackend) -> None:
    job = able.add_job(id="job_a", name="bot")
    able.log(job, 40, loss=1.0)
    able.finish(job)
    assert "Give the new end: --steps or --epochs" in await command.run(2, "jobs", "extend", "job_a")
    assert "has 40 steps already" in await command.run(2, "jobs", "extend", "job_a", "--steps", "40")
    said = await command.run(0, "jobs", "extend", "job_a", "--steps", "60", "--schedule", "restart")
    assert said == "job_a (bot) resumes after step 40.\n"
    assert able.last("POST /v1/jobs/{id}/extend").json() == {"maxSteps": 60, "schedule": "restart"}
    able.begin(job)
    able.finish(job)
    await command.run(0, "jobs", "extend", "job_a", "--epochs", "2.5")
    assert able.last("POST /v1/jobs/{id}/extend").json() == {"numTrainEpochs": 2.5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pause", "x", "--force"], "--force for resume and extend"),
        (["extend", "x", "--steps", "5", "--at", "here"], "--at is for jobs resume"),
        (["resume", "x", "--steps", "5"], "are for jobs extend"),
        (["extend", "x", "--steps", "5", "--workers", "2"], "--workers is for jobs resume"),
        (["resume", "x", "--workers", "0"], "valid number of workers"),
        (["resume", "x", "--workers", str(int(WORKERS.high) + 1)], f"workers ({WORKERS.words})."),
        (["--epochs", "5"], "are for jobs extend"),
        (["diff", "x"], "jobs diff takes only --with, and needs it"),
        (["show", "x", "--with", "y"], "--with is for jobs diff"),
        (["extend", "x", "--steps", "0"], "valid number of steps"),
        (["extend", "x", "--epochs", "nan"], "valid number of epochs"),
        (["extend", "x", "--steps", "5", "--schedule", "up"], "one of continue, restart"),
        (["extend", "x", "--steps", "5", "--epochs", "5"], "Give the new end: --steps or --epochs"),
    ],
)
async def test_invalid_options_send_no_request(
    command: Command, able: FakeBackend, arguments: list[str], words: str
) -> None:
    assert words in await command.run(2, "jobs", *arguments)
    assert able.requests == []


async def test_pausing_needs_the_feature(
    command: Command, fake_backend: FakeBackend, signed_in: None
) -> None:
    fake_backend.add_job(id="job_a")
    assert "This backend can't pause a job." in await command.run(2, "jobs", "pause", "job_a")


def recorded(fake: FakeBackend, status: str = "completed") -> str:
    """A job with figures, some of which are no numbers, and a step that was made again."""
    job = fake.add_job("running", name="a")
    fake.log(job, 1, loss=2.5, learningRate=1e-3, timestamp="2026-01-01T00:00:01Z")
    fake.log(job, 2, loss=9.0, timestamp="=cmd|x")
    fake.emit(job, "system.metrics", step=2, cpu=0.5, memory=1000, timestamp="2026-01-01T00:00:02Z")
    fake.emit(job, "training.resumed", step=1)
    fake.log(job, 2, loss=1.5, evalLoss=None, note="=1+1", timestamp="2026-01-01T00:00:03Z")
    fake.emit_raw(job, b'id: 99\nevent: training.log\ndata: {"step":3,"loss":1e309,"evalLoss":2}\n\n', "99")
    fake.emit(job, "system.metrics", step=3, cpu=0.25, timestamp="soon")
    if status != "running":
        fake.finish(job, status)
    return job


async def test_a_job_is_shown_with_verdict_and_files(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    evaluation: dict[str, Any] = {"verdict": "better", "sentence": "Better\x1b[31m than the base."}
    metrics = {"step": 3, "totalSteps": 3, "loss": 1.5, "evalLoss": "nan"}
    job = fake_backend.add_job("completed", name="bot", evaluation=evaluation, metrics=metrics)
    for step in range(1, 13):
        saved = {"kind": "checkpoint", "name": f"step {step}", "step": step, "path": f"/data/{step}"}
        fake_backend.emit(job, "checkpoint.saved", step=step, artifacts=[saved])
    fake_backend.emit(job, "checkpoint.removed", step=1)
    final = {"kind": "adapter", "name": "final", "bytes": 68732, "path": "/data/fi\nnal"}
    fake_backend.emit(job, "training.completed", artifacts=[final, 5])
    shown = (await command.run(0, "jobs", "show", "latest")).splitlines()
    created = fake_backend.jobs[job]["createdAt"]
    assert shown == [
        f"bot ({job})",
        "  status      completed, step 3 of 3",
        f"  created     {created}",
        "  model       tiny",
        "  loss        1.500",
        "  verdict     Better than the base.",
        "  checkpoints of step 2, 3, 4, 5, 6, …, 8, 9, 10, 11, 12",
        "  final       /data/fi nal (68.7 kB)",
    ]
    assert (await command.run(0, "jobs", job)).splitlines() == shown
    assert (await command.run(0, "jobs")).splitlines()[1].split()[:2] == ["completed", "learned"]
    evaluation["extendTo"] = 60
    assert "still learning" in await command.run(0, "jobs"), "its loss was still falling"
    del evaluation["extendTo"]
    told = json.loads(await command.run(0, "jobs", "show", job, "--json"))
    assert told["job"] == fake_backend.jobs[job]
    assert [each["name"] for each in told["artifacts"]][-2:] == ["step 12", "final"]
    assert "--steps, --epochs" in await command.run(2, "jobs", "show", job, "--steps", "3")
    evaluation["heldOut"] = {"measure": {"label": "Mean reward", "unit": "", "higher": True}}
    assert "  loss" not in await command.run(0, "jobs", "show", job)


@pytest.mark.parametrize("status", [[], {}, 5, None])
async def test_malformed_jobs_are_not_listed(
    command: Command, signed_in: None, fake_backend: FakeBackend, status: object
) -> None:
    hostile, job = (fake_backend.add_job("completed", name=name) for name in ("hostile", "half\ud800"))
    fake_backend.jobs[hostile]["status"] = status
    listed = await command.run(0, "jobs")
    assert hostile not in listed
    assert listed.splitlines()[1].endswith(f"{job}  half")
    assert "There is no job" in await command.run(2, "jobs", "show", hostile)


async def test_rows_of_two_jobs_are_compared(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["rows"]
    first, second = (fake_backend.add_job("completed", name=name) for name in ("old", "new"))
    new = {"kind": "added", "where": "data/a.jsonl, line 8", "excerpt": "Where?\x1b[31m"}
    told = {"train": {**NOTHING, "same": 1007, "added": 1, "rows": [new, 7]}}
    fake_backend.job_rows.told[second, first] = told
    assert (await command.run(0, "jobs", "diff", second, "--with", first)).splitlines() == [
        "new against old",
        "Training rows: 1 added, 0 removed, 0 changed, 1,007 the same",
        "  added    data/a.jsonl, line 8  Where?",
        "Held-out rows: 0 added, 0 removed, 0 changed, 0 the same",
    ]
    said = json.loads(await command.run(0, "jobs", "diff", second, "--with", first, "--json"))
    assert said["difference"]["train"] == told["train"]
    assert "no record of its rows" in await command.run(2, "jobs", "diff", first, "--with", second)


async def test_metrics_are_written_as_csv_and_json_lines(
    command: Command, signed_in: None, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    job = recorded(fake_backend)
    whole = await command.run(0, "jobs", "figures", job)
    rows = list(csv.DictReader(whole.splitlines()))
    assert [(row["event"], row["step"], row["loss"], row["evalLoss"], row["cpu"]) for row in rows] == [
        ("training.log", "1", "2.5", "", ""),
        ("training.log", "2", "1.5", "", ""),
        ("training.log", "3", "", "2", ""),
        ("system.metrics", "3", "", "", "0.25"),
    ]
    assert "=" not in whole
    assert rows[0]["timestamp"] == "2026-01-01T00:00:01Z"
    lines = (await command.run(0, "jobs", "figures", job, "--format", "jsonl")).splitlines()
    assert json.loads(lines[0]) == {
        "event": "training.log",
        "timestamp": "2026-01-01T00:00:01Z",
        "step": 1,
        "loss": 2.5,
        "learningRate": 1e-3,
    }
    assert len(lines) == 4
    out = tmp_path / "figures.csv"
    said = await command.run(0, "jobs", "figures", "latest", "--out", str(out))
    assert said == f"4 rows of {job} in {out}\n"
    assert out.read_text() == whole
    assert "already exists" in await command.run(2, "jobs", "figures", job, "--out", str(out))
    nowhere = str(tmp_path / "figures.csv" / "x")
    assert "cannot be written" in await command.run(2, "jobs", "figures", job, "--out", nowhere)


async def test_invalid_steps_are_omitted(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job("completed", name="bot")
    for step in (1e300, -1, "2", 2):
        fake_backend.emit(job, "training.log", step=step, loss=1.0)
    fake_backend.finish(job)
    written = (await command.run(0, "jobs", "figures", job, "--format", "jsonl")).splitlines()
    assert [json.loads(line)["step"] for line in written] == [None, None, None, 2]


async def test_metrics_of_the_training_method_are_columns(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job("running", name="a")
    named = [{"name": "margin"}, {"name": "=x"}, {"name": 3}, None]
    fake_backend.emit(job, "training.started", metadata={"figures": named})
    fake_backend.log(job, 1, loss=2.5, margin=0.5, other=7)
    fake_backend.emit(job, "training.log", step=1, evalLoss=2, evalMargin=0.25)
    fake_backend.finish(job, "completed")
    rows = list(csv.DictReader((await command.run(0, "jobs", "figures", job)).splitlines()))
    assert [(row["loss"], row["margin"], row["evalMargin"]) for row in rows] == [
        ("2.5", "0.5", ""),
        ("", "", "0.25"),
    ]
    assert rows[0].keys().isdisjoint({"other", "=x"})


async def test_metrics_of_a_running_job_are_written_so_far(
    command: Command, signed_in: None, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "QUIET_SECONDS", (60.0, 0.3))  # they come in one piece, but perhaps late
    job = recorded(fake_backend, "running")
    lines = (await command.run(0, "jobs", "figures", job, "--format", "jsonl")).splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 3]


async def test_a_truncated_history_writes_no_file(
    command: Command, signed_in: None, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(figures, "WHOLE_SECONDS", 0.3)
    job = recorded(fake_backend)
    fake_backend.fault("GET /v1/jobs/{id}/events/stream", hang=True)
    out = tmp_path / "figures.csv"
    said = await command.run(2, "jobs", "figures", job, "--out", str(out))
    assert "did not send this job's complete history" in said
    assert not out.exists()
    fake_backend.heal()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["figures", "latest", "--format", "xls"],
            "xls is not a valid format. Choose one of csv,",
        ),
        (["figures", "latest", "--format", "tensorboard"], "need a folder"),
        (["figures", "latest", "--steps", "3"], "jobs figures takes only --format and --out"),
        (["cancel", "latest", "--out", "x"], "--format and --out are only for jobs figures"),
    ],
)
async def test_invalid_options_of_figures_are_refused(
    command: Command, signed_in: None, fake_backend: FakeBackend, arguments: list[str], said: str
) -> None:
    recorded(fake_backend)
    assert said in await command.run(2, "jobs", *arguments)


async def test_tensorboard_reads_the_written_events(
    command: Command, signed_in: None, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    job, folder = recorded(fake_backend), tmp_path / "runs"
    await command.run(0, "jobs", "figures", job, "--format", "tensorboard", "--out", str(folder))
    (path,) = folder.iterdir()
    read = [
        (value.tag, event.step, round(value.tensor.float_val[0], 4))
        for event in loader.EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]
    assert read == [
        ("train/loss", 1, 2.5),
        ("train/learning_rate", 1, 0.001),
        ("train/loss", 2, 1.5),
        ("eval/loss", 3, 2.0),
        ("system/cpu", 3, 0.25),
    ]


async def test_tensorboard_needs_its_extra(
    command: Command, signed_in: None, fake_backend: FakeBackend, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    job = recorded(fake_backend)
    out = str(tmp_path / "runs")
    said = await command.run(2, "jobs", "figures", job, "--format", "tensorboard", "--out", out)
    assert install_command("tensorboard") in said


def test_a_verdict_wraps_between_words() -> None:
    words = "Better at your task and in general, by a sentence that is longer than the terminal is wide."
    job: Any = {"id": "job_1", "name": "bot", "status": "completed", "evaluation": {"sentence": words}}
    (first, *more) = [
        line for line in lines_of(job, [], 60) if "verdict" in line or line.startswith(" " * 14)
    ]
    assert all(len(line) <= 60 for line in (first, *more))
    assert more
    assert " ".join([first.removeprefix("  verdict"), *more]).split() == words.split()

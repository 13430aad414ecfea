"""Sweeps in the local backend: a true one of a tiny model with a kill, and what a crash leaves behind."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.main import main
from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.local.cards.job_rows import files_read, save_rows
from arkor_dev.local.checkpoints.origin import DATA_CHANGED, FileHashes, hash_of_readable_data
from arkor_dev.local.evaluation import results
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.sweeps import plan, record, service
from arkor_dev.local.sweeps.held_out import held_out
from arkor_dev.local.sweeps.messages import HeldOut, HoldOut, JudgeSweep, Suggested, SuggestTrial, SweepJudged
from arkor_dev.local.sweeps.record import MOST_TRIALS, Estimate, SweepRecord, Trial
from arkor_dev.local.sweeps.service import Sweeps
from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend, until
from tests.local.jobs.test_scheduler import Worker, scheduler_of, store
from tests.support.waiting import until as until_async

if TYPE_CHECKING:
    from arkor_dev.contract.events import Event
    from arkor_dev.contract.shapes import JobSweep, NewSweep, Sweep, SweepTrial
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.workers.codec import Message

__all__ = ["store"]

TINY: Any = {
    **{key: value for key, value in CONFIG.items() if key not in ("saveSteps", "evalSteps")},
    "learningRate": 1e-5,
    "maxSteps": 9,
    "datasetSplit": 0.3,
}
SPACE: Any = {"learningRate": [1e-5, 1e-2]}
TOML = """
[[trainer]]
name = "bot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
learning_rate = 1e-5
steps = 9
eval_split = 0.3
number_format = "float32"

[sweep]
hours = 0.2
[sweep.space]
learning_rate = [1e-5, 1e-2]
"""
FORECAST = {"state": "measured", "steps": 27, "seconds": 3.0, "trainingSeconds": 2.0}


def in_time(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.engine
@pytest.mark.beside
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_a_sweep_survives_a_kill_and_finds_the_better_rate(
    tmp_path: Path,
    tiny: Path,
    home: Path,
    template: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = make_project(tmp_path / "tests", tiny)
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))

    def start() -> Backend:
        return Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)

    def sweep() -> dict[str, Any]:
        found: dict[str, Any] = backend.call("GET", "/v1/sweeps").json["sweeps"][0]
        return found

    def results() -> list[Any]:
        return [each for trial in sweep()["trials"] for each in trial["results"]]

    def command(action: str, *more: str) -> dict[str, Any]:
        backend.leave_word(project, home)
        assert main(["sweep", action, *more, "--local", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["sweep"]
        return found

    (project / "arkor.toml").write_text(TOML)
    backend = start()
    try:
        assert command("start")["state"] == "running"
        body: NewSweep = {"name": "night", "config": TINY, "space": SPACE, "deadline": in_time(500)}
        assert backend.call("POST", "/v1/sweeps", body).status == 409
        until(lambda: len(results()) >= 2, 200)
        before = results()
        for pid in backend.processes():
            os.kill(pid, signal.SIGKILL)
        backend.stop()
        backend = start()
        assert results()[: len(before)] == before
        until(lambda: sweep()["state"] != "running", 300)
        found = command("status")
        assert found == sweep()
        assert found["state"] == "completed", found
        assert datetime.fromisoformat(found["endedAt"]) < datetime.fromisoformat(found["deadline"])
        assert found["rungs"] == [3, 9]
        assert found["best"] == 1
        verdict = found["verdict"]
        assert verdict["verdict"] == "better"
        assert verdict["settings"] == {"learningRate": 1e-2, "lrSchedulerType": "wsd", "warmupSteps": 0}
        assert verdict["rows"] == 9  # half of 18
        jobs = backend.call("GET", "/v1/jobs").json["jobs"]
        numbers = [0, 1, *range(MOST_TRIALS, MOST_TRIALS + 6)]
        assert sorted(job["sweep"]["trial"] for job in jobs) == numbers  # nothing lost, nothing twice
        steps = [[each["step"] for each in trial["results"]] for trial in found["trials"]]
        assert steps == [[3, 9], [3, 9], *[[9]] * 6]
        command("delete", found["id"], "--with-jobs")
        assert backend.call("GET", "/v1/sweeps").json["sweeps"] == []
        assert backend.call("GET", "/v1/jobs").json["jobs"] == []
    finally:
        backend.stop()


class Known:
    """Has estimated every run before."""

    async def request(self, config: dict[str, Any]) -> dict[str, Any]:
        return FORECAST

    async def stored_estimate(self, config: dict[str, Any]) -> None:
        return None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process for Optuna, and data of which enough is held out."""

    async def ask(self: object, request: Message, _: object) -> Message:
        match request:
            case SuggestTrial(trials=trials):
                return Suggested({"learningRate": 1e-4 * len(trials)})
            case JudgeSweep():
                return SweepJudged([])
        return HeldOut(None)

    monkeypatch.setattr(Sweeps, "_ask", ask)


def sweeps_of(store: AsyncStore, folder: Path, scheduler: Any) -> Sweeps:
    make_project(folder)
    return Sweeps(store, scheduler, Known(), folder, folder)  # type: ignore[arg-type]


@pytest.mark.usefixtures("asked")
async def test_a_stuck_sweep_is_ended_at_its_deadline(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job never ends, or is paused by a person: at the deadline it is cancelled, and nobody has won."""
    monkeypatch.setattr(plan, "RESERVE_BOUNDS", (2.0, 2.0))
    monkeypatch.setattr(plan, "confirming_seconds", lambda _: 0.0)
    monkeypatch.setattr(plan, "halving_seconds", lambda *_: 0.0)
    scheduler = scheduler_of(store, tmp_path)
    sweeps = sweeps_of(store, tmp_path, scheduler)
    body: NewSweep = {"name": "s", "config": TINY, "space": {"learningRate": {"low": 1e-5, "high": 1e-2}}}
    async with asyncio.timeout(60), scheduler.running(), sweeps.running():
        with pytest.raises(BadRequestError, match="deadline or a number"):
            await sweeps.start(body)
        with pytest.raises(BadRequestError, match="14 days"):
            await sweeps.start({**body, "deadline": in_time(-5)})
        begun = await sweeps.start({**body, "deadline": in_time(3600)})
        with pytest.raises(ConflictError, match="is running"):
            await sweeps.start({**body, "jobs": 3})
        with pytest.raises(ConflictError, match="stop it before"):
            await sweeps.delete(begun["id"])
        await until_async(lambda: bool(Worker.started) and Worker.started[0].trains)
        (trial,) = sweeps.view(begun["id"])["trials"]
        await scheduler.pause(trial["jobId"])
        sweeps._sweeps[begun["id"]].deadline = time.time() + 2.5  # the night passes
        await until_async(lambda: sweeps.view(begun["id"])["state"] != "running")
        job = await store.read(Store.get, trial["jobId"])
    ended = sweeps.view(begun["id"])
    assert ended["endedAt"] < ended["deadline"]
    assert ended["verdict"]["sentence"].startswith("No winner: the time was up")
    assert job
    assert job["status"] == "cancelled"


async def test_a_sweep_with_too_few_held_out_rows_is_refused(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(_: object, request: HoldOut, __: object) -> HeldOut:
        return HeldOut(held_out(request.config, Path(request.project)))  # in this process

    monkeypatch.setattr(Sweeps, "_ask", ask)
    sweeps = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    body: NewSweep = {
        "name": "s",
        "config": {**TINY, "datasetSplit": 0.1},
        "space": SPACE,
        "deadline": in_time(3600),
    }
    with pytest.raises(BadRequestError, match=r"at least 16 .* holds out 6: hold out 27 %") as refused:
        await sweeps.start(body)
    assert sweeps.views() == []
    config = {**TINY, "datasetSplit": refused.value.extra["evalSplit"]}
    assert (await sweeps.start({**body, "config": config}))["state"] == "running"


@pytest.mark.usefixtures("asked")
async def test_a_full_disk_stores_a_sweep_atomically(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(service, "TICK_SECONDS", 0.01)
    sweeps = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    body: NewSweep = {"name": "s", "config": TINY, "space": SPACE, "deadline": in_time(3600)}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            await sweeps.start(body)
    assert (sweeps.views(), record.read_all(tmp_path)) == ([], {})
    assert list((tmp_path / "sweeps").iterdir()) == []
    begun = await sweeps.start(body)
    async with asyncio.timeout(60), sweeps.running():
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                await sweeps.stop(begun["id"])
            assert record.read_all(tmp_path)[begun["id"]].state == "running"
        await until_async(lambda: record.read_all(tmp_path)[begun["id"]].state == "stopped")


@pytest.mark.usefixtures("asked")
async def test_trials_yield_to_other_work(store: AsyncStore, tmp_path: Path) -> None:
    scheduler = scheduler_of(store, tmp_path)
    waits, asked_for = [True], asyncio.Event()

    def wanted() -> bool:
        asked_for.set()
        return waits[0]

    make_project(tmp_path)
    sweeps = Sweeps(store, scheduler, Known(), tmp_path, tmp_path, wanted)  # type: ignore[arg-type]
    body: NewSweep = {"name": "s", "config": TINY, "space": {"learningRate": {"low": 1e-5, "high": 1e-2}}}
    async with asyncio.timeout(60), scheduler.running(), sweeps.running():
        begun = await sweeps.start({**body, "deadline": in_time(3600)})
        await asked_for.wait()
        assert sweeps.view(begun["id"])["trials"] == []
        waits[0] = False
        await until_async(lambda: bool(sweeps.view(begun["id"])["trials"]))
        await sweeps.stop(begun["id"])


@pytest.mark.usefixtures("asked")
async def test_a_crashed_sweep_is_continued(store: AsyncStore, tmp_path: Path) -> None:
    """The record has a trial without its job, and one that was to go on to its next rung."""
    make_project(tmp_path)
    sweep = SweepRecord(
        "sweep_00000000000a", "s", "2026-01-01", time.time(), TINY, SPACE, 1, time.time() + 3600
    )
    sweep.data = hash_of_readable_data(TINY, tmp_path, FileHashes(tmp_path))
    sweep.estimate, sweep.facts = Estimate(9, 1.0, 1.0), {"rows": "a", "tokens": "b"}
    sweep.rungs, sweep.level = [1 / 3, 1.0], 1
    first = Trial(0, {}, "job_000000000000", rung=1, losses=[2.0], ends=["t"], steps=[3])
    second = Trial(1, {"learningRate": 1e-2}, "job_000000000001")
    sweep.trials = [first, second]
    record.write(tmp_path, sweep)
    part: JobSweep = {"id": sweep.id, "name": "s", "trial": 0}
    short = plan.config_of(sweep, Trial(0, {}, first.job))
    await store.write(Store.create, "s, trial 0", short, None, None, first.job, part)
    await store.write(Store.start_next)
    await store.write(Store.keep, first.job, 3)
    await store.write(Store.finish, first.job, {"type": "training.completed"})
    scheduler = scheduler_of(store, tmp_path)
    sweeps = Sweeps(store, scheduler, Known(), tmp_path, tmp_path)  # type: ignore[arg-type]
    await store.write(Store.arrange, None, True)

    async def queued() -> list[str]:
        found: list[str] = (await store.read(Store.queue))["order"]
        return found

    async with asyncio.timeout(60), scheduler.running(), sweeps.running():
        while not {first.job, second.job} <= {*await queued()}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        first_config: Any = await store.read(Store.config, first.job)
        assert first_config["maxSteps"] == 9
        assert (await store.read(Store.config, second.job) or {}).items() >= {
            "maxSteps": 3,
            "learningRate": 1e-2,
        }.items()
        job = await store.read(Store.get, second.job)
        assert job
        assert job["sweep"] == {**part, "trial": 1}
        stopped = await sweeps.stop(sweep.id)
    assert stopped["state"] == "stopped"
    assert await queued() == []
    assert record.read_all(tmp_path)[sweep.id].state == "stopped"
    await sweeps.delete(sweep.id)
    assert sweeps.views() == []
    assert record.read_all(tmp_path) == {}
    assert await store.read(Store.get, first.job)  # its jobs stay


def scores_of(loss: float) -> dict[str, Any]:
    """Scores of 18 held-out rows with this loss."""
    return {
        "adapter": [loss] * 18, "groups": list(range(18)), "keys": [f"{key:016x}" for key in range(18)],
        "margin": 0.01, "rows": "r", "tokens": "t",
    }  # fmt: skip


class Unknown(Known):
    """Estimates nothing: the data would have to be downloaded, or the run is on a cluster."""

    async def request(self, config: dict[str, Any]) -> dict[str, Any]:
        return {"state": "failed", "error": "An estimate needs data in the project"}


@pytest.mark.usefixtures("asked")
async def test_a_sweep_without_a_forecast_times_a_run(store: AsyncStore, tmp_path: Path) -> None:
    """A run of the starting settings with a fresh seed comes first; it is not repeated at the end."""
    hub = {**TINY, "datasetSource": {"type": "huggingface", "name": "org/rows", "token": "hf_secret"}}
    sweeps = Sweeps(store, scheduler_of(store, tmp_path), Unknown(), tmp_path, tmp_path)  # type: ignore[arg-type]
    body: NewSweep = {"name": "s", "config": hub, "space": {"learningRate": {"low": 1e-5, "high": 1e-2}}}

    def trials() -> list[SweepTrial]:
        found: list[SweepTrial] = sweeps.view(begun["id"])["trials"]
        return found

    async with asyncio.timeout(60), sweeps.running():
        begun = await sweeps.start({**body, "deadline": in_time(3600)})
        assert "hf_secret" not in json.dumps(begun)
        await until_async(lambda: bool(trials()))
        (timed,) = trials()
        assert (timed["role"], timed["seed"], timed["number"]) == ("start", 43, MOST_TRIALS)
        job = timed["jobId"]
        while not await store.write(Store.start_next):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        steps: list[Event] = [
            {"type": "training.log", "step": step, "loss": 1.0, "timestamp": f"2026-01-01T00:00:0{step}Z"}
            for step in (1, 9)
        ]
        await store.write(
            Store.append, job, [{"type": "training.started", "metadata": {"totalSteps": 9}}, *steps]
        )
        results.write(
            results.result_file(job_folder(tmp_path, job), None), {"evaluation": {}, "scores": scores_of(2.0)}
        )
        sweeps._spent[job] = 15.0
        await store.write(Store.finish, job, {"type": "training.completed"})
        await until_async(lambda: len(trials()) > 1)
        assert trials()[1]["role"] == "search"
        sweep = sweeps._sweeps[begun["id"]]
        assert sweep.estimate
        assert (sweep.estimate.steps, sweep.estimate.training) == (9, 9.0)
        assert sweep.estimate.fixed == pytest.approx(6, abs=3)
        assert plan.confirming_seconds(sweep) == pytest.approx(5 * plan.seconds_of(sweep, 0, 1))
        await sweeps.stop(begun["id"])


class Quick(Known):
    async def request(self, config: dict[str, Any]) -> dict[str, Any]:
        return {"state": "measured", "steps": 27, "seconds": 0.3, "trainingSeconds": 0.2}


async def train(store: AsyncStore, folder: Path, chance: random.Random) -> None:
    """Stand in for the scheduler and its workers: run one job after another, with a loss by its rate."""
    while True:
        if (started := await store.write(Store.start_next)) is None:
            await asyncio.sleep(0.002)
            continue
        job: str = started[0]
        config: Any = started[1]
        read = hash_of_readable_data(config, folder, FileHashes(folder))
        await asyncio.sleep(chance.uniform(0, 0.01))
        if (before := files_read(job_folder(folder, job))) not in (None, read):
            error = f"The job does not resume after step 3: {DATA_CHANGED}. Restore the original"
            await store.write(Store.finish, job, {"type": "training.failed", "error": error})
            continue
        if before is None:
            save_rows(job_folder(folder, job), [], [], read)
        loss = 2 + abs(config["learningRate"] - 3.2e-4) * 1000 - config["maxSteps"] / 100
        told: list[Event] = [{"type": "training.log", "step": config["maxSteps"], "loss": loss}]
        await store.write(Store.append, job, told, config["maxSteps"])
        file = results.result_file(job_folder(folder, job), None)
        results.write(file, {"evaluation": {}, "scores": scores_of(loss)})
        await store.write(Store.finish, job, {"type": "training.completed"})


async def recover(store: AsyncStore) -> None:
    """Queue the jobs again that nobody runs any longer, once what was being written is written."""
    await store.write(Store.removed)
    jobs = await store.read(Store.unfinished)
    for job in [job for job, status in jobs.items() if status == "running"]:
        await store.write(Store.requeue, job, "killed")


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("seed", range(4))
async def test_a_sweep_survives_kills_between_any_two_steps(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Between any two steps of a sweep the backend ends and another one continues from the record."""
    monkeypatch.setattr(service, "TICK_SECONDS", 0.001)
    make_project(tmp_path)
    chance = random.Random(seed)
    trained = {**TINY, "maxSteps": 27}
    body: NewSweep = {"name": "s", "config": trained, "space": {"learningRate": {"low": 1e-5, "high": 1e-2}}}
    kills = 0

    def begin() -> Sweeps:
        return Sweeps(store, scheduler_of(store, tmp_path), Quick(), tmp_path, tmp_path)  # type: ignore[arg-type]

    sweeps = begin()
    begun = await sweeps.start({**body, "jobs": 6, "deadline": in_time(120)})
    async with asyncio.timeout(60):
        while sweeps.view(begun["id"])["state"] == "running":
            training = asyncio.create_task(train(store, tmp_path, chance))
            async with sweeps.running():
                await asyncio.sleep(chance.uniform(0.01, 0.2) if kills else 0.03)
            training.cancel()
            await asyncio.gather(training, return_exceptions=True)
            await recover(store)
            sweeps, kills = begin(), kills + 1
    found = sweeps.view(begun["id"])
    assert kills > 1
    assert (found["state"], found["best"]) == ("completed", 3), found
    assert found["endedAt"] < found["deadline"]
    steps = [[each["step"] for each in trial["results"]] for trial in found["trials"]]
    assert steps == [[3, 9, 27], [3], [3], [3, 9, 27], [3, 9], [3], *[[27]] * 6]
    jobs = await store.read(Store.of_sweep, begun["id"])
    assert sorted(trial["jobId"] for trial in found["trials"]) == sorted(jobs)
    assert {job["status"] for job in jobs.values()} == {"completed"}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("seed", range(3))
async def test_a_sweep_waits_for_changed_data(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """While the rows differ the sweep waits and says so; a trial that read them is run again."""
    monkeypatch.setattr(service, "TICK_SECONDS", 0.001)
    monkeypatch.setattr(service, "MOST_REPEATS", 50)
    make_project(tmp_path)
    chance, file = random.Random(seed), tmp_path / TINY["datasetSource"]["path"]
    original = file.read_bytes()
    other = original.replace(b"a", b"b", 1)
    config = {**TINY, "maxSteps": 27}
    body: Any = {
        "name": "s",
        "config": config,
        "space": {"learningRate": {"low": 1e-5, "high": 1e-2}},
        "jobs": 6,
    }
    sweeps = Sweeps(store, scheduler_of(store, tmp_path), Quick(), tmp_path, tmp_path)  # type: ignore[arg-type]
    begun = await sweeps.start(body)

    def now() -> Sweep:
        return sweeps.view(begun["id"])

    async with asyncio.timeout(60), sweeps.running():
        training = asyncio.create_task(train(store, tmp_path, chance))
        file.write_bytes(other)
        await until_async(lambda: "held" in now())
        assert "Restore them to continue" in now()["held"]
        while now()["state"] == "running":
            file.write_bytes(original)
            await asyncio.sleep(chance.uniform(0.02, 0.15))
            file.write_bytes(other)
            await asyncio.sleep(chance.uniform(0, 0.05))
        training.cancel()
        await asyncio.gather(training, return_exceptions=True)
    found = now()
    assert (found["state"], found["best"]) == ("completed", 3), found
    assert "held" not in found
    steps = [[each["step"] for each in trial["results"]] for trial in found["trials"]]
    assert steps == [[3, 9, 27], [3], [3], [3, 9, 27], [3, 9], [3], *[[27]] * 6]
    folders = [job_folder(tmp_path, trial["jobId"]) for trial in found["trials"]]
    file.write_bytes(original)
    read = hash_of_readable_data(config, tmp_path, FileHashes(tmp_path))
    assert {files_read(folder) for folder in folders} == {read}

"""A cancellation finds its job wherever that is, and a worker gets to say how far it came."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.events import TrainingFailed, TrainingPaused
from arkor_dev.contract.gpus import Gpu
from arkor_dev.local.execution.messages import Cancel, Ended, JobRequest, Pause, ResumePoint, TrainingEvent
from arkor_dev.local.jobs import async_store, disk
from arkor_dev.local.jobs import scheduler as scheduler_module
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.disk import LEAST_FREE
from arkor_dev.local.jobs.running import auto_resume, devices, remote_cleanup, worker_session
from arkor_dev.local.jobs.running.devices import gpus
from arkor_dev.local.jobs.running.job_runner import JobRunner, end
from arkor_dev.local.jobs.scheduler import Scheduler
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.reporting.service import ReportingService
from arkor_dev.local.workers.process import Child
from tests.local.execution.test_interface import Left, said
from tests.local.job_configs import config_of
from tests.local.jobs.test_async_store import CONFIG
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import Event, RunMetadata, TrainingStarted
    from arkor_dev.contract.shapes import Job, JobConfig, JobSweep
    from arkor_dev.local.execution.messages import Report
    from arkor_dev.local.jobs.running.job_runner import RunningJob
    from arkor_dev.local.workers.codec import Message


class Worker:
    """Stands for the training process: it trains until it is told to stop, and then says at which step.

    ``deaf`` ones hear nothing of a pause; those that crash end at once. One ``trains`` once it was heard that
    it does.
    """

    started: ClassVar[list[Worker]] = []
    deaf = False
    saves = True
    crashes = False
    killed = ran_out_of_memory = True

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self.trains = False
        self.job = JobRequest("", config_of({}), "", "")
        self._end: Ended | None = None
        self.started.append(self)

    def send(self, message: Message) -> None:
        match message:
            case JobRequest():
                self.job = message
            case Cancel():
                self._end = Ended({"type": "training.cancelled", "step": 7})
                self._told.set()
            case Pause(reason) if not self.deaf:
                self._end = Ended({"type": "training.paused", "step": 7, "reason": reason})
                self._told.set()

    async def batches(self, _: object) -> AsyncIterator[list[Report]]:
        started: RunMetadata = {"totalSteps": 9, "settings": {}}
        point = (
            ResumePoint(4) if self.saves else TrainingEvent({"type": "training.log", "step": 3, "loss": 1.0})
        )
        yield [TrainingEvent({"type": "training.started", "metadata": started}), point]
        if self.crashes:
            return
        self.trains = True
        await self._told.wait()
        await asyncio.sleep(0.02)
        assert self._end
        yield [self._end]

    async def ended(self) -> int:
        return -9

    def cause(self, what: str, relief: str) -> str:
        assert "batch_size" in relief
        return f"{what} was killed (signal 9)."

    async def stop(self) -> None:
        pass


class Here:
    """A model that is at hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ensure(self, name: str, _: object) -> Model:
        return Model(name, self._folder)


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncStore]:
    async def start(*_: object) -> Worker:
        return Worker()

    monkeypatch.setattr(Child, "start", start)
    monkeypatch.setattr(Worker, "started", [])
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    yield store
    store.close()


def scheduler_of(store: AsyncStore, folder: Path) -> Scheduler:
    return Scheduler(store, Here(folder), folder, folder)  # type: ignore[arg-type]


async def last_event(store: AsyncStore, job: str) -> tuple[str, str]:
    _, name, data = (await store.read(Store.events, job, 0, 100))[-1]
    return name, data


async def test_a_cancelled_worker_reports_its_step(store: AsyncStore, tmp_path: Path) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running():
        while not scheduler.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await scheduler.cancel(job)
    name, data = await last_event(store, job)
    assert name == "training.cancelled"
    assert '"step":7' in data.replace(" ", "")


async def test_a_job_can_be_cancelled_while_it_starts(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data base says that it runs, and the scheduler does not know yet which one it is."""
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    cancelling: list[asyncio.Task[None]] = []
    write = store.write

    async def cancelled_meanwhile(call: Any, *arguments: Any, **more: Any) -> Any:
        answer = await write(call, *arguments, **more)
        if call is Store.start_next and answer is not None:
            cancelling.append(asyncio.create_task(scheduler.cancel(job)))
            while job not in scheduler._cancelled:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return answer

    monkeypatch.setattr(store, "write", cancelled_meanwhile)
    async with asyncio.timeout(60), scheduler.running():
        while not cancelling:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await cancelling[0]
    record = await store.read(Store.get, job)
    assert record is not None
    assert record["status"] == "cancelled"


class Refusing:
    """Knows that no job of this config fits."""

    def training_begins(self) -> None:
        pass

    def training_ended(self, *_: object) -> None:
        pass

    async def free_bytes(self) -> int:
        return 0

    async def fits_beside(self, *_: object) -> bool:
        return False

    async def refusal(self, config: JobConfig) -> TrainingFailed | None:
        error = "Not started, since it cannot fit."
        refused = TrainingFailed(type="training.failed", error=error, outOfMemory=True)
        return refused if config == CONFIG else None

    async def what_fits(self, *_: object) -> str:
        return ""

    async def streams(self, *_: object) -> bool:
        return False

    async def gpus_needed(self, *_: object) -> int:
        return 1


async def test_a_job_that_does_not_fit_fails_before_its_worker_starts(
    store: AsyncStore, tmp_path: Path
) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    other = (await store.write(Store.create, "b", {**CONFIG, "batchSize": 1}))["id"]
    again = (await store.write(Store.create, "c", CONFIG))["id"]
    await store.write(Store.keep, again, 4)
    await store.write(Store.cancel_queued, again)
    scheduler = scheduler_of(store, tmp_path)
    scheduler.observer = Refusing()
    async with asyncio.timeout(60), scheduler.running():
        failed = await has_status(store, job, "failed")
        assert failed["error"] == "Not started, since it cannot fit."
        await trains(store, other)
        assert [worker.job.id for worker in Worker.started] == [other]
        # What has run here once is let go on.
        await store.write(Store.resume, again, "It was resumed by a person.", {})
        await scheduler.cancel(other)
        await has_status(store, again, "running")


async def status_of(store: AsyncStore, job: str) -> str:
    record = await store.read(Store.get, job)
    assert record is not None
    status: str = record["status"]
    return status


async def has_status(store: AsyncStore, job: str, status: str) -> Job:
    """The job, once it has this status."""
    while True:
        news = store.pulse.next()
        record = await store.read(Store.get, job)
        if record and record["status"] == status:
            return record
        await news.wait()


async def trains(store: AsyncStore, job: str) -> None:
    """Wait until a job's worker has begun to train."""
    while True:
        news = store.pulse.next()
        record = await store.read(Store.get, job)
        if record and record["metrics"]:
            return
        await news.wait()


async def test_a_resumed_job_precedes_queued_ones(store: AsyncStore, tmp_path: Path) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, job)
        await scheduler.pause(job)
        record = await store.read(Store.get, job)
        assert record is not None
        assert (record["status"], record["pause"]) == ("paused", {"step": 7, "reason": "asked"})
        with pytest.raises(ConflictError, match="is paused"):
            await scheduler.pause(job)
        await store.write(Store.arrange, None, True)
        waiting = (await store.write(Store.create, "b", CONFIG))["id"]
        await store.write(Store.resume, job, "It was resumed by a person.", {"force": True})
        await store.write(Store.arrange, None, False)
        scheduler.wake()
        await has_status(store, job, "running")
        assert await status_of(store, waiting) == "queued"
        while len(Worker.started) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert Worker.started[0].job.resume is None
    assert Worker.started[1].job.resume == {
        "why": "It was resumed by a person.",
        "force": True,
        "kept": 4,
        "sampled": [],
    }


async def test_shutdown_pauses_running_jobs(
    store: AsyncStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = (await store.write(Store.create, "support-bot", CONFIG))["id"]
    later = (await store.write(Store.create, "later", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, job)
    record = await store.read(Store.get, job)
    assert record is not None
    assert (record["status"], record["pause"]) == ("paused", {"step": 7, "reason": "ended"})
    assert await status_of(store, later) == "queued"
    assert "The job support-bot is paused after step 7. It resumes by itself when" in capsys.readouterr().out
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running(resume=False):
        await trains(store, later)
        assert await status_of(store, job) == "paused"
    # Both were paused by an end: the one that ran last comes first.
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await has_status(store, job, "running")
        assert await status_of(store, later) == "queued"


async def test_a_job_that_pauses_too_slowly_resumes_from_its_checkpoint(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "deaf", True)
    monkeypatch.setattr(scheduler_module, "REST_SECONDS", 0.1)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await trains(store, job)
        await store.write(Store.keep, job, 4)
    record = await store.read(Store.get, job)
    assert record is not None
    assert record["status"] == "paused"
    assert (record["pause"]["step"], record["pause"]["reason"]) == (4, "ended")


async def test_the_end_of_studio_tells_what_a_job_could_not_save(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Worker, "deaf", True)
    monkeypatch.setattr(Worker, "saves", False)
    monkeypatch.setattr(scheduler_module, "REST_SECONDS", 0.1)
    job = (await store.write(Store.create, "support-bot", CONFIG))["id"]
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await trains(store, job)
    assert "The job support-bot had no time to save its 3 steps. It starts again" in capsys.readouterr().out


async def test_a_crashed_job_is_resumed_at_most_three_times(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "crashes", True)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        record = await has_status(store, job, "failed")
    assert record["error"] == (
        "The training process was killed (signal 9). That was the third time at step 0"
    )
    assert [worker.job.resume for worker in Worker.started] == [
        None,
        {
            "crashes": [0, 1],
            "why": "Its training process had crashed.",
            "auto": True,
            "kept": 4,
            "sampled": [],
        },
        {
            "crashes": [0, 2],
            "why": "Its training process had crashed.",
            "auto": True,
            "kept": 4,
            "sampled": [],
        },
    ]


async def test_a_job_killed_three_times_is_paused(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "crashes", True)
    monkeypatch.setattr(Worker, "ran_out_of_memory", False)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        record = await has_status(store, job, "paused")
        assert record["pause"] == {
            "step": 4,
            "reason": "killed",
            "message": "The training process was killed (signal 9). That was the third time at step 0",
        }
        resumed = await store.write(Store.resume, job, "It was resumed by a person.", {})
    assert resumed["status"] == "queued"
    assert len(Worker.started) == 3
    assert (Worker.started[1].job.resume or {})["why"] == "Its training process had been killed."


async def test_a_job_paused_by_a_full_disk_resumes_with_space(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_resume, "CHECK_SECONDS", 0.02)
    monkeypatch.setenv(LEAST_FREE, str(1 << 60))
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await store.write(Store.start_next)
    full = TrainingPaused(type="training.paused", step=3, reason="disk", message="full", needs=1000)
    await store.write(Store.pause, job, full)
    free = [999]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        for _ in range(5):
            await asyncio.sleep(0.02)
        assert await status_of(store, job) == "paused"
        monkeypatch.setenv(LEAST_FREE, "0")
        for _ in range(5):
            await asyncio.sleep(0.02)
        assert await status_of(store, job) == "paused", "what did not fit then does not fit now"
        free[0] = 1000
        await has_status(store, job, "running")


class Power:
    """The machine's power, which a test takes away."""

    def __init__(self) -> None:
        self.battery = False
        self.looks = 0

    def __call__(self) -> bool:
        self.looks += 1
        return self.battery

    async def seen(self) -> None:
        """Wait until somebody has looked, and acted on it."""
        before = self.looks
        while self.looks < before + 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Power:
    power = Power()
    monkeypatch.setattr(auto_resume, "on_battery", power)
    monkeypatch.setattr(auto_resume, "CHECK_SECONDS", 0.02)
    return power


async def test_a_job_pauses_on_battery_and_resumes_on_power(
    store: AsyncStore, tmp_path: Path, power: Power
) -> None:
    job = (await store.write(Store.create, "a", {**CONFIG, "pauseOnBattery": True}))["id"]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, job)
        power.battery = True
        paused = await has_status(store, job, "paused")
        assert paused["pause"] == {"step": 7, "reason": "battery"}
        # Others do not care, and are not kept waiting.
        other = (await store.write(Store.create, "b", CONFIG))["id"]
        scheduler.wake()
        await trains(store, other)
        assert await status_of(store, job) == "paused"
        # A person may have it go on all the same; the next time it stands again.
        await store.write(Store.resume, job, "It was resumed by a person.", {})
        await scheduler.cancel(other)
        await has_status(store, job, "running")
        while len(Worker.started) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await power.seen()
        assert await status_of(store, job) == "running"
        power.battery = False
        await power.seen()
        power.battery = True
        await has_status(store, job, "paused")
        power.battery = False
        while len(Worker.started) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (Worker.started[-1].job.resume or {})["why"] == "The machine has power again."
    assert {worker.job.id for worker in Worker.started} == {job, other}


async def test_on_battery_a_job_pauses_before_loading(
    store: AsyncStore, tmp_path: Path, power: Power
) -> None:
    power.battery = True
    job = (await store.write(Store.create, "a", {**CONFIG, "pauseOnBattery": True}))["id"]
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        assert (await has_status(store, job, "paused"))["pause"]["reason"] == "battery"
        power.battery = False
        await has_status(store, job, "running")


class Knowing:
    """Knows what each job takes by its ``batchSize``, and that 10 are free; of another it knows nothing.

    ``large`` are the sizes that one GPU does not hold.
    """

    def __init__(self, *large: int) -> None:
        self.ended: list[float] = []
        self.large = list(large)

    def training_begins(self) -> None:
        pass

    def training_ended(self, config: object, verdict: object, seconds: float) -> None:
        self.ended.append(seconds)

    async def refusal(self, *_: object) -> None:
        return None

    async def free_bytes(self) -> int:
        return 10

    async def fits_beside(self, config: JobConfig, others: Sequence[RunningJob], room: int) -> bool:
        configs: list[Any] = [config, *(other.config for other in others)]
        return bool(sum(each.get("batchSize", 1000) for each in configs) <= room)

    async def streams(self, *_: object) -> bool:
        return False

    async def gpus_needed(self, config: JobConfig) -> int:
        return 2 if config.get("batchSize") in self.large else 1

    async def what_fits(self, *_: object) -> str:
        return ""


def several(
    store: AsyncStore, folder: Path, at_once: int | None, *devices: str, knowing: Knowing | None = None
) -> Scheduler:
    scheduler = Scheduler(store, Here(folder), folder, folder, at_once, devices)  # type: ignore[arg-type]
    scheduler.observer = knowing or Knowing()
    return scheduler


async def made(store: AsyncStore, *sizes: int | None) -> list[str]:
    configs = [{**CONFIG, **({} if size is None else {"batchSize": size})} for size in sizes]
    return [(await store.write(Store.create, "a", config))["id"] for config in configs]


async def test_jobs_run_concurrently_as_memory_allows(store: AsyncStore, tmp_path: Path) -> None:
    one, two, large, last = await made(store, 3, 4, 6, 1)
    knowing = Knowing()
    scheduler = several(store, tmp_path, 3, knowing=knowing)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, one)
        await trains(store, two)
        assert await status_of(store, large) == await status_of(store, last) == "queued"
        await scheduler.cancel(one)  # 4 and 6 fit, and nobody overtakes
        await trains(store, large)
        assert await status_of(store, last) == "queued"
        await scheduler.pause(two)
        await trains(store, last)
        await store.write(Store.resume, two, "It was resumed by a person.", {})
        scheduler.wake()
        await scheduler.cancel(large)
        await has_status(store, two, "running")
        assert knowing.ended == [0.0] * 3, "what ran beside another says nothing of its time"
    assert await status_of(store, two) == await status_of(store, last) == "paused"


async def test_concurrency_is_limited_and_needs_known_memory(store: AsyncStore, tmp_path: Path) -> None:
    one, two, three = await made(store, 1, 1, 1)
    async with asyncio.timeout(60), several(store, tmp_path, 2).running():
        await trains(store, one)
        await trains(store, two)
        assert await status_of(store, three) == "queued"
    for job in (one, two, three):
        await store.write(Store.cancel_queued, job)
    unknown, other = await made(store, None, 1)
    knowing = Knowing()
    scheduler = several(store, tmp_path, 2, knowing=knowing)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, unknown)
        assert await status_of(store, other) == "queued"
        await scheduler.cancel(unknown)
        await trains(store, other)
        assert knowing.ended[0] > 0


async def test_cluster_jobs_use_no_local_memory(store: AsyncStore, tmp_path: Path) -> None:
    there = {**CONFIG, "cluster": "auto"}
    one, two, three = [(await store.write(Store.create, "a", there))["id"] for _ in range(3)]
    (here,) = await made(store, 10)
    scheduler = several(store, tmp_path, 3)
    async with asyncio.timeout(60), scheduler.running():
        for job in (one, two, three):
            await trains(store, job)
        assert await status_of(store, here) == "queued", "no more than were asked for"
        await scheduler.cancel(one)
        await trains(store, here)  # it has all the memory that there is


async def test_shutdown_pauses_concurrent_jobs_which_resume(
    store: AsyncStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = await made(store, 1, 1)
    for starts in (2, 4):
        async with asyncio.timeout(60), several(store, tmp_path, 2).running():
            for job in jobs:
                await has_status(store, job, "running")
                await trains(store, job)
            await until(lambda: [each.trains for each in Worker.started] == [True] * starts, 60)  # noqa: B023
        assert [await status_of(store, job) for job in jobs] == ["paused", "paused"]
    assert capsys.readouterr().out.count("is paused after step 7") == 4


async def test_a_model_is_spread_over_the_requested_gpus(store: AsyncStore, tmp_path: Path) -> None:
    (job,) = await made(store, 1)
    scheduler = several(store, tmp_path, None, "0", "1", "GPU-f00d")
    config: Any = {"model": "m", "gpus": 2}
    assert await scheduler._devices_for(config) == ["0", "1"]
    async with asyncio.timeout(60):
        runner = worker_session.WorkerSession(store, Here(tmp_path), job, config, {}, devices=["0", "1"])  # type: ignore[arg-type]
        running = asyncio.create_task(runner.run(tmp_path, tmp_path))
        await until(lambda: bool(Worker.started), 60)
        runner.cancel()
        await running
    assert Worker.started[0].job.device == "0,1"


async def test_a_large_job_is_spread_over_two_free_gpus(store: AsyncStore, tmp_path: Path) -> None:
    """It waits until two are free, unless it was told to use one."""
    small, large = await made(store, 1, 2)
    forbidden = (await store.write(Store.create, "a", {**CONFIG, "batchSize": 2, "gpus": 1}))["id"]
    knowing = Knowing(2)
    scheduler = several(store, tmp_path, None, "0", "1", knowing=knowing)
    async with asyncio.timeout(60), scheduler.running():
        await trains(store, small)
        await asyncio.sleep(0.1)
        assert await status_of(store, large) == "queued"
        await scheduler.cancel(small)
        await trains(store, large)
        await scheduler.cancel(large)
        await trains(store, forbidden)
    devices = {worker.job.id: worker.job.device for worker in Worker.started}
    assert devices == {small: "0", large: "0,1", forbidden: "0"}


async def test_a_job_out_of_gpu_memory_restarts_on_two_gpus(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: then it fails as any other."""
    (job,) = await made(store, 1)
    knowing = Knowing()

    async def batches(worker: Worker, _: object) -> AsyncIterator[list[Report]]:
        knowing.large = [1]  # as is known once its model was downloaded
        yield [Ended({"type": "training.failed", "error": "It does not fit.", "outOfMemory": True})]

    monkeypatch.setattr(Worker, "batches", batches)
    async with asyncio.timeout(60), several(store, tmp_path, None, "0", "1", knowing=knowing).running():
        await has_status(store, job, "failed")
    assert [worker.job.device for worker in Worker.started] == ["0", "0,1"]
    assert "its model is spread over 2" in (Worker.started[1].job.resume or {})["why"]


async def test_by_default_one_job_runs_per_device(store: AsyncStore, tmp_path: Path) -> None:
    jobs = await made(store, 1, 1, 1)
    async with asyncio.timeout(60), several(store, tmp_path, None, "0", "GPU-f00d").running():
        await trains(store, jobs[0])
        await trains(store, jobs[1])
        assert await status_of(store, jobs[2]) == "queued"
    devices = {worker.job.id: worker.job.device for worker in Worker.started}
    assert devices == {jobs[0]: "0", jobs[1]: "GPU-f00d"}
    single = several(store, tmp_path, None, "0")
    for job in jobs:
        await store.write(Store.cancel_queued, job)
    one, two = await made(store, 1, 1)
    async with asyncio.timeout(60), single.running():
        await trains(store, one)
        assert await status_of(store, two) == "queued"
    assert Worker.started[-1].job.device is None


def test_usable_gpus_are_found_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.setattr(devices, "torch_build", lambda: "cuda")
    assert gpus({}, tmp_path / "none") == []
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert gpus({}, tmp_path) == ["0", "1"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "2, GPU-1"}, tmp_path) == ["2", "GPU-1"]
    assert [gpus({"CUDA_VISIBLE_DEVICES": none}, tmp_path) for none in ("", "-1")] == [[], []]
    # The driver counts in another order than CUDA, and under WSL it has no folder: so its own names.
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: [Gpu("RTX 4090", "GPU-f00d")])
    assert gpus({}, tmp_path / "none") == ["GPU-f00d"]
    monkeypatch.setattr(devices, "torch_build", lambda: "cpu")
    assert gpus({}, tmp_path) == [], "this build of torch computes on the processor"
    monkeypatch.setattr(devices, "torch_build", lambda: "rocm")
    monkeypatch.setattr(devices, "amd_gpus", lambda: [Gpu("AMD GPU", "0"), Gpu("AMD GPU", "1")])
    assert gpus({}, tmp_path) == ["0", "1"]
    assert gpus({"HIP_VISIBLE_DEVICES": "1"}, tmp_path) == ["1"]


class Alone:
    """An execution where every job trains on alone."""

    def attaches(self, *_: object) -> bool:
        return True


async def test_a_backend_without_training_leaves_detached_jobs_alone(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "execution_of", lambda _: Alone())
    cleared: list[object] = []

    async def clear(_: object, standing: object) -> bool:
        cleared.append(standing)
        return True

    monkeypatch.setattr(remote_cleanup, "clear", clear)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await store.write(Store.start_next)
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running(idle=True):
        assert await status_of(store, job) == "running"
        with pytest.raises(ConflictError, match="open Studio to pause it"):
            await scheduler.pause(job)
        await scheduler.cancel(job)
        assert await status_of(store, job) == "cancelled"
    assert cleared == [{}]


async def test_an_on_demand_backend_runs_the_queue_after_a_request(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def runs(runner: JobRunner, *_: object) -> None:
        await end(runner._store, tmp_path, runner.job, {"type": "training.completed"})

    monkeypatch.setattr(JobRunner, "run", runs)
    interrupted, waiting = await made(store, None, None)
    await store.write(Store.start_next)
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running(on_demand=True):
        assert (await status_of(store, interrupted), await status_of(store, waiting)) == ("paused", "queued")
        await asyncio.sleep(0.05)
        assert await status_of(store, waiting) == "queued"
        (new,) = await made(store, None)
        scheduler.wake()
        for job in (interrupted, waiting, new):
            await has_status(store, job, "completed")


class Reports:
    """Takes events as reporters do."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def take(self, events: Sequence[Event]) -> None:
        self.names += [event["type"] for event in events]


async def test_reporters_get_the_start_of_an_adopted_job(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = Reports()
    monkeypatch.setattr(ReportingService, "begin", lambda *_, **__: reports)
    monkeypatch.setattr(ReportingService, "end", lambda *_: None)
    left = Left(said(1), said(2), Ended({"type": "training.completed", "metrics": {}}))
    for module in (scheduler_module, worker_session):
        monkeypatch.setattr(module, "execution_of", lambda _: left)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await store.write(Store.start_next)
    began: TrainingStarted = {"type": "training.started", "metadata": {"totalSteps": 2}}
    await store.write(Store.append, job, [began, {"type": "training.log", "step": 1}], None, "place:1")
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await has_status(store, job, "completed")
    assert left.job.mark == "place:1"
    assert reports.names == ["training.started", "training.log"]


async def test_a_job_without_a_process_is_paused_at_shutdown(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begins(_: JobRunner, *__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(JobRunner, "run", begins)
    (job,) = await made(store, None)
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await has_status(store, job, "running")
    assert await status_of(store, job) == "paused"


async def test_a_damaged_database_starts_no_job(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began: list[str] = []

    async def damaged(runner: JobRunner, *_: object) -> None:
        began.append(runner.job)
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(JobRunner, "run", damaged)
    first, second = await made(store, None, None)
    async with asyncio.timeout(60), scheduler_of(store, tmp_path).running():
        await has_status(store, first, "failed")
        for _ in range(5):
            await asyncio.sleep(0.02)
        assert (began, await status_of(store, second)) == ([first], "queued")
    assert "is damaged" in capsys.readouterr().out


async def test_sweep_jobs_yield_to_other_jobs(store: AsyncStore, tmp_path: Path) -> None:
    async def job(name: str, sweep: JobSweep | None = None) -> str:
        made = await store.write(Store.create, name, CONFIG, sweep=sweep)
        return str(made["id"])

    async def status(job_id: str) -> str:
        found = await store.read(Store.get, job_id)
        assert found
        return str(found["status"])

    trials = [await job(f"s{n}", {"id": "sweep_1", "name": "s", "trial": n}) for n in range(2)]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(60), scheduler.running():
        await until(lambda: len(Worker.started) == 1 and Worker.started[0].trains)
        person = await job("mine")
        scheduler.wake()
        await until(lambda: len(Worker.started) == 2 and Worker.started[1].trains)
        assert [await status(each) for each in (person, *trials)] == ["running", "queued", "queued"]
        # Behind every other job, whatever order is asked for, and the interrupted trial first.
        later = await job("later")
        order = [trials[1], trials[0], later]
        arranged = await store.write(Store.arrange, order, None)
        assert arranged["order"] == [later, trials[1], trials[0]]
        await store.write(Store.cancel_queued, later)
        await store.write(Store.arrange, [trials[0]], None)
        await scheduler.cancel(person)
        await until(lambda: len(Worker.started) == 3 and Worker.started[2].trains)
        assert await status(trials[0]) == "running"
        assert (Worker.started[2].job.resume or {})["why"] == auto_resume.PASSED["yielded"]


async def test_a_job_can_be_deleted_on_a_full_disk(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs some space before it frees more: a file that is kept for that is deleted first."""
    monkeypatch.setattr(async_store, "FULL_SECONDS", 0.1)
    monkeypatch.setattr(disk, "LEAST_FOR_RESERVE", 0)
    scheduler = scheduler_of(store, tmp_path)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await store.write(Store.finish, job, {"type": "training.completed"})
    disk.keep_reserve(tmp_path)
    remove, reserve = Store.remove, tmp_path / disk.RESERVE

    def remove_with_space(store: Store, job_id: str) -> None:
        if reserve.exists():
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        remove(store, job_id)

    monkeypatch.setattr(Store, "remove", remove_with_space)
    await scheduler.delete(job, lambda _: None)
    assert await store.read(Store.names) == {}
    assert reserve.stat().st_size == disk.RESERVE_BYTES  # for the next time

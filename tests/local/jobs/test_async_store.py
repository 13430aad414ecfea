"""Writing off the loop: in order, again when the disk refuses, and nothing lost at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.http_client import Timeouts
from arkor_dev.contract.errors import InsufficientStorageError
from arkor_dev.local.jobs import async_store
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.jobs.verdict_file import keep_verdict, kept_verdict
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.contract.events import TrainingFailed
    from arkor_dev.contract.shapes import Job

REQUEST_SECONDS = async_store.REQUEST_SECONDS
"""As in a real backend; the other tests wait longer."""
CONFIG: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    yield store
    store.close()


def fill_up(store: AsyncStore) -> None:
    """Let the data base grow no further, as on a full disk."""
    db = store._store._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")


def make_room(store: AsyncStore) -> None:
    store._store._db.execute("PRAGMA max_page_count=1000000")


def log(step: int, filling: int = 0) -> Any:
    return {"type": "training.log", "step": step, "filling": "x" * filling}


async def test_each_write_wakes_the_readers(store: AsyncStore) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await asyncio.sleep(0)
    news = store.pulse.next()
    await store.write(Store.append, job, [log(1)])
    async with asyncio.timeout(60):
        await news.wait()
    assert not store.pulse.next().is_set()


async def test_writes_wait_for_disk_space_in_order(store: AsyncStore) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    await store.write(Store.start_next)
    fill_up(store)
    refused = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        loop.call_soon_threadsafe(refused.set)

    first = store.post_or(tell, Store.append, job, [log(1, filling=20_000)])
    appending = asyncio.create_task(store.write(Store.append, job, [log(2)]))
    finishing = asyncio.create_task(store.write(Store.finish, job, {"type": "training.completed"}))
    async with asyncio.timeout(60):
        await refused.wait()
        # Whoever waited may have gone; the write stands all the same.
        appending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await appending
        assert await store.read(Store.is_over, job) is False
        assert not first.done()
        make_room(store)
        await finishing
    over, events = await store.read(Store.read_events, job, 0, 10)
    assert over
    assert [json.loads(data).get("step") for _, _, data in events] == [1, 2, None]


async def test_a_refused_request_has_no_effect(store: AsyncStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_store, "FULL_SECONDS", 0.2)
    fill_up(store)
    full = r"disk is full\. Nothing was changed.*arkor-dev local gc"
    with pytest.raises(InsufficientStorageError, match=full):
        await store.request(Store.create, "x" * 20_000, CONFIG)
    make_room(store)
    await store.write(Store.create, "b", CONFIG)
    assert [job["name"] for job in json.loads(await store.read(Store.listing))["jobs"]] == ["b"]


def test_requests_are_refused_before_studios_timeout() -> None:
    assert async_store.PAUSES[1] < async_store.FULL_SECONDS < REQUEST_SECONDS
    assert Timeouts().first_byte > REQUEST_SECONDS


async def test_requests_behind_a_blocked_write_are_refused(
    store: AsyncStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_store, "FULL_SECONDS", 0.2)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    fill_up(store)
    appending = store.post(Store.append, job, [log(1, filling=20_000)])
    with pytest.raises(InsufficientStorageError):
        await store.request(Store.edit, job, {"name": "b"})
    make_room(store)
    await asyncio.wrap_future(appending)
    listed = json.loads(await store.read(Store.listing))["jobs"]
    assert [other["name"] for other in listed] == ["a"]


async def test_a_full_disk_is_reported_until_it_has_space(
    store: AsyncStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(async_store, "TROUBLE_SECONDS", 0.0)
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    fill_up(store)
    appending = store.post(Store.append, job, [log(1, filling=20_000)])
    update = store.pulse.next()
    await asyncio.wait_for(update.wait(), 60)  # readers are woken, so that they learn it
    trouble = json.loads(await store.read(Store.listing))["trouble"]
    assert "The disk is full" in trouble
    assert "arkor-dev local gc" in trouble
    make_room(store)
    await asyncio.wrap_future(appending)
    await store.write(Store.edit, job, {"name": "b"})
    assert "trouble" not in json.loads(await store.read(Store.listing))
    notices = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [notice["level"] for notice in notices] == ["error", "info"]


async def test_a_request_in_progress_is_not_refused(
    store: AsyncStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stands still may do it all the same, and whoever asked would ask for it twice."""
    monkeypatch.setattr(async_store, "REQUEST_SECONDS", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(store: Store) -> Job:
        begun.set()
        go_on.wait(60)
        return store.create("slow", CONFIG)

    requesting = asyncio.create_task(store.request(slowly))
    assert await asyncio.to_thread(begun.wait, 60)
    await asyncio.sleep(0.2)  # longer than it may take
    assert not requesting.done()
    go_on.set()
    assert (await requesting)["name"] == "slow"
    assert [job["name"] for job in json.loads(await store.read(Store.listing))["jobs"]] == ["slow"]


async def test_a_deleted_job_has_no_config(store: AsyncStore) -> None:
    job = await store.write(Store.create, "a", CONFIG)
    assert await store.config_of(job) == CONFIG
    await store.write(Store.finish, job["id"], {"type": "training.cancelled"})
    await store.write(Store.remove, job["id"])
    with pytest.raises(JobFailure, match="The job was deleted"):
        await store.config_of(job)


async def test_a_programming_error_is_not_retried(store: AsyncStore) -> None:
    unfit: Any = {"type": "training.log", "step": object()}
    with pytest.raises(TypeError):
        await store.write(Store.append, "job_x", [unfit])
    assert await store.write(Store.start_next) is None


async def test_closing_completes_queued_writes(tmp_path: Path) -> None:
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    names = [f"job {n}" for n in range(20)]
    for name in names:
        store.post(Store.create, name, CONFIG)
    store.close()
    again = Store(tmp_path / "backend.sqlite", "local")
    assert [job["name"] for job in json.loads(again.listing())["jobs"]] == names[::-1]
    full = AsyncStore(again)
    fill_up(full)
    full.post(Store.create, "x" * 20_000, CONFIG)
    full.close()


@pytest.mark.parametrize("in_time", [True, False])
async def test_closing_waits_for_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    """SQLite crashes the process when a connection is closed under a thread that reads from it."""
    if not in_time:
        monkeypatch.setattr(async_store, "CLOSE_SECONDS", 0.05)
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    begun, go_on = threading.Event(), threading.Event()

    def slowly(store: Store) -> Job | None:
        begun.set()
        go_on.wait(0.2 if in_time else 60)
        return store.get(job)

    reading = asyncio.create_task(store.read(slowly))
    assert await asyncio.to_thread(begun.wait, 60)
    store.close()
    go_on.set()
    read = await reading
    assert read
    assert read["name"] == "a"
    if not in_time:
        store._store.close()


def test_a_verdict_is_stored_beside_the_database(tmp_path: Path) -> None:
    verdict: TrainingFailed = {"type": "training.failed", "error": "why"}
    keep_verdict(tmp_path, "job_a", verdict)
    assert kept_verdict(tmp_path, "job_a") == verdict
    assert kept_verdict(tmp_path, "job_none") is None
    (tmp_path / "jobs" / "job_a" / "verdict.json").write_text('{"type": "training.paused"}')
    assert kept_verdict(tmp_path, "job_a") is None

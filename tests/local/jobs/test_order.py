"""What a person does with jobs: says something of them, puts those that wait in order, deletes them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.local.jobs import scheduler as scheduler_module
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.jobs.store import Store

from .test_scheduler import scheduler_of
from .test_store import log, new, path, store

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import JobChanges

__all__ = ["path", "store"]

SAID: JobChanges = {"name": "béta", "notes": "why\n\n* so", "tags": ["a", "b c"], "starred": True}


def done(store: Store, name: str = "a") -> str:
    """A job that is over, with events."""
    job_id = new(store, name)
    store.append(job_id, [log(1), log(2)])
    store.finish(job_id, {"type": "training.completed"})
    return job_id


def order(store: Store) -> list[str]:
    waits: list[str] = store.queue()["order"]
    return waits


def test_name_notes_and_tags_of_a_job_are_stored(store: Store, path: Path) -> None:
    job_id, other = new(store), new(store)
    before: Any = store.get(other)
    store.listing()
    assert store.edit(job_id, SAID).items() >= SAID.items()
    store.edit(job_id, {"notes": ""})
    store.append(job_id, [log(1, loss=2.0)])
    after = Store(path, "local")
    try:
        for one in (store, after):
            listed = {job["id"]: job for job in json.loads(one.listing())["jobs"]}
            job = one.get(job_id)
            assert job
            assert {**job, "queue": None} == {**listed[job_id], "queue": None}
            assert [job.get(field) for field in SAID] == ["béta", None, ["a", "b c"], True]
            place = {"position": 2, "behind": {"id": job_id, "name": "béta"}}
            assert one.get(other) == {**before, "queue": place}
    finally:
        after.close()
    with pytest.raises(NotFoundError):
        store.edit("job_nope", {"name": "a"})


def test_queued_jobs_start_in_the_arranged_order(store: Store, path: Path) -> None:
    one, two, three, four = (new(store, name) for name in "abcd")
    assert store.arrange([three], None) == {"held": False, "order": [three, one, two, four]}
    assert store.arrange([four, two], None)["order"] == [four, two, three, one]
    assert [store.get(job_id)["queue"]["position"] for job_id in (four, two, three, one)] == [1, 2, 3, 4]  # type: ignore[index]
    listed = {job["id"]: job["queue"] for job in json.loads(store.listing())["jobs"]}
    assert listed[two] == store.get(two)["queue"] == {"position": 2, "behind": {"id": four, "name": "d"}}  # type: ignore[index]
    after = Store(path, "local")
    try:
        started = after.start_next()
        assert started
        assert started[0] == four
        assert order(after) == [two, three, one]
    finally:
        after.close()


def test_a_new_job_is_last_in_the_queue(store: Store) -> None:
    """Also where a job has the place of one that is deleted since, and the ages begin again."""
    jobs = [new(store, name) for name in "abcde"]
    store.arrange([*jobs[1:], jobs[0]], None)
    for job_id in jobs[1:]:
        store.finish(job_id, {"type": "training.completed"})
        store.remove(job_id)
    late = [new(store) for _ in range(4)]
    assert order(store) == [jobs[0], *late]


def test_a_paused_queue_starts_nothing(store: Store, path: Path) -> None:
    job_id = new(store)
    assert store.arrange(None, True) == {"held": True, "order": [job_id]}
    assert store.start_next() is None
    assert store.get(job_id)["queue"]["held"] is True  # type: ignore[index]
    assert json.loads(store.listing())["queue"] == {"held": True}
    after = Store(path, "local")
    try:
        assert after.start_next() is None
        after.arrange(None, False)
        assert "held" not in after.get(job_id)["queue"]  # type: ignore[index]
        started = after.start_next()
        assert started
        assert started[0] == job_id
    finally:
        after.close()


def test_an_order_with_an_unknown_job_is_refused(store: Store) -> None:
    one, two = new(store), new(store)
    with pytest.raises(NotFoundError):
        store.arrange([two, "job_nope"], True)
    assert store.queue() == {"held": False, "order": [one, two]}


def test_deleting_a_job_is_atomic(store: Store, path: Path) -> None:
    job_id, other = done(store), done(store)
    store.listing()
    store._db.execute("CREATE TRIGGER no BEFORE DELETE ON jobs BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError):
        store.remove(job_id)
    assert store.get(job_id)
    assert len(store.events(job_id, 0, 10)) == 3
    assert store.removed() == []
    store._db.execute("DROP TRIGGER no")
    store.remove(job_id)
    assert store.get(job_id) is None
    assert [job["id"] for job in json.loads(store.listing())["jobs"]] == [other]
    assert store.read_events(job_id, 1, 10) == (
        True,
        [],
    )  # a reader in the middle of it hears that it is over
    assert len(store.events(other, 0, 10)) == 3
    assert store.removed() == [job_id]
    store.forget_removed(job_id)
    assert store.removed() == []
    with pytest.raises(NotFoundError):
        store.remove(job_id)


def test_an_unfinished_job_cannot_be_deleted(store: Store) -> None:
    running, waiting = new(store), new(store)
    store.start_next()
    for job_id in (running, waiting):
        with pytest.raises(ConflictError):
            store.remove(job_id)
        assert store.get(job_id)


# --- files ----------------------------------------------------------------------------------------------


def fill(data: Path, job_id: str) -> Path:
    folder = job_folder(data, job_id) / "checkpoints" / "10"
    folder.mkdir(parents=True)
    (folder / "adapter.safetensors").write_bytes(b"x" * 100)
    return job_folder(data, job_id)


async def test_deleting_a_job_deletes_its_files(tmp_path: Path) -> None:
    async_store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    try:
        one, other = [await async_store.write(done, name) for name in "ab"]
        folders = fill(tmp_path, one), fill(tmp_path, other)
        dropped: list[tuple[str, bool]] = []
        # What still writes files of it is ended before they are removed.
        await scheduler_of(async_store, tmp_path).delete(
            one, lambda job_id: dropped.append((job_id, folders[0].exists()))
        )
        assert dropped == [(one, True)]
        assert [folder.exists() for folder in folders] == [False, True]
        assert await async_store.write(Store.removed) == []
    finally:
        async_store.close()


async def test_interrupted_deletions_are_completed_at_the_next_start(tmp_path: Path) -> None:
    async_store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    try:
        one, other = [await async_store.write(done, name) for name in "ab"]
        folders = fill(tmp_path, one), fill(tmp_path, other)
        await async_store.write(Store.remove, one)  # and here the process is killed
        async with asyncio.timeout(60), scheduler_of(async_store, tmp_path).running():
            assert [folder.exists() for folder in folders] == [False, True]
            assert await async_store.write(Store.removed) == []
    finally:
        async_store.close()


async def test_undeletable_files_are_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "adapter.safetensors")

    async_store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    try:
        job_id = await async_store.write(done, "a")
        folder = fill(tmp_path, job_id)
        with monkeypatch.context() as patch:
            patch.setattr(scheduler_module, "remove_files", refuse)
            await scheduler_of(async_store, tmp_path).delete(job_id, lambda _: None)
        assert folder.exists()
        told = json.loads(capsys.readouterr().out)
        assert told["level"] == "warning"
        assert "Permission denied" in told["text"]
        async with asyncio.timeout(60), scheduler_of(async_store, tmp_path).running():
            assert not folder.exists()
    finally:
        async_store.close()

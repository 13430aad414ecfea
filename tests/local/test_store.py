"""Jobs and events on the disk: what is written is there, in order, after any kind of end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.store import STOPPED, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backend.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, "local")
    yield store
    store.close()


def new(store: Store, name: str = "a") -> str:
    job_id: str = store.create(name, CONFIG)["id"]
    return job_id


def log(step: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return ("training.log", {"step": step, **fields})


def test_a_new_job_is_queued_and_whole(store: Store) -> None:
    job = store.create("héllo", CONFIG)
    assert job["status"] == "queued"
    assert job["orgId"] == "local"
    assert job["projectId"] == store.project_id
    assert job["name"] == "héllo"
    assert job["config"] == CONFIG
    assert (job["startedAt"], job["completedAt"], job["metrics"]) == (None, None, {})
    assert job["createdAt"][-5] == "."
    assert job["createdAt"].endswith("Z")
    assert store.get(job["id"]) == job
    assert store.get("job_nope") is None


def test_the_list_is_newest_first_and_follows_every_change(store: Store) -> None:
    def listed() -> list[tuple[str, str]]:
        return [(job["name"], job["status"]) for job in json.loads(store.listing())["jobs"]]

    assert listed() == []
    first, second = new(store, "first"), new(store, "second")
    assert listed() == [("second", "queued"), ("first", "queued")]
    store.start(first)
    store.finish(second, "cancelled", ("training.cancelled", {}))
    assert listed() == [("second", "cancelled"), ("first", "running")]
    store.append(first, [log(3, loss=1.5)])
    assert json.loads(store.listing())["jobs"][1]["metrics"] == {"step": 3, "loss": 1.5}


def test_ten_thousand_jobs_are_listed_at_once(store: Store) -> None:
    store._db.execute("BEGIN")
    for n in range(10_000):
        new(store, f"job {n}")
    store._db.execute("COMMIT")
    began = time.perf_counter()
    size = len(store.listing())
    first = time.perf_counter() - began
    assert size > 10_000 * 200
    newest = new(store, "newest")
    store.listing()
    store.append(newest, [log(1, loss=1.0)])
    began = time.perf_counter()
    listing = store.listing()
    again = time.perf_counter() - began
    assert json.loads(listing)["jobs"][0]["metrics"]["step"] == 1
    # Generous: 0.15 s and 0.001 s on an idle machine.
    assert first < 3
    assert again < 0.3


def test_the_queue_is_first_come_first_served(store: Store) -> None:
    first, second = new(store), new(store)
    assert store.next_queued() == first
    store.start(first)
    assert store.next_queued() == second
    store.finish(second, "cancelled", ("training.cancelled", {}))
    assert store.next_queued() is None


def test_events_count_from_one_for_each_job(store: Store) -> None:
    one, two = new(store), new(store)
    store.append(one, [log(1), log(2)])
    store.append(two, [log(1)])
    store.append(one, [log(3)])
    assert [event_id for event_id, _, _ in store.events(one, 0, 10)] == [1, 2, 3]
    assert [event_id for event_id, _, _ in store.events(two, 0, 10)] == [1]
    assert [event_id for event_id, _, _ in store.events(one, 1, 1)] == [2]
    assert (store.last_event(one), store.last_event("job_nope")) == (3, 0)
    _, name, data = store.events(one, 0, 1)[0]
    event = json.loads(data)
    assert name == event["type"] == "training.log"
    assert event["jobId"] == one
    assert event["step"] == 1
    assert "\n" not in data


def test_metrics_follow_the_log(store: Store) -> None:
    job = new(store)
    store.append(job, [("training.started", {"metadata": {"totalSteps": 9}}), log(1, loss=3.0)])
    store.append(job, [log(1, evalLoss=2.0)])
    store.append(job, [log(2, loss=2.5), log(2, evalLoss=2.2)])
    found = store.get(job)
    assert found
    assert found["metrics"] == {"totalSteps": 9, "step": 2, "loss": 2.5, "evalLoss": 2.2, "bestEvalLoss": 2.0}


def test_the_end_comes_with_its_event_or_not_at_all(store: Store) -> None:
    job = new(store)
    store.start(job)
    with pytest.raises(TypeError):
        store.finish(job, "failed", ("training.failed", {"error": object()}), "why")
    found = store.get(job)
    assert found
    assert found["status"] == "running"
    assert store.events(job, 0, 10) == []
    assert not store.is_over(job)
    store.finish(job, "failed", ("training.failed", {"error": "why"}), "why")
    found = store.get(job)
    assert found
    assert (found["status"], found["error"]) == ("failed", "why")
    assert store.is_over(job)


def test_what_was_written_is_there_without_a_clean_end(store: Store, path: Path) -> None:
    """A second connection reads the file as a process would after the first was killed."""
    running, waiting, done = new(store), new(store), new(store)
    store.start(running)
    store.append(running, [log(7, loss=1.0)])
    store.finish(done, "cancelled", ("training.cancelled", {}))
    after = Store(path, "local")
    try:
        assert after.project_id == store.project_id
        assert after.recover() == [running]
        job = after.get(running)
        assert job
        assert (job["status"], job["error"]) == ("failed", STOPPED)
        assert job["completedAt"]
        *_, (_, name, data) = after.events(running, 0, 10)
        assert name == "training.failed"
        assert json.loads(data)["error"] == STOPPED
        assert json.loads(data)["step"] == 7
        assert after.next_queued() == waiting
        assert len(after.events(done, 0, 10)) == 1
        assert after.recover() == []
    finally:
        after.close()


def test_a_data_set_s_token_is_for_the_worker_alone(store: Store) -> None:
    source = {"type": "blob", "url": "https://example.org/d.jsonl", "token": "s3cret"}
    job = store.create("a", {**CONFIG, "datasetSource": source})
    assert "s3cret" not in json.dumps(job)
    assert b"s3cret" not in store.listing()
    assert store.config(job["id"])["datasetSource"]["token"] == "s3cret"


async def test_every_change_wakes_the_readers(store: Store) -> None:
    job = new(store)
    news = store.pulse.next()
    store.append(job, [log(1)])
    assert news.is_set()
    assert not store.pulse.next().is_set()

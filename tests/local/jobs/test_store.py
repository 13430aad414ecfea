"""Jobs and events on the disk: what is written is there, in order, after any kind of end."""

from __future__ import annotations

import gc
import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.events import TRAINING_LOG, TrainingLog, log_with
from arkor_dev.local.jobs.event_log import MOST_SAMPLES
from arkor_dev.local.jobs.rebuild import rebuild
from arkor_dev.local.jobs.store import ENDED, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.contract.shapes import JobPhase

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


def log(step: int, **figures: Any) -> TrainingLog:
    return log_with(TrainingLog(type=TRAINING_LOG, step=step), figures)


def test_a_new_job_is_queued(store: Store) -> None:
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


def test_concurrently_numbered_jobs_get_unique_names(store: Store) -> None:
    names = [store.create(name, CONFIG)["name"] for name in ("bot", "bot #2", "bot #2", "bot")]
    assert names == ["bot", "bot #2", "bot #3", "bot"]


def test_the_job_list_is_newest_first_and_current(store: Store) -> None:
    def listed() -> list[tuple[str, str]]:
        return [(job["name"], job["status"]) for job in json.loads(store.listing())["jobs"]]

    assert listed() == []
    first, second = new(store, "first"), new(store, "second")
    assert listed() == [("second", "queued"), ("first", "queued")]
    store.start_next()
    assert store.cancel_queued(second)
    assert listed() == [("second", "cancelled"), ("first", "running")]
    store.append(first, [log(3, loss=1.5)])
    assert json.loads(store.listing())["jobs"][1]["metrics"] == {"step": 3, "loss": 1.5}


def test_one_of_ten_thousand_jobs_that_changes_is_listed_again_much_faster(store: Store) -> None:
    new(store, "job 0")
    store._db.execute(
        """INSERT INTO jobs (seq, id, name, status, config, created)
            WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
            SELECT seq + n, id || n, 'job ' || n, 'cancelled', config, created FROM jobs, n"""
    )

    def timed() -> tuple[bytes, float]:
        """The list, and this thread's seconds; no garbage of other tests is searched meanwhile."""
        gc.disable()
        try:
            began = time.thread_time()
            return store.listing(), time.thread_time() - began
        finally:
            gc.enable()

    listing, first = timed()
    assert len(listing) > 10_000 * 200
    assert [job["name"] for job in json.loads(listing)["jobs"]] == [
        f"job {n}" for n in reversed(range(10_000))
    ]
    newest = new(store, "newest")
    store.listing()
    store.append(newest, [log(1, loss=1.0)])
    listing, again = timed()
    assert json.loads(listing)["jobs"][0]["metrics"]["step"] == 1
    assert again < first / 10, (again, first)


def test_the_queue_is_first_come_first_served(store: Store) -> None:
    first, second = new(store), new(store)
    assert store.start_next() == (first, CONFIG)
    assert store.start_next() == (second, CONFIG)
    third = new(store)
    assert store.cancel_queued(third)
    assert store.start_next() is None


def test_a_started_job_is_not_cancelled_as_queued(store: Store) -> None:
    job = new(store)
    store.start_next()
    assert not store.cancel_queued(job)
    assert not store.is_over(job)
    assert not store.cancel_queued("job_nope")


def test_a_queued_job_has_its_position(store: Store) -> None:
    def places() -> list[Any]:
        listed = [job.get("queue") for job in json.loads(store.listing())["jobs"]]
        found = [store.get(job) for job in reversed(jobs)]
        assert listed == [job.get("queue") for job in found if job]
        return listed[::-1]

    jobs = [new(store, "a")]
    assert places() == [{"position": 1, "behind": None}]
    jobs += [store.create("b", CONFIG)["id"], store.create("c", CONFIG)["id"]]
    a, b, c = ({"id": job, "name": name} for job, name in zip(jobs, "abc", strict=True))
    assert places() == [
        {"position": 1, "behind": None},
        {"position": 2, "behind": a},
        {"position": 3, "behind": b},
    ]
    store.start_next()
    assert places() == [None, {"position": 1, "behind": a}, {"position": 2, "behind": b}]
    store.cancel_queued(jobs[1])
    assert places() == [None, None, {"position": 1, "behind": a}]
    store.finish(jobs[0], {"type": "training.completed"})
    assert places() == [None, None, {"position": 1, "behind": None}]
    jobs.append(new(store, "d"))
    assert places()[-1] == {"position": 2, "behind": c}


def test_event_ids_start_at_one_for_each_job(store: Store) -> None:
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


def test_job_metrics_follow_the_events(store: Store) -> None:
    job = new(store)
    store.append(job, [{"type": "training.started", "metadata": {"totalSteps": 9}}, log(1, loss=3.0)])
    store.append(job, [log(1, evalLoss=2.0)])
    store.append(job, [log(2, loss=2.5), log(2, evalLoss=2.2)])
    found = store.get(job)
    assert found
    assert found["metrics"] == {"totalSteps": 9, "step": 2, "loss": 2.5, "evalLoss": 2.2, "bestEvalLoss": 2.0}


def test_status_and_final_event_are_written_atomically(store: Store) -> None:
    job = new(store)
    store.start_next()
    unfit: Any = {"type": "training.failed", "error": object()}
    with pytest.raises(TypeError):
        store.finish(job, unfit)
    found = store.get(job)
    assert found
    assert found["status"] == "running"
    assert store.events(job, 0, 10) == []
    assert not store.is_over(job)
    store.finish(job, {"type": "training.failed", "error": "why"})
    store.finish(job, {"type": "training.completed"})  # the first one counts
    assert len(store.events(job, 0, 10)) == 1
    found = store.get(job)
    assert found
    assert (found["status"], found["error"]) == ("failed", "why")
    assert store.is_over(job)


def test_writes_survive_a_kill(store: Store, path: Path) -> None:
    """A second connection reads the file as a process would after the first was killed."""
    running, waiting, done = new(store), new(store), new(store)
    store.start_next()
    store.append(running, [log(7, loss=1.0)])
    store.cancel_queued(done)
    after = Store(path, "local")
    try:
        assert after.project_id == store.project_id
        assert after.recover(resume=False) == [running]
        job = after.get(running)
        assert job
        assert (job["status"], job["pause"]) == ("paused", {"step": 0, "reason": "ended", "message": ENDED})
        *_, (_, name, data) = after.events(running, 0, 10)
        assert name == "training.paused"
        assert json.loads(data)["message"] == ENDED
        assert after.start_next() == (waiting, CONFIG)
        assert len(after.events(done, 0, 10)) == 1
        # Whoever may go on does so in the next process, before all others.
        assert after.recover() == [waiting]
        assert [after.start_next() for _ in range(3)] == [(running, CONFIG), (waiting, CONFIG), None]
    finally:
        after.close()


def test_the_token_of_a_data_set_is_masked_in_responses(store: Store) -> None:
    source = {"type": "blob", "url": "https://example.org/d.jsonl", "token": "s3cret"}
    several = {"type": "list", "sources": [CONFIG["datasetSource"], source]}
    job = store.create("a", {**CONFIG, "datasetSource": source, "evalDatasetSource": several})
    assert "s3cret" not in json.dumps(job)
    assert b"s3cret" not in store.listing()
    started = store.start_next()
    assert started
    assert started[1]["datasetSource"]["token"] == "s3cret"


def test_the_effective_settings_are_stored(store: Store, path: Path) -> None:
    """Its own figures, whatever the defaults of a later version are; the latest start counts."""
    job, waiting = new(store), new(store)
    store.start_next()
    for steps in (40, 60):
        settings: dict[str, object] = {"maxSteps": steps, "seed": 42, "weightDecay": 0.0}
        store.append(
            job, [{"type": "training.started", "metadata": {"totalSteps": steps, "settings": settings}}]
        )
    store.append(job, [log(1, loss=1.0)])
    after = Store(path, "local")
    try:
        for one in (store, after):
            found = one.get(job)
            assert found
            assert (found["settings"], found["config"]) == (settings, CONFIG)
            listed = {each["id"]: each for each in json.loads(one.listing())["jobs"]}
            assert listed[job]["settings"] == settings
            assert "settings" not in listed[waiting]
    finally:
        after.close()


@pytest.mark.parametrize("count", [10, MOST_SAMPLES, MOST_SAMPLES + 1, 5 * MOST_SAMPLES - 7])
def test_system_metrics_are_thinned_out_evenly(store: Store, count: int) -> None:
    job, other = new(store), new(store)
    for owner in (job, other):
        samples: list[Event] = [{"type": "system.metrics", "step": n, "cpu": 0.5} for n in range(count)]
        store.append(
            owner, [log(1, loss=1.0), *samples[: count // 2], log(2, loss=2.0), *samples[count // 2 :]]
        )
    store.start_next()
    before = store.events(job, 0, 10**6)
    store.finish(job, {"type": "training.completed"})
    after = store.events(job, 0, 10**6)
    kept = [json.loads(data)["step"] for _, name, data in after if name == "system.metrics"]
    every = -(-count // MOST_SAMPLES)
    assert kept == list(range(0, count, every))
    assert len(kept) <= MOST_SAMPLES
    # All else is there as it was, under its old id; the end comes last.
    assert [row for row in after[:-1] if row[1] != "system.metrics"] == [
        row for row in before if row[1] != "system.metrics"
    ]
    assert set(after[:-1]) <= set(before)
    assert (after[-1][0], after[-1][1]) == (len(before) + 1, "training.completed")
    assert len(store.events(other, 0, 10**6)) == len(before)  # still running: nothing is taken yet


def test_a_running_job_has_phase_and_time_left(store: Store) -> None:
    job = new(store)
    store.start_next()
    store.append(job, [{"type": "training.phase", "phase": "loading"}])
    loading = phase_of(store, job)
    assert (loading["name"], "secondsLeft" in loading) == ("loading", False)
    store.append(job, [{"type": "training.phase", "phase": "training"}, log(1, loss=2.0, secondsLeft=40.5)])
    training = phase_of(store, job)
    assert (training["name"], training["secondsLeft"]) == ("training", 40.5)
    assert training["estimatedAt"] >= training["since"] >= loading["since"]
    store.append(job, [{"type": "training.phase", "phase": "evaluating", "secondsLeft": 9.0}])
    first = phase_of(store, job)
    store.append(job, [{"type": "training.phase", "phase": "evaluating", "secondsLeft": 12.0}])
    again = phase_of(store, job)
    assert (again["since"], again["secondsLeft"]) == (first["since"], 12.0), "the same phase, estimated anew"
    (listed,) = json.loads(store.listing())["jobs"]
    assert listed["phase"] == again
    assert "phase" not in listed["metrics"]
    store.finish(job, {"type": "training.completed"})
    assert "phase" not in (store.get(job) or {})


def phase_of(store: Store, job: str) -> JobPhase:
    found = store.get(job)
    assert found is not None
    return found["phase"]


DAMAGES = {
    "name is bytes": ("name", b"\xff\xfe"),
    "status is unknown": ("status", "lost"),
    "config is not JSON": ("config", "{"),
    "config is a list": ("config", "[]"),
    "config has no source": ("config", '{"model": "m", "datasetSource": 3}'),
    "metrics have NaN": ("metrics", '{"loss": NaN}'),
    "metrics have text": ("metrics", '{"step": "9"}'),
    "metrics nest": ("metrics", "[" * 100_000),
    "evaluation is text": ("evaluation", '"better"'),
    "pause has no step": ("pause", '{"reason": "asked"}'),
    "tags are a number": ("tags", "3"),
    "a lone surrogate": ("settings", '{"a": "\\ud800"}'),
    "created is bytes": ("created", b"\xff"),
    "resumable is text": ("resumable", "five"),
}


ENDED_WITH = ("status", "pause")
"""Columns whose damage is gone once the job has ended."""


@pytest.mark.parametrize(
    ("damage", "status"),
    [
        *((damage, "running") for damage in DAMAGES),
        ("config is not JSON", "queued"),
        ("config is not JSON", "completed"),
    ],
)
def test_a_damaged_job_record_fails_alone(tmp_path: Path, damage: str, status: str) -> None:
    path = tmp_path / "backend.sqlite"
    with closing(Store(path, "local")) as store:
        damaged, sound = (store.create(name, CONFIG)["id"] for name in ("first", "second"))
        if status != "queued":
            store.start_next()
        if status == "completed":
            store.finish(damaged, {"type": "training.completed"})
    column, value = DAMAGES[damage]
    with closing(sqlite3.connect(path)) as db:
        change = f"UPDATE jobs SET {column} = ? WHERE id = ?"  # noqa: S608 - our own names
        db.execute(change, (value, damaged))
        db.commit()
    with closing(Store(path, "local")) as store:
        store.recover()
        listed = {job["id"]: job for job in strict_json.parse(store.listing())["jobs"]}
        assert listed.keys() == {damaged, sound}
        assert listed[damaged]["status"] == "failed"
        assert f"damaged: {column}" in listed[damaged]["error"]
        assert "arkor-dev local rebuild" in listed[damaged]["error"]
        assert (listed[sound]["name"], listed[sound]["status"]) == ("second", "queued")
        if column not in ENDED_WITH:
            with pytest.raises(ConflictError, match="local rebuild"):
                store.config(damaged)
            with pytest.raises(ConflictError, match="local rebuild"):
                store.resume(damaged, "asked", {})
        started = store.start_next()
        assert started
        assert started[0] == sound
        store.remove(damaged)
        assert list(store.names()) == [sound]


def test_an_invalid_byte_in_a_job_name_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "backend.sqlite"
    with closing(Store(path, "local")) as store:
        job = store.create("first", CONFIG)["id"]
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE jobs SET name = CAST(x'61ff62' AS TEXT)")
        db.commit()
    assert rebuild(tmp_path, "local")[:2] == (1, 1)
    with closing(Store(path, "local")) as store:
        assert json.loads(store.listing())["jobs"][0]["name"] == "a\ufffdb"
        store.edit(job, {"name": "mended"})
        assert json.loads(store.listing())["jobs"][0]["name"] == "mended"

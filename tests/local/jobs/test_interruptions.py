"""A job stands and goes on: each step is told once, no id is used twice, and who crashes for ever fails."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.events import SampleCreated
from arkor_dev.local.jobs.store import ENDED, Again, Crash, Store
from tests.local.jobs.test_store import CONFIG, log, new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.events import Event, TrainingCompleted, TrainingStarted

STARTED: TrainingStarted = {"type": "training.started", "metadata": {"totalSteps": 9}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "backend.sqlite", "local")
    yield store
    store.close()


def told(store: Store, job: str) -> list[tuple[int, str, int | None]]:
    """Id, name and step of each event."""
    return [(number, name, json.loads(data).get("step")) for number, name, data in store.events(job, 0, 100)]


def trained(store: Store) -> str:
    """A job that has come to step 5, and could go on after step 4."""
    job = new(store)
    store.start_next()
    store.append(job, [{"type": "training.message", "message": "once"}, STARTED])
    store.append(job, [log(step, loss=9.0 - step) for step in (1, 2)])
    store.append(job, [log(2, evalLoss=1.0), {"type": "checkpoint.saved", "step": 2}])
    store.append(job, [log(3, loss=6.0), log(4, loss=5.0), log(4, evalLoss=0.5)])
    store.append(job, [{"type": "checkpoint.saved", "step": 4}, {"type": "checkpoint.removed", "step": 2}])
    store.append(job, [log(5, loss=4.0), {"type": "system.metrics", "cpu": 1.0}])
    store.keep(job, 4)
    return job


def test_resuming_drops_repeated_steps_and_reuses_no_event_id(store: Store) -> None:
    job = trained(store)
    before = told(store, job)
    store.pause(job, {"type": "training.paused", "step": 5, "reason": "asked"})
    assert told(store, job)[-1] == (len(before) + 1, "training.paused", 5)
    store.resume(job, "Why.", {})
    store.start_next()
    store.append(job, [{"type": "training.resumed", "step": 4}, STARTED, log(5, loss=4.0)])
    kept = [event for event in before if event[0] <= 11]
    last = len(before) + 1
    assert told(store, job) == [
        *kept,
        (last + 1, "training.resumed", 4),
        (last + 2, "training.started", None),
        (last + 3, "training.log", 5),
    ]
    found = store.get(job)
    assert found
    assert found["metrics"] == {"totalSteps": 9, "step": 5, "loss": 4.0, "evalLoss": 0.5, "bestEvalLoss": 0.5}
    # A reader that has seen what was dropped goes on behind it.
    assert next(name for _, name, _ in store.events(job, last - 1, 100)) == "training.resumed"


def test_resuming_further_back_drops_later_checkpoints(store: Store) -> None:
    job = trained(store)
    store.append(job, [{"type": "training.resumed", "step": 2}, log(3, loss=6.0)])
    assert [(name, step) for _, name, step in told(store, job)] == [
        ("training.message", None),
        ("training.started", None),
        ("training.log", 1),
        ("training.log", 2),
        ("training.log", 2),
        ("checkpoint.saved", 2),
        ("checkpoint.removed", 2),
        ("training.resumed", 2),
        ("training.log", 3),
    ]
    found = store.get(job)
    assert found
    assert found["metrics"] == {"totalSteps": 9, "step": 3, "loss": 6.0, "evalLoss": 1.0, "bestEvalLoss": 1.0}


def test_final_events_are_not_repeated(store: Store) -> None:
    """The process crashed while it compared the finished adapter, or the job was given more steps."""
    job = trained(store)
    store.append(job, [{"type": "checkpoint.saved", "step": 5}])
    before = told(store, job)
    last: list[Event] = [
        {"type": "training.message", "message": "The result is that of step 4, whose evaluation was best"},
        {"type": "system.metrics", "step": 5, "cpu": 1.0},
        {"type": "evaluation.completed", "evaluation": {"verdict": "better", "sentence": "Better."}},
    ]
    ends: tuple[TrainingCompleted | None, ...] = (None, {"type": "training.completed"})
    for end in ends:
        store.append(job, last)
        if end:
            store.finish(job, end)
        store.append(job, [{"type": "training.resumed", "step": 5}])
        assert [event for event in told(store, job) if event[1] != "training.resumed"] == before


def test_messages_before_the_first_step_are_kept(store: Store) -> None:
    """A run that logs every tenth step was paused before the first of them."""
    job = new(store)
    store.start_next()
    store.append(job, [{"type": "training.message", "message": "once"}, STARTED])
    store.pause(job, {"type": "training.paused", "step": 3, "reason": "asked"})
    store.append(job, [{"type": "training.resumed", "step": 3}])
    assert [name for _, name, _ in told(store, job)] == [
        "training.message",
        "training.started",
        "training.resumed",
    ]


def test_restarting_drops_all_events(store: Store) -> None:
    job = trained(store)
    last = told(store, job)[-1][0]
    store.append(job, [{"type": "training.resumed", "step": 0}])
    assert told(store, job) == [(last + 1, "training.resumed", 0)]
    found = store.get(job)
    assert found
    assert found["metrics"] == {}


def test_resuming_clears_the_end(store: Store) -> None:
    job = trained(store)
    store.finish(job, {"type": "training.failed", "error": "why"})
    found = store.get(job)
    assert found
    assert (found["status"], found["resumable"]) == ("failed", 4)
    assert store.is_over(job)
    waiting = new(store, "b")
    resumed = store.resume(job, "Why.", {"force": True})
    assert resumed["status"] == "queued"
    assert resumed["queue"]["position"] == 1
    assert not {"error", "resumable", "pause"} & resumed.keys()
    assert not store.is_over(job)
    assert store.resume_options(job) == {"why": "Why.", "force": True, "kept": 4, "sampled": []}
    assert store.start_next() == (job, CONFIG)
    store.append(job, [{"type": "training.resumed", "step": 4}])
    assert "training.failed" not in [name for _, name, _ in told(store, job)]
    store.finish(job, {"type": "training.completed"})
    assert store.resume_options(job) == {}
    assert store.start_next() == (waiting, CONFIG)


def test_a_resumed_job_knows_its_sampled_steps(store: Store) -> None:
    job = trained(store)
    for step, number in itertools.product((0, 4), (1, 2)):
        sample = SampleCreated(type="sample.created", step=step, number=number, prompt="Q?", answer="A")
        store.append(job, [sample])
    store.pause(job, {"type": "training.paused", "step": 4, "reason": "asked"})
    store.resume(job, "Why.", {})
    assert store.resume_options(job)["sampled"] == [0, 4]


def test_only_paused_and_ended_jobs_can_be_resumed(store: Store) -> None:
    waiting, job = new(store), new(store)
    with pytest.raises(ConflictError, match="is queued"):
        store.resume(waiting, "", {})
    store.cancel_queued(waiting)
    with pytest.raises(ConflictError, match="it has no saved state"):
        store.resume(waiting, "", {})
    store.start_next()
    with pytest.raises(ConflictError, match="is running"):
        store.resume(job, "", {})
    store.keep(job, 3)
    store.finish(job, {"type": "training.completed"})
    with pytest.raises(ConflictError, match="extend it to continue"):
        store.resume(job, "", {})
    longer: Any = {**CONFIG, "maxSteps": 20}
    assert store.resume(job, "", {"further": 3}, longer)["config"] == longer
    assert store.start_next() == (job, longer)


def test_a_paused_job_is_cancelled_at_once(store: Store) -> None:
    job = trained(store)
    store.pause(job, {"type": "training.paused", "step": 5, "reason": "asked"})
    found = store.get(job)
    assert found
    assert (found["status"], found["pause"]) == ("paused", {"step": 5, "reason": "asked"})
    assert not store.is_over(job)
    store.pause(job, {"type": "training.paused", "step": 5, "reason": "ended"})  # once is enough
    assert [name for _, name, _ in told(store, job)].count("training.paused") == 1
    assert store.cancel_queued(job)
    found = store.get(job)
    assert found
    assert found["status"] == "cancelled"
    assert "pause" not in found


def test_three_crashes_without_progress_fail_a_job(store: Store) -> None:
    job = trained(store)
    cause = Crash("It was killed.")
    for _ in range(2):
        assert store.crashed(job, cause, None) == Again("It was killed.")
        assert store.resume_options(job)["auto"]
        assert store.start_next() == (job, CONFIG)
    store.append(job, [log(6, loss=3.0)])  # it has come further: it may try again
    for _ in range(2):
        assert store.crashed(job, cause, None) == Again("It was killed.")
        store.start_next()
    verdict: Any = store.crashed(job, cause, None)
    assert verdict == {"type": "training.failed", "error": "It was killed. That was the third time at step 6"}
    found = store.get(job)
    assert found
    assert (found["status"], found["error"], found["resumable"]) == ("failed", verdict["error"], 4)


def test_three_kills_pause_a_job(store: Store) -> None:
    job = trained(store)
    cause = Crash("It was killed.", killed=True)
    for _ in range(2):
        for _ in range(2):
            assert store.crashed(job, cause, None) == Again("It was killed.")
            assert store.start_next() == (job, CONFIG)
        message = "It was killed. That was the third time at step 5"
        pause = {"type": "training.paused", "step": 4, "reason": "killed", "message": message}
        assert store.crashed(job, cause, None) == pause
        found = store.get(job)
        assert found
        assert (found["status"], found["pause"]) == (
            "paused",
            {"step": 4, "reason": "killed", "message": message},
        )
        store.resume(job, "It was resumed by a person.", {})
        assert store.start_next() == (job, CONFIG)


def test_ends_of_the_backend_are_not_crashes(store: Store) -> None:
    job = trained(store)
    for _ in range(5):
        store.pause_at_resume_point(job, "ended", ENDED)
        assert store.recover() == []
        assert store.start_next() == (job, CONFIG)
    for _ in range(2):
        assert store.recover() == [job]
        assert store.start_next() == (job, CONFIG)
    assert store.recover() == [job]
    found = store.get(job)
    assert found
    assert found["error"] == f"{ENDED[:-1]}. That was the third time at step 5"


def test_automatic_resumes_ignore_a_paused_queue(store: Store) -> None:
    job = trained(store)
    waiting: Any = new(store, "b")
    store.arrange(None, True)
    assert store.recover() == [job]
    assert store.start_next() == (job, CONFIG)
    assert store.start_next() is None
    store.pause_at_resume_point(job, "asked")
    store.resume(job, "It was resumed by a person.", {})
    assert store.start_next() is None  # a person has held the queue, and sees it
    assert store.cancel_queued(waiting)


def test_a_detached_job_is_not_paused_and_continues_first(store: Store) -> None:
    job = trained(store)
    new(store, "b")
    before = store.events(job, 0, 100)
    for _ in range(5):  # no end of the backend is a crash of it
        assert store.recover(trains_elsewhere=lambda *_: True, read_only=True) == []
        found = store.get(job)
        assert found
        assert found["status"] == "running"
        assert store.recover(trains_elsewhere=lambda each, _: each == job) == [job]
        assert store.start_next() == (job, CONFIG)
    assert store.events(job, 0, 100) == before
    assert store.resume_options(job)["auto"]
    assert "stand" not in store.resume_options(job)
    store.recover(trains_elsewhere=lambda *_: True, resume=False)
    assert store.resume_options(job)["stand"]


def test_the_message_mark_is_stored_with_its_events(store: Store) -> None:
    job = trained(store)
    store.append(job, [log(6)], resumable=6, mark="place:9")
    broken: Any = {"type": "training.log", "step": {1, 2}}  # no JSON
    with pytest.raises(TypeError):
        store.append(job, [log(7), broken], resumable=7, mark="place:11")
    assert store.resume_options(job)["mark"] == "place:9"
    assert json.loads(store.events(job, 0, 100)[-1][2])["step"] == 6
    assert store.crashed(job, Crash("It was killed."), None) == Again("It was killed.")
    orders = store.resume_options(job)
    assert (orders["mark"], orders["kept"]) == ("place:9", 6)
    store.start_next()
    store.finish(job, {"type": "training.completed"})
    assert "mark" not in store.resume_options(job)


def test_unfinished_jobs_are_listed_with_their_status(store: Store) -> None:
    done, runs, waits = new(store, "a"), new(store, "b"), new(store, "c")
    store.cancel_queued(done)
    store.start_next()
    assert store.unfinished() == {runs: "running", waits: "queued"}

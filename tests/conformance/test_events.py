"""The event stream: history, order, resuming, the end (docs/contract.md#event-stream)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .target import OWN
from .test_jobs import moment

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target

OVER = ("training.completed", "training.failed", "training.cancelled")
NUMBERS = ("loss", "evalLoss", "learningRate", "epoch", "samplesPerSecond")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_every_frame_has_its_name_job_and_time(finished: Finished) -> None:
    for frame in finished.frames:
        assert isinstance(frame.json, dict)
        if frame.event not in OWN:
            assert frame.json["type"] == frame.event
            assert frame.json["jobId"] == finished.id
            moment(frame.json["timestamp"])


def test_history_events_have_ids_and_stream_events_none(finished: Finished) -> None:
    assert all((frame.id is None) == (frame.event in OWN) for frame in finished.frames)
    assert "" not in [frame.id for frame in finished.frames]


def test_a_job_sends_start_log_checkpoint_and_completion(finished: Finished) -> None:
    events = [frame.event for frame in finished.frames]
    assert events[-2:] == ["training.completed", "end"]
    assert [event for event in events if event in OVER] == ["training.completed"]
    assert events.count("end") == 1
    assert events.count("training.started") == 1
    assert events.index("training.started") < events.index("training.log")
    assert events.index("training.log") < events.index("checkpoint.saved")


def test_log_events_have_step_and_numbers(finished: Finished) -> None:
    rows = [frame.json for frame in finished.of("training.log")]
    steps = [row["step"] for row in rows]
    assert all(isinstance(step, int) for step in steps)
    assert steps == sorted(steps)
    assert all(row.get(name) is None or is_number(row[name]) for row in rows for name in NUMBERS)
    assert any(is_number(row.get("loss")) for row in rows)


def test_checkpoint_events_name_the_artifact(finished: Finished) -> None:
    for frame in finished.of("checkpoint.saved"):
        assert isinstance(frame.json["step"], int)
    assert finished.of("checkpoint.saved")
    for frame in finished.frames:
        assert all(isinstance(each["kind"], str) for each in frame.json.get("artifacts") or [])
    assert isinstance(finished.of("training.completed")[0].json.get("metrics") or {}, dict)


def test_every_connection_replays_the_whole_history(target: Target, finished: Finished) -> None:
    for _ in range(2):
        assert target.history(finished.id) == finished.frames[:-1]


@pytest.mark.parametrize("place", [0.0, 0.5, 0.99], ids=["first", "middle", "last"])
def test_a_stream_resumes_after_the_last_event_id(target: Target, finished: Finished, place: float) -> None:
    history = finished.frames[:-1]
    ids = [frame.id for frame in history]
    at = int(place * len(history))
    assert ids.count(ids[at]) == 1
    assert target.history(finished.id, ids[at]) == history[at + 1 :]


@pytest.mark.parametrize("last", ["no-such-event", "-1", "999999999", "9" * 400, "1.5", "é"])
def test_an_unknown_event_id_replays_the_history(target: Target, finished: Finished, last: str) -> None:
    assert target.history(finished.id, last) == finished.frames[:-1]


def test_events_are_sent_while_the_job_runs(cancelled: Cancelled) -> None:
    assert cancelled.status_amid == "running"


def test_a_broken_stream_resumes_without_gap_or_repeat(target: Target, cancelled: Cancelled) -> None:
    assert cancelled.seen == target.history(cancelled.id)


def test_every_reader_sees_the_same(cancelled: Cancelled) -> None:
    one, another = cancelled.readers
    assert one == another == cancelled.seen[: len(one)]


def test_a_disconnected_reader_affects_nobody(target: Target, endless: str) -> None:
    for _ in range(10):
        target.stream(endless).close()
    assert target.job(endless)["status"] in ("queued", "running")
    target.stream(endless).close()

"""Jobs that pause, go on, get a later end, or begin from a checkpoint (docs/contract.md#pause-and-resume)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import STEPS
from .target import OVER, history_of
from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Extended, Finished, Interrupted
    from .target import Frame, Target

ENDINGS = [f"training.{status}" for status in OVER]


def steps(frames: list[Frame]) -> list[int]:
    return [frame.json["step"] for frame in frames if frame.event == "training.log"]


def one(frames: list[Frame], event: str) -> dict[str, Any]:
    """The data of the only event of this name."""
    (frame,) = [frame for frame in frames if frame.event == event]
    return frame.json


@pytest.mark.parametrize("feature", ["pause", "resume", "adjust", "extend"])
def test_calls_exist_with_their_feature_only(target: Target, feature: str, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.id}/{feature}"
    if feature not in named(target):
        assert target.call("POST", path, {}).status == 404
        return
    stranger = target.call("POST", path, {}, headers={"Authorization": "Bearer nobody"})
    assert stranger.status == 401
    assert stranger.error
    assert target.call("POST", path, {}, query={}).status == 400
    assert target.call("POST", path, {}, query={**target.scope, "orgSlug": "others"}).status == 403
    assert target.call("POST", f"/v1/jobs/nope/{feature}", {"maxSteps": 1000}).status == 404


# --- pause and resume -----------------------------------------------------------------------------------


def test_a_paused_job_has_step_and_reason(target: Target, interrupted: Interrupted | None) -> None:
    need(target, "pause")
    assert interrupted is not None
    assert interrupted.running["status"] == "running"
    assert "pause" not in interrupted.running
    assert interrupted.paused["status"] == "paused"
    pause = interrupted.paused["pause"]
    first = next(frame.json for frame in interrupted.reader if frame.event == "training.paused")
    assert (pause["step"], pause["reason"]) == (first["step"], "asked")
    assert first["reason"] == "asked"
    names = [frame.event for frame in interrupted.reader]
    before = steps(interrupted.reader[: names.index("training.paused")])
    assert before[-1] == pause["step"]
    assert interrupted.queued["status"] in ("queued", "running")
    assert "pause" not in interrupted.queued


def test_the_stream_shows_where_a_job_resumes(target: Target, interrupted: Interrupted | None) -> None:
    need(target, "resume")
    assert interrupted is not None
    names = [frame.event for frame in interrupted.reader]
    at = names.index("training.resumed")
    resumed = interrupted.reader[at].json["step"]
    assert resumed <= interrupted.paused["pause"]["step"]
    after = steps(interrupted.reader[at:])
    assert after == list(range(resumed + 1, resumed + 1 + len(after)))
    assert names[-1] == "training.cancelled"


def test_the_history_has_every_step_and_id_once(target: Target, interrupted: Interrupted | None) -> None:
    need(target, "resume")
    assert interrupted is not None
    told = steps(interrupted.replayed)
    assert told == list(range(1, len(told) + 1))
    names = [frame.event for frame in interrupted.replayed]
    assert names.count("training.resumed") == 1
    # The second pause was not taken back: the job was cancelled in it.
    assert names.count("training.paused") == 1
    assert [name for name in names if name in ENDINGS] == ["training.cancelled"]
    ids = [frame.id for frame in interrupted.reader]
    assert len(set(ids)) == len(ids)
    assert {frame.id for frame in interrupted.replayed} < set(ids)


def test_dropped_event_ids_remain_valid_positions(target: Target, interrupted: Interrupted | None) -> None:
    need(target, "resume")
    assert interrupted is not None
    replayed = [frame.id for frame in interrupted.replayed]
    assert interrupted.dropped not in replayed
    at = [frame.event for frame in interrupted.replayed].index("training.resumed")
    assert target.history(interrupted.id, interrupted.dropped) == interrupted.replayed[at:]


@pytest.mark.parametrize("body", [{"force": "yes"}, {"force": 1}, {"force": None}])
def test_invalid_resume_requests_are_refused(
    target: Target, interrupted: Interrupted | None, body: dict[str, Any]
) -> None:
    need(target, "resume")
    assert interrupted is not None
    answer = target.call("POST", f"/v1/jobs/{interrupted.id}/resume", body)
    assert answer.status == 400
    assert answer.error


def test_only_running_jobs_pause_and_only_saved_ones_resume(target: Target, finished: Finished) -> None:
    need(target, "pause")
    need(target, "resume")
    before = target.job(finished.id)
    for call in ("pause", "resume"):
        answer = target.call("POST", f"/v1/jobs/{finished.id}/{call}", {})
        assert answer.status == 409
        assert answer.error
    waiting = target.submit(target.endless)  # which is never through, and keeps nothing before its end
    target.cancel(waiting)
    target.ended(waiting)
    if "resumable" not in target.job(waiting):
        assert target.call("POST", f"/v1/jobs/{waiting}/resume", {}).status == 409
    assert target.job(finished.id) == before


# --- adjust ---------------------------------------------------------------------------------------------


def test_a_paused_job_continues_with_other_settings_and_says_which_and_from_where(target: Target) -> None:
    need(target, "adjust")
    need(target, "pause")
    job_id = target.submit({**target.endless, "learningRate": 1e-3})
    with target.stream(job_id) as stream:
        next(frame for frame in history_of(stream) if frame.event == "training.log")
    paused = target.call("POST", f"/v1/jobs/{job_id}/pause", {}).json["job"]
    adjust = f"/v1/jobs/{job_id}/adjust"
    wrong: list[dict[str, Any]] = [{}, {"settings": {}}]
    wrong += [{"settings": settings} for settings in ({"loraR": 2}, {"learningRate": 1e-3})]
    for body in wrong:
        refused = target.call("POST", adjust, body)
        assert refused.status == 400
        assert refused.error
    assert target.job(job_id) == paused
    answer = target.call("POST", adjust, {"settings": {"learningRate": 5e-4}})
    assert answer.status == 200
    config = answer.json["job"]["config"]
    step = paused["pause"]["step"]
    assert (config["learningRate"], config["adjusted"]) == (
        5e-4,
        [{"step": step, "settings": {"learningRate": [1e-3, 5e-4]}}],
    )
    target.cancel(job_id)
    target.ended(job_id)


# --- extend ---------------------------------------------------------------------------------------------


def test_a_finished_job_is_extended(target: Target, extended: Extended | None) -> None:
    need(target, "extend")
    assert extended is not None
    assert (extended.before["status"], extended.before["resumable"]) == ("completed", STEPS)
    assert extended.queued["status"] in ("queued", "running")
    assert (extended.job["status"], extended.job["resumable"]) == ("completed", STEPS + 2)
    assert extended.job["config"]["maxSteps"] == STEPS + 2
    told = [frame.json["step"] for frame in extended.history if "loss" in frame.json]
    assert told == sorted(set(told))
    assert one(extended.history, "training.resumed")["step"] == STEPS
    assert one(extended.history, "training.completed")
    assert extended.history[-1].event == "training.completed"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"maxSteps": 8, "numTrainEpochs": 8},
        {"maxSteps": STEPS + 2},
        {"maxSteps": 1},
        {"maxSteps": "many"},
        {"maxSteps": 0},
        {"numTrainEpochs": 0},
        {"maxSteps": 99, "schedule": "faster"},
        {"maxSteps": 99, "force": "yes"},
    ],
)
def test_invalid_extensions_are_refused(
    target: Target, extended: Extended | None, body: dict[str, Any]
) -> None:
    need(target, "extend")
    assert extended is not None
    answer = target.call("POST", f"/v1/jobs/{extended.id}/extend", body)
    assert answer.status == 400
    assert answer.error
    assert target.job(extended.id) == extended.job


def test_only_completed_jobs_can_be_extended(target: Target, interrupted: Interrupted | None) -> None:
    need(target, "extend")
    if interrupted is None:
        pytest.skip("this backend pauses nothing")
    assert target.call("POST", f"/v1/jobs/{interrupted.id}/extend", {"maxSteps": 10**6 + 1}).status == 409


# --- parent ---------------------------------------------------------------------------------------------


def test_a_job_starts_from_another_jobs_checkpoint(target: Target, extended: Extended | None) -> None:
    need(target, "parent")
    if extended is None:
        pytest.skip("this backend extends nothing")
    saved = [frame.json["step"] for frame in extended.history if frame.event == "checkpoint.saved"]
    removed = [frame.json["step"] for frame in extended.history if frame.event == "checkpoint.removed"]
    step = next(step for step in saved if step not in removed)
    config = {**target.quick, "loraR": extended.job["config"].get("loraR", 8)}
    for asked, told in (({"jobId": extended.id, "step": step}, step), ({"jobId": extended.id}, STEPS + 2)):
        body = {"name": "a branch", "config": config, "parent": asked}
        answer = target.call("POST", "/v1/jobs", body)
        assert answer.status in (200, 201), answer
        job = answer.json["job"]
        assert job["parent"] == {"jobId": extended.id, "step": told, "name": extended.job["name"]}
        target.cancel(job["id"])
        assert target.ended(job["id"])["parent"] == job["parent"]


@pytest.mark.parametrize(
    ("parent", "status"),
    [("x", 400), ({}, 400), ({"jobId": 5}, 400), ({"jobId": "nope"}, 404), ({"step": 99_999}, 404)],
)
def test_an_invalid_parent_is_refused(
    target: Target, extended: Extended | None, parent: Any, status: int
) -> None:
    need(target, "parent")
    if extended is None:
        pytest.skip("this backend extends nothing")
    if isinstance(parent, dict) and "step" in parent:
        parent = {"jobId": extended.id, **parent}
    before = len(target.jobs())
    answer = target.call("POST", "/v1/jobs", {"name": "n", "config": target.quick, "parent": parent})
    assert answer.status == status
    assert answer.error
    assert len(target.jobs()) == before

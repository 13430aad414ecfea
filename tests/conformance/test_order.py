"""Jobs in order: changed, deleted, put in a queue (docs/contract.md#edit, #delete-and-disk, #queue)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .target import OVER, until
from .test_features import named
from .test_jobs import ids

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target

CALLS = {
    "edit": [("PATCH", "/v1/jobs/x")],
    "delete": [("DELETE", "/v1/jobs/x"), ("GET", "/v1/disk"), ("POST", "/v1/disk/clean")],
    "queue": [("GET", "/v1/queue"), ("PATCH", "/v1/queue")],
}
SAID = {
    "name": "the one that works 👩\u200d🔬 \u0645\u062f\u0631\u0628",
    "notes": "# Why\n\n* lower rate\n\t- <script>alert(1)</script> **bold**",
    "tags": ["support", "rate 2e-4", "<b>", "\u0645"],
    "starred": True,
}
WRONG: list[dict[str, Any]] = [
    {},
    {"color": "red"},
    {"name": ""},
    {"name": " "},
    {"name": None},
    {"name": 5},
    {"name": "x" * 201},
    {"name": "two\nlines"},
    {"name": "bell\u0007"},
    {"name": "\u202eexe.gnp"},
    {"notes": 5},
    {"notes": None},
    {"notes": "x" * 10_001},
    {"notes": "escape \u001b[31m"},
    {"notes": "\u2066isolated"},
    {"tags": "text"},
    {"tags": [5]},
    {"tags": [""]},
    {"tags": ["a,b"]},
    {"tags": ["a\tb"]},
    {"tags": ["x" * 51]},
    {"tags": [f"tag {n}" for n in range(51)]},
    {"starred": "yes"},
    {"starred": 1},
    {"name": "good", "notes": 5},
]


def need(target: Target, feature: str) -> None:
    if feature not in named(target):
        pytest.skip(f"this backend does not name {feature}")


def said_of(job: dict[str, Any]) -> dict[str, Any]:
    """What a person says of a job; a field that is not there is empty."""
    empty = {"notes": "", "tags": [], "starred": False}
    return {"name": job["name"], **{field: job.get(field, value) for field, value in empty.items()}}


@pytest.fixture
def over(target: Target) -> str:
    """The id of a job of the test's own that is over: it was cancelled at once."""
    job_id = target.submit(target.quick)
    target.cancel(job_id)
    target.ended(job_id)
    return job_id


@pytest.mark.parametrize("feature", CALLS)
def test_calls_of_missing_features_are_404(target: Target, feature: str) -> None:
    known = feature in named(target)
    for method, path in CALLS[feature]:
        body: dict[str, Any] | None = {} if method in ("PATCH", "POST") else None
        if not known:
            assert target.call(method, path, body).status in (404, 405)
            continue
        stranger = target.call(method, path, body, headers={"Authorization": "Bearer nobody"})
        assert stranger.status == 401
        assert stranger.error
        assert target.call(method, path, body, query={}).status == 400
        assert target.call(method, path, body, query={**target.scope, "orgSlug": "others"}).status == 403


# --- edit -----------------------------------------------------------------------------------------------


def test_name_notes_and_tags_are_stored_and_cleared(target: Target, finished: Finished) -> None:
    need(target, "edit")
    before, history = target.job(finished.id), target.history(finished.id)
    try:
        answer = target.call("PATCH", f"/v1/jobs/{finished.id}", SAID)
        assert answer.status == 200
        assert said_of(answer.json["job"]) == SAID
        job = target.job(finished.id)
        assert job == answer.json["job"]
        assert job in target.jobs()
        assert {key: value for key, value in job.items() if key not in SAID} == {
            key: value for key, value in before.items() if key not in SAID
        }
        assert target.history(finished.id) == history
        one = target.call("PATCH", f"/v1/jobs/{finished.id}", {"notes": "only these"}).json["job"]
        assert said_of(one) == {**SAID, "notes": "only these"}
    finally:
        back = target.call("PATCH", f"/v1/jobs/{finished.id}", said_of(before))
    assert said_of(back.json["job"]) == said_of(before)


def test_tags_and_names_are_normalized(target: Target, over: str) -> None:
    need(target, "edit")
    body = {"name": "  spaced  ", "tags": [" a", "b ", "a"]}
    job = target.call("PATCH", f"/v1/jobs/{over}", body).json["job"]
    assert (job["name"], job["tags"]) == ("spaced", ["a", "b"])


def test_unfinished_jobs_can_be_edited(target: Target, endless: str) -> None:
    need(target, "edit")
    answer = target.call("PATCH", f"/v1/jobs/{endless}", {"tags": ["long"], "starred": True})
    assert answer.status == 200
    assert target.job(endless)["tags"] == ["long"]
    assert target.job(endless)["status"] in ("queued", "running")


@pytest.mark.parametrize("body", WRONG, ids=lambda body: str(body)[:40])
def test_an_invalid_edit_is_refused_completely(target: Target, over: str, body: dict[str, Any]) -> None:
    need(target, "edit")
    before = target.job(over)
    answer = target.call("PATCH", f"/v1/jobs/{over}", body)
    assert answer.status == 400
    assert answer.error
    assert target.job(over) == before


def test_editing_an_unknown_job_is_404(target: Target) -> None:
    need(target, "edit")
    answer = target.call("PATCH", "/v1/jobs/no-such-job", {"name": "a"})
    assert answer.status == 404
    assert answer.error


# --- delete ---------------------------------------------------------------------------------------------


def test_deleting_a_job_affects_no_other(target: Target, over: str, finished: Finished) -> None:
    need(target, "delete")
    before = ids(target.jobs())
    others = target.job(finished.id), target.history(finished.id)
    assert target.call("DELETE", f"/v1/jobs/{over}").status == 204
    assert ids(target.jobs()) == [job_id for job_id in before if job_id != over]
    for method, end in (("GET", ""), ("POST", "/cancel"), ("GET", "/events/stream"), ("DELETE", "")):
        answer = target.call(method, f"/v1/jobs/{over}{end}")
        assert answer.status == 404
        assert answer.error
    assert (target.job(finished.id), target.history(finished.id)) == others
    ref = {"kind": "final", "jobId": over}
    asked = {"messages": [{"role": "user", "content": "Hello"}], "adapter": ref}
    assert target.call("POST", "/v1/inference/chat", asked).status == 404


def test_unfinished_jobs_cannot_be_deleted(target: Target, endless: str) -> None:
    need(target, "delete")
    waiting = target.submit(target.endless)
    for job_id in (endless, waiting):
        answer = target.call("DELETE", f"/v1/jobs/{job_id}")
        assert answer.status == 409
        assert answer.error
        assert target.job(job_id)["status"] in ("queued", "running")
    target.cancel(waiting)
    target.ended(waiting)


def test_job_sizes_are_reported(target: Target, finished: Finished, cancelled: Cancelled) -> None:
    need(target, "delete")
    disk: dict[str, Any] = {}
    sizes: dict[str, Any] = {}

    def told_alike() -> bool:
        """Whether both calls say the same: what is being written or removed behind them may come between."""
        nonlocal disk, sizes
        disk = target.get("/v1/disk")["disk"]
        sizes = {job["id"]: job["bytes"] for job in disk["jobs"]}
        return bool(target.get(f"/v1/jobs/{finished.id}")["bytes"] == sizes[finished.id])

    until(told_alike)
    assert sizes.keys() == set(ids(target.jobs()))
    assert all(isinstance(size, int) and size >= 0 for size in sizes.values())
    assert sizes[finished.id] > 0
    assert all(isinstance(disk[field], int) for field in ("leftovers", "database", "free"))
    assert all(model["name"] and model["bytes"] >= 0 for model in disk["models"])


def test_cleaning_up_keeps_the_jobs(target: Target, finished: Finished) -> None:
    need(target, "delete")
    before = target.jobs()

    def told() -> dict[str, Any]:
        """What is said of the finished job's size."""
        (job,) = (job for job in target.get("/v1/disk")["disk"]["jobs"] if job["id"] == finished.id)
        return dict(job)

    until(lambda: told() == told() == told())  # what was deleted of it may still be going
    kept = told()
    answer = target.call("POST", "/v1/disk/clean")
    assert answer.status == 200
    assert answer.json["freed"] >= 0
    after = target.get("/v1/disk")["disk"]
    assert told() == kept
    assert after["leftovers"] == after.get("unused", 0) == 0
    assert ids(target.jobs()) == ids(before)


# --- queue ----------------------------------------------------------------------------------------------


def test_the_queue_is_reordered_and_paused(target: Target, endless: str) -> None:
    need(target, "queue")
    until(lambda: target.job(endless)["status"] == "running")

    def change(**body: object) -> dict[str, Any]:
        answer = target.call("PATCH", "/v1/queue", body)
        assert answer.status == 200, answer
        queue: dict[str, Any] = answer.json["queue"]
        assert target.get("/v1/queue")["queue"] == queue
        assert target.get("/v1/jobs")["queue"]["held"] == queue["held"]
        for position, job_id in enumerate(queue["order"], 1):
            place = target.job(job_id)["queue"]
            assert (place["position"], place.get("held", False)) == (position, queue["held"])
        return queue

    change(held=True)
    one, two, three = jobs = [target.submit(target.endless) for _ in range(3)]
    try:
        assert change(order=[three])["order"] == [three, one, two]
        assert change(order=[two, one])["order"] == [two, one, three]
        # One that waits no more is passed over; one that never was is not.
        assert change(order=[endless, three])["order"] == [three, two, one]
        for body, status in (
            ({"order": ["no-such-job", one]}, 404),
            ({"order": [one, one]}, 400),
            ({"order": one}, 400),
            ({"order": [5]}, 400),
            ({"held": "no"}, 400),
            ({}, 400),
        ):
            refused = target.call("PATCH", "/v1/queue", body)
            assert (refused.status, bool(refused.error)) == (status, True)
        assert target.get("/v1/queue")["queue"] == {"held": True, "order": [three, two, one]}
    finally:
        for job_id in jobs:
            target.cancel(job_id)
            assert target.ended(job_id)["status"] in OVER
        assert change(held=False)["held"] is False

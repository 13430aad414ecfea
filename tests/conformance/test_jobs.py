"""Jobs: made, listed, refused, cancelled (docs/contract.md#job)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.settings import by_field
from arkor_dev.contract.settings.conflicts import CONFLICTS
from arkor_dev.contract.settings.setting import MANAGED

from .conftest import KEPT, WITH_SETTINGS
from .target import OVER, until

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target

SHAPE = {"id", "orgId", "projectId", "name", "status", "config", "createdAt"}
ABSENT = object()

# What stands in the place of a field of a good body: path, value.
WRONG: list[tuple[str, Any]] = [
    ("name", ABSENT),
    ("name", None),
    ("name", 5),
    ("name", " "),
    ("config", ABSENT),
    ("config", []),
    ("config", "text"),
    ("config.model", ABSENT),
    ("config.model", ""),
    ("config.model", 5),
    ("config.datasetSource", ABSENT),
    ("config.datasetSource", "rows"),
    ("config.datasetSource", {}),
    ("config.datasetSource", {"type": "carrier pigeon"}),
    ("config.datasetSource", {"type": "huggingface"}),
    ("config.datasetSource", {"type": "blob", "url": 5}),
    ("config.maxSteps", "many"),
    ("config.maxSteps", 1.5),
    ("config.maxSteps", True),
    ("config.learningRate", "fast"),
    ("config.learningRate", -1),
    ("config.batchSize", 0),
    ("config.loraR", [8]),
    ("config.dryRun", "yes"),
]


def with_field(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of ``body`` with another value, or none, at a dotted path."""
    name, _, rest = path.partition(".")
    if rest:
        return {**body, name: with_field(body[name], rest, value)}
    return {key: old for key, old in body.items() if key != name} | ({} if value is ABSENT else {name: value})


def moment(text: object) -> datetime:
    """An ISO 8601 time with its zone."""
    assert isinstance(text, str)
    parsed = datetime.fromisoformat(text)
    assert parsed.tzinfo is not None
    return parsed


def ids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["id"] for job in jobs]


def test_a_new_job_has_the_contracts_shape(target: Target, finished: Finished) -> None:
    job = finished.created
    assert set(job) >= SHAPE
    assert all(isinstance(job[name], str) and job[name] for name in SHAPE - {"config"})
    assert job["name"] == "conformance, finished"
    assert job["status"] in ("queued", "running")
    moment(job["createdAt"])
    projects = {project["slug"]: project for project in target.get("/v1/projects")["projects"]}
    assert job["projectId"] == projects[target.project]["id"]
    assert job["orgId"] == projects[target.project]["orgId"]


def test_a_config_is_returned_with_unknown_fields(target: Target, finished: Finished) -> None:
    asked = {**target.quick, **KEPT}
    for job in (finished.created, finished.job):
        told = {name: job["config"].get(name) for name in asked}
        # A backend fills in which judgements count.
        source = {name: value for name, value in told["datasetSource"].items() if name != "reviewed"}
        assert {**told, "datasetSource": source} == asked


@pytest.mark.parametrize("target", WITH_SETTINGS, indirect=True, scope="package")
def test_effective_settings_are_complete(finished: Finished) -> None:
    if "settings" not in finished.job:
        pytest.skip("this backend does not say what a job ran with")
    told = finished.job["settings"]
    # One that would mean nothing beside the others, such as the power of a linear schedule, may be missing.
    idle = {conflict.field for conflict in CONFLICTS if conflict.applies({**told, conflict.field: "said"})}
    assert told.keys() >= {field for field, row in by_field().items() if row.where != MANAGED} - idle
    assert "settings" not in finished.created


def test_a_finished_job_has_its_times(finished: Finished) -> None:
    job = finished.job
    assert job["status"] == "completed"
    assert job.get("error") is None
    assert moment(job["createdAt"]) <= moment(job["startedAt"]) <= moment(job["completedAt"])


def test_the_list_has_each_job_once(target: Target, finished: Finished) -> None:
    jobs = target.jobs()
    assert len(ids(jobs)) == len(set(ids(jobs)))
    listed = next(job for job in jobs if job["id"] == finished.id)
    assert listed == finished.job
    assert all(set(job) >= SHAPE for job in jobs)


def test_a_new_job_is_in_the_list_at_once(target: Target, endless: str) -> None:
    assert endless in ids(target.jobs())
    assert target.job(endless)["status"] in ("queued", "running")


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda part: "absent" if part is ABSENT else str(part))
def test_invalid_jobs_are_refused(target: Target, path: str, value: object) -> None:
    before = ids(target.jobs())
    good = {
        "name": "refused",
        "config": {**target.quick, "datasetSource": dict(target.quick["datasetSource"])},
    }
    answer = target.call("POST", "/v1/jobs", with_field(good, path, value))
    assert answer.status == 400
    assert answer.error
    assert ids(target.jobs()) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"name": NaN}'])
def test_a_job_body_must_be_a_json_object(target: Target, body: bytes) -> None:
    before = ids(target.jobs())
    answer = target.call("POST", "/v1/jobs", body)
    assert answer.status == 400
    assert answer.error
    assert ids(target.jobs()) == before


@pytest.mark.parametrize("job_id", ["no-such-job", "%C3%A9", "a%2Fb", "%2e%2e", "0", "x" * 500])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/cancel"), ("GET", "/events/stream")])
def test_an_unknown_job_is_404(target: Target, method: str, end: str, job_id: str) -> None:
    answer = target.call(method, f"/v1/jobs/{job_id}{end}")
    assert answer.status == 404
    assert answer.error


def test_the_token_of_a_data_set_is_not_returned(target: Target) -> None:
    secret = "the-token-of-a-data-set"
    source = {"type": "blob", "url": "http://127.0.0.1:9/rows.jsonl", "token": secret}
    body = {"name": target.name(), "config": {**target.quick, "datasetSource": source}}
    made = target.call("POST", "/v1/jobs", body)
    job_id = made.json["job"]["id"]
    target.cancel(job_id)
    target.ended(job_id)
    told = [made.body, target.call("GET", f"/v1/jobs/{job_id}").body, target.call("GET", "/v1/jobs").body]
    assert [secret.encode() in body for body in told] == [False, False, False]
    kept = target.job(job_id)["config"]["datasetSource"]
    kept.pop("reviewed", None)  # a backend fills in which judgements count
    assert kept == {**source, "token": "***"}


def test_a_failed_job_has_its_reason(target: Target, failed: str) -> None:
    last = target.history(failed)[-1]
    assert last.event == "training.failed"
    job = target.job(failed)
    assert job["status"] == "failed"
    assert job["error"] == last.json["error"]
    assert job["error"].strip()
    moment(job["completedAt"])


def test_a_running_job_is_cancelled(target: Target, cancelled: Cancelled) -> None:
    job = target.job(cancelled.id)
    assert job["status"] == "cancelled"
    moment(job["completedAt"])
    assert target.history(cancelled.id)[-1].event == "training.cancelled"


def test_a_new_job_is_cancelled(target: Target, endless: str) -> None:
    job_id = target.submit(target.endless)  # behind the first, where one runs at a time
    target.cancel(job_id)
    assert target.ended(job_id)["status"] == "cancelled"
    assert target.history(job_id)[-1].event == "training.cancelled"
    assert target.job(endless)["status"] in ("queued", "running")


def test_cancelling_an_ended_job_has_no_effect(
    target: Target, finished: Finished, cancelled: Cancelled, failed: str
) -> None:
    for job_id in (finished.id, cancelled.id, failed):
        before, history = target.job(job_id), target.history(job_id)
        target.cancel(job_id)
        assert target.job(job_id) == before
        assert target.history(job_id) == history


def test_queued_jobs_have_their_position(target: Target, endless: str) -> None:
    behind = [target.submit(target.endless) for _ in range(2)]
    jobs: dict[str, Any] = {}

    def told_alike() -> bool:
        """Whether list and jobs agree: one may start between the two calls."""
        nonlocal jobs
        jobs = {job["id"]: job for job in target.jobs()}
        return all(
            jobs[job_id].get("queue") == target.job(job_id).get("queue") for job_id in (endless, *behind)
        )

    until(told_alike)
    places = []
    for job_id in (endless, *behind):
        place = jobs[job_id].get("queue")
        if place is not None:
            assert jobs[job_id]["status"] == "queued"
            assert place["behind"] is None or {"id", "name"} <= set(place["behind"])
            places.append(place["position"])
    assert places == list(range(1, len(places) + 1))
    for job_id in reversed(behind):
        target.cancel(job_id)
        assert target.ended(job_id)["status"] in OVER
        assert target.job(job_id).get("queue") is None

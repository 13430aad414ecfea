"""Deployments and their keys, where a backend has them (docs/contract.md#deployments)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from .test_jobs import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Finished
    from .target import Target

SHAPE = {
    *("id", "slug", "orgId", "projectId", "target", "authMode", "urlFormat", "enabled", "customDomain"),
    *("createdAt", "updatedAt"),
}
SLUGS = (f"conformance-{number}" for number in itertools.count())


@pytest.fixture
def make(target: Target) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make a deployment that goes with the test."""
    if target.call("GET", "/v1/endpoints").status == 404:
        pytest.skip("this backend has no endpoints")
    made: list[str] = []

    def create(**more: Any) -> dict[str, Any]:
        answer = target.call("POST", "/v1/endpoints", good(target, **more))
        assert answer.status in (200, 201), answer
        deployment: dict[str, Any] = answer.json["deployment"]
        made.append(deployment["id"])
        return deployment

    yield create
    for deployment in made:
        target.call("DELETE", f"/v1/endpoints/{deployment}")


def good(target: Target, /, **more: Any) -> dict[str, Any]:
    serves = {"kind": "base_model", "baseModel": target.quick["model"]}
    return {"slug": next(SLUGS), "target": serves, "authMode": "none", **more}


def listed(target: Target) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in target.get("/v1/endpoints")["deployments"]}


def test_a_deployment_has_the_contracts_shape(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    asked = good(target)
    deployment = make(**asked)
    assert set(deployment) >= SHAPE
    assert {name: deployment[name] for name in asked} == asked
    assert deployment["urlFormat"] == "openai_compat"
    assert deployment["enabled"] is True
    moment(deployment["createdAt"])
    moment(deployment["updatedAt"])
    assert listed(target)[deployment["id"]] == deployment
    assert target.get(f"/v1/endpoints/{deployment['id']}")["deployment"] == deployment


def test_a_deployment_may_serve_an_adapter_or_checkpoint(
    target: Target, make: Callable[..., dict[str, Any]], finished: Finished
) -> None:
    step = finished.of("checkpoint.saved")[0].json["step"]
    for adapter in (
        {"kind": "final", "jobId": finished.id},
        {"kind": "checkpoint", "jobId": finished.id, "step": step},
    ):
        serves = {"kind": "adapter", "adapter": adapter}
        assert make(target=serves)["target"] == serves


def test_slugs_are_unique(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    deployment = make()
    answer = target.call("POST", "/v1/endpoints", good(target, slug=deployment["slug"]))
    assert answer.status == 409
    assert answer.error


WRONG: list[dict[str, Any]] = [
    *({"slug": slug} for slug in (None, 5, "", "a", "a" * 51, "-ab", "ab-", "Ab", "a_b", "é1", "a.b")),
    *({"target": serves} for serves in (None, {}, "tiny", {"kind": "base_model"}, {"kind": "adapter"})),
    {"target": {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": "x"}}},
    {"target": {"kind": "adapter", "adapter": {"kind": "best", "jobId": "x"}}},
    *({"authMode": mode} for mode in (None, "password", 1)),
    {"runRetentionMode": "days"},
    {"runRetentionMode": "days", "runRetentionDays": 0},
    {"runRetentionMode": "days", "runRetentionDays": 1.5},
    {"runRetentionMode": "forever", "runRetentionDays": 5},
    {"runRetentionDays": 5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_invalid_deployments_are_refused(
    target: Target, make: Callable[..., dict[str, Any]], wrong: dict[str, Any]
) -> None:
    before = listed(target)
    answer = target.call("POST", "/v1/endpoints", good(target, **wrong))
    assert answer.status == 400
    assert answer.error
    assert listed(target) == before


@pytest.mark.parametrize("slug", ["ab", "a1", "a-b", "0--0", "a" * 50])
def test_valid_slugs_are_accepted(make: Callable[..., dict[str, Any]], slug: str) -> None:
    assert make(slug=slug)["slug"] == slug


def test_deployments_are_updated(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    deployment = make()
    path = f"/v1/endpoints/{deployment['id']}"
    engines = ({"engine": "exact"}, {"engine": "auto"}) if "engine" in deployment else ()
    for change in (
        *engines,
        {"enabled": False},
        {"enabled": True},
        {"authMode": "fixed_api_key"},
        {"runRetentionMode": "days", "runRetentionDays": 7},
        {"target": {"kind": "base_model", "baseModel": "another"}},
    ):
        answer = target.call("PATCH", path, change)
        assert answer.status == 200
        assert {name: answer.json["deployment"][name] for name in change} == change
        assert listed(target)[deployment["id"]] == answer.json["deployment"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"enabled": "yes"},
        {"authMode": "password"},
        {"target": {}},
        {"runRetentionDays": 5},
        {"slug": "other"},
    ],
    ids=str,
)
def test_invalid_updates_are_refused(
    target: Target, make: Callable[..., dict[str, Any]], wrong: dict[str, Any]
) -> None:
    deployment = make()
    answer = target.call("PATCH", f"/v1/endpoints/{deployment['id']}", wrong)
    assert answer.status == 400
    assert answer.error
    assert listed(target)[deployment["id"]] == deployment


def test_a_deployment_is_deleted(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    path = f"/v1/endpoints/{make()['id']}"
    gone = target.call("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    for method in ("GET", "DELETE", "PATCH"):
        answer = target.call(method, path, {"enabled": False} if method == "PATCH" else None)
        assert (method, answer.status) == (method, 404)
        assert answer.error


def test_a_keys_plaintext_is_shown_once(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    path = f"/v1/endpoints/{make(authMode='fixed_api_key')['id']}/keys"
    assert target.get(path)["keys"] == []
    answer = target.call("POST", path, {"label": "  for the tests "})
    assert answer.status in (200, 201)
    key = answer.json["key"]
    plaintext = key.pop("plaintext")
    assert plaintext.startswith(key["prefix"])
    assert len(plaintext) > len(key["prefix"])
    assert key["label"] == "for the tests"
    assert {"id", "label", "prefix", "enabled", "createdAt", "lastUsedAt"} <= set(key)
    assert target.get(path)["keys"] == [key]
    assert plaintext.encode() not in target.call("GET", path).body
    gone = target.call("DELETE", f"{path}/{key['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert target.get(path)["keys"] == []
    assert target.call("DELETE", f"{path}/{key['id']}").status == 404


@pytest.mark.parametrize(
    "body", [{}, {"label": ""}, {"label": "  "}, {"label": "x" * 81}, {"label": 5}], ids=str
)
def test_a_key_without_a_label_is_refused(
    target: Target, make: Callable[..., dict[str, Any]], body: dict[str, Any]
) -> None:
    path = f"/v1/endpoints/{make()['id']}/keys"
    answer = target.call("POST", path, body)
    assert answer.status == 400
    assert answer.error
    assert target.get(path)["keys"] == []


def test_a_label_may_have_80_characters(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    path = f"/v1/endpoints/{make()['id']}/keys"
    assert target.call("POST", path, {"label": " " + "é" * 80}).json["key"]["label"] == "é" * 80


def test_keys_of_an_unknown_deployment_are_404(target: Target, make: Callable[..., dict[str, Any]]) -> None:
    for method, end in (("GET", ""), ("POST", ""), ("DELETE", "/x")):
        answer = target.call(
            method, f"/v1/endpoints/nothing/keys{end}", {"label": "a"} if method == "POST" else None
        )
        assert answer.status == 404
        assert answer.error

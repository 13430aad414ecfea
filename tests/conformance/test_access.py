"""Who may call, for what, and how a refusal looks (docs/contract.md#refusals)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .target import Target

SCOPED = [
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs/x"),
    ("POST", "/v1/jobs/x/cancel"),
    ("GET", "/v1/jobs/x/events/stream"),
    ("POST", "/v1/inference/chat"),
]
ROUTES = [
    ("GET", "/v1/me"),
    ("GET", "/v1/capabilities"),
    ("GET", "/v1/projects"),
    ("POST", "/v1/projects"),
    *SCOPED,
    ("GET", "/v1/endpoints"),
    ("POST", "/v1/endpoints"),
    ("GET", "/v1/endpoints/x"),
    ("PATCH", "/v1/endpoints/x"),
    ("DELETE", "/v1/endpoints/x"),
    ("GET", "/v1/endpoints/x/keys"),
    ("POST", "/v1/endpoints/x/keys"),
    ("DELETE", "/v1/endpoints/x/keys/y"),
]


def test_the_login_configuration_is_public(target: Target) -> None:
    answer = target.call("GET", "/v1/auth/cli/config", query={}, headers={"Authorization": ""})
    assert answer.status == 200
    told = answer.json
    assert {"auth0Domain", "clientId", "audience", "callbackPorts"} <= set(told)
    for name in ("auth0Domain", "clientId", "audience"):
        assert told[name] is None or isinstance(told[name], str)
    ports = told["callbackPorts"]
    assert ports is None or all(isinstance(port, int) for port in ports)


def test_an_anonymous_identity_is_created_or_unsupported(target: Target) -> None:
    headers = {"Authorization": ""}
    answer = target.call("POST", "/v1/auth/anonymous", {"kind": "cli"}, query={}, headers=headers)
    if answer.status == 404:
        assert answer.error
        return
    assert answer.status in (200, 201)
    identity = answer.json
    assert identity["kind"] == "cli"
    assert isinstance(identity["anonymousId"], str)
    org = identity["personalOrg"]
    assert {"id", "slug", "name"} <= set(org)
    headers = {"Authorization": f"Bearer {identity['token']}"}
    me = target.call("GET", "/v1/me", query={}, headers=headers)
    assert [each["slug"] for each in me.json["orgs"]] == [org["slug"]]
    projects = target.call("GET", "/v1/projects", query={"orgSlug": org["slug"]}, headers=headers)
    assert projects.json["projects"] == []
    assert target.call("GET", "/v1/jobs", headers=headers).status == 403  # not another's


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("authorization", ["", "Bearer not-the-token"], ids=["without", "wrong"])
def test_every_call_needs_the_token(target: Target, method: str, path: str, authorization: str) -> None:
    headers = {"Authorization": authorization}
    body: object = {} if method in ("POST", "PATCH") else None
    answer = target.call(method, path, body, headers=headers)
    assert answer.status == 401
    assert answer.error


def test_the_authorization_scheme_is_required(target: Target) -> None:
    answer = target.call("GET", "/v1/me", headers={"Authorization": target.token})
    assert answer.status == 401
    assert answer.error


def test_a_client_without_a_version_is_served_or_told_to_upgrade(target: Target) -> None:
    answer = target.call("GET", "/v1/me", headers={"X-Arkor-Client": ""})
    assert answer.status in (200, 426)
    assert answer.status == 200 or answer.error


@pytest.mark.parametrize(("method", "path"), SCOPED)
def test_the_scope_must_be_given_and_belong_to_the_token(target: Target, method: str, path: str) -> None:
    body: object = {} if method == "POST" else None
    queries: list[tuple[dict[str, str], int]] = [
        ({}, 400),
        ({"orgSlug": target.org}, 400),
        ({"projectSlug": target.project}, 400),
        ({"orgSlug": "not-my-organisation", "projectSlug": target.project}, 403),
        ({"orgSlug": target.org, "projectSlug": "there-is-no-such-project"}, 404),
    ]
    for query, status in queries:
        answer = target.call(method, path, body, query=query)
        assert (query, answer.status) == (query, status)
        assert answer.error


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_projects_must_belong_to_the_tokens_organization(target: Target, method: str) -> None:
    body = {"name": "a", "slug": "a"} if method == "POST" else None
    queries: list[tuple[dict[str, str], int]] = [({}, 400), ({"orgSlug": "not-my-organisation"}, 403)]
    for query, status in queries:
        answer = target.call(method, "/v1/projects", body, query=query)
        assert (query, answer.status) == (query, status)
        assert answer.error


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs/x/nothing", "/v1/", "/nothing"])
def test_an_unknown_path_is_404(target: Target, path: str) -> None:
    answer = target.call("GET", path)
    assert answer.status == 404
    assert answer.error


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/me"), ("PUT", "/v1/jobs"), ("GET", "/v1/inference/chat")]
)
def test_an_unsupported_method_is_405(target: Target, method: str, path: str) -> None:
    answer = target.call(method, path)
    assert answer.status == 405
    assert answer.error


def test_me_names_user_and_organization(target: Target) -> None:
    me = target.get("/v1/me")
    assert me["user"]["id"]
    assert target.org in [org["slug"] for org in me["orgs"]]
    assert all({"id", "slug", "name"} <= set(org) for org in me["orgs"])


def test_projects_of_an_organization_are_listed(target: Target) -> None:
    listed = target.get("/v1/projects")
    assert listed["org"]["slug"] == target.org
    assert target.project in [project["slug"] for project in listed["projects"]]
    assert all({"id", "slug", "name", "orgId"} <= set(project) for project in listed["projects"])
    again = target.call("POST", "/v1/projects", {"name": "again", "slug": target.project})
    assert again.status == 409
    assert again.error
    assert target.get("/v1/projects") == listed


def test_an_invalid_project_is_refused(target: Target) -> None:
    before = target.get("/v1/projects")
    for body in (
        b"{",
        b"",
        b"[]",
        {},
        {"name": "a"},
        {"slug": "a"},
        {"name": 1, "slug": 2},
        {"name": "", "slug": ""},
    ):
        answer = target.call("POST", "/v1/projects", body)
        assert (body, answer.status) == (body, 400)
        assert answer.error
    assert target.get("/v1/projects") == before

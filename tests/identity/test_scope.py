"""The scope: what is usable for whom, what a write may create, and that a state file is never lost."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.client import Backend, ProjectCalls
from arkor_dev.backend.http_client import HttpClient, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import slug_of
from arkor_dev.identity.scope import FileScopes, FixedScope, read_state, state_path, write_state
from arkor_dev.identity.views import FixedIdentity
from tests.support.fake_backend import ORG, TOKEN, FakeBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CREATE = "POST /v1/projects"
LIST = "GET /v1/projects"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "My Bot!"
    folder.mkdir()
    return folder


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with open_http_client() as http:
        yield http


@pytest.fixture
def scopes(project: Path, http: HttpClient) -> FileScopes:
    return FileScopes(project, ProjectCalls(http))


@pytest.fixture
def anonymous(fake_backend: FakeBackend) -> Credentials:
    return Credentials("anon", TOKEN, ORG, fake_backend.url)


@pytest.fixture
def account(fake_backend: FakeBackend) -> Credentials:
    return Credentials("oauth", TOKEN, None, fake_backend.url)


def put(project: Path, content: object) -> None:
    state_path(project).parent.mkdir(exist_ok=True)
    state_path(project).write_text(content if isinstance(content, str) else json.dumps(content))


async def fails(call: Any) -> ArkorError:
    with pytest.raises(ArkorError) as raised:
        await call
    return raised.value


STATE = {"orgSlug": "other", "projectSlug": "p", "projectId": "i"}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "null", "[]", '"x"', "\x00", "[" * 50_000),
        {},
        {"orgSlug": "o", "projectSlug": "p"},
        {**STATE, "projectId": 7},
        {**STATE, "orgSlug": None},
        {**STATE, "orgSlug": ""},
    ],
)
def test_invalid_state_files_are_ignored(project: Path, content: object) -> None:
    assert read_state(project) is None
    put(project, content)
    assert read_state(project) is None


def test_state_survives_a_round_trip(project: Path) -> None:
    write_state(project, Scope("o", "p", "i"))
    assert read_state(project) == Scope("o", "p", "i")
    assert json.loads(state_path(project).read_bytes()) == {
        "orgSlug": "o",
        "projectSlug": "p",
        "projectId": "i",
    }
    assert stat.S_IMODE(state_path(project).stat().st_mode) == 0o600
    put(project, {**STATE, "later": 1})
    assert read_state(project) == Scope("other", "p", "i")


async def test_an_account_may_use_any_state_an_anonymous_identity_its_own(
    project: Path, scopes: FileScopes, anonymous: Credentials, account: Credentials
) -> None:
    assert await scopes.for_read(account) is None
    put(project, STATE)
    assert await scopes.for_read(account) == Scope("other", "p", "i")
    assert await scopes.for_write(account) == Scope("other", "p", "i")
    assert await scopes.for_read(anonymous) is None
    put(project, {**STATE, "orgSlug": ORG})
    assert await scopes.for_read(anonymous) == Scope(ORG, "p", "i")
    assert await scopes.for_write(anonymous) == Scope(ORG, "p", "i")


async def test_a_state_of_another_organization_refuses_writes(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    put(project, STATE)
    before = state_path(project).read_bytes()
    error = await fails(scopes.for_write(anonymous))
    assert status_of(error) == 409
    for words in (str(state_path(project)), "other", ORG, "arkor-dev login"):
        assert words in error.text
    assert state_path(project).read_bytes() == before
    assert fake_backend.requests == []


async def test_an_account_without_state_gets_instructions(
    project: Path, scopes: FileScopes, account: Credentials, fake_backend: FakeBackend
) -> None:
    error = await fails(scopes.for_write(account))
    assert status_of(error) == 400
    for words in (str(state_path(project)), "orgSlug", "projectSlug", "projectId", "by hand"):
        assert words in error.text
    assert not state_path(project).exists()
    assert fake_backend.requests == []


async def test_concurrent_writes_create_one_project(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    got = await asyncio.gather(*(scopes.for_write(anonymous) for _ in range(10)))
    assert len(set(got)) == 1
    assert (got[0].org_slug, got[0].project_slug) == (ORG, "my-bot")
    assert read_state(project) == got[0]
    assert fake_backend.count(CREATE) == 1
    assert fake_backend.last(CREATE).json() == {"name": "My Bot!", "slug": "my-bot"}
    assert dict(fake_backend.last(CREATE).url.query) == {"orgSlug": ORG}


# As the arkor CLI makes them, so that both find the same project when state.json is lost.
SLUGS = {
    "My Bot!": "my-bot",
    "demo (1)": "demo--1",
    "a" * 39 + "-b": "a" * 39 + "-",
    "a" * 41: "a" * 40,
    "--x--": "x",
    "Ünïcode": "n-code",
    "a🗼b": "a--b",
    "a_b.c": "a-b-c",
    "日本": "project",
    "...": "project",
    "ends in\\slash": "slash",
    "slash\\": "slash",
    "": "project",
}


@pytest.mark.parametrize("name", SLUGS)
def test_slugs_match_those_of_the_typescript_cli(name: str) -> None:
    assert slug_of(name) == SLUGS[name]


@pytest.mark.parametrize("name", ["demo (1)", "a" * 39 + "-b"])
async def test_a_lost_state_reuses_the_project_of_the_cli(
    tmp_path: Path, http: HttpClient, anonymous: Credentials, fake_backend: FakeBackend, name: str
) -> None:
    (tmp_path / name).mkdir()
    there = fake_backend.add_project(SLUGS[name])
    scopes = FileScopes(tmp_path / name, ProjectCalls(http))
    assert await scopes.for_write(anonymous) == Scope(ORG, SLUGS[name], there["id"])
    assert fake_backend.count(CREATE) == 0


async def test_a_lost_state_reuses_the_project_of_an_older_studio(
    tmp_path: Path, http: HttpClient, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    (tmp_path / "demo (1)").mkdir()
    there = fake_backend.add_project("demo-1")
    scopes = FileScopes(tmp_path / "demo (1)", ProjectCalls(http))
    # The slug alone may be another folder's, one that is called demo-1.
    assert (await scopes.for_write(anonymous)).project_slug == "demo--1"
    state_path(tmp_path / "demo (1)").unlink()
    del fake_backend.projects[ORG]["demo--1"]
    there["name"] = "demo (1)"
    assert await scopes.for_write(anonymous) == Scope(ORG, "demo-1", there["id"])


@pytest.mark.parametrize("content", ["{", {**STATE, "projectId": None}])
async def test_a_state_file_without_a_scope_is_replaced(
    project: Path, scopes: FileScopes, anonymous: Credentials, content: object
) -> None:
    put(project, content)
    assert (await scopes.for_write(anonymous)).project_slug == "my-bot"
    assert read_state(project) == await scopes.for_read(anonymous)


async def test_an_existing_slug_is_reused(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    there = fake_backend.add_project("my-bot")
    assert await scopes.for_write(anonymous) == Scope(ORG, "my-bot", there["id"])
    assert fake_backend.count(LIST) == 1


async def test_an_existing_slug_that_is_not_listed_is_an_error(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(CREATE, status=409)
    assert "my-bot exists but does not list it" in (await fails(scopes.for_write(anonymous))).text
    assert not state_path(project).exists()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"project": 1}', b'{"project": {"slug": "s"}}'])
async def test_an_invalid_response_writes_no_state(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend, body: bytes
) -> None:
    fake_backend.fault(CREATE, status=201, body=body)
    assert status_of(await fails(scopes.for_write(anonymous))) == 502
    assert not state_path(project).exists()


async def test_a_401_while_creating_a_project_says_what_to_do(
    scopes: FileScopes, http: HttpClient, fake_backend: FakeBackend
) -> None:
    unknown = Credentials("anon", "unknown", ORG, fake_backend.url)
    error = await fails(Backend(http, FixedIdentity(unknown), scopes).create_job("j", {}))
    assert (status_of(error), "Start Studio again" in error.text) == (401, True)


async def test_an_unreachable_backend_writes_no_state(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    await fake_backend.stop()
    assert status_of(await fails(scopes.for_write(anonymous))) == 502
    assert not state_path(project).exists()


async def test_a_state_file_that_appears_meanwhile_is_used(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(CREATE, delay=0.1)
    writing = asyncio.create_task(scopes.for_write(anonymous))
    await fake_backend.until(lambda: fake_backend.count(CREATE) == 1)
    put(project, {**STATE, "orgSlug": ORG})
    assert await writing == Scope(ORG, "p", "i")
    assert read_state(project) == Scope(ORG, "p", "i")


async def test_another_organizations_state_that_appears_meanwhile_is_refused(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(CREATE, delay=0.1)
    writing = asyncio.create_task(scopes.for_write(anonymous))
    await fake_backend.until(lambda: fake_backend.count(CREATE) == 1)
    put(project, STATE)
    assert status_of(await fails(writing)) == 409
    assert read_state(project) == Scope("other", "p", "i")


async def test_unreadable_and_unwritable_states_are_errors(
    project: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    state_path(project).mkdir(parents=True)
    assert await scopes.for_read(anonymous) is None
    error = await fails(scopes.for_write(anonymous))
    assert (status_of(error), "cannot be read" in error.text) == (409, True)
    assert fake_backend.requests == []
    state_path(project).rmdir()
    state_path(project).parent.rmdir()
    state_path(project).parent.write_text("a file in the folder's place")
    error = await fails(scopes.for_write(anonymous))
    assert (status_of(error), "cannot be written" in error.text) == (409, True)
    assert fake_backend.requests == []


async def test_a_state_folder_linked_outside_the_project_is_not_written(
    project: Path, tmp_path: Path, scopes: FileScopes, anonymous: Credentials, fake_backend: FakeBackend
) -> None:
    outside = tmp_path / "somebody-elses"
    outside.mkdir()
    (project / ".arkor").symlink_to(outside)
    error = await fails(scopes.for_write(anonymous))
    assert (status_of(error), "is a link out of the project" in error.text) == (409, True)
    assert fake_backend.requests == []  # nothing was created that could not be kept
    with pytest.raises(ArkorError, match="is a link out of the project"):
        write_state(project, Scope("o", "p", "i"))
    assert list(outside.iterdir()) == []
    (project / "kept").mkdir()
    (project / ".arkor").unlink()
    (project / ".arkor").symlink_to("kept")
    write_state(project, Scope("o", "p", "i"))
    assert read_state(project) == Scope("o", "p", "i")


async def test_check_and_call_use_the_same_identity(
    project: Path, http: HttpClient, scopes: FileScopes, fake_backend: FakeBackend
) -> None:
    """Whoever signs in between two calls, no call ever mixes one's token with the other's scope."""
    fake_backend.tokens = {"token-of-a": {"org-a"}, "token-of-b": {"org-b"}}
    for org in ("org-a", "org-b"):
        fake_backend.add_project("p", org)
    write_state(project, Scope("org-a", "p", "i"))
    turns = iter(range(100))

    async def alternating() -> Credentials:
        await asyncio.sleep(0)
        who = "ab"[next(turns) % 2]
        return Credentials("anon", f"token-of-{who}", f"org-{who}", fake_backend.url)

    backend = Backend(http, FixedIdentity(alternating), scopes)
    answers = await asyncio.gather(*(backend.list_jobs() for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    assert fake_backend.count("GET /v1/jobs") == 10
    assert {seen.headers["Authorization"] for seen in fake_backend.requests} == {"Bearer token-of-a"}


async def test_a_fixed_scope_writes_nothing(project: Path, anonymous: Credentials) -> None:
    fixed = FixedScope(Scope("local", "p"))
    assert await fixed.for_read(anonymous) == await fixed.for_write(anonymous) == Scope("local", "p")
    assert list(project.iterdir()) == []


# --- private files ----------------------------------------------------------------------------------------


def test_private_files_are_atomic_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    old = os.umask(0)
    try:
        write_private(path, b"one")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_an_exclusive_write_never_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(path, b"one", exclusive=True)
    with pytest.raises(FileExistsError):
        write_private(path, b"two", exclusive=True)

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(FileExistsError):
        write_private(path, b"two", exclusive=True)
    assert path.read_bytes() == b"one"
    path.unlink()
    write_private(path, b"three", exclusive=True)
    assert path.read_bytes() == b"three"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_private(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]

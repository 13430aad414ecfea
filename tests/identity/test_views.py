"""Identity: whose file it is, when it may be replaced, and one network call for all who wait."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.client import Backend
from arkor_dev.backend.http_client import HttpClient, Timeouts, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import address_of
from arkor_dev.contract.errors import ArkorError, TooOldError, UnavailableError, status_of
from arkor_dev.core.settings import PRODUCTION_URL, Settings
from arkor_dev.core.upgrade import upgrade_command
from arkor_dev.identity.base_url import clean_base_url
from arkor_dev.identity.credentials_file import credentials_lock
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.identity.local_backend import LocalBackend
from arkor_dev.identity.scope import FixedScope
from arkor_dev.identity.single_flight import SingleFlight
from arkor_dev.identity.token_refresh import token_url
from arkor_dev.identity.views import FixedIdentity, credentials_view, header_line
from tests.support.commands import start_command
from tests.support.fake_backend import ORG, PROJECT, TOKEN, FakeBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANONYMOUS = "POST /v1/auth/anonymous"
REFRESH = "POST /oauth/token"
NOW = 1_800_000_000.0
FIRST_PAUSE = 0.05


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with open_http_client() as http:
        yield http


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.arkor_home / "credentials.json"


@pytest.fixture
def identity(settings: Settings, http: HttpClient) -> FileIdentity:
    return FileIdentity(settings, http, clock=lambda: NOW, first_pause=FIRST_PAUSE)


def put(path: Path, document: object) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def account(fake: FakeBackend, *, left: float = 3600, **more: object) -> dict[str, object]:
    """An account's file whose token lasts ``left`` seconds more; the fake knows both tokens."""
    fake.tokens["old-access-token-0123456789"] = {ORG}
    fake.refresh_tokens.add("old-refresh-token")
    return {
        "mode": "oauth",
        "accessToken": "old-access-token-0123456789",
        "refreshToken": "old-refresh-token",
        "expiresAt": int(NOW + left),
        "auth0Domain": f"127.0.0.1:{fake.port}",
        "audience": "a",
        "clientId": "cli",
        "somethingNew": {"kept": True},
        **more,
    }


async def fails(call: Any) -> ArkorError:
    with pytest.raises(ArkorError) as raised:
        await call
    assert "token-0123456789" not in f"{raised.value!r} {raised.value.text}"
    return raised.value


# --- the anonymous bootstrap ----------------------------------------------------------------------------


async def test_an_anonymous_identity_is_created_once_and_stored(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    got = await asyncio.gather(*(identity.credentials() for _ in range(20)))
    assert set(got) == {Credentials("anon", "anonymous-token-0001-0123456789", "anon-1", fake_backend.url)}
    assert fake_backend.count(ANONYMOUS) == 1
    assert fake_backend.last(ANONYMOUS).json() == {"kind": "cli"}
    assert "Authorization" not in fake_backend.last(ANONYMOUS).headers
    assert json.loads(path.read_bytes()) == {
        "mode": "anon",
        "token": "anonymous-token-0001-0123456789",
        "anonymousId": "a1",
        "arkorCloudApiUrl": fake_backend.url,
        "orgSlug": "anon-1",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not [other for other in path.parent.iterdir() if other.suffix == ".tmp"]


@pytest.mark.parametrize("content", ["", "{", "\x00", "not json", "[" * 50_000])
async def test_a_credentials_file_that_is_not_json_is_replaced_with_a_warning(
    identity: FileIdentity, path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, content)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert (await identity.credentials()).org_slug == "anon-1"
    assert "was not JSON: replaced" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"mode": "other", "token": TOKEN},
        {"mode": "anon", "token": TOKEN},
        {"mode": "anon", "token": "", "orgSlug": ORG},
        {"mode": "anon", "token": "a\nb", "orgSlug": ORG},
        {"mode": "anon", "token": 7, "orgSlug": ORG},
        {"mode": "oauth", "token": TOKEN},
        {"mode": ["anon"]},
    ],
)
async def test_json_without_an_identity_is_refused_and_kept(
    identity: FileIdentity, path: Path, document: object, fake_backend: FakeBackend
) -> None:
    put(path, document)
    before = path.read_bytes()
    assert "has no identity" in (await fails(identity.credentials())).text
    with pytest.raises(ArkorError, match="has no identity"):
        async with identity.opened():
            pass
    assert path.read_bytes() == before
    assert fake_backend.requests == []


async def test_a_folder_at_the_credentials_path_is_an_error(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    path.mkdir(parents=True)
    error = await fails(identity.credentials())
    assert str(path) in error.text
    assert "cannot be read" in error.text
    assert path.is_dir()
    assert fake_backend.requests == []


async def test_a_file_at_the_arkor_folder_path_is_an_error(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    path.parent.write_text("mine")
    assert "cannot be read" in (await fails(identity.credentials())).text
    assert path.parent.read_text() == "mine"
    assert fake_backend.requests == []


async def test_an_unreadable_credentials_file_is_an_error(
    identity: FileIdentity, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")  # as a mode does, but for root as well

    put(path, "{")
    monkeypatch.setattr("arkor_dev.identity.credentials_file.read_small", refuse)
    assert "cannot be read (Permission denied)" in (await fails(identity.credentials())).text


async def test_an_unwritable_folder_requests_no_identity(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ArkorError, match=r"cannot be written \(Permission denied\)"):
        async with identity.opened():
            pass
    assert fake_backend.count(ANONYMOUS) == 0
    assert not path.exists()


@pytest.mark.parametrize("damaged", [False, True])
async def test_two_launches_share_the_first_ones_identity(
    settings: Settings, http: HttpClient, path: Path, fake_backend: FakeBackend, *, damaged: bool
) -> None:
    if damaged:
        put(path, "{")
    fake_backend.fault(ANONYMOUS, delay=0.1)
    launches = [FileIdentity(settings, http) for _ in range(4)]
    got = await asyncio.gather(*(launch.credentials() for launch in launches))
    assert len(set(got)) == 1
    assert fake_backend.count(ANONYMOUS) == 1


async def test_two_processes_share_the_first_ones_identity(
    settings: Settings, path: Path, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(ANONYMOUS, delay=0.2)
    program = """
import asyncio, sys
from pathlib import Path
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.core.settings import Settings
from arkor_dev.backend.http_client import open_http_client

async def main(home, url):
    async with open_http_client() as http:
        settings = Settings(project=home, home=home, data=home, cache=home, cloud_url=url)
        print((await FileIdentity(settings, http).credentials()).token)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""
    processes = [
        await start_command(
            program, str(settings.home), fake_backend.url, module="tests.support.run_code", stderr=None
        )
        for _ in range(2)
    ]
    printed = [(await process.communicate())[0] for process in processes]
    assert printed[0]
    assert printed[0] == printed[1]
    assert fake_backend.count(ANONYMOUS) == 1


async def test_without_file_locks_the_first_credentials_win(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_dev.identity.credentials_file.fcntl", None)
    fake_backend.fault(ANONYMOUS, delay=0.1)
    waiting = asyncio.create_task(identity.credentials())
    await fake_backend.until(lambda: fake_backend.count(ANONYMOUS) == 1)
    put(path, {"mode": "anon", "token": TOKEN, "orgSlug": ORG})
    assert (await waiting).token == TOKEN
    assert json.loads(path.read_bytes())["token"] == TOKEN


async def test_waiting_for_the_credentials_lock_times_out(path: Path) -> None:
    async with credentials_lock(path):
        began = time.monotonic()
        async with credentials_lock(path, patience=0.1):
            assert 0.09 < time.monotonic() - began < 60


async def test_a_cancelled_caller_does_not_cancel_the_shared_request(
    identity: FileIdentity, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(ANONYMOUS, delay=0.1)
    leaving, staying = (asyncio.create_task(identity.credentials()) for _ in range(2))
    await fake_backend.until(lambda: fake_backend.count(ANONYMOUS) == 1)
    leaving.cancel()
    assert (await staying).org_slug == "anon-1"
    assert fake_backend.count(ANONYMOUS) == 1


# --- launch -----------------------------------------------------------------------------------------------


async def test_an_unsupported_version_says_how_to_upgrade(
    identity: FileIdentity, fake_backend: FakeBackend
) -> None:
    body = {"error": "sdk_version_unsupported", "currentVersion": "0.1.0", "supportedRange": ">=1.4.0"}
    fake_backend.fault(ANONYMOUS, status=426, body=json.dumps(body).encode())
    with pytest.raises(TooOldError) as raised:
        async with identity.opened():
            pass
    assert raised.value.text == (
        f"127.0.0.1:{fake_backend.port} does not work with arkor-dev 0.1.0: it supports >=1.4.0. To upgrade "
        f"this Studio, run `{upgrade_command()}`."
    )


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_permanent_errors_fail_the_launch(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, status: int
) -> None:
    fake_backend.fault(ANONYMOUS, status=status, body=b'{"error": "Not here"}')
    with pytest.raises(ArkorError) as raised:
        async with identity.opened():
            pass
    assert status_of(raised.value) == status
    for words in (f"127.0.0.1:{fake_backend.port}", "Not here. Run `arkor-dev login`", "arkor-dev --local"):
        assert words in raised.value.text
    assert not path.exists()


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 429}, {"hang": True}, {"garbage": b"?"}, {"status": 200, "body": b"{}"}],
)
async def test_a_launch_continues_without_a_backend_and_retries(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend, fault: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    fake_backend.fault(ANONYMOUS, **fault)
    patient, http.timeouts = http.timeouts, Timeouts(first_byte=0.3)
    began = time.monotonic()
    async with identity.opened(patience=0.1):
        assert time.monotonic() - began < 60
        assert "keeps trying" in caplog.text
        assert status_of(await fails(identity.credentials())) in (429, 502, 503, 504)
        fake_backend.heal()
        http.timeouts = patient
        await fake_backend.until(path.exists, 30)  # nobody has asked again
        # One that was given out and not waited for, on a machine that stood still, is another.
        assert (await identity.credentials()).org_slug == f"anon-{fake_backend.anonymous}"


async def test_retries_to_an_unavailable_backend_back_off(
    identity: FileIdentity, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(ANONYMOUS, status=503)
    async with identity.opened(), asyncio.timeout(30):
        while fake_backend.count(ANONYMOUS) < 5:
            await fails(identity.credentials())
            await asyncio.sleep(0.001)
    at = [seen.at for seen in fake_backend.requests if seen.route == ANONYMOUS]
    for number, (one, next_one) in enumerate(pairwise(at)):
        assert next_one - one >= 0.75 * FIRST_PAUSE * 2**number


async def test_retries_end_with_a_permanent_error(
    identity: FileIdentity, fake_backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    fake_backend.fault(ANONYMOUS, times=1, status=503)
    fake_backend.fault(ANONYMOUS, status=403)
    async with identity.opened():
        await fake_backend.until(lambda: "did not issue an anonymous identity" in caplog.text)
        await asyncio.sleep(0.3)
    assert fake_backend.count(ANONYMOUS) == 2


async def test_launching_with_an_account_sends_no_request(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=-10))
    async with identity.opened():
        pass
    assert fake_backend.requests == []


async def test_signing_in_elsewhere_takes_effect_at_once(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    assert (await identity.credentials()).mode == "anon"
    put(path, account(fake_backend))
    signed_in = await identity.credentials()
    assert (signed_in.mode, signed_in.org_slug) == ("oauth", None)


# --- the base URL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "stored", "expected"),
    [
        ("https://one.example", "https://two.example", "https://one.example"),
        ("https://one.example///", None, "https://one.example"),
        ("http://localhost:8080/", None, "http://localhost:8080"),
        ("https://one.example/api/", None, "https://one.example/api"),
        (None, "https://two.example/", "https://two.example"),
        (None, None, PRODUCTION_URL),
        (None, 7, PRODUCTION_URL),
    ],
)
async def test_the_backend_address_comes_from_the_first_source_set(
    settings: Settings, http: HttpClient, path: Path, variable: str | None, stored: object, expected: str
) -> None:
    extra = {} if stored is None else {"arkorCloudApiUrl": stored}
    put(path, {"mode": "anon", "token": TOKEN, "orgSlug": ORG, **extra})
    identity = FileIdentity(replace(settings, cloud_url=variable), http)
    assert (await identity.credentials()).base_url == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "set but empty"),
        (" / ", "set but empty"),
        ("api.arkor.ai", "is not a web address"),
        ("ftp://host", "is not a web address"),
        ("https://", "is not a web address"),
        ("https://host:99999", "is not a web address"),
        ("http://api.arkor.ai", "clear text"),
        ("http://localhost.evil", "clear text"),
        ("http://0.0.0.0:4000", "clear text"),
        ("https://user:secret@host", "no user name"),
        ("https://user@host", "no user name"),
        ("https://:secret@host", "no user name"),
        ("https://host?x=1", "no ?query"),
        ("https://host/#x", "no #fragment"),
    ],
)
async def test_an_invalid_backend_address_names_its_source(
    settings: Settings, http: HttpClient, path: Path, value: str, words: str
) -> None:
    identity = FileIdentity(replace(settings, cloud_url=value), http)
    with pytest.raises(ArkorError) as raised:
        async with identity.opened():
            pass
    assert words in raised.value.text
    assert "ARKOR_CLOUD_API_URL" in raised.value.text
    assert "secret" not in raised.value.text
    put(path, {"mode": "anon", "token": TOKEN, "orgSlug": ORG, "arkorCloudApiUrl": value})
    identity = FileIdentity(replace(settings, cloud_url=None), http)
    error = await fails(identity.credentials())
    assert words in error.text
    assert "credentials.json" in error.text


def test_an_ipv6_loopback_address_is_valid() -> None:
    assert clean_base_url("http://[::1]:80/", "x") == "http://[::1]:80"


# --- the account's token ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["oauth", "auth0"])
async def test_an_expiring_token_is_refreshed_once_for_all_callers(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, mode: str
) -> None:
    before = account(fake_backend, left=30, mode=mode)
    put(path, before)
    fake_backend.fault(REFRESH, delay=0.05)
    got = await asyncio.gather(*(identity.credentials() for _ in range(20)))
    assert fake_backend.count(REFRESH) == 1
    assert len(set(got)) == 1
    assert got[0].mode == mode
    assert got[0].token in fake_backend.tokens
    after = json.loads(path.read_bytes())
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"accessToken", "refreshToken", "expiresAt"}
    assert after["expiresAt"] == int(NOW) + 3600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fake_backend.last(REFRESH).body == (
        b"grant_type=refresh_token&client_id=cli&refresh_token=old-refresh-token"
    )
    await identity.credentials()
    assert fake_backend.count(REFRESH) == 1


@pytest.mark.parametrize(
    ("expires", "after"),
    [
        (int(NOW) + 30, int(NOW) + 3600),
        (int(NOW + 30) * 1000, int(NOW + 3600) * 1000),
        ("2027-01-15T08:00:00Z", "2027-01-15T09:00:00.000Z"),
    ],
)
async def test_the_expiry_keeps_its_format_in_the_file(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, expires: object, after: object
) -> None:
    put(path, account(fake_backend, expiresAt=expires))
    await identity.credentials()
    assert json.loads(path.read_bytes())["expiresAt"] == after


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN", "-1", "1" + "0" * 30])
async def test_an_expiry_that_is_not_a_time_is_ignored(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, number: str
) -> None:
    document = json.dumps(account(fake_backend, expiresAt="@")).replace('"@"', number)
    put(path, document)
    assert (await identity.credentials()).token
    put(path, account(fake_backend, left=0))
    body = b'{"access_token": "new-token-0123456789", "expires_in": ' + number.encode() + b"}"
    fake_backend.fault(REFRESH, status=200, body=body)
    assert (await identity.credentials()).token == "new-token-0123456789"
    assert "expiresAt" not in json.loads(path.read_bytes())


async def test_a_valid_token_is_not_refreshed(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=61))
    await identity.credentials()
    for unknown in ("soon", None, True):
        put(path, account(fake_backend, expiresAt=unknown))
        await identity.credentials()
    assert fake_backend.requests == []


async def test_a_refresh_token_that_does_not_rotate_stays(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    fake_backend.rotate, fake_backend.token_life = False, None
    put(path, account(fake_backend, left=0))
    await identity.credentials()
    after = json.loads(path.read_bytes())
    assert after["refreshToken"] == "old-refresh-token"
    assert "expiresAt" not in after


async def test_a_revoked_login_says_to_log_in_again(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=0))
    fake_backend.refresh_tokens.clear()
    error = await fails(identity.credentials())
    assert status_of(error) == 401
    assert "arkor-dev login" in error.text


async def test_a_login_without_refresh_data_is_used_until_refused(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    backend = backend_of(identity, http)
    for missing in ("refreshToken", "clientId", "auth0Domain"):
        document = account(fake_backend, left=0)
        del document[missing]
        put(path, document)
        assert (await backend.me()).status == 200
        fake_backend.tokens.pop("old-access-token-0123456789")
        assert "arkor-dev login" in (await fails(backend.me())).text
        await asyncio.sleep(0.3)


async def test_the_old_token_is_used_while_refreshing_fails(
    identity: FileIdentity, settings: Settings, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=30))
    fake_backend.fault(REFRESH, status=503, body=b"")
    patient = FileIdentity(settings, http, clock=lambda: NOW, first_pause=60)
    for _ in range(10):
        assert (await patient.credentials()).token == "old-access-token-0123456789"
    assert fake_backend.count(REFRESH) == 1  # and then a pause
    assert (await identity.credentials()).token == "old-access-token-0123456789"
    await asyncio.sleep(0.1)  # until its pause is over, and the file's time is another
    # Expired by this machine's clock: whether it still counts is the backend's to say.
    put(path, account(fake_backend, left=-1))
    backend = backend_of(identity, http)
    assert (await backend.me()).status == 200
    fake_backend.tokens.pop("old-access-token-0123456789")
    error = await fails(backend.me())
    assert status_of(error) == 503
    assert "could not be renewed" in error.text
    assert f"127.0.0.1:{fake_backend.port}" in error.text
    fake_backend.heal()
    await asyncio.sleep(0.2)
    assert (await identity.credentials()).token.startswith("access-token")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"access_token": ""}', b'{"access_token": "a b"}'])
async def test_a_refresh_without_a_token_changes_nothing(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend, body: bytes
) -> None:
    put(path, account(fake_backend, left=0))
    before = path.read_bytes()
    fake_backend.fault(REFRESH, status=200, body=body)
    fake_backend.tokens.pop("old-access-token-0123456789")
    assert "without a token" in (await fails(backend_of(identity, http).me())).text
    assert path.read_bytes() == before


@pytest.mark.parametrize("lasts", [b"NaN", b"Infinity", b"1e400", b"-1", b"true", b'"soon"', b"9" * 400])
async def test_an_invalid_token_lifetime_is_ignored(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, lasts: bytes
) -> None:
    put(path, account(fake_backend, left=0))
    body = b'{"access_token": "new-access-token-0123456789", "expires_in": ' + lasts + b"}"
    fake_backend.fault(REFRESH, status=200, body=body)
    assert (await identity.credentials()).token == "new-access-token-0123456789"
    assert "expiresAt" not in json.loads(path.read_bytes())


async def test_a_login_during_a_refresh_is_kept(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=0))
    fake_backend.fault(REFRESH, delay=0.1)
    waiting = asyncio.create_task(identity.credentials())
    await fake_backend.until(lambda: fake_backend.count(REFRESH) == 1)
    put(path, account(fake_backend, accessToken="newer-access-token-0123456789"))
    assert (await waiting).token == "newer-access-token-0123456789"
    assert json.loads(path.read_bytes())["accessToken"] == "newer-access-token-0123456789"


async def test_logging_out_during_a_refresh_stays_logged_out(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend, left=0))
    fake_backend.fault(REFRESH, delay=0.1)
    waiting = asyncio.create_task(identity.credentials())
    await fake_backend.until(lambda: fake_backend.count(REFRESH) == 1)
    path.unlink()
    await waiting
    assert not path.exists()


async def test_an_unwritable_file_keeps_the_new_token_in_memory(
    identity: FileIdentity, path: Path, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    put(path, account(fake_backend, left=0))
    monkeypatch.setattr("arkor_dev.identity.file_identity.write_credentials", refuse)
    first = await identity.credentials()
    assert first.token.startswith("access-token")
    assert await identity.credentials() == first
    assert fake_backend.count(REFRESH) == 1
    assert "to this launch only" in caplog.text
    assert first.token not in caplog.text


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("tenant.auth0.com", "https://tenant.auth0.com/oauth/token"),
        ("localhost:1", "http://localhost:1/oauth/token"),
        ("localhost.evil:1", "https://localhost.evil:1/oauth/token"),
    ],
)
def test_the_token_url_is_https_except_on_loopback(domain: str, url: str) -> None:
    assert str(token_url(domain)) == url


@pytest.mark.parametrize("domain", ["https://x", "a/b", "a?b", "u@host", "a#b", "host:x", ""])
def test_an_invalid_auth_domain_is_refused(domain: str) -> None:
    with pytest.raises(ArkorError, match="is not a host name"):
        token_url(domain)


# --- 401 --------------------------------------------------------------------------------------------------


def backend_of(identity: FileIdentity, http: HttpClient) -> Backend:
    return Backend(http, identity, FixedScope(Scope(ORG, PROJECT)))


async def test_concurrent_401s_share_one_refresh(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend))
    del fake_backend.tokens["old-access-token-0123456789"]
    backend = backend_of(identity, http)
    answers = await asyncio.gather(*(backend.me() for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    assert fake_backend.count(REFRESH) == 1
    job = fake_backend.add_job("completed")
    fake_backend.tokens = {"none-at-all": set()}
    async with asyncio.timeout(60):
        with pytest.raises(ArkorError, match="arkor-dev login"):
            async with backend.events(job):
                pass


async def test_streams_and_posts_are_retried_with_the_new_token(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend))
    del fake_backend.tokens["old-access-token-0123456789"]
    backend = backend_of(identity, http)
    ask = {"messages": [{"role": "user", "content": "hi"}], "baseModel": "tiny"}
    async with backend.chat(ask) as answer:
        assert b"Hello" in await answer.read()
    assert fake_backend.last("POST /v1/inference/chat").json() == ask
    assert [seen.route for seen in fake_backend.requests].count(REFRESH) == 1


async def test_a_refused_fresh_token_says_to_log_in_again(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, account(fake_backend))
    fake_backend.fault("GET /v1/me", status=401)
    backend = backend_of(identity, http)
    for _ in range(5):
        error = await fails(backend.me())
        assert status_of(error) == 401
        assert "arkor-dev login" in error.text
    assert fake_backend.count(REFRESH) == 1


async def test_a_refused_anonymous_identity_stays_on_disk(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, {"mode": "anon", "token": "gone-token-0123456789", "orgSlug": ORG})
    before = path.read_bytes()
    error = await fails(backend_of(identity, http).me())
    assert status_of(error) == 401
    assert "credentials.json away" in error.text
    assert path.read_bytes() == before
    assert fake_backend.count(ANONYMOUS) == 0


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("anonymous_token_single_device", "is for one machine, and another one has used it since."),
        ("anonymous_account_not_found", "The backend has removed this anonymous account."),
    ],
)
async def test_a_refused_anonymous_identity_has_the_reason(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend, code: str, why: str
) -> None:
    put(path, {"mode": "anon", "token": "gone-token-0123456789", "orgSlug": ORG})
    body = json.dumps({"error": "Unauthorized", "code": code}).encode()
    backend, job = backend_of(identity, http), fake_backend.add_job()
    fake_backend.fault("*", status=401, body=body)
    for error in (await fails(backend.me()), await fails(backend.events(job).__aenter__())):
        assert status_of(error) == 401
        assert why in error.text
        assert "credentials.json away" in error.text


async def test_a_login_between_a_call_and_its_401_is_used(
    identity: FileIdentity, http: HttpClient, path: Path, fake_backend: FakeBackend
) -> None:
    put(path, {"mode": "anon", "token": "gone-token-0123456789", "orgSlug": ORG})
    fake_backend.fault("GET /v1/me", times=1, delay=0.1, status=401)
    calling = asyncio.create_task(backend_of(identity, http).me())
    await fake_backend.until(lambda: fake_backend.count("GET /v1/me") == 1)
    put(path, account(fake_backend))
    assert (await calling).status == 200
    assert fake_backend.count(REFRESH) == 0


async def test_tokens_are_never_logged(
    identity: FileIdentity,
    http: HttpClient,
    path: Path,
    fake_backend: FakeBackend,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    put(path, account(fake_backend, left=0))
    fake_backend.fault(REFRESH, times=1, status=500, body=b"You sent old-refresh-token")
    fake_backend.tokens.pop("old-access-token-0123456789")
    error = await fails(backend_of(identity, http).me())
    assert "You sent …" in error.text
    await asyncio.sleep(0.1)
    made = await identity.credentials()
    await backend_of(identity, http).me()
    for secret in ("old-access-token", "old-refresh-token", made.token):
        assert secret not in caplog.text
        assert secret not in repr(made)


# --- what people see --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "scope", "line"),
    [
        (Credentials("anon", "t", "o", PRODUCTION_URL), None, "anonymous · o"),
        (Credentials("anon", "t", "o", PRODUCTION_URL), Scope("o", "p"), "anonymous · o / p"),
        (
            Credentials("anon", "t", "o", "http://127.0.0.1:81"),
            Scope("o", "p"),
            "anonymous · o / p · 127.0.0.1:81",
        ),
        (
            Credentials("oauth", "t", None, "https://x.example/api"),
            Scope("o", "p"),
            "oauth · o / p · x.example",
        ),
        (Credentials("auth0", "t", None, PRODUCTION_URL), None, "auth0 · no organisation"),
    ],
)
def test_the_header_line_names_mode_organization_and_project(
    credentials: Credentials, scope: Scope | None, line: str
) -> None:
    assert header_line(credentials, scope) == line


def test_the_view_shows_only_a_prefix_of_the_token() -> None:
    view = credentials_view(Credentials("oauth", "eyJh" + "x" * 60, None, "https://h"), Scope("o", "p"))
    assert view == {
        "mode": "oauth", "orgSlug": "o", "projectSlug": "p", "baseUrl": "https://h", "token": "eyJh…"
    }  # fmt: skip
    short = credentials_view(Credentials("anon", "short", "o", "https://h"), None)
    assert (short["token"], short["orgSlug"], short["projectSlug"]) == ("…", "o", None)


def test_the_machine_behind_a_socket_is_named() -> None:
    here = Credentials("anon", "token", "local", address_of("/tmp/a.sock"))
    there = replace(here, machine="gpu-box")
    assert [header_line(each, None) for each in (here, there)] == [
        "anonymous · local · this machine", "anonymous · local · gpu-box"
    ]  # fmt: skip
    shown = [credentials_view(each, None)["baseUrl"] for each in (here, there)]
    assert shown == ["http://localhost", "ssh://gpu-box"]


def test_the_view_offers_login_where_possible() -> None:
    anonymous, account = (Credentials(mode, "token", "o", "https://h") for mode in ("anon", "oauth"))
    assert credentials_view(anonymous, None, FileIdentity.sign_in)["signIn"] == "arkor-dev login"
    assert "signIn" not in credentials_view(account, None, FileIdentity.sign_in)
    assert "signIn" not in credentials_view(anonymous, None, FixedIdentity.sign_in)
    assert "signIn" not in credentials_view(anonymous, None, LocalBackend.sign_in)


# --- the local backend's identity -------------------------------------------------------------------------


async def test_a_fixed_identity_may_be_a_future() -> None:
    credentials = Credentials("anon", TOKEN, "local", "http://127.0.0.1:1")
    future: asyncio.Future[Credentials] = asyncio.get_running_loop().create_future()
    identity = FixedIdentity(future)
    leaving, staying = (asyncio.create_task(identity.credentials()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    future.set_result(credentials)
    assert await staying == credentials
    assert await identity.credentials() == credentials

    async def now() -> Credentials:
        return credentials

    assert await FixedIdentity(now).credentials() == credentials
    assert await FixedIdentity(credentials).credentials() == credentials
    changed = await FixedIdentity(credentials).renew(replace(credentials, token="old"))
    assert changed == credentials
    assert status_of(await fails(FixedIdentity(credentials).renew(credentials))) == 401


async def test_a_single_flight_recovers_from_errors_and_closes() -> None:
    flight: SingleFlight[int] = SingleFlight(first_pause=0.01)
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise UnavailableError("not yet")
        return runs

    while runs < 3:
        with pytest.raises(ArkorError):
            await flight.run(work)
        await asyncio.sleep(flight.wait + 0.001)
        if runs == 2:
            assert await flight.run(work) == 3

    async def never() -> int:
        await asyncio.Event().wait()
        return 0

    waiting = asyncio.create_task(flight.run(never))
    await asyncio.sleep(0)
    await flight.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting

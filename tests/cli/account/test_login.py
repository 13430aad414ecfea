"""Signing in and out: against a real identity provider and a real backend, from the address to the file."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from arkor_dev.cli import main as cli
from arkor_dev.cli.account import login
from arkor_dev.cli.account.callback import PATIENCE
from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.identity.credentials_file import read_credentials
from arkor_dev.identity.oauth import Attempt, Service
from tests.cli.test_main import arkor_dev
from tests.support.commands import start_command
from tests.support.daemon import environment
from tests.support.fake_backend import TOKEN
from tests.support.fake_sign_in import ACCESS, AUDIENCE, CLIENT, ORG, REFRESH, Browser, FakeSignIn
from tests.support.processes import script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

SECRETS = (ACCESS, REFRESH, "code-1-0123456789")


@pytest.fixture
async def service(fake_backend: FakeBackend, unused_tcp_port: int) -> AsyncIterator[FakeSignIn]:
    """The identity provider of the fake backend, with one callback port."""
    service = FakeSignIn()
    await service.start(fake_backend, [unused_tcp_port])
    yield service
    await service.close()


@pytest.fixture
def path(settings: Settings) -> Path:
    """The credentials file."""
    return settings.arkor_home / "credentials.json"


class SignIn:
    """One ``arkor-dev login`` of this process's own, in a thread as it has a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.out = io.StringIO()
        self.browser = Browser()

    async def run(self, browse: Callable[[str], Awaitable[bool]] | None = None, **how: Any) -> int:
        """The exit code; ``browse`` is called in the command's loop, else the browser visits from ours."""
        how.setdefault("patience", 60)
        ours = asyncio.get_running_loop()
        visits: list[asyncio.Future[None]] = []

        async def visit(address: str) -> bool:
            ours.call_soon_threadsafe(lambda: visits.append(ours.create_task(self.browser.visit(address))))
            return True

        console = Console(file=self.out, width=40, highlight=False)
        try:
            return await asyncio.to_thread(
                login.run_login, self.settings, console=console, browse=browse or visit, **how
            )
        finally:
            await asyncio.gather(*visits, return_exceptions=True)
            for secret in SECRETS:
                assert secret not in self.out.getvalue() + self.browser.page

    async def refused(self, **how: Any) -> ArkorError:
        """The reason; nothing was written."""
        path = self.settings.arkor_home / "credentials.json"
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(ArkorError) as raised:
            await self.run(**how)
        assert (path.read_bytes() if path.exists() else None) == before
        for secret in SECRETS:
            assert secret not in raised.value.text
        return raised.value


@pytest.fixture
def sign_in(settings: Settings) -> SignIn:
    """A sign-in against the fakes."""
    return SignIn(settings)


async def test_an_account_logs_in(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, path: Path
) -> None:
    (sign_in.settings.project / ".arkor").mkdir()
    (sign_in.settings.project / ".arkor" / "state.json").write_text(
        json.dumps({"orgSlug": ORG, "projectSlug": "p", "projectId": "1"})
    )
    assert await sign_in.run() == 0
    (_, asked), (_, form) = service.requests
    port = fake_backend.cli_config["callbackPorts"][0]  # type: ignore[index]
    assert asked["redirect_uri"] == form["redirect_uri"] == f"http://127.0.0.1:{port}/callback"
    assert asked["scope"] == "openid profile email offline_access"
    assert (asked["client_id"], asked["audience"]) == (CLIENT, AUDIENCE)
    assert len({asked["state"], asked["nonce"], form["code_verifier"]}) == 3
    assert min(map(len, (asked["state"], asked["nonce"], form["code_verifier"]))) >= 43
    stored = json.loads(path.read_bytes())
    assert abs(stored.pop("expiresAt") - (time.time() + 86400)) < 60
    assert stored == {
        "mode": "oauth",
        "accessToken": ACCESS,
        "refreshToken": REFRESH,
        "auth0Domain": service.domain,
        "audience": AUDIENCE,
        "clientId": CLIENT,
        "arkorCloudApiUrl": fake_backend.url,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not [other.name for other in path.parent.iterdir() if other.suffix == ".tmp"]
    lines = sign_in.out.getvalue().splitlines()
    assert lines[-2:] == [
        f"Signed in at 127.0.0.1:{fake_backend.port} as a@example.org (organisation: acme).",
        "Next: `arkor-dev` opens Studio on the project in this folder.",
    ]
    assert sign_in.browser.address in lines
    assert sign_in.browser.status == 200
    assert "<h1>Signed in</h1>" in sign_in.browser.page
    assert "as a@example.org" in sign_in.browser.page


async def test_login_warns_about_a_project_of_another_organization(
    sign_in: SignIn, service: FakeSignIn, signed_in: None
) -> None:
    assert await sign_in.run(yes=True) == 0
    assert "belongs to anon-org, which isn't one of your organisations." in sign_in.out.getvalue()


# --- what the browser brings ------------------------------------------------------------------------------


def altered(**changes: str | None) -> Callable[[dict[str, str]], dict[str, str]]:
    """Return a redirect with other values; None removes one."""
    return lambda query: {key: value for key, value in (query | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": None}, "sent the browser back without a code"),
        ({"code": "stolen-code"}, "rejected the code: already used, expired, or of another sign-in"),
        ({"code": None, "error": "access_denied", "error_description": "You said no"}, "You said no"),
        (
            {"code": None, "error": "server_error", "error_description": "<b>&\x1b[2Jbad"},
            "The sign-in service refused: <b>&bad.",
        ),
    ],
)
async def test_a_refused_login_has_reason_and_next_step(
    sign_in: SignIn, service: FakeSignIn, changes: dict[str, str | None], said: str
) -> None:
    service.redirect = altered(**changes)
    error = await sign_in.refused()
    assert said in error.text
    assert error.text.endswith("Run `arkor-dev login` again.")
    assert "<h1>Not signed in</h1>" in sign_in.browser.page
    assert "<b>" not in sign_in.browser.page
    assert "\x1b" not in sign_in.browser.page
    tried = [kind for kind, _ in service.requests]
    assert tried == (["authorize", "token"] if changes.get("code") == "stolen-code" else ["authorize"])


async def test_an_authorization_code_is_used_once(sign_in: SignIn, service: FakeSignIn, path: Path) -> None:
    assert await sign_in.run() == 0
    before = path.read_bytes()
    service.redirect = altered(code="code-1-0123456789")  # the first sign-in's
    assert "already used" in (await SignIn(sign_in.settings).refused()).text
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"nonce": "another"}, "its nonce differs"),
        ({"nonce": None}, "its nonce differs"),
        ({"iss": "https://evil.example/"}, "issuer is not"),
        ({"aud": "another"}, "meant for another program"),
        ({"aud": [CLIENT, "another"]}, "meant for another program"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "meant for another program"),
        ({"exp": 1_700_000_000}, "has expired. Check this machine's clock"),
        ({"exp": None}, "has expired"),
        ({"exp": float("nan")}, "has expired"),
    ],
)
async def test_an_id_token_of_another_login_is_refused(
    sign_in: SignIn, service: FakeSignIn, claims: dict[str, object], said: str
) -> None:
    service.claims = claims
    assert said in (await sign_in.refused()).text


async def test_an_id_token_with_several_audiences_is_accepted_for_this_client(
    sign_in: SignIn, service: FakeSignIn
) -> None:
    service.claims = {"aud": [CLIENT, AUDIENCE], "azp": CLIENT}
    assert await sign_in.run() == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"id_token": None}, "did not say who has signed in"),
        ({"id_token": "a.b"}, "did not say who has signed in"),
        ({"id_token": "a.!!!.c"}, "did not say who has signed in"),
        ({"id_token": "a.W10.c"}, "did not say who has signed in"),
        ({"refresh_token": None}, "no refresh token"),
        ({"refresh_token": "a b"}, "no refresh token"),
        ({"access_token": None}, "without a token"),
        ({"access_token": "a\nb"}, "without a token"),
        ({"access_token": "nobody-knows-this-token"}, "rejected the new sign-in: it refuses the token"),
    ],
)
async def test_an_invalid_token_response_is_refused(
    sign_in: SignIn, service: FakeSignIn, answer: dict[str, object], said: str
) -> None:
    service.answer = answer
    assert said in (await sign_in.refused()).text


async def test_an_unavailable_auth_service_is_a_503(sign_in: SignIn, service: FakeSignIn) -> None:
    service.status = 503
    error = await sign_in.refused()
    assert status_of(error) == 503
    assert f"The sign-in was not finished. {service.domain} answered 503" in error.text


@pytest.mark.parametrize("status", [503, 429])
async def test_login_succeeds_while_the_backend_is_unavailable(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, path: Path, status: int
) -> None:
    fake_backend.fault("GET /v1/me", status=status, body=b'{"error": "Back soon."}')
    assert await sign_in.run() == 0
    assert "could not yet say as whom: Back soon." in sign_in.out.getvalue()
    assert json.loads(path.read_bytes())["accessToken"] == ACCESS


# --- the deployment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["auth0Domain", "clientId", "audience"])
async def test_a_backend_without_accounts_is_named(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, missing: str
) -> None:
    assert fake_backend.cli_config is not None
    fake_backend.cli_config[missing] = None
    error = await sign_in.refused()
    assert error.text == (
        f"127.0.0.1:{fake_backend.port} has no account sign-in. Use an anonymous identity (arkor-dev login "
        "--anonymous), or train on this machine: arkor-dev --local"
    )


@pytest.mark.parametrize("ports", [None, [], "52521", [0, 65536, True, "80", 1.5]])
async def test_a_backend_without_a_callback_port_is_named(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, ports: object
) -> None:
    assert fake_backend.cli_config is not None
    fake_backend.cli_config["callbackPorts"] = ports
    assert "has no callback port" in (await sign_in.refused()).text


@pytest.mark.parametrize("domain", ["a/b", "u:p@host", "host?x", "host#x", "a b", "[", "host:99999"])
async def test_an_invalid_auth_domain_is_refused(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, domain: str
) -> None:
    assert fake_backend.cli_config is not None
    fake_backend.cli_config["auth0Domain"] = domain
    assert "names an invalid host" in (await sign_in.refused()).text


def test_plain_http_is_used_on_loopback_only() -> None:
    config = {"auth0Domain": "sign-in.example", "clientId": "c", "audience": "a", "callbackPorts": [1]}
    attempt = Attempt(Service.of(config, "host"), 1)
    assert attempt.address.startswith("https://sign-in.example/authorize?response_type=code&client_id=c&")
    for secret in (attempt.state, attempt.nonce, attempt.verifier):
        assert secret not in repr(attempt)


async def test_the_next_free_callback_port_is_used(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, held_port: Callable[[], int]
) -> None:
    assert fake_backend.cli_config is not None
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        taken, free = used.getsockname()[1], held_port()
        fake_backend.cli_config["callbackPorts"] = [taken, free]
        assert await sign_in.run() == 0
        assert service.requests[0][1]["redirect_uri"] == f"http://127.0.0.1:{free}/callback"
        fake_backend.cli_config["callbackPorts"] = [taken]
        error = await SignIn(sign_in.settings).refused()
    assert f"are in use: {taken}. Stop what" in error.text


# --- the person -------------------------------------------------------------------------------------------


async def test_without_a_browser_the_address_is_printed(sign_in: SignIn, service: FakeSignIn) -> None:
    async def missing(address: str) -> bool:
        threading.Thread(target=lambda: asyncio.run(sign_in.browser.visit(address))).start()
        return False

    assert await sign_in.run(browse=missing) == 0
    lines = sign_in.out.getvalue().splitlines()
    assert lines[0] == "Couldn't open a browser. Open this address in one on this machine:"
    assert lines[1].startswith(f"http://{service.domain}/authorize?response_type=code&")
    assert lines[2].startswith("For a browser on another machine, forward the port first: ssh -L ")


async def test_login_times_out(sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend) -> None:
    async def nowhere(_: str) -> bool:
        return True

    error = await sign_in.refused(browse=nowhere, patience=0.1)
    assert status_of(error) == 408
    assert error.text.startswith("The browser did not answer within ")
    assert fake_backend.cli_config is not None
    with socket.socket() as sock:  # nothing listens there now
        assert sock.connect_ex(("127.0.0.1", fake_backend.cli_config["callbackPorts"][0])) != 0


def test_the_login_timeout_is_five_minutes() -> None:
    assert PATIENCE == 300


async def test_ctrl_c_ends_a_login_without_browser(
    home: Path, service: FakeSignIn, fake_backend: FakeBackend, path: Path
) -> None:
    """The true command: it prints the address, one Ctrl-C ends it with one line, and nothing was written."""
    env = environment(home) | {"ARKOR_CLOUD_API_URL": fake_backend.url}
    process = await start_command("login", "--no-browser", env=env)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"Open this address in a browser on this machine:\n"
        assert (await process.stdout.readline()).startswith(f"http://{service.domain}/auth".encode())
        while b"Ctrl-C" not in await process.stdout.readline():
            pass
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (130, b"arkor-dev: interrupted\n")
    assert not path.exists()


async def test_the_login_command_works_end_to_end(
    home: Path, service: FakeSignIn, fake_backend: FakeBackend, tmp_path: Path, path: Path
) -> None:
    """With a browser that the environment names, as a desktop's would be."""
    visit = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"
    browser = script(tmp_path / "browser", visit)
    code, out, err = await arkor_dev(
        home, "login", ARKOR_CLOUD_API_URL=fake_backend.url, BROWSER=f"{browser} %s"
    )
    assert (code, err) == (0, "")
    assert "as a@example.org (organisation: acme)." in out
    assert json.loads(path.read_bytes())["mode"] == "oauth"
    for secret in SECRETS:
        assert secret not in out


# --- what is there already --------------------------------------------------------------------------------


async def test_replacing_an_anonymous_identity_needs_consent(
    sign_in: SignIn, service: FakeSignIn, signed_in: None, path: Path
) -> None:
    error = await sign_in.refused()
    assert error.text == (
        f"You are the anonymous identity anon-org. Without {path} it can't be recovered, and its jobs on "
        f"the backend become unreachable. The new sign-in replaces it. There is no terminal to ask "
        f"at: add --yes to confirm."
    )
    assert service.requests == []
    assert await sign_in.run(yes=True) == 0
    assert await sign_in.run() == 0  # an account can be had back


@pytest.mark.parametrize(("typed", "token"), [("y\n", ACCESS), ("\n", TOKEN), ("n\n", TOKEN), ("", TOKEN)])
async def test_replacing_an_anonymous_identity_asks(
    sign_in: SignIn, service: FakeSignIn, signed_in: None, path: Path, monkeypatch: pytest.MonkeyPatch,
    typed: str, token: str,
) -> None:  # fmt: skip
    def answer(question: str) -> str:
        assert question.endswith("Replace it? [y/N] ")
        if not typed:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", answer)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    assert await sign_in.run() == 0
    stored = json.loads(path.read_bytes())
    assert stored.get("accessToken", stored.get("token")) == token


@pytest.mark.parametrize("content", ["{", '{"mode": "of the future"}'])
async def test_a_damaged_credentials_file_is_handled(
    sign_in: SignIn, service: FakeSignIn, path: Path, content: str
) -> None:
    path.parent.mkdir()
    path.write_text(content)
    if content != "{":  # somebody's
        assert "contains no identity that Studio knows" in (await sign_in.refused()).text
    assert await sign_in.run(yes=content != "{") == 0
    assert json.loads(path.read_bytes())["mode"] == "oauth"


async def test_an_unwritable_folder_is_refused_before_login(
    sign_in: SignIn, service: FakeSignIn, fake_backend: FakeBackend, path: Path
) -> None:
    path.parent.write_text("a file in the folder's place")
    with pytest.raises(ArkorError, match="cannot be"):
        await sign_in.run()
    assert fake_backend.requests == []


async def test_an_anonymous_login_creates_an_identity(
    sign_in: SignIn, fake_backend: FakeBackend, path: Path
) -> None:
    assert await sign_in.run(anonymous=True) == 0
    assert json.loads(path.read_bytes()) == {
        "mode": "anon",
        "token": "anonymous-token-0001-0123456789",
        "anonymousId": "a1",
        "arkorCloudApiUrl": fake_backend.url,
        "orgSlug": "anon-1",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = sign_in.out.getvalue()
    assert f"Signed in anonymously at 127.0.0.1:{fake_backend.port}, as the organisation anon-1.\n" in said
    assert "anonymous-token" not in said
    with pytest.raises(ArkorError, match="can't be recovered"):
        await sign_in.run(anonymous=True)


# --- signing out ------------------------------------------------------------------------------------------


async def test_logout_deletes_the_credentials(
    sign_in: SignIn, service: FakeSignIn, path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await sign_in.run()
    (path.parent / "mine.txt").write_text("stays")
    monkeypatch.setenv("ARKOR_API_TOKEN", "a-secret-0123456789")
    monkeypatch.setenv("ARKOR_OLD_KEY", "")
    monkeypatch.setenv("ARKOR_MONKEY", "x")
    assert await asyncio.to_thread(cli.main, ["logout"]) == 0
    assert not path.exists()
    assert (path.parent / "mine.txt").exists()
    gone, named = capsys.readouterr().out.splitlines()
    assert gone.startswith(f"Signed out: {path} was removed. Studio creates an anonymous")
    assert named == (
        "The environment still has a token: ARKOR_API_TOKEN. To remove it: unset ARKOR_API_TOKEN"
    )
    assert await asyncio.to_thread(cli.main, ["logout"]) == 0
    assert capsys.readouterr().out.startswith(f"Not signed in: there is no {path}.\n")


async def test_logging_out_of_an_anonymous_identity_asks(
    settings: Settings, signed_in: None, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    assert await asyncio.to_thread(cli.main, ["logout"]) == 2
    assert "You are the anonymous identity anon-org" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert await asyncio.to_thread(cli.main, ["logout", "--yes"]) == 0
    assert not path.exists()


@pytest.mark.parametrize("content", ["[]", '{"mode": "of the future", "accessToken": "x"}'])
async def test_logout_keeps_files_it_does_not_know(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path.parent.mkdir()
    path.write_text(content)
    assert await asyncio.to_thread(cli.main, ["logout", "--yes"]) == 2
    assert "Remove the file yourself." in capsys.readouterr().err
    assert path.read_text() == content


async def test_a_login_during_a_logout_is_kept(
    sign_in: SignIn, service: FakeSignIn, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in.run()
    newer = json.loads(path.read_bytes()) | {"accessToken": "newer-token-0123456789"}

    def looked(file: Path) -> tuple[Any, None]:
        found = read_credentials(file)
        file.write_text(json.dumps(newer))
        return found, None

    monkeypatch.setattr(login, "_stored_identity", looked)
    assert await asyncio.to_thread(cli.main, ["logout"]) == 2
    assert json.loads(path.read_bytes()) == newer

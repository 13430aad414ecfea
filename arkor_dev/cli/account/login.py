"""``arkor-dev login`` and ``logout``: credentials without Node, written completely or not at all.

docs/contract.md#files describes the file. Existing credentials are replaced only after the new sign-in works.
An anonymous identity, which cannot be restored, is replaced only after a confirmation. Never prints a token.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from yarl import URL

from arkor_dev.backend.client import sign_in_config
from arkor_dev.backend.http_client import open_http_client
from arkor_dev.backend.http_errors import origin_text
from arkor_dev.cli.account.callback import PATIENCE, Callback
from arkor_dev.cli.browser import open_browser
from arkor_dev.cli.consent import confirm
from arkor_dev.contract.errors import (
    ArkorError,
    BadRequestError,
    ConflictError,
    InternalError,
    TemporaryError,
)
from arkor_dev.core.atomic_write import check_writable
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.base_url import base_url_of
from arkor_dev.identity.credentials_file import (
    NoCredentialsError,
    StoredCredentials,
    UnknownIdentityError,
    credentials_lock,
    read_credentials,
    write_credentials,
)
from arkor_dev.identity.file_identity import new_anonymous
from arkor_dev.identity.oauth import Attempt, Service
from arkor_dev.server.serve import bind

from .whoami import account_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from arkor_dev.backend.http_client import HttpClient
    from arkor_dev.core.settings import Settings

NEXT: Final = "Next: `arkor-dev` opens Studio on the project in this folder."


def run_login(
    settings: Settings,
    *,
    anonymous: bool = False,
    browser: bool = True,
    yes: bool = False,
    console: Console | None = None,
    patience: float = PATIENCE,
    browse: Callable[[str], Awaitable[bool]] = open_browser,
) -> int:
    """Sign in, print the result and return the exit code. An ArkorError means that nothing has changed."""
    path = settings.arkor_home / "credentials.json"
    stored, loss = _stored_identity(path)
    base_url = base_url_of(settings.cloud_url, stored)
    try:
        check_writable(path.parent)
    except OSError as fault:
        raise _unwritable(path, fault) from None
    if loss and not confirm(f"{loss} The new sign-in replaces it.", "Replace it?", yes=yes):
        _print_line(console or _stdout(), "Nothing was changed.")
        return 0
    login = _Login(
        path, settings.project, base_url, console or _stdout(), patience, browse if browser else None
    )
    return asyncio.run(login.anonymous() if anonymous else login.account())


def run_logout(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    yes: bool = False,
    console: Console | None = None,
) -> int:
    """Delete the credentials file, and with it this machine's identity; return the exit code."""
    console = console or _stdout()
    path = settings.arkor_home / "credentials.json"
    stored, loss = _stored_identity(path)
    if stored is None and not loss and not path.exists():
        _print_line(console, f"Not signed in: there is no {path}.")
    else:
        if stored is None and loss:
            raise BadRequestError(f"{loss} Remove the file yourself.")
        if loss and not confirm(loss, "Remove it?", yes=yes):
            _print_line(console, "Nothing was changed.")
            return 0
        asyncio.run(_remove(path, stored))
        _print_line(
            console,
            f"Signed out: {path} was removed. Studio creates an anonymous identity at its next start, "
            f"unless you sign in first: arkor-dev login",
        )
    names = sorted(name for name, value in environ.items() if value and _names_a_token(name))
    if names:
        _print_line(
            console,
            f"The environment still has a token: {', '.join(names)}. To remove it: unset {' '.join(names)}",
        )
    return 0


class _Login:
    """The parts of one sign-in. ``browse`` is None if the person opens the address themselves."""

    def __init__(
        self,
        path: Path,
        project: Path,
        base_url: str,
        console: Console,
        patience: float,
        browse: Callable[[str], Awaitable[bool]] | None,
    ) -> None:
        self._path = path
        self._project = project
        self._base_url = base_url
        self._host = origin_text(URL(base_url))
        self._console = console
        self._patience = patience
        self._browse = browse

    async def anonymous(self) -> int:
        async with open_http_client() as http:
            http.on_notice = self._print_line
            document = await new_anonymous(http, self._base_url)
            await self._keep(document)
        self._print_line(f"Signed in anonymously at {self._host}, as the organisation {document['orgSlug']}.")
        self._print_line(f"Keep {self._path}: this identity can't be recovered without it. {NEXT}")
        return 0

    async def account(self) -> int:
        async with open_http_client() as http:
            http.on_notice = self._print_line
            service = Service.of(await sign_in_config(http, self._base_url), self._host)
            sock = _first_free(service.ports)
            attempt = Attempt(service, sock.getsockname()[1])
            async with Callback(sock, attempt.is_answered_by) as callback:
                await self._send_to(attempt)
                answer = await callback.query(self._patience)
                try:
                    account_text, *hints = await self._finish(http, attempt, answer)
                except ArkorError as fault:
                    await callback.show("Not signed in", fault.text)
                    raise
                await callback.show(
                    "Signed in", f"{account_text} You can close this tab and return to the terminal."
                )
        for line in (account_text, *hints, NEXT):
            self._print_line(line)
        return 0

    async def _send_to(self, attempt: Attempt) -> None:
        opened = self._browse is not None and await self._browse(attempt.address)
        if opened:
            self._print_line("Sign in with the browser that just opened. If none did, open this address:")
        elif self._browse is None:
            self._print_line("Open this address in a browser on this machine:")
        else:
            self._print_line("Couldn't open a browser. Open this address in one on this machine:")
        self._print_line(attempt.address)
        if not opened:
            tunnel = f"ssh -L {attempt.port}:127.0.0.1:{attempt.port} HOST"
            self._print_line(f"For a browser on another machine, forward the port first: {tunnel}")
        self._print_line(f"Waiting for {self._patience / 60:g} minutes. Press Ctrl-C to stop.")

    async def _finish(self, http: HttpClient, attempt: Attempt, answer: Mapping[str, list[str]]) -> list[str]:
        """Exchange the browser's answer for credentials and save them; return a description of the user."""
        code = attempt.code(answer)
        document = await attempt.credentials(http, code, self._base_url, time.time())
        try:
            account = await account_of(http, StoredCredentials(document), self._base_url)
        except TemporaryError as fault:
            await self._keep(document)
            return [f"Signed in. {self._host} could not yet say as whom: {fault.text}"]
        except ArkorError as fault:
            raise fault.reworded(
                f"{self._host} rejected the new sign-in: {fault.text} Nothing was changed."
            ) from None
        await self._keep(document)
        mismatch = account.scope_mismatch(self._project)
        return [f"Signed in at {self._host} as {account}.", *([mismatch] if mismatch else [])]

    async def _keep(self, document: dict[str, object]) -> None:
        async with credentials_lock(self._path):
            try:
                await asyncio.to_thread(write_credentials, self._path, document)
            except OSError as fault:
                raise _unwritable(self._path, fault) from None

    def _print_line(self, line: str) -> None:
        _print_line(self._console, line)


def _stored_identity(path: Path) -> tuple[StoredCredentials | None, str | None]:
    """Return existing credentials and what would be lost with them. Raises ArkorError if unreadable."""
    try:
        stored = read_credentials(path)
    except NoCredentialsError:
        return None, None
    except UnknownIdentityError:
        return None, f"{path} contains no identity that Studio knows."
    if stored.mode != "anon":
        return stored, None
    return stored, (
        f"You are the anonymous identity {stored.org_slug}. Without {path} it can't be recovered, and "
        "its jobs on the backend become unreachable."
    )


async def _remove(path: Path, stored: StoredCredentials | None) -> None:
    async with credentials_lock(path):
        try:
            now = read_credentials(path)
        except NoCredentialsError:
            now = None
        if now is not None and (stored is None or now.document != stored.document):
            raise ConflictError(f"{path} changed in the meantime. Run `arkor-dev logout` again.")
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as fault:
            raise InternalError(
                f"{path} cannot be removed ({fault.strerror}). Fix the folder's permissions."
            ) from None


def _first_free(ports: tuple[int, ...]) -> socket.socket:
    for port in ports:
        try:
            return bind(port)
        except ArkorError:
            continue
    busy = ", ".join(map(str, ports))
    raise InternalError(
        f"All ports on which this machine could receive the browser's answer are in use: {busy}. Stop what "
        "uses one of them (another sign-in, perhaps) and try again.",
    )


def _names_a_token(name: str) -> bool:
    words = name.upper().split("_")
    return words[0] == "ARKOR" and not {"TOKEN", "KEY", "SECRET"}.isdisjoint(words)


def _unwritable(path: Path, error: OSError) -> ArkorError:
    return InternalError(f"{path} cannot be written ({error.strerror}). Fix the folder's permissions.")


def _print_line(console: Console, line: str) -> None:
    console.print(one_line(line, 4000), markup=False, highlight=False, soft_wrap=True)


def _stdout() -> Console:
    return Console(highlight=False)

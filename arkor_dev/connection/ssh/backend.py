"""The local backend of another machine, as Studio sees it: an identity that follows one ssh connection.

`SshBackend` connects, has the package and its environment installed there, sends the project's files, starts
the backend or finds it running, and forwards its socket. Files that have changed are sent before the next
call. A lost connection is restored, however often it takes; the backend there is not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self, TypedDict

from arkor_dev import __version__
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import address_of
from arkor_dev.contract.errors import (
    ArkorError,
    BadRequestError,
    ConflictError,
    UnauthorizedError,
    UnavailableError,
)
from arkor_dev.contract.regular_files import open_regular
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line, tidy_name
from arkor_dev.identity.local_backend import ORG
from arkor_dev.project.toml.compute import load_ssh_python

from . import package
from .answers import read_backend, read_host_state, read_missing, read_nothing
from .files import Hashes, OutgoingFile, files_of_project
from .host import checked
from .link import SshLink, linked, pieces, socket_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import Notice

    from .answers import HostState, RemoteBackend

ASK_BYTES: Final = 1_000_000_000
"""Size of files, in bytes, from which a person must confirm the upload."""
WAIT_SECONDS: Final = 10.0
"""How long a call waits for an upload of changed files before it fails with the progress."""
PAUSES: Final = (0.5, 15.0)
"""The first and the longest pause between attempts to connect again, in seconds."""
RENEW_SECONDS: Final = 5.0
MOST_FILES: Final = 5


class Target(TypedDict):
    """The project's folder on the other machine: its ``key``, and the ``name`` of its files in there."""

    key: str
    name: str


class SshBackend:
    """An `IdentitySource` for a backend on ``settings.ssh``, and its one scope.

    ``on_notice`` gets messages for the user; ``confirm`` confirms large uploads; None without a terminal.
    """

    sign_in: str | None = None

    def __init__(
        self,
        settings: Settings,
        on_notice: Callable[[Notice], None],
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        assert settings.ssh is not None
        self.on_notice = on_notice
        self._settings, self._host, self._confirm = settings, checked(settings.ssh), confirm
        name = tidy_name(settings.project.name)
        # The folder there does not depend on how the host is spelled here.
        self._target: Target = {"key": replace(settings, ssh=None).local_data.name, "name": name}
        self.scope: Final = Scope(ORG, name, name)
        self._hashes = Hashes(settings.local_data / "hashes.json")
        self._sent: list[OutgoingFile] = []
        self._sending: asyncio.Task[None] | None = None
        self._progress = self._code = ""
        self._link: SshLink | None = None
        self._folder: Path | None = None
        self._ready: Credentials | None = None
        self._moved = asyncio.Event()
        self._newest: RemoteBackend | None = None
        self._following = False
        self._reason = f"{self._host} is not connected yet."
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Connect, and install and send what is missing. Raises ArkorError if that is impossible."""
        try:
            await self._connect()
        except BaseException:
            await self._disconnect()
            raise
        self._confirm = None  # from now on the backend's messages are handled, too
        self._go(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect; the backend there keeps running."""
        for task in (*self._tasks, *([self._sending] if self._sending else [])):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._disconnect()

    async def credentials(self) -> Credentials:
        """Return the forwarded socket and the token, after changed files were sent.

        Raises UnavailableError while there is no connection or much is still being sent.
        """
        if self._ready is None:
            raise UnavailableError(self._reason)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_changed())
        sending = self._sending
        await asyncio.wait({sending}, timeout=WAIT_SECONDS)
        if not sending.done():
            raise UnavailableError(
                f"Files are being sent to {self._host}: {self._progress}. Wait for the rest."
                if self._progress
                else f"{self._host} has not answered for {WAIT_SECONDS:g} s. Wait a moment."
            )
        sending.result()
        if self._ready is None:
            raise UnavailableError(self._reason)
        return self._ready

    async def renew(self, rejected: Credentials) -> Credentials:
        """Return the credentials of a backend that was restarted there. Raises UnauthorizedError."""
        if self._ready == rejected:
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._moved.wait()
        now = await self.credentials()
        if now == rejected:
            raise UnauthorizedError(f"The backend on {self._host} refused its own token. Start Studio again.")
        return now

    # --- the connection -----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._disconnect()
        self._sent = []  # the files there may have been removed in the meantime
        self._folder = await asyncio.to_thread(socket_folder)
        python = await asyncio.to_thread(load_ssh_python, self._settings.project, self._host)
        self._link = link = await SshLink.open(self._host, python, self._folder, self._on_backend, self._step)
        env = await self._prepare(link, python)
        await self._send_changed()
        started = await link.ask(
            "start", read_backend, self._step, **self._target, code=self._code, env=env, version=__version__,
            options=self._options(),
        )  # fmt: skip
        await self._use(link, started)

    async def _prepare(self, link: SshLink, python: str | None) -> str | None:
        """Install the package and its environment there; return its name, None for ``python``."""
        if not self._code:  # as it was when this process started
            self._code = await asyncio.to_thread(package.digest)
        needs, gpu_needs = package.requirements() if python is None else ([], [])
        env = None if python is not None else package.environment([*needs, *gpu_needs])
        modules = package.MODULES if python is not None else []
        state = await link.ask("look", read_host_state, code=self._code, env=env, modules=modules)
        _need_modules(self._host, python, state)
        if not state.has_code:
            self._step(f"Sending arkor-dev {__version__} to {self._host}")
            archive = await asyncio.to_thread(package.packed)
            await link.ask(
                "code", read_nothing, body=iter([archive]), code=self._code, size=len(archive),
                sha256=hashlib.sha256(archive).hexdigest(),
            )  # fmt: skip
        if env is not None and not state.has_environment:
            self._step(f"Preparing {self._host} for the first time, with its Python {state.python}")
            await link.ask("install", read_nothing, self._step, env=env, requirements=needs, gpu=gpu_needs)
        return env

    def _options(self) -> list[str]:
        """Return the options for starting a backend, if it is not running yet."""
        settings = self._settings
        options = [] if settings.resume else ["--no-resume"]
        options += [] if settings.at_once is None else [f"--at-once={settings.at_once}"]
        return options + ([] if settings.engine is None else [f"--engine={settings.engine}"])

    async def _use(self, link: SshLink, backend: RemoteBackend) -> None:
        """Forward the socket of the backend that the other side has named."""
        local = await link.forward(backend.socket)
        if link is not self._link:
            return  # the session has ended already
        self._ready = Credentials("anon", backend.token, ORG, address_of(local), self._host)
        self._moved.set()

    def _on_backend(self, now: RemoteBackend | None, restarting: bool) -> None:
        """Follow a backend that was restarted there, or is gone."""
        state = (
            "is starting again. Wait a moment."
            if restarting
            else "has ended. Start Studio again to start it."
        )
        self._ready, self._reason = None, f"The backend on {self._host} {state}"
        self._newest = now
        if now is not None and not self._following:
            self._following = True
            self._go(self._follow())

    async def _follow(self) -> None:
        """Forward the newest socket, one at a time however often it changes."""
        try:
            while (now := self._newest) is not None and self._link is not None:
                self._newest = None
                await self._use(self._link, now)
        except ArkorError as fault:
            self._reason = fault.text
        finally:
            self._following = False

    async def _keep_connected(self) -> None:
        while True:
            assert self._link is not None
            await self._link.closed.wait()
            self._ready, self._reason = None, f"The connection to {self._host} is lost; reconnecting."
            self._notify("warning", f"Connection to {self._host} lost, reconnecting")
            pause, reported = PAUSES[0], ""
            while True:
                try:
                    await self._connect()
                    break
                except (ArkorError, OSError) as fault:
                    text = fault.text if isinstance(fault, ArkorError) else f"{fault}."
                    self._reason = f"The connection to {self._host} is lost; reconnecting. {text}"
                    if text != reported:
                        reported = text
                        self._notify("warning", reported)
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSES[1])
            self._notify("info", f"Connected to {self._host} again.")

    async def _disconnect(self) -> None:
        link, self._link, self._ready = self._link, None, None
        if link is not None:
            await link.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # --- the project's files ------------------------------------------------------------------------------

    async def _send_changed(self) -> None:
        files = await asyncio.to_thread(files_of_project, self._settings.project)
        if files == self._sent or self._link is None:
            return
        hashes = await asyncio.to_thread(self._hashes.of, files)
        entries = [[file.name, file.size, digest] for file, digest in zip(files, hashes, strict=True)]
        self._progress = ""
        names = await self._link.ask("files", read_missing, **self._target, files=entries)
        # Only what was offered is sent, whatever the other side names.
        to_send = [pair for pair in zip(files, hashes, strict=True) if pair[0].name in names]
        total = sum(file.size for file, _ in to_send)
        self._agree(total, [file for file, _ in to_send])
        done, self._progress = 0, f"0 of {format_bytes(total)}"

        def sent(count: int) -> None:
            nonlocal done
            done += count
            self._progress = f"{format_bytes(done)} of {format_bytes(total)}"
            label = f"Sending files to {self._host}"
            self.on_notice({"notice": "progress", "label": label, "done": done, "total": total, "unit": "B"})

        for file, digest in to_send:
            try:
                opened = await asyncio.to_thread(open_regular, file.path)
            except OSError as fault:
                raise ConflictError(f"{file.name} cannot be read ({fault.strerror}).") from None
            with opened:
                await self._link.ask(
                    "put", read_nothing, body=pieces(opened, file.size, sent), **self._target,
                    path=file.name, size=file.size, sha256=digest,
                )  # fmt: skip
        if to_send:
            self._step(
                f"Sent {_file_list([file for file, _ in to_send])} to {self._host}, "
                f"{format_bytes(total)} in total"
            )
        self._sent = files

    def _agree(self, total: int, files: list[OutgoingFile]) -> None:
        if total <= ASK_BYTES:
            return
        largest = sorted(files, key=lambda file: -file.size)
        question = f"{format_bytes(total)} would be sent to {self._host}: {_file_list(largest)}."
        if self._confirm is None:
            raise ConflictError(
                f"{question} Start `arkor-dev --ssh {self._host}` in a terminal, which asks first."
            )
        if not self._confirm(question):
            raise ConflictError(f"Nothing was sent to {self._host}.")

    # --- messages -----------------------------------------------------------------------------------------

    def _step(self, text: str) -> None:
        self._notify("info", text)

    def _notify(self, level: str, text: str) -> None:
        self.on_notice({"notice": "message", "level": level, "text": text})

    def _go(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def describe_host(settings: Settings, host: str) -> str:
    """Describe what ``host`` has in a sentence, without changing anything. Raises ArkorError."""
    python = await asyncio.to_thread(load_ssh_python, settings.project, host)
    needs, gpu_needs = package.requirements() if python is None else ([], [])
    env = package.environment([*needs, *gpu_needs])
    async with linked(checked(host), python, lambda _: None) as link:
        modules = package.MODULES if python else []
        state = await link.ask("look", read_host_state, code="-", env=env, modules=modules)
    _need_modules(host, python, state)
    environment = "The environment is made at the first start."
    if python is not None or state.has_environment:
        environment = "Everything is installed."
    gpu = "an NVIDIA GPU" if state.has_gpu else "no NVIDIA GPU"
    return f"{host} has Python {state.python} and {gpu}. {environment}"


def _need_modules(host: str, python: str | None, state: HostState) -> None:
    """Raise BadRequestError if the selected Python there lacks a module."""
    if state.lacks:
        names = one_line(", ".join(state.lacks), 300)
        raise BadRequestError(
            f"{one_line(python, 300)} on {host} lacks {names}. Install them there, or remove python below "
            "[compute] in arkor.toml: then an environment is made."
        )


def _file_list(files: list[OutgoingFile]) -> str:
    descriptions = [f"{one_line(file.name, 100)} ({format_bytes(file.size)})" for file in files[:MOST_FILES]]
    return ", ".join(descriptions) + (
        f" and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else ""
    )

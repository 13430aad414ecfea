"""The local backend's process, as managed by the daemon: started, watched, restarted, ended.

It is a separate process so that torch is never loaded here, and so that a training run that exhausts the
machine's memory ends neither Studio nor the job store. It holds the other end of a pipe: when that is closed,
however we end, it ends its workers and itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from typing import TYPE_CHECKING, Self, TypedDict

from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import address_of
from arkor_dev.contract.errors import ArkorError, UnauthorizedError, UnavailableError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import tidy_name

from .engine import command, missing_extra
from .local_backend_log import BackendLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.core.settings import Settings

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
END_TIMEOUT = 5.0
"""Seconds that it gets to end: a running job pauses after its step and saves what it needs to resume."""
PUBLISH_PAUSE = 2.0
"""Seconds between two attempts to write the file by which commands find the backend."""
SETUP_POLL = 1.0
"""Seconds between two checks for the engine, which may be installed while Studio is open."""
NOT_INSTALLED = (
    "Local training is not installed yet. Install it on Studio's Home page, or with `arkor-dev setup`."
)
FINAL = (75, 76, 77)
"""Exit codes after which a restart cannot help: the data folder is in use, newer than us, or damaged."""
ORG = "local"
Notice = dict[str, object]


class RebuiltJobs(TypedDict):
    """What rebuilding has found: the fields of ``arkor_dev.local.jobs.rebuild.Rebuilt``."""

    jobs: int
    read: int
    added: list[str]
    unusable: list[str]
    damaged_file: str | None


async def rebuild_jobs(settings: Settings) -> RebuiltJobs:
    """Rebuild the project's job store from the files on disk, and return the result.

    Raises UnavailableError if that is impossible; then nothing was changed.
    """
    argv, environment = command(settings)
    process = await asyncio.create_subprocess_exec(
        *argv, "--rebuild",
        "--data", str(settings.local_data), "--project", str(settings.project),
        "--cache", str(settings.cache),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    output, errors = await process.communicate()
    if process.returncode:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise UnavailableError(lines[-1] if lines else "The list of jobs could not be rebuilt.")
    rebuilt: RebuiltJobs = json.loads(output)
    return rebuilt


class LocalBackend:
    """The process, an `IdentitySource` for it, and its one scope.

    With ``idle`` it starts no job, with ``on_demand`` none before somebody adds one, and with
    ``awaits_engine`` it begins once the training libraries are installed. ``on_notice`` receives the
    backend's messages for the user: ``{"notice": "progress" | "message", …}``.
    """

    sign_in: str | None = None

    def __init__(
        self,
        settings: Settings,
        on_notice: Callable[[Notice], None] = lambda _: None,
        *,
        idle: bool = False,
        on_demand: bool = False,
        awaits_engine: bool = False,
    ) -> None:
        self._settings = settings
        self._awaits_engine = awaits_engine
        options = ["--on-demand"] if on_demand else []
        options += [] if settings.resume else ["--no-resume"]
        options += [] if settings.at_once is None else ["--at-once", str(settings.at_once)]
        options += [] if settings.engine is None else ["--engine", settings.engine]
        self._options, self._idle = ["--idle"] if idle else options, idle
        self._on_notice = on_notice
        self._log = BackendLog(settings.local_data / "backend.log")
        self._token = secrets.token_urlsafe(32)
        self._ready: asyncio.Future[Credentials] | None = None
        self._task: asyncio.Task[None] | None = None
        self._publishing: asyncio.Task[None] | None = None
        self.scope = Scope(ORG, tidy_name(settings.project.name), tidy_name(settings.project.name))

    async def __aenter__(self) -> Self:
        """Start the process, without waiting until it serves."""
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep_running(), name="local backend")
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process and all its workers, and wait for that."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._ready is not None and self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # retrieve the exception, so that asyncio does not warn about it

    async def credentials(self) -> Credentials:
        """Return the backend's address and token once it serves. Raises UnavailableError if it cannot."""
        if self._ready is None:
            raise UnavailableError("The local backend was not started.")
        try:
            async with asyncio.timeout(START_TIMEOUT):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            text = f"The local backend did not start in {START_TIMEOUT:g} s."
            raise UnavailableError(text + self._log.ending()) from None

    async def renew(self, rejected: Credentials) -> Credentials:
        """Return the credentials after a restart of the backend."""
        now = await self.credentials()
        if now == rejected:
            raise UnauthorizedError("The local backend refused its own token. Start Studio again.")
        return now

    async def _keep_running(self) -> None:
        pause = 0.5
        if self._awaits_engine:
            await self._installed()
        while True:
            started = asyncio.get_running_loop().time()
            try:
                code = await self._run_once()
                words = self._log.last_line
                text = f"The local backend ended unexpectedly (exit code {code}{words and ': '}{words})."
            except (OSError, ValueError) as error:
                code, text = -1, f"The local backend cannot be started: {error}."
            if code in FINAL:
                text = self._log.last_line
                self._fail(UnavailableError(text))
                self._on_notice({"notice": "message", "level": "error", "text": text})
                return
            log.error("%s Starting it again.", text)
            self._fail(UnavailableError(text + self._log.ending()))
            pause = 0.5 if asyncio.get_running_loop().time() - started > 30 else min(pause * 2, 15)
            await asyncio.sleep(pause)
            self._ready = asyncio.get_running_loop().create_future()

    async def _installed(self) -> None:
        """Wait until the training libraries are there."""
        if await asyncio.to_thread(missing_extra, self._settings) is None:
            return
        self._fail(UnavailableError(NOT_INSTALLED))
        while await asyncio.to_thread(missing_extra, self._settings) is not None:  # noqa: ASYNC110
            await asyncio.sleep(SETUP_POLL)
        self._ready = asyncio.get_running_loop().create_future()

    def _fail(self, error: ArkorError) -> None:
        assert self._ready is not None
        if self._ready.done():
            self._ready = asyncio.get_running_loop().create_future()
        self._ready.set_exception(error)
        self._ready.exception()

    async def _run_once(self) -> int:
        """Run the process once; return its exit code."""
        settings = self._settings
        settings.local_data.mkdir(mode=0o700, parents=True, exist_ok=True)
        argv, environment = await asyncio.to_thread(command, settings)
        process = await asyncio.create_subprocess_exec(
            *argv,
            "--data", str(settings.local_data), "--project", str(settings.project),
            "--cache", str(settings.cache), *self._options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True, limit=1 << 20,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        hello = {
            "token": self._token,
            "orgSlug": ORG,
            "projectSlug": self.scope.project_slug,
            "parent": os.getpid(),
        }
        log_task = asyncio.create_task(self._log.keep(process.stderr, process.pid))
        try:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(json.dumps(hello).encode() + b"\n")
                await process.stdin.drain()
            await self._listen(process.stdout)
            code = await process.wait()
            await log_task
            return code
        finally:
            self._withdraw()
            process.stdin.close()
            await asyncio.shield(self._wait_for_end(process, process.stdout))
            log_task.cancel()

    async def _listen(self, stdout: asyncio.StreamReader, *, ending: bool = False) -> None:
        async for line in stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if not isinstance(message, dict):
                continue
            if "notice" in message:
                self._on_notice(message)
            elif isinstance(message.get("socket"), str) and not ending:
                self._serves(message["socket"])

    def _serves(self, socket: str) -> None:
        credentials = Credentials("anon", self._token, ORG, address_of(socket))
        assert self._ready is not None
        if not self._ready.done():
            self._ready.set_result(credentials)
        handoff = {
            "baseUrl": credentials.base_url,
            "token": self._token,
            "orgSlug": ORG,
            "projectSlug": self.scope.project_slug,
            "projectId": self.scope.project_id,
            "pid": os.getpid(),
            "idle": self._idle,
        }
        content = json.dumps(handoff).encode()
        try:
            self._publish(content)
        except OSError as error:
            text = f"Runs cannot be started yet: {error}. Studio tries to write that file until it can."
            self._on_notice({"notice": "message", "level": "warning", "text": text})
            self._publishing = asyncio.create_task(self._publish_later(content))

    def _publish(self, handoff: bytes) -> None:
        """Write the file by which commands find this backend. Raises OSError."""
        write_private(self._settings.local_data / "backend.json", handoff)

    async def _publish_later(self, handoff: bytes) -> None:
        while True:
            await asyncio.sleep(PUBLISH_PAUSE)
            with contextlib.suppress(OSError):
                return self._publish(handoff)

    async def _wait_for_end(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> None:
        """Wait for an ending process and pass its messages on; kill it if that takes too long."""
        last_words = asyncio.create_task(self._listen(stdout, ending=True))
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        # Its last messages may still arrive; a stray holder of the pipe must not block us.
        await asyncio.wait({last_words}, timeout=1)
        last_words.cancel()

    def _withdraw(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
        path = self._settings.local_data / "backend.json"
        with contextlib.suppress(OSError, ValueError):
            if json.loads(read_small(path)).get("token") == self._token:
                path.unlink()

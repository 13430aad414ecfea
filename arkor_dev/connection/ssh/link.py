"""One ssh session with the program on the other machine: requests, answers, and forwarded sockets.

The other machine is not trusted: what it sends is parsed as JSON lines of a limited length, shown as plain
text, and a socket's path is forwarded only if it can be nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import tempfile
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self, TypedDict, TypeGuard, TypeVar

from arkor_dev.contract.errors import ArkorError, BackendError, ConflictError, TimedOutError
from arkor_dev.core.plain_text import one_line

from .answers import read_backend
from .host import CONNECT_SECONDS, forwarding, session, why_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .answers import RemoteBackend

READY_SECONDS: Final = CONNECT_SECONDS + 30.0
ANSWER_SECONDS: Final = 100.0
"""Timeout of an answer or step; an installer that prints reports every few seconds."""
QUIET_SECONDS: Final = 10.0
"""Silence after which a notice says that an answer is still awaited."""
SILENT_SECONDS: Final = 1800.0
"""Timeout of a step that may be silent for long, such as a large download."""
FORWARD_SECONDS: Final = 15.0
END_SECONDS: Final = 2.0
LINE_BYTES: Final = 1 << 20
NOISE: Final = 1000
"""Maximum number of lines that are not messages, such as a shell's greeting, before the session is ended."""
QUEUED: Final = 100
"""Maximum number of unread messages of a request; then the other side is made to wait."""
STEPS: Final = 10_000
"""Maximum number of steps of one request."""
TAIL_BYTES: Final = 1 << 14
TEXT: Final = 1500
PIECE: Final = 1 << 18
# No colon, which separates the ends of a forwarding.
_SOCKET: Final = re.compile(r"/[A-Za-z0-9._/@+=,-]{1,106}")


Answer = TypeVar("Answer")


class FarMessage(TypedDict, total=False):
    """A line of the program there, which may send anything: see `far_side`."""

    ready: object
    step: object
    done: object
    fault: object
    backend: object
    kept: object


class SshLink:
    """An open session. ``closed`` is set once it has ended."""

    def __init__(
        self,
        host: str,
        python: str | None,
        folder: Path,
        on_backend: Callable[[RemoteBackend | None, bool], None],
        on_quiet: Callable[[str], None],
    ) -> None:
        self.closed: Final = asyncio.Event()
        self._host, self._python, self._folder = host, python, folder
        self._on_backend, self._on_quiet = on_backend, on_quiet
        self._process: asyncio.subprocess.Process
        self._answers: asyncio.Queue[FarMessage | None] = asyncio.Queue(QUEUED)
        self._one_at_a_time = asyncio.Lock()
        self._errors = b""
        self._tasks: list[asyncio.Task[None]] = []
        self._forwarded = 0

    @classmethod
    async def open(
        cls,
        host: str,
        python: str | None,
        folder: Path,
        on_backend: Callable[[RemoteBackend | None, bool], None],
        on_quiet: Callable[[str], None],
    ) -> Self:
        """Connect, and start the program there; sockets of the session go into ``folder``.

        ``on_backend`` is called with the program's unrequested reports of the backend, and whether that will
        start again if it is gone; ``on_quiet`` with a sentence when an answer is long in coming. Raises
        ArkorError.
        """
        self = cls(host, python, folder, on_backend, on_quiet)
        self._process = await asyncio.create_subprocess_exec(
            *session(host, folder / "c", python),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES, start_new_session=True,
        )  # fmt: skip
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]
        try:
            text = files(__package__).joinpath("far_side.py").read_bytes()
            await self._send(f"{len(text)}\n".encode() + text)
            if "ready" not in await self._message(READY_SECONDS):
                raise unexpected(host)
        except BaseException:
            await self.close()
            raise
        return self

    async def ask(
        self,
        command: str,
        read: Callable[[object], Answer],
        on_step: Callable[[str], None] = lambda _: None,
        *,
        body: Iterator[bytes] | None = None,
        **fields: object,
    ) -> Answer:
        """Send a request, and ``body`` after it; return what ``read`` makes of the answer (`answers`).

        Raises ArkorError, also for an answer that cannot be read.
        """
        async with self._one_at_a_time:
            await self._send(json.dumps({"do": command, "host": self._host, **fields}).encode() + b"\n")
            if body is not None:
                for piece in body:
                    if self.closed.is_set():
                        break
                    await self._send(piece)
            for _ in range(STEPS):
                message = await self._message(SILENT_SECONDS if command == "install" else ANSWER_SECONDS)
                if "step" in message:
                    on_step(one_line(message["step"], 300))
                elif "fault" in message:
                    raise ConflictError(one_line(message["fault"], TEXT))
                elif "done" in message:
                    try:
                        return read(message["done"])
                    except ValueError:
                        raise unexpected(self._host) from None
            raise BackendError(f"{self._host} does not come to an end. Try again.")

    async def forward(self, remote: object) -> Path:
        """Forward the socket ``remote`` there; return the path of the local one. Raises BackendError."""
        if not isinstance(remote, str) or not _SOCKET.fullmatch(remote):
            raise BackendError(
                f"{self._host} named a socket that cannot be forwarded. Set TMPDIR there to /tmp."
            )
        self._forwarded += 1
        local = self._folder / str(self._forwarded)
        process = await asyncio.create_subprocess_exec(
            *forwarding(self._host, self._folder / "c", local, remote),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(FORWARD_SECONDS):
                _, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            errors = b"it took too long"
        if process.returncode:
            reason = one_line(errors.decode(errors="replace"), 300)
            raise BackendError(
                f"The connection to {self._host} forwards no sockets ({reason}). Its ssh server needs "
                "AllowStreamLocalForwarding, which is on by default."
            )
        return local

    async def close(self) -> None:
        """End the session; processes there keep running."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._process.stdin.drain()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()  # half a request was sent
            raise TimedOutError(
                f"{self._host} has accepted no data for {ANSWER_SECONDS:g} s. Try again."
            ) from None
        except (ConnectionError, RuntimeError):  # the reader of its output learns why
            return

    async def _message(self, seconds: float) -> FarMessage:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    return await self._next()
            self._on_quiet(
                f"{self._host} has been silent for {QUIET_SECONDS:g} s; waiting for up to {seconds:g} s"
            )
            async with asyncio.timeout(seconds - QUIET_SECONDS):
                return await self._next()
        except TimeoutError:
            raise TimedOutError(f"{self._host} did not answer in {seconds:g} s. Try again.") from None

    async def _next(self) -> FarMessage:
        message = await self._answers.get()
        if message is None:
            self._answers.put_nowait(None)  # for the next request
            raise await self._failure()
        return message

    async def _failure(self) -> ArkorError:
        code = await self._process.wait()
        await asyncio.wait(self._tasks[1:], timeout=1)
        return why_ended(self._host, code, self._errors.decode(errors="replace"), self._python)

    async def _read(self) -> None:
        """Dispatch messages until the session ends."""
        assert self._process.stdout is not None
        noise, at_end = 0, False
        try:
            while line := await self._process.stdout.readline():
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    message = None
                if not _is_message(message):
                    noise += 1
                    if noise > NOISE:
                        break
                elif "backend" in message:
                    self._report(message)
                else:
                    await self._answers.put(message)
            at_end = not line
        except ValueError:  # a line without end
            pass
        finally:
            if not at_end:
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()
            if self._answers.full():
                self._answers.get_nowait()
            self._answers.put_nowait(None)
            self.closed.set()

    def _report(self, message: FarMessage) -> None:
        """Pass on where the backend is now; one that cannot be read is gone."""
        backend = None
        with contextlib.suppress(ValueError):
            backend = None if message["backend"] is None else read_backend(message["backend"])
        self._on_backend(backend, message.get("kept") is True)

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(TAIL_BYTES):
            self._errors = (self._errors + data)[-TAIL_BYTES:]


def unexpected(host: str) -> BackendError:
    return BackendError(f"{host} answered with something unexpected. Try again.")


def socket_folder() -> Path:
    """Create a private folder whose path leaves room for the names of sockets."""
    # ssh adds 17 characters while it creates its own; macOS allows 104 in all.
    base = None if len(tempfile.gettempdir()) < 60 else "/tmp"  # noqa: S108 (mkdtemp makes a private one)
    return Path(tempfile.mkdtemp(prefix="arkor-ssh-", dir=base))


@asynccontextmanager
async def linked(host: str, python: str | None, on_quiet: Callable[[str], None]) -> AsyncIterator[SshLink]:
    """Yield a session for requests only; see `SshLink.open`. Raises ArkorError if it cannot be opened."""
    folder = await asyncio.to_thread(socket_folder)
    try:
        link = await SshLink.open(host, python, folder, lambda *_: None, on_quiet)
        try:
            yield link
        finally:
            await link.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def pieces(file: IO[bytes], size: int, on_sent: Callable[[int], None]) -> Iterator[bytes]:
    """Yield ``size`` bytes of ``file``, zeros for missing ones: the hash shows that it has changed."""
    while size:
        data = file.read(min(size, PIECE)) or bytes(min(size, PIECE))
        size -= len(data)
        yield data
        on_sent(len(data))


def _is_message(line: object) -> TypeGuard[FarMessage]:
    return isinstance(line, dict)

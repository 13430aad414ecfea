"""Calls the store off the event loop: one thread writes, another reads.

A locked database or a full disk can delay a write for minutes. Meanwhile the loop must keep serving streams,
and a job's messages must not be lost. So writes run in the order of the calls, and one that fails temporarily
is retried while later ones wait. Reads have their own connection and thread: with write-ahead logging, a
writer does not block them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from concurrent import futures
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from arkor_dev.contract.errors import (
    MAKE_ROOM,
    InsufficientStorageError,
    UnavailableError,
    is_disk_full,
)
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.errors import JobFailure

from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import Job, JobConfig

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TEMPORARY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Primary result codes of temporary errors."""
PAUSES: Final = (0.05, 2.0)
"""First and longest pause between two attempts, in seconds."""
REQUEST_SECONDS: Final = 10.0
"""Seconds that a request waits for its write before it fails: less than Studio waits for the response."""
FULL_SECONDS: Final = 2.5
"""The same on a full disk: longer than the longest pause, so that another attempt was made meanwhile."""
TROUBLE_SECONDS: Final = 3.0
"""Seconds after which a write that is still refused is reported."""
CLOSE_SECONDS: Final = 1.0


def is_temporary(error: BaseException) -> bool:
    """Return whether a write that failed with ``error`` may succeed later by itself."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in TEMPORARY


def trouble_of(error: BaseException) -> str:
    """Return why nothing can be written, as sentences for the user."""
    if is_disk_full(error):
        return f"The disk is full: jobs wait, and continue once there is space. {MAKE_ROOM}."
    return (
        f"The jobs' database cannot be written ({error}): jobs wait, and continue once it can. Close other "
        "programs that use it."
    )


class ChangeSignal:
    """Wakes all tasks that wait for changes. Call ``next()`` before reading, so that no change is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        return self._event

    def beat(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


class StoreWriter:
    """A thread that runs calls in order, and retries one while the disk refuses it."""

    def __init__(self, on_trouble: Callable[[str | None], object] = lambda _: None) -> None:
        """``on_trouble`` is called with why nothing can be written, and with None once that has passed."""
        self._on_trouble = on_trouble
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any], Callable[[], object]]] = (
            queue.SimpleQueue()
        )
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._doing: Future[Any] | None = None
        self.refusal: BaseException | None = None
        """Why the newest attempt failed, while its call is being retried."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T], refused: Callable[[], object] = lambda: None) -> Future[T]:
        """Queue ``work``. ``refused`` is called when its first attempt fails."""
        future: Future[T] = Future()
        self._queue.put((future, work, refused))
        return future

    def cancel(self, future: Future[Any]) -> bool:
        """Cancel a call that has neither run nor started; return whether it will never run."""
        with self._lock:
            return self._doing is not future and future.cancel()

    def close(self, seconds: float) -> bool:
        """Try each queued call at most once more; return whether the thread ended in time."""
        self._closing.set()
        self._queue.put((Future(), lambda: None, lambda: None))
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._queue.empty()):
            future, work, refused = self._queue.get()
            pause, since, reported = PAUSES[0], time.monotonic(), False
            while self._begin(future):
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                    if not is_temporary(error) or self._closing.is_set():
                        with contextlib.suppress(InvalidStateError):
                            future.set_exception(error)
                        break
                    self._doing, self.refusal = None, error
                    if pause == PAUSES[0]:
                        log.warning("the database cannot be written (%s): retrying", error)
                        refused()
                    if not reported and time.monotonic() - since >= TROUBLE_SECONDS:
                        reported = True
                        self._on_trouble(trouble_of(error))
                    self._closing.wait(pause)
                    pause = min(2 * pause, PAUSES[1])
                else:
                    with contextlib.suppress(InvalidStateError):
                        future.set_result(result)
                    break
            self.refusal = None
            if reported:
                self._on_trouble(None)

    def _begin(self, future: Future[Any]) -> bool:
        """Start a call; return whether it was still wanted. From then on it cannot be cancelled."""
        with self._lock:
            self._doing = None if future.cancelled() else future
            return self._doing is not None


class AsyncStore:
    """Runs calls of a :class:`Store`'s methods, passed as ``Store.get``; ``pulse`` signals each write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = StoreWriter(self._report)
        self._reader = ThreadPoolExecutor(1, "store-reader")
        self.pulse = ChangeSignal()
        self.project_id = store.project_id

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written, if that has lasted for some seconds."""
        return self._store.trouble

    def _report(self, trouble: str | None) -> None:
        self._store.report(trouble)
        self._wake(self._loop)
        if trouble is None:
            notices.message("info", "The jobs' database can be written again: jobs continue")
        else:
            notices.message("error", trouble)

    async def read(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call``, which sees the last finished write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, lambda: call(self._store, *args, **more))

    async def config_of(self, job: Job) -> JobConfig:
        """Return a job's config with the dtype of its training, though this processor may now choose another.

        Raises JobFailure if the job was deleted.
        """
        config = await self.read(Store.config, job["id"])
        if config is None:
            raise JobFailure("The job was deleted")
        number: Any = job.get("settings", {}).get("numberFormat")
        return {**config, "numberFormat": number} if number else config

    async def write(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call`` once it is on disk, however long that takes, even after a cancel."""
        return await asyncio.shield(asyncio.wrap_future(self.post(call, *args, **more)))

    async def request(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call``; raise an error and write nothing on a full or slow disk.

        The errors are `InsufficientStorageError` and `UnavailableError`.
        """
        future = self.post(call, *args, **more)
        writing = asyncio.wrap_future(future)
        try:
            done, _ = await asyncio.wait({writing}, timeout=min(FULL_SECONDS, REQUEST_SECONDS))
            refusal = self._writer.refusal
            is_full = refusal is not None and is_disk_full(refusal)
            if not (done or is_full):
                done, _ = await asyncio.wait({writing}, timeout=max(0.0, REQUEST_SECONDS - FULL_SECONDS))
            while not (done or self._writer.cancel(future)):
                # An attempt is under way, and its outcome decides whether anything has changed.
                done, _ = await asyncio.wait({writing}, timeout=PAUSES[0] / 5)
        except asyncio.CancelledError:
            writing.cancel()
            raise
        if done:
            return writing.result()
        if is_full:
            raise InsufficientStorageError(f"The disk is full. Nothing was changed. {MAKE_ROOM}")
        raise UnavailableError(
            "The local backend's database cannot be written: another program has locked it, or the disk does "
            "not respond. Nothing was changed; try again"
        )

    def post(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> Future[T]:
        """Queue a write without waiting for it."""
        return self.post_or(lambda: None, call, *args, **more)

    def post_or(
        self,
        refused: Callable[[], object],
        call: Callable[Concatenate[Store, P], T],
        *args: P.args,
        **more: P.kwargs,
    ) -> Future[T]:
        """Like :meth:`post`; the writer's thread calls ``refused`` when the write first fails."""
        loop = self._loop = asyncio.get_running_loop()

        def work() -> T:
            result = call(self._store, *args, **more)
            self._wake(loop)
            return result

        return self._writer.submit(work, refused)

    def _wake(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Wake all tasks that wait for changes, from the writer's thread."""
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, so there is nothing to wake
                loop.call_soon_threadsafe(self.pulse.beat)

    def close(self) -> None:
        """Try the queued writes once, and close the file.

        Leaves it open if a thread still uses it: SQLite would read freed memory otherwise.
        """
        read = self._reader.submit(lambda: None)  # queued behind all earlier calls
        written = self._writer.close(CLOSE_SECONDS)
        idle = not futures.wait((read,), CLOSE_SECONDS).not_done
        self._reader.shutdown(wait=False, cancel_futures=True)
        if written and idle:
            self._store.close()

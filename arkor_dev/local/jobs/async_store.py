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
from concurrent import futures
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from arkor_dev.contract.errors import UnavailableError
from arkor_dev.local.workers.errors import MAKE_ROOM, JobFailure

from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
REQUEST_SECONDS: Final = 20.0
"""Seconds that a request waits for its write before it fails."""
CLOSE_SECONDS: Final = 1.0


def is_temporary(error: BaseException) -> bool:
    """Return whether a write that failed with ``error`` may succeed later by itself."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in TEMPORARY


class ChangeSignal:
    """Wakes all tasks that wait for changes. Call ``next()`` before reading, so that no change is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        return self._event

    def beat(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


class Writer:
    """A thread that runs calls in order, and retries one while the disk refuses it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any], Callable[[], object]]] = (
            queue.SimpleQueue()
        )
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._doing: Future[Any] | None = None
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
            pause = PAUSES[0]
            while self._begin(future):
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                    if not is_temporary(error) or self._closing.is_set():
                        with contextlib.suppress(InvalidStateError):
                            future.set_exception(error)
                        break
                    self._doing = None
                    if pause == PAUSES[0]:
                        log.warning("the database cannot be written (%s): retrying", error)
                        refused()
                    self._closing.wait(pause)
                    pause = min(2 * pause, PAUSES[1])
                else:
                    with contextlib.suppress(InvalidStateError):
                        future.set_result(result)
                    break

    def _begin(self, future: Future[Any]) -> bool:
        """Start a call; return whether it was still wanted. From then on it cannot be cancelled."""
        with self._lock:
            self._doing = None if future.cancelled() else future
            return self._doing is not None


class AsyncStore:
    """Runs calls of a :class:`Store`'s methods, passed as ``Store.get``; ``pulse`` signals each write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = Writer()
        self._reader = ThreadPoolExecutor(1, "store-reader")
        self.pulse = ChangeSignal()
        self.project_id = store.project_id

    async def read(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call``, which sees the last finished write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, lambda: call(self._store, *args, **more))

    async def config_of(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return a job's config with the dtype of its training, though this processor may now choose another.

        Raises JobFailure if the job was deleted.
        """
        config = await self.read(Store.config, job["id"])
        if config is None:
            raise JobFailure("The job was deleted")
        number = job.get("settings", {}).get("numberFormat")
        return {**config, **({"numberFormat": number} if number else {})}

    async def write(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call`` once it is on disk, however long that takes, even after a cancel."""
        return await asyncio.shield(asyncio.wrap_future(self.post(call, *args, **more)))

    async def request(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Return the result of ``call``; raise `UnavailableError`, writing nothing, on a slow disk."""
        future = self.post(call, *args, **more)
        writing = asyncio.wrap_future(future)
        try:
            done, _ = await asyncio.wait({writing}, timeout=REQUEST_SECONDS)
            while not (done or self._writer.cancel(future)):
                # An attempt is under way, and its outcome decides whether anything has changed.
                done, _ = await asyncio.wait({writing}, timeout=PAUSES[0] / 5)
        except asyncio.CancelledError:
            writing.cancel()
            raise
        if done:
            return writing.result()
        raise UnavailableError(
            "The local backend's database cannot be written: another program has locked it, or the disk "
            f"is full. Nothing was changed; try again. {MAKE_ROOM}",
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
        loop = asyncio.get_running_loop()

        def work() -> T:
            result = call(self._store, *args, **more)
            with contextlib.suppress(RuntimeError):  # the loop has ended, so there is nothing to wake
                loop.call_soon_threadsafe(self.pulse.beat)
            return result

        return self._writer.submit(work, refused)

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

"""JobsCache: one poll feeds every tab.

Tabs request the list every few seconds. However many they are, the backend is polled at most once per
interval, and not at all after a while without requests. The list stays bytes from the backend to the browser:
hashed and compressed once for each change.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import ArkorError, InternalError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from arkor_dev.backend.http_client import Response

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two polls while there are requests."""
PATIENCE = 2.0
"""Seconds to wait for a running poll if an older list is available."""
IDLE = 15.0
"""Seconds without a request after which polling stops."""


@dataclass(slots=True)
class JobsList:
    """One version of the list, as bytes."""

    body: bytes
    headers: Mapping[str, str]
    tag: str
    _gzip: asyncio.Future[bytes] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, answer: Response) -> JobsList:
        """Wrap a backend's answer, with a tag for its content."""
        return cls(answer.body, answer.headers, hashlib.blake2b(answer.body, digest_size=16).hexdigest())

    async def gzipped(self) -> bytes:
        """Return the list in gzip coding, compressed once, in a thread."""
        if self._gzip is None:
            self._gzip = asyncio.ensure_future(asyncio.to_thread(_gzip, self.body))
        return self._gzip.result() if self._gzip.done() else await asyncio.shield(self._gzip)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


class JobsCache:
    """The backend's list of jobs, at most `INTERVAL` seconds old while it is requested."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Response]], *, clock: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL, idle: float = IDLE, patience: float = PATIENCE,
    ) -> None:  # fmt: skip
        self._fetch = fetch
        self._clock = clock
        self._interval = interval
        self._idle = idle
        self._patience = patience
        self._list: JobsList | None = None
        self._good_at = 0.0
        self._asked_at = 0.0
        self._failure: ArkorError | None = None
        self._poller: asyncio.Task[None] | None = None
        self._round = asyncio.Event()
        self._round_at = 0.0
        self._polled = self._round
        self._due = asyncio.Event()

    async def get(self) -> tuple[JobsList, int | None]:
        """Return the list, and if it is not fresh the seconds since it was (else None).

        Raises the backend's ArkorError without an older list.
        """
        self._asked_at = self._clock()
        if self._poller is None:
            self._new_round()
            self._poller = asyncio.create_task(self._poll(), name="jobs poll")
        if not self._round.is_set():
            await self._wait(self._round)
        if self._list is None:
            raise self._failure or UnavailableError("Studio is closing.")
        age = self._clock() - self._good_at
        fresh = self._failure is None and age < self._interval + self._patience
        return self._list, None if fresh else int(age)

    @property
    def last_error(self) -> ArkorError | None:
        """Why the last poll failed; None after a successful one."""
        return self._failure

    def refresh(self) -> None:
        """Poll at once after a change; requests meanwhile wait for that answer."""
        if self._poller is not None:
            # A round whose poll has not begun will do, and nobody else would end it for those who wait.
            if self._polled is self._round:
                self._new_round()
            self._due.set()

    def _new_round(self) -> None:
        self._round, self._round_at = asyncio.Event(), self._clock()

    async def _wait(self, round_: asyncio.Event) -> None:
        """Wait for the poll that ends this round, but not long if an older list will do."""
        remaining = self._round_at + self._patience - self._clock()
        try:
            async with asyncio.timeout(None if self._list is None else max(0, remaining)):
                await round_.wait()
        except TimeoutError:
            pass  # a slow backend: the last list now is better than the next one later

    async def _poll(self) -> None:
        try:
            while self._clock() - self._asked_at < self._idle:
                self._due.clear()
                self._polled = self._round
                await self._once()
                self._polled.set()
                try:
                    async with asyncio.timeout(self._interval):
                        await self._due.wait()
                except TimeoutError:
                    pass
        finally:
            self._poller = None
            self._round.set()
            self._polled.set()

    async def _once(self) -> None:
        try:
            answer = await self._fetch()
        except ArkorError as error:
            if self._failure is None:
                log.warning("The jobs list could not be refreshed: %s", error.text)
            self._failure = error
            return
        except Exception:
            log.exception("Unexpected error in the poll of the jobs list")
            self._failure = InternalError("Unexpected error in Studio. Its terminal has the details.")
            return
        self._failure = None
        self._good_at = self._clock()
        if self._list is None or (self._list.body, self._list.headers) != (answer.body, answer.headers):
            self._list = JobsList.of(answer)

    async def close(self) -> None:
        """Stop polling."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

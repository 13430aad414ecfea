"""What the synchronous API is made of: an event loop in a thread, and what it does besides its coroutines.

``studio`` is generated from ``async_studio``: each class there has one of these as its base.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .async_studio import AsyncRun, AsyncStudio, live_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine, Iterator
    from pathlib import Path

    from .live import LiveRun
    from .metrics import Point

_T = TypeVar("_T")


class BackgroundLoop:
    """An event loop in its own thread: a notebook's main thread already has one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arkor-dev", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, None, _T]) -> _T:
        """Run a coroutine and return its result; cancel it if the caller is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterable[_T]) -> Iterator[_T]:
        """Yield the items of an asynchronous iterator, which a single task reads from beginning to end."""
        received: queue.SimpleQueue[tuple[_T] | None] = queue.SimpleQueue()

        async def read() -> None:
            try:
                async for item in items:
                    received.put((item,))
            finally:
                received.put(None)

        reading = asyncio.run_coroutine_threadsafe(read(), self._loop)
        try:
            while (found := received.get()) is not None:
                yield found[0]
            reading.result()
        finally:
            reading.cancel()

    def stop(self) -> None:
        """End the loop and its thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()


class Blocking(Generic[_T]):
    """Calls the coroutines of ``inner`` in a loop, and waits for them."""

    def __init__(self, loop: BackgroundLoop, inner: _T) -> None:
        self._loop = loop
        self.inner = inner

    def __repr__(self) -> str:
        return repr(self.inner).removeprefix("Async")


class BlockingStudio(Blocking[AsyncStudio]):
    """Opens and closes a Studio."""

    def __init__(self, project: str | Path = ".", *, local: bool | None = None) -> None:
        inner = AsyncStudio(project, local=local)
        loop = BackgroundLoop()
        try:
            loop.run(inner.open())
        except BaseException:
            loop.stop()
            raise
        super().__init__(loop, inner)
        atexit.register(self.close)

    def close(self) -> None:
        """Leave the backend; one that was started here pauses its jobs and ends."""
        atexit.unregister(self.close)
        try:
            self._loop.run(self.inner.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BlockingRun(Blocking[AsyncRun]):
    """Waits for a run; an interrupt pauses one that this process started."""

    def __iter__(self) -> Iterator[Point]:
        with self._paused_by_an_interrupt():
            yield from self._loop.iterate(self.inner)

    def wait(self) -> Self:
        """Wait until the run has ended or was paused by a person. Raises RunFailedError with the reason."""
        with self._paused_by_an_interrupt():
            self._loop.run(self.inner.wait())
        return self

    def live(self) -> LiveRun:
        """Return a chart for a notebook that follows the run. Raises BadRequestError without ``notebook``."""
        chart = live_run(self.inner)  # here: marimo shows only what was made in the cell's own thread

        async def begin() -> None:
            self.inner.feed(chart)

        self._loop.run(begin())
        return chart

    def _repr_html_(self) -> str:
        return self._loop.run(self.inner.html())

    @contextlib.contextmanager
    def _paused_by_an_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            if self.inner.started_here:
                with contextlib.suppress(Exception):  # the caller must see the interrupt
                    self._loop.run(self.inner.pause())
            raise

"""However many ask and however often, the backend is asked once an interval, and not at all for nobody."""

from __future__ import annotations

import asyncio
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from arkor_dev.backend.http_client import Response
from arkor_dev.contract.errors import ArkorError, BackendError, TooOldError, status_of
from arkor_dev.jobs.jobs_cache import IDLE, INTERVAL, JobsCache
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Source:
    """A backend's list that counts its polls, and can fail or hang."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.text = "one"
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def polls(self) -> int:
        """How often it was asked; ``at`` says when, in loop time."""
        return len(self.at)

    async def fetch(self) -> Response:
        """One poll."""
        self.at.append(asyncio.get_running_loop().time())
        answer = Response(200, self.text.encode(), {"Warning": "old"})
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return answer


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(source: Source, clock: Clock) -> AsyncIterator[JobsCache]:
    cache = JobsCache(source.fetch, clock=clock, interval=0.05, idle=0.2, patience=0.1)
    yield cache
    await cache.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "jobs poll"]


async def body(cache: JobsCache) -> str:
    return (await cache.get())[0].body.decode()


def test_poll_intervals_are_5_and_15_seconds() -> None:
    assert (INTERVAL, IDLE) == (5.0, 15.0)


async def test_fifty_readers_share_one_poll_per_interval(source: Source) -> None:
    cache = JobsCache(source.fetch, interval=0.1)

    async def ask() -> None:
        while source.polls < 5:
            assert await body(cache) == "one"
            await asyncio.sleep(0.005)

    async with asyncio.timeout(30):
        await asyncio.gather(*(ask() for _ in range(50)))
    assert source.polls >= 5
    assert all(later - earlier > 0.099 for earlier, later in pairwise(source.at)), source.at
    await cache.close()


async def test_polling_stops_without_readers_and_restarts(
    cache: JobsCache, source: Source, clock: Clock
) -> None:
    await cache.get()
    await until(lambda: source.polls >= 3)
    clock.now += 0.19
    polls = source.polls
    await until(lambda: source.polls > polls)
    clock.now += 0.02
    await until(lambda: cache._poller is None)
    polls = source.polls
    await asyncio.sleep(0.15)
    assert source.polls == polls
    source.text = "two"
    assert await body(cache) == "two", "after a rest, nobody is shown the list of long ago"


async def test_an_unchanged_list_stays_the_same_object(cache: JobsCache, source: Source) -> None:
    first, _ = await cache.get()
    await until(lambda: source.polls >= 3)
    assert (await cache.get())[0] is first
    source.text = "two"
    cache.refresh()
    changed, _ = await cache.get()
    assert changed.tag != first.tag
    source.text = "one"
    cache.refresh()
    assert (await cache.get())[0].tag == first.tag


async def test_readers_wait_for_the_poll_of_a_refresh(source: Source) -> None:
    cache = JobsCache(source.fetch, interval=60, patience=60)
    assert await body(cache) == "one"
    source.text = "two"
    assert await body(cache) == "one"
    cache.refresh()
    assert await body(cache) == "two"
    assert source.polls == 2
    await cache.close()


async def test_a_poll_begun_before_a_refresh_does_not_satisfy_it(source: Source) -> None:
    cache = JobsCache(source.fetch, interval=60, patience=60)
    assert await body(cache) == "one"
    source.gate.clear()
    cache.refresh()
    before = asyncio.create_task(body(cache))
    await until(lambda: source.polls == 2)
    source.text = "two"
    for _ in range(10):  # however many changes: one more poll
        cache.refresh()
    after = asyncio.create_task(body(cache))
    await asyncio.sleep(0.01)
    source.gate.set()
    await before  # it may have either
    assert await after == "two"
    assert source.polls == 3
    await cache.close()


async def test_refreshes_before_and_during_the_first_poll_leave_no_reader_waiting(source: Source) -> None:
    cache = JobsCache(source.fetch, interval=60, patience=60)
    source.gate.clear()
    readers = [asyncio.create_task(body(cache))]
    await asyncio.sleep(0)
    assert source.polls == 0, "its poll is about to begin"
    cache.refresh()
    await until(lambda: source.polls == 1)
    for _ in range(3):
        cache.refresh()
        readers.append(asyncio.create_task(body(cache)))
        await asyncio.sleep(0)
    source.gate.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*readers) == ["one"] * 4
    assert source.polls == 2
    await cache.close()


async def test_refresh_without_readers_does_not_poll(cache: JobsCache, source: Source) -> None:
    cache.refresh()
    await asyncio.sleep(0.01)
    assert source.polls == 0


async def test_an_unreachable_backend_marks_the_last_list_as_stale(
    cache: JobsCache, source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await cache.get())[1] is None
    source.fault = BackendError("Cannot reach it.")
    await until(lambda: cache._failure is not None)
    clock.now += 0.1
    _, stale = await cache.get()
    assert stale == 0
    clock.now += 7
    asyncio.get_running_loop().call_later(0.2, setattr, source, "fault", None)
    listed, stale = await cache.get()
    assert (listed.body, stale) == (b"one", 7)
    assert caplog.text.count("Cannot reach it.") == 1, "one line a problem"
    await until(lambda: cache._failure is None)
    assert (await cache.get())[1] is None


async def test_the_first_failure_is_raised_to_the_reader(cache: JobsCache, source: Source) -> None:
    source.fault = TooOldError("Too old.")
    slow = JobsCache(source.fetch, interval=60)
    for _ in range(50):
        with pytest.raises(ArkorError, match="Too old"):
            await slow.get()
    assert source.polls == 1, "a backend that is down is not hammered"
    await slow.close()
    with pytest.raises(ArkorError, match="Too old"):
        await cache.get()
    source.fault, polls = None, source.polls
    await until(lambda: source.polls > polls)
    assert await body(cache) == "one"


async def test_a_hung_backend_delays_only_the_first_list(
    cache: JobsCache, source: Source, clock: Clock
) -> None:
    source.gate.clear()
    waiting = [asyncio.create_task(body(cache)) for _ in range(5)]
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    source.gate.set()
    assert await asyncio.gather(*waiting) == ["one"] * 5
    source.gate.clear()
    cache.refresh()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await body(cache) == "one"
    assert 0.09 < loop.time() - begun < 10
    clock.now += 5
    again = asyncio.create_task(cache.get())
    for _ in range(20):  # turns of the loop, which take no time to speak of
        await asyncio.sleep(0)
    assert again.done(), "the wait was had already"
    listed, stale = again.result()
    assert (listed.body, stale) == (b"one", 5)


async def test_a_cancelled_reader_does_not_cancel_the_poll(cache: JobsCache, source: Source) -> None:
    source.gate.clear()
    leaving, staying = asyncio.create_task(body(cache)), asyncio.create_task(body(cache))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    source.gate.set()
    assert await staying == "one"


async def test_the_list_is_compressed_once_even_if_the_reader_leaves(
    cache: JobsCache, source: Source
) -> None:
    source.text = "x" * 100_000
    listed, _ = await cache.get()
    leaving = asyncio.create_task(listed.gzipped())
    await asyncio.sleep(0)
    leaving.cancel()
    packed = await listed.gzipped()
    assert zlib.decompress(packed, 31) == listed.body
    assert len(packed) < 1000
    assert await listed.gzipped() is packed
    assert listed.headers == {"Warning": "old"}


async def test_an_unexpected_error_in_a_poll_does_not_stop_polling(
    cache: JobsCache, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.fault = ValueError("a bug")
    with pytest.raises(ArkorError) as raised:
        await cache.get()
    assert status_of(raised.value) == 500
    source.fault = None
    await until(lambda: source.polls >= 2)
    assert await body(cache) == "one"
    assert "a bug" in caplog.text

"""One upstream stream a job, whoever reads; nothing lost, nothing twice, and never more memory than said."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    NotFoundError,
    TimedOutError,
    fault_of,
    status_of,
)
from arkor_dev.jobs import event_hub as events
from arkor_dev.jobs import feed as feed_module
from arkor_dev.jobs.event_hub import EventHub, Reader
from arkor_dev.jobs.feed import BACKOFF
from arkor_dev.jobs.sse_frames import FrameSplitter
from tests.support.scripted_upstream import Naps, Upstream
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

END = b"event: end\ndata: {}\n\n"
COMMENTS = (b": reconnecting\n\n", b": connected\n\n")


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
async def hub(upstream: Upstream, naps: Naps) -> AsyncIterator[EventHub]:
    hub = EventHub(upstream.open, sleep=naps)
    yield hub
    await hub.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("events of")]


def row(number: int, size: int = 0) -> str:
    return f"id: {number}\nevent: training.log\ndata: {number}{'x' * size}"


def rows(first: int, last: int) -> bytes:
    return "".join(row(number) + "\n\n" for number in range(first, last + 1)).encode()


@asynccontextmanager
async def reading(hub: EventHub, job: str = "j", **place: str) -> AsyncIterator[Reader]:
    async with hub.follow(job) as reader:
        reader.begin(**place)
        yield reader


async def take(reader: Reader, size: int, *, comments: bool = False) -> bytes:
    """At least ``size`` bytes of events, and the comments too where they are asked for."""
    got = b""
    async with asyncio.timeout(30):
        while len(got) < size:
            piece = await reader.next()
            assert piece, f"the stream ended after {got!r}"
            if comments or piece not in COMMENTS:
                got += piece
    return got


async def take_all(reader: Reader) -> bytes:
    got = b""
    async with asyncio.timeout(30):
        while piece := await reader.next():
            got += piece
    return got


async def first_reader(hub: EventHub, upstream: Upstream, stack: AsyncExitStack, *frames: str) -> Reader:
    """A reader, with the job's first frames already sent."""
    entering = asyncio.create_task(stack.enter_async_context(reading(hub)))
    (await upstream.nth(1)).send(*frames)
    return await entering


async def test_all_tabs_share_one_upstream_stream(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        readers = [await first_reader(hub, upstream, stack, row(1), row(2))]
        readers += [await stack.enter_async_context(reading(hub)) for _ in range(30)]
        upstream.connections[0].send(row(3), "event: ping\ndata: {}", "event: end\ndata: {}")
        for reader in readers:
            assert await take_all(reader) == rows(1, 3) + END
    assert len(upstream.connections) == 1
    async with reading(hub) as late:
        assert await take_all(late) == rows(1, 3) + END
    assert len(upstream.connections) == 1, "a job that has ended is served from memory"


async def test_a_cut_stream_resumes_and_tabs_are_notified(
    hub: EventHub, upstream: Upstream, naps: Naps
) -> None:
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1), row(2))
        assert await take(reader, 1) == rows(1, 2)
        upstream.connections[0].send_raw(b"id: 3\ndata: ha")
        upstream.refuse = [BackendError("away"), BackendError("away")]
        upstream.connections[0].fail(aiohttp.ClientPayloadError("cut"))
        second = await upstream.nth(2)
        assert second.last_event_id == "2"
        second.send(row(2), row(3))
        assert (await take(reader, len(rows(3, 3)))).endswith(rows(3, 3))
        second.send_raw(b"")  # closed without an `end`
        third = await upstream.nth(3)
        assert third.last_event_id == "3"
        third.send("event: end\ndata: {}")
        assert (await take_all(reader)).endswith(END)
    assert len(upstream.connections) == 3
    assert len(naps.taken) == 4


async def test_comments_report_the_connection_state(upstream: Upstream) -> None:
    gate = asyncio.Event()

    async def sleep(delay: float) -> None:
        await gate.wait()

    hub = EventHub(upstream.open, sleep=sleep)
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1))
        assert await take(reader, 1, comments=True) == rows(1, 1)
        upstream.connections[0].fail(TimedOutError("silent"))
        assert await take(reader, 1, comments=True) == b": reconnecting\n\n"
        async with reading(hub) as late:
            assert await take(late, 30, comments=True) == b": reconnecting\n\n" + rows(1, 1)
        upstream.refuse = [fault_of(status, "no") for status in (404, 403, 426, 500)]
        gate.set()
        (await upstream.nth(2)).send(row(2))
        assert await take(reader, 30, comments=True) == b": connected\n\n" + rows(2, 2)
    await hub.close()


async def test_backoff_doubles_with_jitter_and_resets(hub: EventHub, upstream: Upstream, naps: Naps) -> None:
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1))
        upstream.refuse = [BackendError("away")] * 200
        upstream.connections[0].send_raw(b"")
        second = await upstream.nth(2)
        for index, nap in enumerate(naps.taken):
            longest = min(BACKOFF[0] * 2**index, BACKOFF[1])
            assert longest / 2 <= nap <= longest
        assert len(set(naps.taken)) > 150
        count = len(naps.taken)
        second.send(row(2))
        second.send_raw(b"")
        await upstream.nth(3)
        assert naps.taken[count] <= BACKOFF[0]


async def test_an_unexpected_error_is_logged_and_the_stream_resumes(
    hub: EventHub, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1))
        upstream.connections[0].fail(ValueError("a bug"))
        (await upstream.nth(2)).send(row(2))
        assert (await take(reader, len(rows(1, 2)))).endswith(rows(2, 2))
    assert "Unexpected error" in caplog.text


@pytest.mark.parametrize("status", [403, 404, 409, 426, 502])
async def test_an_error_before_the_first_frame_reaches_the_reader(
    hub: EventHub, upstream: Upstream, status: int
) -> None:
    upstream.refuse = [fault_of(status, "no")]
    entering = [asyncio.create_task(first_piece(hub)) for _ in range(5)]
    for result in await asyncio.gather(*entering, return_exceptions=True):
        assert isinstance(result, ArkorError)
        assert status_of(result) == status
    assert hub.size == 0
    async with AsyncExitStack() as stack:  # the next one asks anew
        await first_reader(hub, upstream, stack, row(1))


async def first_piece(hub: EventHub) -> bytes:
    async with reading(hub) as reader:
        return await reader.next()


async def test_an_empty_stream_resumes_after_a_cut(hub: EventHub, upstream: Upstream) -> None:
    """A job that waits its turn has no event yet; that its stream is cut is no refusal."""
    async with reading(hub) as reader:
        upstream.refuse = [NotFoundError("no")] * 3
        upstream.connections[0].send_raw(b"")
        (await upstream.nth(2)).send(row(1))
        assert await take(reader, 1) == rows(1, 1)


async def test_history_is_complete_while_live_frames_arrive(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, *(row(n) for n in range(1, 200)))
        sent = 199
        for _ in range(20):
            async with hub.follow("j") as history:
                history.begin()
                end = history.end()
                known = b""
                while piece := history.known(end.offset):
                    known += piece
                    sent += 1
                    upstream.connections[0].send(row(sent))
                    await asyncio.sleep(0)
                assert history.at(end)
            async with hub.follow("j") as reader:
                assert reader.begin(after=str(end)) == end
                sent += 1
                upstream.connections[0].send(row(sent))
                whole = rows(1, sent)
                assert known + await take(reader, len(whole) - len(known)) == whole


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "nonsense.3",
        "{name}.",
        "{name}.-1",
        "{name}.x",
        "{name}.1e3",
        "{name}.99999",
        "{name}." + "9" * 5000,
    ],
)
async def test_an_unknown_cursor_starts_over(hub: EventHub, upstream: Upstream, after: str) -> None:
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1), row(2))
        async with hub.follow("j") as reader:
            name = reader.end().feed
            assert reader.begin(after=after.format(name=name)) == reader.begin()
            assert await take(reader, 1) == rows(1, 2)


async def test_synchronous_and_awaited_reads_yield_every_byte_once(hub: EventHub, upstream: Upstream) -> None:
    rng, got = random.Random(1), b""

    def at_once(block: bytes) -> bool:
        nonlocal got
        taken = rng.random() < 0.7  # a tab whose socket is full takes nothing
        got += block if taken else b""
        return taken

    async def tab(reader: Reader) -> None:
        nonlocal got
        while piece := await reader.next(at_once):
            got += piece
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        reading_it = asyncio.create_task(tab(await first_reader(hub, upstream, stack, row(1))))
        for number in range(2, 200):
            upstream.connections[0].send(row(number))
            if rng.random() < 0.5:
                await asyncio.sleep(0)
        upstream.connections[0].send("event: end\ndata: {}")
        await reading_it
    assert got == rows(1, 199) + END


async def test_an_event_id_takes_precedence_over_the_cursor(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1), row(2), row(3))
        async with hub.follow("j") as reader:
            start = str(reader.begin())
            reader.begin(after=start, last_event_id="2")
            assert await take(reader, 1) == rows(3, 3)
            assert str(reader.begin(last_event_id="unknown")) == start


async def test_received_bytes_give_the_cursor_to_resume_at(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1))
        upstream.connections[0].send(row(2, 70_000), row(3), row(4))
        whole = rows(1, 1) + row(2, 70_000).encode() + b"\n\n" + rows(3, 4)
        async with hub.follow("j") as reader:
            start = reader.begin()
            await take(reader, len(whole))
        places = [0, *(match.end() for match in re.finditer(rb"\n\n", whole))]
        for place in places:
            cursor = f"{start.feed}.{start.offset + place}"
            async with hub.follow("j") as resumed:
                assert str(resumed.begin(after=cursor)) == cursor
                if rest := whole[place:]:
                    assert await take(resumed, len(rest)) == rest
        for place in (1, places[1] - 1, places[1] + 1, 40_000):
            async with hub.follow("j") as lost:  # in the middle of a frame: nobody has counted to there
                assert lost.begin(after=f"{start.feed}.{start.offset + place}") == start


async def test_an_unread_stream_closes_after_a_delay_but_keeps_its_log(upstream: Upstream) -> None:
    hub = EventHub(upstream.open, linger=0.05)
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1))
    async with reading(hub):
        assert len(upstream.connections) == 1, "a reload costs nothing"
    assert upstream.open_ones
    await until(lambda: not upstream.open_ones)
    entering = asyncio.create_task(first_piece(hub))
    second = await upstream.nth(2)
    assert second.last_event_id == "1"
    assert await entering == rows(1, 1)
    await hub.close()
    assert not upstream.open_ones


async def test_joining_while_the_stream_closes_reopens_it(upstream: Upstream) -> None:
    hub = EventHub(upstream.open, linger=0)
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1))
    for turns in range(8):
        for _ in range(turns):
            await asyncio.sleep(0)
        async with reading(hub) as reader:
            assert await take(reader, 1) == rows(1, 1)
            await until(lambda: upstream.open_ones)
            number = len(upstream.connections)
            upstream.open_ones[-1].send(row(1))
            await asyncio.sleep(0.01)
            assert len(upstream.connections) == number
            assert len(upstream.open_ones) == 1
    await hub.close()


async def test_a_long_replay_is_shown_before_it_is_complete(
    hub: EventHub, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "REPLAY", 0.3)
    monkeypatch.setattr(feed_module, "WINDOW", 0.15)  # a busy machine's own pauses are shorter than that
    loop = asyncio.get_running_loop()

    async def flood() -> None:
        connection, number = await upstream.nth(1), 0
        while True:
            number += 1
            # Each of them fills a window: one that a busy machine lets come in it is enough.
            connection.send(row(number, feed_module.TRICKLE + 1))
            await asyncio.sleep(0.001)

    flooding = asyncio.create_task(flood())
    begun = loop.time()
    async with reading(hub):
        assert 0.2 < loop.time() - begun < 10  # and not for ever
    flooding.cancel()


async def test_slow_and_empty_streams_are_shown_soon(
    hub: EventHub, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (feed_module.WINDOW, feed_module.OPENING) == (0.02, 0.25)
    monkeypatch.setattr(feed_module, "REPLAY", 60)  # what a history that never runs dry would be given
    loop = asyncio.get_running_loop()

    async def trickle() -> None:
        connection, number = await upstream.nth(1), 0
        while True:
            number += 1
            connection.send(row(number))
            await asyncio.sleep(0.005)

    trickling, begun = asyncio.create_task(trickle()), loop.time()
    async with reading(hub, "busy"):
        assert loop.time() - begun < 10
    trickling.cancel()
    begun = loop.time()
    async with reading(hub, "queued"):
        assert loop.time() - begun < 10


async def test_a_cached_log_is_shown_while_the_backend_hangs(upstream: Upstream) -> None:
    opened = upstream.open

    @asynccontextmanager
    async def hanging(job: str, last: str | None) -> AsyncIterator[aiohttp.ClientResponse]:
        if upstream.connections:
            await asyncio.Event().wait()
        async with opened(job, last) as connection:
            yield connection

    hub = EventHub(hanging, linger=0)
    async with AsyncExitStack() as stack:
        await first_reader(hub, upstream, stack, row(1))
    await asyncio.sleep(0.01)
    async with reading(hub) as reader:
        assert await take(reader, 20, comments=True) == b": reconnecting\n\n" + rows(1, 1)
    await hub.close()


async def test_the_least_recently_used_logs_are_evicted_first(upstream: Upstream, naps: Naps) -> None:
    hub = EventHub(upstream.open, sleep=naps, total_bytes=500_000)
    names: dict[str, str] = {}
    for number, job in enumerate(("a", "b", "c", "d"), 1):
        entering = asyncio.create_task(feed_of(hub, job))
        (await upstream.nth(number)).send(row(1, 100_000))
        names[job] = await entering
    async with reading(hub, "a") as reader:
        assert reader.end().feed == names["a"]
    entering = asyncio.create_task(feed_of(hub, "e"))
    (await upstream.nth(5)).send(row(1, 150_000))
    await entering
    assert hub.size <= 500_000
    for job, kept in (("a", True), ("c", True), ("d", True), ("b", False)):
        async with hub.follow(job) as reader:
            assert (reader.end().feed == names[job]) is kept, job
            cursor = f"{names[job]}.0"
            assert (str(reader.begin(after=cursor)) == cursor) is kept
    await hub.close()
    assert not upstream.open_ones


async def test_unread_logs_are_evicted_after_a_while(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int] = []
    hub = EventHub(upstream.open, linger=0, idle_bytes=150_000, keep=0.05)
    monkeypatch.setattr(events, "give_back", lambda: given_back.append(hub.size))
    names: dict[str, str] = {}
    for number, job in enumerate(("read", "old", "new"), 1):
        entering = asyncio.create_task(feed_of(hub, job))
        (await upstream.nth(number)).send(row(1, 100_000))
        names[job] = await entering
        if job == "read":
            reader = await hub.follow("read").__aenter__()
    assert hub.size > 300_000
    # What is read stays, and of the rest as much as an idle Studio may hold, the newest.
    await until(lambda: hub.size < 250_000)
    assert given_back[-1] == hub.size
    assert reader.end().feed == names["read"]
    assert await feed_of(hub, "new") == names["new"]
    await reader.__aexit__(None, None, None)
    await until(lambda: hub.size < 150_000)
    assert await feed_of(hub, "read") == names["read"]
    await hub.close()


async def test_log_growth_is_counted_when_a_reader_leaves(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1))
        before = hub.size
        upstream.connections[0].send(row(2, 10_000))
        await take(reader, 10_000)
    assert hub.size > before + 10_000


async def test_closing_the_hub_cancels_its_timer(upstream: Upstream) -> None:
    hub = EventHub(upstream.open, keep=0.01)
    entering = asyncio.create_task(feed_of(hub, "j"))
    (await upstream.nth(1)).send(row(1))
    await entering
    assert hub._sweep is not None
    await hub.close()
    assert hub._sweep.cancelled()


async def feed_of(hub: EventHub, job: str) -> str:
    async with hub.follow(job) as reader:
        return reader.end().feed


async def test_jobs_being_read_share_the_memory_limit(
    upstream: Upstream,
) -> None:
    hub = EventHub(upstream.open, total_bytes=1_000_000)
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(reading(hub, job)) for job in ("a", "b", "c")]
        for number in range(1, 200):
            for connection in upstream.connections:
                connection.send(row(number, 20_000))
            await asyncio.sleep(0)
            assert hub.size < 1_100_000
        await until(lambda: hub.size >= 900_000 and slow[0].end().offset >= 190 * 20_000)
        for reader in slow:
            assert await reader.next() == b"", "what it has not read is gone: it must not go on with a gap"
            assert reader.begin().offset > 0
            assert (await take(reader, 1)).startswith(b"id: ")
    await hub.close()


async def test_a_log_over_its_limit_keeps_the_newest_events(upstream: Upstream) -> None:
    hub = EventHub(upstream.open, job_bytes=100_000)
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, *(row(n, 1000) for n in range(300)))
        for number in range(300, 600):
            upstream.connections[0].send(row(number, 1000))
        await until(lambda: reader.end().offset >= 599_000)
        assert hub.size < 300_000
        reader.begin()
        got = await take(reader, 1)
        assert got.startswith(b"id: 5")
    await hub.close()


async def test_closing_the_hub_ends_every_reader(upstream: Upstream) -> None:
    hub = EventHub(upstream.open)
    async with AsyncExitStack() as stack:
        readers = [await first_reader(hub, upstream, stack, row(1))]
        readers.append(await stack.enter_async_context(reading(hub, "k")))
        waiting = [asyncio.create_task(take_all(reader)) for reader in readers]
        await asyncio.sleep(0.01)
        await hub.close()
        assert [await task for task in waiting] == [rows(1, 1), b""]
    assert not upstream.open_ones


async def test_a_reader_cancelled_while_joining_closes_its_stream(upstream: Upstream) -> None:
    hub = EventHub(upstream.open, linger=0)
    entering = asyncio.create_task(first_piece(hub))
    await upstream.nth(1)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    await until(lambda: not upstream.open_ones)
    await hub.close()


async def test_an_oversized_frame_is_dropped(
    hub: EventHub, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameSplitter.__init__, "__defaults__", (1000,))
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1), row(2, 5000), row(3))
        for _ in range(50):
            upstream.connections[0].send_raw(b"data: " + b"x" * 500)
        upstream.connections[0].send_raw(b"\n\n")
        upstream.connections[0].send(row(4))
        whole = rows(1, 1) + row(2, 5000).encode() + b"\n\n" + rows(3, 4)
        assert await take(reader, len(whole)) == whole


async def test_reopening_a_finished_job_continues_its_stream(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1), row(2), "event: end\ndata: {}")
        assert await take_all(reader) == rows(1, 2) + END
        hub.reopen("j")
        second = await upstream.nth(2)  # somebody still reads
        assert second.last_event_id == "2"
        second.send(row(3))
        async with reading(hub) as late:
            assert await take(late, len(rows(1, 3))) == rows(1, 3)
            second.send(row(4), "event: end\ndata: {}")
            assert await take_all(late) == rows(4, 4) + END
    hub.reopen("j")
    hub.reopen("unknown")
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(stack.enter_async_context(reading(hub)))
        (await upstream.nth(3)).send("event: end\ndata: {}")  # it was over after all
        assert await take_all(await entering) == rows(1, 4) + END
    assert len(upstream.connections) == 3


async def test_reopening_a_running_job_opens_no_second_stream(hub: EventHub, upstream: Upstream) -> None:
    async with AsyncExitStack() as stack:
        reader = await first_reader(hub, upstream, stack, row(1))
        hub.reopen("j")
        upstream.connections[0].send(row(2))
        assert await take(reader, len(rows(1, 2))) == rows(1, 2)
    assert len(upstream.connections) == 1

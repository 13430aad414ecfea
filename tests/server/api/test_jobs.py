"""``/api/jobs*`` on real sockets: the list, history and events, and what happens when things go away."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import aiohttp
import pytest

from arkor_dev.core.upgrade import upgrade_command
from arkor_dev.jobs import feed
from arkor_dev.jobs.jobs_cache import PATIENCE
from arkor_dev.server import serve
from arkor_dev.server.app_keys import EVENTS, JOBS
from tests.support.fake_backend import CREATED, TOKEN
from tests.support.processes import training_command
from tests.support.studio import running_studio
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

LIST = "GET /v1/jobs"
STREAM = "GET /v1/jobs/{id}/events/stream"
END = b"event: end\ndata: {}\n\n"


def log_of(backend: FakeBackend, job: str) -> bytes:
    """Every frame of the job, as the backend has it."""
    return b"".join(frame for _, frame in backend.frames[job])


async def events_until(answer: aiohttp.ClientResponse, stop: bytes) -> bytes:
    """What the stream brings up to and with ``stop``."""
    got = b""
    async with asyncio.timeout(30):
        while stop not in got:
            chunk = await answer.content.readany()
            assert chunk, f"the stream ended after {got[-200:]!r}"
            got += chunk
    return got


def without_comments(stream: bytes) -> bytes:
    frames = stream.split(b"\n\n")
    return b"\n\n".join(frame for frame in frames if not frame.startswith(b":"))


# --- the list -----------------------------------------------------------------------------------------


async def test_the_job_list_is_forwarded(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.headers = {"Sunset": "soon"}
    jobs = [fake_backend.add_job(name=name) for name in ("a", "b ☃")]
    async with studio.session.get("/api/jobs") as answer:
        listed = await answer.json()
        assert [job["id"] for job in listed["jobs"]] == jobs
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Sunset"] == "soon"
        assert "X-Arkor-Stale" not in answer.headers


async def test_the_job_list_is_refreshed_when_a_stream_ends(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job()
    fake_backend.begin(job)

    async def listed() -> str:
        async with studio.session.get("/api/jobs") as answer:
            status: str = (await answer.json())["jobs"][0]["status"]
            return status

    async with studio.session.get(f"/api/jobs/{job}/events") as stream:
        await events_until(stream, b"training.started")
        assert await listed() == "running"
        await studio.app[EVENTS]._feeds[job].ready()
        fake_backend.finish(job)
        await events_until(stream, b"event: end")
        assert await listed() == "completed"
    polls = fake_backend.count("GET /v1/jobs")
    async with studio.session.get(f"/api/jobs/{job}/events") as stream:  # a look at what is over is no news
        await events_until(stream, b"event: end")
        await listed()
    assert fake_backend.count("GET /v1/jobs") == polls


async def test_fifty_requests_share_one_poll(studio: Studio, fake_backend: FakeBackend) -> None:
    async def ask() -> int:
        async with studio.session.get("/api/jobs") as answer:
            return len(await answer.read())

    for _ in range(3):
        assert len(set(await asyncio.gather(*(ask() for _ in range(50))))) == 1
    assert fake_backend.count(LIST) == 1


@pytest.mark.parametrize("form", ["{}", '"other", {}', "{} , *", "*"])
async def test_an_unchanged_list_is_a_304(studio: Studio, form: str) -> None:
    async with studio.session.get("/api/jobs") as answer:
        tag = answer.headers["ETag"]
    async with studio.session.get("/api/jobs", headers={"If-None-Match": form.format(tag)}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
    async with studio.session.get("/api/jobs", headers={"If-None-Match": 'W/"other"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, deflate, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None)],
)
async def test_the_job_list_is_compressed_if_accepted(
    studio: Studio, fake_backend: FakeBackend, accepted: str, coding: str | None
) -> None:
    fake_backend.add_job(name="x" * 10_000)
    async with aiohttp.ClientSession(studio.url, auto_decompress=False) as session:
        headers = {"X-Arkor-Studio-Token": studio.token, "Accept-Encoding": accepted}
        async with session.get("/api/jobs", headers=headers) as answer:
            body = await answer.read()
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    plain = gzip.decompress(body) if coding else body
    assert json.loads(plain)["jobs"][0]["name"] == "x" * 10_000


async def test_without_a_scope_the_job_list_is_empty(settings: Settings, fake_backend: FakeBackend) -> None:
    async with running_studio(settings) as studio, studio.session.get("/api/jobs") as answer:
        assert await answer.json() == {"jobs": []}
    assert not fake_backend.count(LIST)


async def test_an_unreachable_backend_marks_the_job_list_stale(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    fake_backend.add_job()
    async with studio.session.get("/api/jobs") as answer:
        whole = await answer.read()
    await fake_backend.stop()
    studio.app[JOBS].refresh()
    async with studio.session.get("/api/jobs") as answer:
        assert (answer.status, await answer.read()) == (200, whole)
        assert int(answer.headers["X-Arkor-Stale"]) >= 0
        assert "127.0.0.1" in unquote(answer.headers["X-Arkor-Stale-Why"])
        assert "X-Arkor-Stale-Status" not in answer.headers
        tag = answer.headers["ETag"]
    async with studio.session.get("/api/jobs", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
        assert "X-Arkor-Stale" in answer.headers
    await fake_backend.start()
    studio.app[JOBS].refresh()
    async with studio.session.get("/api/jobs") as answer:
        assert "X-Arkor-Stale" not in answer.headers


async def test_errors_of_a_reachable_backend_are_not_marked_stale(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    async with studio.session.get("/api/jobs") as answer:
        assert answer.status == 200
    fake_backend.fault(LIST, status=426)
    studio.app[JOBS].refresh()
    async with studio.session.get("/api/jobs") as answer:
        assert (answer.status, answer.headers["X-Arkor-Stale-Status"]) == (200, "426")
        assert unquote(answer.headers["X-Arkor-Stale-Why"]).endswith(f"run `{upgrade_command()}`.")


@pytest.mark.parametrize("status", [403, 426, 503])
async def test_the_first_failure_is_returned(studio: Studio, fake_backend: FakeBackend, status: int) -> None:
    fake_backend.fault(LIST, status=status)
    async with studio.session.get("/api/jobs") as answer:
        assert answer.status == status
        assert (await answer.json())["error"].startswith("Told to fail.")


async def test_cancelling_a_job_refreshes_the_list(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    async with studio.session.get("/api/jobs") as answer:
        assert (await answer.json())["jobs"][0]["status"] == "running"
    async with studio.session.post(f"/api/jobs/{job}/cancel") as answer:
        assert (answer.status, (await answer.json())["job"]["status"]) == (200, "cancelled")
    async with studio.session.get("/api/jobs") as answer:
        assert (await answer.json())["jobs"][0]["status"] == "cancelled"
    async with studio.session.post("/api/jobs/none/cancel") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "No such job."})
    async with studio.session.get("/api/jobs/none/history") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_the_job_list_is_refreshed_after_an_evaluation(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")

    async def listed() -> bool:
        async with studio.session.get("/api/jobs") as answer:
            return "evaluation" in (await answer.json())["jobs"][0]

    assert not await listed()
    fake_backend.evaluations.looks = 1
    async with studio.session.post(f"/api/jobs/{job}/evaluate") as answer:
        told = (await answer.json())["job"]
    lists = fake_backend.count(LIST)
    while "evaluating" in told:
        async with studio.session.get(f"/api/jobs/{job}") as answer:
            told = (await answer.json())["job"]
        assert fake_backend.count(LIST) == lists, "the list is for whoever looks at a job that is done"
    assert await listed()


@pytest.mark.usefixtures("node_on_path")
async def test_a_training_run_refreshes_the_list_at_start_job_and_end(
    studio: Studio, fake_backend: FakeBackend, tmp_path: Path
) -> None:
    begin, end = tmp_path / "begin", tmp_path / "end"
    program = (
        "import os, time\n"
        f"while not os.path.exists({str(begin)!r}): time.sleep(.02)\n"
        "print('Started job j1', flush=True)\n"
        f"while not os.path.exists({str(end)!r}): time.sleep(.02)"
    )
    training_command(studio.settings.project, program)
    async with studio.session.get("/api/jobs"):
        assert fake_backend.count(LIST) == 1
    async with studio.session.post("/api/train", json={}) as answer:
        await until(lambda: fake_backend.count(LIST) == 2)
        begin.touch()
        await events_until(answer, b"Started job j1")
        await until(lambda: fake_backend.count(LIST) == 3)
        end.touch()
        await events_until(answer, b"exit=0")
        await until(lambda: fake_backend.count(LIST) == 4)


# --- history and events -------------------------------------------------------------------------------


async def test_many_tabs_share_one_stream(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.ping_every = 0.01
    job = fake_backend.add_job()
    for step in range(300):
        fake_backend.log(job, step, loss=1 / (step + 1))
    url = f"/api/jobs/{job}/events"

    async def tab(number: int) -> bytes:
        by_query = number % 2
        session = studio.stranger if by_query else studio.session
        query = {"studioToken": studio.token} if by_query else None
        async with session.get(url, params=query) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            assert answer.headers["Cache-Control"] == "no-store"
            return await answer.content.read()

    tabs = [asyncio.create_task(tab(number)) for number in range(20)]
    await asyncio.sleep(0.3)
    fake_backend.log(job, 300)
    fake_backend.finish(job)
    whole = log_of(fake_backend, job) + END
    assert [without_comments(got) for got in await asyncio.gather(*tabs)] == [whole] * 20
    assert await tab(0) == whole
    assert fake_backend.count(STREAM) == 1


async def test_events_continue_exactly_after_the_history(
    studio: Studio, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A history that pauses for that long is in; a machine that stands still makes a shorter pause.
    monkeypatch.setattr(feed, "WINDOW", 0.25)
    job = fake_backend.add_job()
    for step in range(1000):
        fake_backend.log(job, step)
    for _ in range(5):
        async with studio.session.get(f"/api/jobs/{job}/history") as answer:
            known, cursor = await answer.read(), answer.headers["X-Arkor-Cursor"]
            assert answer.headers["Content-Length"] == str(len(known))
            assert answer.headers["X-Arkor-From"] == cursor.split(".")[0] + ".0"
        assert known == log_of(fake_backend, job)
        fake_backend.log(job, 0, note="between")
        async with studio.session.get(f"/api/jobs/{job}/events", params={"after": cursor}) as answer:
            assert answer.headers["X-Arkor-From"] == cursor
            got = await events_until(answer, b"between")
            last = fake_backend.log(job, 1, note="after")
            got += await events_until(answer, b"after")
        assert known + without_comments(got) == log_of(fake_backend, job)
    assert fake_backend.count(STREAM) == 1
    fake_backend.finish(job)
    async with studio.session.get(f"/api/jobs/{job}/events", headers={"Last-Event-ID": last}) as answer:
        rest = without_comments(await answer.read())
    assert rest == fake_backend.frames[job][-1][1] + END
    async with studio.session.get(f"/api/jobs/{job}/history") as answer:
        assert await answer.read() == log_of(fake_backend, job) + END


async def test_unknown_events_and_fields_are_forwarded_unchanged(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job()
    fake_backend.emit(job, "sample.created", text="ä\u2028\\n", odd={"deep": [1e309, None]})
    fake_backend.emit(job, "of.tomorrow", **{"a key": "with spaces"})
    fake_backend.log(job, step=1, loss=2.5, newMeasure={"p50": 1})
    fake_backend.finish(job)
    async with studio.session.get(f"/api/jobs/{job}/history") as answer:
        assert await answer.read() == log_of(fake_backend, job) + END
    async with studio.session.get(f"/api/jobs/{job}/events") as answer:
        assert without_comments(await answer.read()) == log_of(fake_backend, job) + END


@pytest.mark.parametrize("path", ["history", "events"])
async def test_a_stream_forwards_deprecation_headers(
    studio: Studio, fake_backend: FakeBackend, path: str
) -> None:
    job = fake_backend.add_job("completed")
    fake_backend.finish(job)
    fake_backend.headers = {
        "Deprecation": "true",
        "Sunset": "soon",
        "Warning": f"echo {TOKEN}",
        "X-Own": "stays",
    }
    async with studio.session.get(f"/api/jobs/{job}/{path}") as answer:
        told = {name: answer.headers.get(name) for name in fake_backend.headers}
    assert told == {"Deprecation": "true", "Sunset": "soon", "Warning": "echo …", "X-Own": None}


async def test_an_unknown_cursor_restarts_the_history(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.finish(job)
    async with studio.session.get(f"/api/jobs/{job}/events?after=gone.77") as answer:
        assert answer.headers["X-Arkor-From"] != "gone.77"
        assert await answer.read() == log_of(fake_backend, job) + END


@pytest.mark.parametrize("path", ["history", "events"])
@pytest.mark.parametrize("status", [403, 404, 409, 426, 500])
async def test_an_error_before_the_first_frame_is_json(
    studio: Studio, fake_backend: FakeBackend, path: str, status: int
) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, times=1, status=status)
    async with studio.session.get(f"/api/jobs/{job}/{path}") as answer:
        if (path, status) == ("history", 404):
            assert (answer.status, await answer.read()) == (204, b"")
        else:
            assert (answer.status, answer.content_type) == (status, "application/json")
            assert (await answer.json())["error"].startswith("Told to fail.")
    async with studio.session.get(f"/api/jobs/{job}/{path}") as answer:
        assert answer.status == 200


async def test_events_of_an_unknown_job_are_404(studio: Studio) -> None:
    async with studio.session.get("/api/jobs/none/events") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "No such job."})


async def test_a_response_that_is_not_an_event_stream_is_a_502(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, status=200, body=b"{}")
    async with studio.session.get(f"/api/jobs/{job}/events") as answer:
        assert answer.status == 502


async def test_a_query_token_is_valid_for_events_only(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    query = {"studioToken": studio.token}
    for path in ("", f"/{job}/history"):
        async with studio.stranger.get(f"/api/jobs{path}", params=query) as answer:
            assert answer.status == 403
    async with studio.stranger.post(f"/api/jobs/{job}/events", params=query) as answer:
        assert answer.status == 403
    async with studio.stranger.get(f"/api/jobs/{job}/events", params={"studioToken": "x"}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("cut", [0, 1, 17, 150, 151])
async def test_a_stream_cut_anywhere_loses_and_repeats_nothing(
    studio: Studio, fake_backend: FakeBackend, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BACKOFF", (0.01, 0.02))
    job = fake_backend.add_job()
    for step in range(5):
        fake_backend.log(job, step)
    for more in (0, 40, 3):
        fake_backend.fault(STREAM, times=1, cut_after=cut + more)
    async with studio.session.get(f"/api/jobs/{job}/events") as answer:
        got = await events_until(answer, b'"step": 4')
        fake_backend.finish(job)
        got += await events_until(answer, END)
    assert without_comments(got) == log_of(fake_backend, job) + END
    assert fake_backend.count(STREAM) == 4


async def test_malformed_streams_are_forwarded_as_valid_frames(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job()
    fake_backend.frames[job].clear()
    same = b"id: t1\nevent: training.log\ndata: %d\n\n"
    plain = b"id: 1\nevent: training.log\ndata: a\n\n"
    pieces = [
        (b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"), plain),
        (b": keep-alive\n\n", b""),
        (same % 1, same % 1),
        (same % 2, same % 2),
        (same % 1, b""),
        (b"data: no id\r\rdata: no id\r\r", b"data: no id\n\ndata: no id\n\n"),
        (b"event: ping\ndata: {}\n\n", b""),
        (b"event: custom\ndata: not JSON 1e309 \xff\n\n", b"event: custom\ndata: not JSON 1e309 \xff\n\n"),
    ]
    for sent, _ in pieces:
        fake_backend.emit_raw(job, sent)
    fake_backend.jobs[job]["status"] = "completed"
    fake_backend.fault(STREAM, drip=0.0001)
    async with studio.session.get(f"/api/jobs/{job}/events") as answer:
        assert without_comments(await answer.read()) == b"".join(shown for _, shown in pieces) + END


class FastClock:
    """Hours in a blink: sleeping moves the time on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def sleep(self, delay: float) -> None:
        """Sleep."""
        self.now += delay
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("away", [10, 600])
async def test_streams_and_list_recover_with_the_backend(
    studio: Studio, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    clock = FastClock()
    monkeypatch.setattr(studio.app[EVENTS], "_sleep", clock.sleep)
    monkeypatch.setattr(studio.app[JOBS], "_clock", clock)
    monkeypatch.setattr(studio.app[JOBS], "_interval", 0.05)
    monkeypatch.setattr(studio.app[JOBS], "_patience", PATIENCE)
    job = fake_backend.add_job()
    url = f"/api/jobs/{job}/events"
    async with studio.session.get(url) as one, studio.session.get(url) as two:
        async with studio.session.get("/api/jobs") as answer:
            assert answer.status == 200
        got = [await events_until(tab, b"training.started\ndata") for tab in (one, two)]
        await fake_backend.stop()
        await until(lambda: clock.now > away, 60)
        async with studio.session.get("/api/jobs") as answer:
            assert answer.status == 200
            assert int(answer.headers["X-Arkor-Stale"]) >= away * 0.9
        fake_backend.log(job, 1, note="meanwhile")
        await fake_backend.start()
        for index, tab in enumerate((one, two)):
            got[index] += await events_until(tab, b"meanwhile")
        fake_backend.log(job, 2, note="live again")
        for index, tab in enumerate((one, two)):
            got[index] += await events_until(tab, b"live again")
            assert b": reconnecting\n\n" in got[index]
            assert b": connected\n\n" in got[index].split(b": reconnecting\n\n")[1]
            assert without_comments(got[index]).strip() == log_of(fake_backend, job).strip()
        for _ in itertools.count():
            async with studio.session.get("/api/jobs") as answer:
                if "X-Arkor-Stale" not in answer.headers:
                    break
            await asyncio.sleep(0.02)
    last = fake_backend.last(STREAM)
    assert last.headers["Last-Event-ID"] == "1"


async def test_shutdown_with_open_streams_is_fast(
    settings: Settings, signed_in: None, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "SHUTDOWN_SECONDS", 60)  # what answers would get that do not end by themselves
    job = fake_backend.add_job()
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        async with running_studio(settings) as studio:
            headers = {"X-Arkor-Studio-Token": studio.token}
            url = f"{studio.url}/api/jobs/{job}/events"
            tabs = [await session.get(url, headers=headers) for _ in range(10)]
            got = [await events_until(tab, log_of(fake_backend, job)) for tab in tabs]
            reading = [asyncio.create_task(tab.read()) for tab in tabs]
            await asyncio.sleep(0.1)
            begun = loop.time()
        assert loop.time() - begun < 10
        assert got == [log_of(fake_backend, job)] * 10
        assert await asyncio.gather(*reading) == [b""] * 10
    await until(lambda: not fake_backend.active[STREAM])


async def test_closing_all_tabs_closes_the_upstream_stream(studio: Studio, fake_backend: FakeBackend) -> None:
    studio.app[EVENTS]._linger = 0.05
    job = fake_backend.add_job()

    def asked(times: int) -> bool:
        return fake_backend.count(STREAM) == times

    for opened in (1, 2, 3):
        tabs = [await studio.session.get(f"/api/jobs/{job}/events") for _ in range(5)]
        # What is known comes at once, on a busy machine before Studio has asked the backend anew.
        await until(partial(asked, opened))
        for tab in tabs:
            await events_until(tab, CREATED.encode())
            tab.close()
        await until(lambda: not fake_backend.active[STREAM])
    assert fake_backend.count(STREAM) == 3
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("events of")]

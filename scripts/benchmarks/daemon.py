"""The daemon: start, memory, jobs, events and chat, each relative to a floor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from . import clients, servers
from .figures import Figure, beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .servers import Child, Studio

SCOPE = "?orgSlug={org}&projectSlug={project}"


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield every figure of the daemon as it is measured."""
    with servers.fake() as backend:
        yield from start(backend, 2 if quick else 9)
        with servers.studio(backend) as studio:
            time.sleep(0.2 if quick else 2)
            if Path("/proc/self/statm").exists():
                yield Figure("memory when idle", studio.resident(), "MiB", most=60)
            yield from jobs(backend, studio, 0.2 if quick else 1.5, 1 if quick else 3)
            yield from events(backend, studio, 3_000 if quick else 100_000, 1 if quick else 5)
            yield from chat(backend, studio, 20 if quick else 500, 500 if quick else 20_000)
            if Path("/proc/self/statm").exists():
                yield Figure("memory after all this", studio.resident(), "MiB")


def start(backend: Child, rounds: int) -> Iterator[Figure]:
    """Measure the time from exec to the first 200 for ``/``."""

    def ours() -> float:
        with servers.studio(backend) as studio:
            return studio.seconds * 1000

    def floor() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import aiohttp.web"], check=True)
        return (time.perf_counter() - begun) * 1000

    value, bare = beside(ours, floor, rounds)
    yield Figure("start: exec to the first page, against importing aiohttp", value, "ms", bare, most=1.3)
    value, bare = beside(lambda: servers.ready_line(backend) * 1000, floor, rounds)
    yield Figure("start: exec to the ready line, against importing aiohttp", value, "ms", bare)


def jobs(backend: Child, studio: Studio, seconds: float, rounds: int) -> Iterator[Figure]:
    """Measure ``/api/jobs`` relative to a bare handler that returns the same bytes."""
    for count, slow in ((10, False), (1000, False), (10_000, False), (1000, True)):
        backend("jobs", count=count)
        body = _whole_list(studio, count)
        backend("slow_jobs", delay=3 * slow)
        with servers.bare(body) as bare:
            for connections in (50,) if slow else (1, 50):
                value, floor = beside(
                    _asking(studio.port, studio.token, connections, seconds),
                    _asking(bare.port, studio.token, connections, seconds),
                    rounds,
                )
                name = f"jobs: list of {count:,} at {connections} connection{'s' * (connections > 1)}"
                yield Figure(name + ", backend slow" * slow, value, "/s", floor, least=0.6)
    backend("slow_jobs", delay=0)


def _asking(port: int, token: str, connections: int, seconds: float) -> Callable[[], float]:
    headers = {"X-Arkor-Studio-Token": token}
    return lambda: clients.requests_a_second(port, "/api/jobs", headers, connections, seconds)


def _whole_list(studio: Studio, count: int) -> bytes:
    """Return the daemon's list once it has this many jobs."""
    for _ in range(100):
        request = urllib.request.Request(f"http://127.0.0.1:{studio.port}/api/jobs")
        request.add_header("X-Arkor-Studio-Token", studio.token)
        with urllib.request.urlopen(request) as answer:
            body: bytes = answer.read()
        if len(json.loads(body)["jobs"]) == count:
            return body
        time.sleep(0.1)
    raise RuntimeError(f"the list never had {count} jobs")


def events(backend: Child, studio: Studio, count: int, rounds: int) -> Iterator[Figure]:
    """Measure a job's events through the daemon relative to reading the fake backend directly."""
    facts = backend("facts")
    ours = {"X-Arkor-Studio-Token": studio.token}
    theirs = {"Authorization": f"Bearer {facts['token']}", "X-Arkor-Client": "bench/1.0"}

    def direct(job: str) -> str:
        return f"http://127.0.0.1:{backend.port}/v1/jobs/{job}/events/stream" + SCOPE.format(**facts)

    def through(job: str) -> str:
        return f"http://127.0.0.1:{studio.port}/api/jobs/{job}/events"

    for burst, replayed in ((64, 0.8), (1, 0.9)):
        size = count if burst > 1 else count // 4
        made: list[str] = []

        def first(size: int = size, burst: int = burst, made: list[str] = made) -> float:
            made.append(backend("history", events=size, per_write=burst)["job"])
            return clients.events_a_second(through(made[-1]), ours, size)

        def floor(size: int = size, burst: int = burst) -> float:
            job = backend("history", events=size, per_write=burst)["job"]
            return clients.events_a_second(direct(job), theirs, size)

        def again(size: int = size, made: list[str] = made) -> float:
            return clients.events_a_second(through(made[-1]), ours, size)

        value, bare = beside(first, floor, rounds)
        to = f"{burst} to a write"
        yield Figure(f"events: history of {size:,}, first pass, {to}", value, "/s", bare, least=0.4)
        value, bare = beside(again, floor, rounds)
        yield Figure(f"events: history of {size:,}, replayed, {to}", value, "/s", bare, least=replayed)

    with_history = backend("history", events=count, per_write=64)["job"]
    clients.events_a_second(through(with_history), ours, count)
    value, bare = beside(
        lambda: clients.bytes_a_second(through(with_history)[:-6] + "history", ours) / 2**20,
        lambda: clients.bytes_a_second(direct(with_history), theirs) / 2**20,
        rounds,
    )
    yield Figure(f"events: history of {count:,} as one answer", value, "MiB/s", bare)

    def delay(through_us: bool) -> float:
        job = backend("history", events=1, per_write=1, ended=False)["job"]
        url, headers = (through(job), ours) if through_us else (direct(job), theirs)
        amount = 20 if count < 10_000 else 200
        timed = partial(backend, "timed", job=job, rate=100, events=amount)
        return median(clients.delays(url, headers, timed)) * 1000

    value, bare = beside(lambda: delay(True), lambda: delay(False), rounds)
    yield Figure("events: added to one's way at 100 a second, p50", value - bare, "ms", most=0.15)

    for tabs in (1, 20):
        for burst in (64, 1):
            size = count // (4 if burst > 1 else 20) // (1 if tabs == 1 else 4)

            def live(to_daemon: bool, size: int = size, burst: int = burst, tabs: int = tabs) -> float:
                job = backend("history", events=1, per_write=burst, ended=False)["job"]
                url, headers = (through(job), ours) if to_daemon else (direct(job), theirs)
                return clients.live_events_a_second(
                    url, headers, lambda: backend("live", job=job, events=size, burst=burst), tabs, size + 1
                )

            value, bare = beside(lambda: live(True), lambda: live(False), rounds)
            name = f"events: live, {burst} to a write, {tabs} tab{'s' * (tabs > 1)}"
            yield Figure(name, value, "/s", bare)


def chat(backend: Child, studio: Studio, count: int, deltas: int) -> Iterator[Figure]:
    """Measure the time that the daemon adds to the first token, and its throughput of deltas."""
    facts = backend("facts")
    ours = {"X-Arkor-Studio-Token": studio.token}
    theirs = {"Authorization": f"Bearer {facts['token']}", "X-Arkor-Client": "bench/1.0"}
    through = f"http://127.0.0.1:{studio.port}/api/inference/chat"
    direct = f"http://127.0.0.1:{backend.port}/v1/inference/chat" + SCOPE.format(**facts)
    backend("chat", deltas=3)
    with_us, without = clients.first_tokens({through: ours, direct: theirs}, count)
    added = (median(with_us) - median(without)) * 1000
    yield Figure("chat: added to the first token, p50", added, "ms", most=1)
    added = (quantiles(with_us, n=100)[98] - quantiles(without, n=100)[98]) * 1000
    yield Figure("chat: added to the first token, p99", added, "ms", most=5)
    backend("chat", deltas=deltas)
    value, bare = beside(
        lambda: clients.deltas_a_second(through, ours, deltas),
        lambda: clients.deltas_a_second(direct, theirs, deltas),
        1 if deltas < 1000 else 5,
    )
    yield Figure("chat: deltas, one to a write", value, "/s", bare, least=0.8)

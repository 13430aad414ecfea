"""The servers of a benchmark, each in a separate process.

``python -m benchmarks.servers fake`` is the tests' managed backend, controlled by lines of JSON from stdin;
``… bare`` is an aiohttp handler that returns the bytes from its stdin. Both exit when stdin ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
STATUS = ("completed", "running", "failed", "queued")


class Child:
    """A server process whose first line of output is JSON: ``{"port": N}``."""

    def __init__(self, mode: str) -> None:
        path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", mode],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.port = 0

    def tell(self, line: bytes) -> Any:
        """Send one line; return the line of JSON that answers it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, command: str, **options: Any) -> Any:
        """Send a command to the fake backend."""
        return self.tell(json.dumps({"command": command, **options}).encode())

    def end(self) -> None:
        """Close the process's stdin and wait for its exit."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@contextlib.contextmanager
def fake() -> Iterator[Child]:
    """Run the fake backend."""
    child = Child("fake")
    try:
        child.port = child("port")["port"]
        yield child
    finally:
        child.end()


@contextlib.contextmanager
def bare(body: bytes) -> Iterator[Child]:
    """Run the bare handler."""
    child = Child("bare")
    try:
        child.port = child.tell(str(len(body)).encode() + b"\n" + body)["port"]
        yield child
    finally:
        child.end()


@dataclass
class Studio:
    """A running ``arkor-dev``."""

    pid: int
    port: int
    token: str
    seconds: float
    project: Path

    def resident(self) -> float:
        """The process's memory in MiB; only on Linux."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def studio(backend: Child) -> Iterator[Studio]:
    """Run ``arkor-dev`` with the fake backend, and with its own home and project."""
    with _launched(backend, subprocess.DEVNULL) as (process, port, project, begun):
        page = _first_page(port, process)
        seconds = time.perf_counter() - begun
        token = page.split('name="arkor-studio-token" content="')[1].split('"')[0]
        yield Studio(process.pid, port, token, seconds, project)


def ready_line(backend: Child) -> float:
    """Return the seconds from exec until ``arkor-dev`` prints its page's address."""
    with _launched(backend, subprocess.PIPE) as (process, port, _, begun):
        assert process.stderr is not None
        for line in process.stderr:
            if f"http://localhost:{port}".encode() in line:
                return time.perf_counter() - begun
    raise SystemExit("arkor-dev ended before it said where its page is")


@contextlib.contextmanager
def _launched(backend: Child, messages: int) -> Iterator[tuple[subprocess.Popen[bytes], int, Path, float]]:
    """Start the process; return it with its port, its project, and its start time."""
    facts = backend("facts")
    with tempfile.TemporaryDirectory() as name:
        home, project = Path(name) / "home", Path(name) / "project"
        (home / ".arkor").mkdir(parents=True, mode=0o700)
        (project / ".arkor").mkdir(parents=True)
        url = f"http://127.0.0.1:{backend.port}"
        (home / ".arkor" / "credentials.json").write_text(
            json.dumps(
                {
                    "mode": "anon",
                    "token": facts["token"],
                    "anonymousId": "a0",
                    "arkorCloudApiUrl": url,
                    "orgSlug": facts["org"],
                }
            )
        )
        state = {"orgSlug": facts["org"], "projectSlug": facts["project"], "projectId": "p"}
        (project / ".arkor" / "state.json").write_text(json.dumps(state))
        port = free_port()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ARKOR_"))}
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor_dev", "--port", str(port), "--project", str(project)],
            env={**kept, "HOME": str(home), "ARKOR_CLOUD_API_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        try:
            yield process, port, project, begun
        finally:
            process.terminate()
            process.wait(10)
            if process.stderr is not None:
                process.stderr.close()


def _first_page(port: int, process: subprocess.Popen[bytes]) -> str:
    while process.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer,
        ):
            return str(answer.read().decode())
        time.sleep(0.002)
    raise SystemExit("arkor-dev ended before it served its page")


def free_port() -> int:
    """Return a free port on 127.0.0.1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class FakeServer:
    """The commands of the fake backend."""

    def __init__(self) -> None:
        from tests.support.fake_backend import ORG, PROJECT, TOKEN, FakeBackend

        self.backend = FakeBackend()
        self.facts_ = {"org": ORG, "project": PROJECT, "token": TOKEN}

    async def run(self) -> None:
        """Process commands from stdin until it ends."""
        await self.backend.start()
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            command = json.loads(line)
            answer = getattr(self, command.pop("command"))(**command)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        await self.backend.close()

    def port(self) -> dict[str, object]:
        """Return the port on which it listens."""
        return {"port": self.backend.port}

    def facts(self) -> dict[str, object]:
        """Return the credentials and ids that clients need."""
        return dict(self.facts_)

    def jobs(self, count: int) -> dict[str, object]:
        """Replace all jobs by this many new ones."""
        self.backend.jobs.clear()
        self.backend.frames.clear()
        for number in range(count):
            job = self.backend.add_job(STATUS[number % 4], name=f"support-bot-{number}")
            self.backend.frames[job].clear()
        return {}

    def slow_jobs(self, delay: float) -> dict[str, object]:
        """Delay the list of jobs; 0 for no delay."""
        self.backend.heal()
        if delay:
            self.backend.fault("GET /v1/jobs", delay=delay)
        return {}

    def late(self, seconds: float) -> dict[str, object]:
        """Delay event streams after their headers; 0 for no delay."""
        self.backend.heal()
        if seconds:
            self.backend.fault("GET /v1/jobs/{id}/events/stream", first_byte=seconds)
        return {}

    def history(self, events: int, per_write: int, ended: bool = True) -> dict[str, object]:
        """Create a job with a history."""
        self.backend.frames_per_write = per_write
        job = self.backend.add_job("completed" if ended else "running")
        self.backend.frames[job] = [self._frame(job, number) for number in range(events)]
        return {"job": job}

    def live(self, job: str, events: int, burst: int) -> dict[str, object]:
        """Emit events, ``burst`` at a time, as fast as they are taken, then end the job."""
        self.backend.frames_per_write = burst
        # Start after the job's first event: a frame with the same id and data would be a duplicate.
        ready = [self._frame(job, number) for number in range(1, events + 1)]

        async def emit() -> None:
            for start in range(0, events, burst):
                self.backend.frames[job] += ready[start : start + burst]
                self.backend._wake(job)
                await asyncio.sleep(0)
            self.backend.jobs[job]["status"] = "completed"
            self.backend._wake(job)

        self.emitting = asyncio.get_running_loop().create_task(emit())
        return {}

    def steady(self, job: str, rate: int, seconds: float) -> dict[str, object]:
        """Emit ``rate`` events per second for a time."""

        async def emit() -> None:
            begun, sent = time.perf_counter(), len(self.backend.frames[job])
            start = sent
            while (passed := time.perf_counter() - begun) < seconds:
                while sent < start + passed * rate:
                    self.backend.frames[job].append(self._frame(job, sent))
                    sent += 1
                self.backend._wake(job)
                await asyncio.sleep(1 / rate)

        self.emitting = asyncio.get_running_loop().create_task(emit())
        return {}

    def timed(self, job: str, rate: float, events: int) -> dict[str, object]:
        """Emit ``rate`` events per second, each with the time at which it was sent, then end the job."""

        async def emit() -> None:
            begun = time.perf_counter()
            for number in range(events):
                await asyncio.sleep(begun + number / rate - time.perf_counter())
                event_id, frame = self._frame(job, len(self.backend.frames[job]))
                sent = f', "sent": {time.perf_counter():.9f}}}\n\n'.encode()
                self.backend.frames[job].append((event_id, frame[:-3] + sent))
                self.backend._wake(job)
            await asyncio.sleep(1 / rate)
            self.backend.jobs[job]["status"] = "completed"
            self.backend._wake(job)

        self.emitting = asyncio.get_running_loop().create_task(emit())
        return {}

    def chat(self, deltas: int) -> dict[str, object]:
        """Set the model's answer."""
        self.backend.chat.chunks = ["token "] * deltas
        return {}

    @staticmethod
    def _frame(job: str, step: int) -> tuple[str, bytes]:
        data = {"type": "training.log", "jobId": job, "timestamp": "2026-01-01T00:00:00.000Z", "step": step}
        data |= {"loss": 2.5 / (1 + step), "learningRate": 0.0002, "epoch": step / 1000}
        return str(step + 1), f"id: {step + 1}\nevent: training.log\ndata: {json.dumps(data)}\n\n".encode()


async def bare_server(body: bytes) -> None:
    """Run the floor: an aiohttp handler that returns bytes."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/jobs", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    await runner.cleanup()


if __name__ == "__main__":
    if sys.argv[1] == "fake":
        asyncio.run(FakeServer().run())
    else:
        given = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()) + 1)[:-1]
        asyncio.run(bare_server(given))

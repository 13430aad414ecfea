"""The backend as the daemon sees it: a true process, its pipes, and HTTP over its socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from arkor_dev.backend.unix_address import address_of
from arkor_dev.core.settings import Settings
from tests.support.own_time import OwnTime

from .forked import ForkedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Process = subprocess.Popen[bytes] | ForkedBackend

TOKEN = "test-token"
SCOPE = "orgSlug=local&projectSlug=tests"
MARK = "ARKOR_TEST_MARK"
FORKS = "ARKOR_TEST_FORKS"
"""Names the process that a backend's workers are forked from (``forking_backend.py``)."""


@dataclass
class Frame:
    """One server-sent event."""

    event: str
    data: str
    id: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.data)
        return value


@dataclass
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


def frames_of(lines: Iterator[bytes] | IO[bytes]) -> Iterator[Frame]:
    """Parse an event stream until it ends."""
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        if line:
            key, _, value = line.partition(": ")
            fields[key] = value
        elif fields:
            yield Frame(fields.get("event", "message"), fields.get("data", ""), fields.get("id"))
            fields = {}


LONGEST_PAUSE = 0.1
"""Seconds between two looks at what takes long: each look costs the processor a millisecond or more."""


def until(condition: Callable[[], Any], seconds: float = 30.0, *, every: float | None = None) -> Any:
    """Wait for ``condition``, asked each time anew, and return what it says; fail when it stays false.

    It is asked ``every`` so many seconds, or less and less often.
    """
    end = time.monotonic() + seconds
    pause = every or 0.01
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(pause)
        pause = every or min(1.2 * pause, LONGEST_PAUSE)
    return value


@dataclass
class Backend:
    """One running ``python -m arkor_dev.local``."""

    process: Process
    socket: Path
    ready: dict[str, Any]
    mark: str
    started_in: float
    notices: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, data: Path, project: Path, cache: Path, *more: str, **env: str) -> Backend:
        """Start it, with ``more`` arguments."""
        mark = uuid.uuid4().hex
        hello = {"token": TOKEN, "orgSlug": "local", "projectSlug": "tests", "parent": os.getpid()}
        arguments, env = program(data, project, cache, {**env, MARK: mark}, *more)
        process: Process
        if FORKS in env:
            process = ForkedBackend(env[FORKS], "tests.local.forking_backend", env, arguments)
        else:
            process = launch(arguments, env)
        own = OwnTime(process.pid)
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(hello).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            process.stdin.close()
            process.stdin = None  # communicate() would flush it
            _, errors = process.communicate()
            raise AssertionError(f"the backend ended with {process.returncode}: {errors.decode()}")
        ready = json.loads(line)
        backend = cls(process, Path(ready["socket"]), ready, mark, own.seconds)
        for stream, take in ((process.stdout, backend._notice), (process.stderr, backend._error)):
            threading.Thread(target=_drain, args=(stream, take), daemon=True).start()
        return backend

    def _notice(self, line: bytes) -> None:
        self.notices.append(json.loads(line))

    def _error(self, line: bytes) -> None:
        self.errors.append(line.decode())

    def connection(self, timeout: float = 100) -> http.client.HTTPConnection:
        """A connection to the backend's socket."""
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(self.socket))
        return connection

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request and return the open answer, whatever its status."""
        data = None if body is None else json.dumps(body).encode()
        # Closed by the answer's end, as with urllib: nothing here keeps the connection.
        headers = {"Authorization": f"Bearer {TOKEN}", "Connection": "close", **headers}
        connection = self.connection()
        connection.request(method, f"{path}{'&' if '?' in path else '?'}{SCOPE}", data, headers)
        return connection.getresponse()

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        with self.open(method, path, body) as answer:
            return Answer(answer.status, answer.read())

    def submit(self, config: dict[str, Any], name: str = "test") -> str:
        """Create a job; its id."""
        answer = self.call("POST", "/v1/jobs", {"name": name, "config": config})
        assert answer.status == 200, answer.body
        job_id: str = answer.json["job"]["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.call("GET", f"/v1/jobs/{job_id}").json["job"]
        return job

    def events(self, job_id: str, last: str | None = None) -> Iterator[Frame]:
        """A job's stream up to and with ``end``, without the keep-alives that a busy machine gets."""
        headers = {"Last-Event-ID": last} if last is not None else {}
        with self.open("GET", f"/v1/jobs/{job_id}/events/stream", **headers) as answer:
            assert answer.status == 200
            yield from (frame for frame in frames_of(answer) if frame.event != "ping")

    def wait_for(self, job_id: str, event: str) -> Frame:
        """The first event of that name."""
        return next(frame for frame in self.events(job_id) if frame.event == event)

    def say(self, text: str, **who: Any) -> str:
        """What the model answers, greedily, in at most 24 tokens."""
        body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "maxTokens": 24, **who}
        with self.open("POST", "/v1/inference/chat", body) as answer:
            assert answer.status == 200, answer.read()
            frames = list(frames_of(answer))
        assert frames[-1].data == "[DONE]"
        assert not [frame for frame in frames if frame.event == "error"], frames
        deltas = [frame.json["choices"][0]["delta"] for frame in frames[:-1] if frame.event == "message"]
        return "".join(delta.get("content", "") for delta in deltas)

    def leave_word(self, project: Path, home: Path) -> None:
        """Tell commands with this ``home`` of the backend, as the Studio does that has started one."""
        data = home / ".local" / "share" / "arkor-dev"
        kept = Settings(project=project, home=home, data=data, cache=home / "cache").local_data
        kept.mkdir(parents=True, exist_ok=True)
        word = {"baseUrl": address_of(str(self.socket)), "token": TOKEN, "pid": os.getpid()}
        scope = {"orgSlug": "local", "projectSlug": "tests"}
        (kept / "backend.json").write_text(json.dumps(word | scope))

    def processes(self, module: str = "") -> list[int]:
        """The pids of this backend and of everything it started, by a mark in their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                marked = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                if marked and module.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        """Close standard input, as the daemon's end does."""
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGKILL)
            until(lambda: not self.processes())  # whoever looks at its files now has them to himself


def program(
    data: Path, project: Path, cache: Path, env: dict[str, str], *more: str
) -> tuple[list[str], dict[str, str]]:
    """A backend's arguments and environment."""
    folders = ["--data", str(data), "--project", str(project), "--cache", str(cache)]
    if "--engine" not in more:
        # What is tested is not whether llama.cpp is installed, nor whether its file is ready yet.
        more = ("--engine", "exact", *more)
    # One thread unless a caller says more: so small a model gains nothing from two, and loses much on a busy
    # machine.
    env = {
        "OMP_NUM_THREADS": "1",
        # However full the disk of whoever runs the tests is.
        "ARKOR_LEAST_FREE_BYTES": "0",
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache / "hf"),
        **env,
    }
    return [*folders, *more], env


def launch(arguments: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the process, handshake yet to come."""
    return subprocess.Popen(
        [sys.executable, "-m", "arkor_dev.local", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )


def _drain(stream: IO[bytes], take: Callable[[bytes], None]) -> None:
    with stream:
        for line in stream:
            take(line)

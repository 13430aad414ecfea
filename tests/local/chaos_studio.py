"""A whole Studio with local training as a test sees it: its processes, its API, and readers that stay."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.local.conftest import make_project
from tests.local.harness import MARK, Answer, Frame, frames_of, until
from tests.support.daemon import environment, free_port
from tests.support.processes import alive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULES = {
    "worker": b"arkor_dev.local.training.worker\0",
    "measuring": b"arkor_dev.local.forecast.worker\0",
    "backend": b"arkor_dev.local\0",
    "daemon": b"arkor_dev\0--port\0",
    "all": b"",
}
"""What tells the processes apart, in their arguments."""
AWAY = (0, 403, 502, 503, 504)
"""Answers of a Studio that is not there, or whose backend is not.

0: none came; 403: it has just been started again, and has another token.
"""
SLOW = 60.0
"""Seconds that anything may take on a busy machine."""


class Studio:
    """``arkor-dev --local`` on a project of its own; it may be killed in part or in whole, and started again.

    Everything lies below ``root``, but for the folder of the socket, whose path has to be short.
    """

    def __init__(self, root: Path, tiny: Path, toml: str, **env: str) -> None:
        self.root, self.env = root, env
        self.project = make_project(root / "tests", tiny)
        (self.project / "arkor.toml").write_text(toml)
        self.sockets = Path(tempfile.mkdtemp(prefix="ark-", dir="/tmp"))
        self.scratch = root / "tmp"
        for folder in (self.scratch, root / "home"):
            folder.mkdir()
        self.mark = uuid.uuid4().hex
        self.port, self.token = 0, ""
        self.start()

    @property
    def data(self) -> Path:
        """The local backend's folder of this project."""
        (folder,) = (self.root / "home" / ".local" / "share" / "arkor-dev" / "projects").iterdir()
        return folder

    def start(self) -> None:
        """Start it, and wait for its page and for its backend."""
        self.port = free_port()
        env = {
            **environment(self.root / "home"),
            MARK: self.mark,
            "XDG_CACHE_HOME": str(self.root / "home" / ".cache"),
            "XDG_RUNTIME_DIR": str(self.sockets),
            "TMPDIR": str(self.scratch),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "ARKOR_LEAST_FREE_BYTES": "0",
            **self.env,
        }
        argv = [sys.executable, "-m", "arkor_dev", "--port", str(self.port), "--local"]
        with (self.root / "studio.log").open("ab") as said:
            self.process = subprocess.Popen(
                [*argv, "--project", str(self.project)],
                env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        self.token = until(self._token, SLOW)
        until(lambda: self.call("GET", "/api/capabilities").status == 200, SLOW)

    def _token(self) -> str | None:
        assert self.process.poll() is None, (self.root / "studio.log").read_text()
        page = self.call("GET", "/").body
        found = re.search(rb'<meta name="arkor-studio-token" content="([^"]+)"', page)
        return found[1].decode() if found else None

    def end(self) -> None:
        """End it as Ctrl-C does, and wait until it is gone."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(SLOW) == 0

    def discard(self) -> None:
        """Kill all that is left, and take away what does not lie below ``root``."""
        for pid in self.pids("all"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(SLOW)
        shutil.rmtree(self.sockets, ignore_errors=True)

    # Its API

    @contextmanager
    def open(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}, timeout: float = SLOW
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; the open answer. Raises OSError or HTTPException where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"X-Arkor-Studio-Token": self.token, "Content-Type": "application/json", "Connection": "close"}
        data = None if body is None else json.dumps(body).encode()
        with closing(connection):
            connection.request(method, path, data, {**sent, **headers})
            with connection.getresponse() as answer:
                yield answer

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """The whole answer; status 0 where none came."""
        try:
            with self.open(method, path, body) as answer:
                return Answer(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            return Answer(0, b"")

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """As ``call``, again and again while the backend is away."""

        def answered() -> Answer | None:
            answer = self.call(method, path, body)
            return None if answer.status in AWAY else answer

        answer: Answer = until(answered, SLOW)
        return answer

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job as the backend has it; None where there is none."""
        answer = self.ask("GET", f"/api/jobs/{job_id}")
        assert answer.status in (200, 404), answer.body
        job: dict[str, Any] | None = answer.json["job"] if answer.status == 200 else None
        return job

    def train(self, trainer: str, **more: Any) -> str:
        """Press Run; the job's id, once there is one."""
        with self.open("POST", "/api/train", {"trainer": trainer, **more}) as answer:
            assert answer.status == 200, answer.read()
            said = b""
            while not (found := re.search(rb"Started job (\w+)\n", said)):
                piece = answer.read1()
                assert piece, said
                said += piece
            return found[1].decode()

    def history(self, job_id: str) -> list[Frame]:
        """A job's events as they are kept, and as the stream brings them to somebody who comes new."""
        with closing(sqlite3.connect(f"file:{self.data}/backend.sqlite?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT name, data, id FROM events WHERE job = ? ORDER BY id", (job_id,))
            return [Frame(name, data, str(number)) for name, data, number in rows]

    # Its processes

    def pids(self, which: str) -> list[int]:
        """The living processes of this Studio of one kind in ``MODULES``."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                marked = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                if marked and MODULES[which] in (entry / "cmdline").read_bytes() and alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def kill(self, victim: str) -> None:
        """Kill all processes of one kind, and let come up again what comes by itself.

        Whoever is the child of one that was killed has to end by itself. Where that was the daemon, nothing
        is left, and it is started again.
        """
        below = {"worker": (), "measuring": (), "backend": ("worker", "measuring")}
        orphans = [pid for kind in below.get(victim, ("all",)) for pid in self.pids(kind)]
        for pid in self.pids(victim):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self.pids("backend"):  # one that a test has halted, and that lives
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if victim in below:
            until(lambda: not any(map(alive, orphans)), SLOW)
        else:
            self.process.wait(SLOW)
            until(lambda: not self.pids("all"), SLOW)
            self.start()

    def left_behind(self) -> list[str]:
        """What lies where nothing should lie after its end: sockets, temporary files, halves."""
        data = self.data
        # One for each user, made by torch wherever it is imported.
        shutil.rmtree(self.scratch / f"torchinductor_{getpass.getuser()}", ignore_errors=True)
        found = [
            *self.sockets.iterdir(),
            *self.scratch.iterdir(),
            *data.rglob("*.part"),
            *data.rglob("*.old"),
        ]
        names = ("scratch", "forecast", "verdict.json", "backend.json", "probe")
        found += [path for path in data.rglob("*") if path.name in names]
        found += [path for path in (self.root / "home").rglob("*") if path.is_socket()]
        return sorted({str(path) for path in found})


class Reader(threading.Thread):
    """One that stays: reads a job's stream through every cut, and keeps what counts by the contract's rule.

    ``kept`` has the frames by their ids. Studio's own port and token change when it is started again, and
    with them the place is lost: a reader resumes by the last id.
    """

    def __init__(self, studio: Studio, job_id: str) -> None:
        super().__init__(daemon=True, name=f"reader of {job_id}")
        self._studio, self._job = studio, job_id
        self._last: str | None = None
        self._over = threading.Event()
        self.kept: dict[str, Frame] = {}
        self.fault: BaseException | None = None
        self.start()

    def close(self) -> None:
        self._over.set()
        self.join(SLOW)

    def run(self) -> None:
        try:
            while not self._over.is_set():
                for frame in self._stream():
                    self._take(frame)
                time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - the test tells of it
            self.fault = error

    def _stream(self) -> Iterator[Frame]:
        headers = {} if self._last is None else {"Last-Event-ID": self._last}
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            path = f"/api/jobs/{self._job}/events"
            with self._studio.open("GET", path, headers=headers, timeout=1) as answer:
                if answer.status == 200:
                    yield from _quietly(frames_of(answer))

    def _take(self, frame: Frame) -> None:
        if frame.id is None:
            return
        self._last = frame.id
        before = self.kept.get(frame.id)
        assert before is None or before.data == frame.data, (before, frame)
        if frame.event == "training.resumed" and before is None:
            self._cut(frame.json["step"])
        self.kept[frame.id] = frame

    def has(self, frames: list[Frame]) -> bool:
        """Whether it has just these, but for the samples of the machine; or a fault, which is looked at."""
        here = [frame for frame in list(self.kept.values()) if frame.event != "system.metrics"]
        return self.fault is not None or here == frames

    def _cut(self, step: int) -> None:
        """Drop what counts no more when a job goes on after ``step``."""
        frames = list(self.kept.items())
        of = [_step_of(frame) for _, frame in frames]
        first = next((place for place, told in enumerate(of) if told > step), len(frames))
        last = max((place for place, told in enumerate(of[:first]) if 0 <= told <= step), default=-1)
        self.kept = {
            number: frame
            for place, (number, frame) in enumerate(frames)
            if step > 0 and (place <= last or frame.event == "training.started" or 0 <= of[place] <= step)
        }


ENDS = ("training.paused", "training.completed", "training.failed", "training.cancelled")


def _step_of(frame: Frame) -> float:
    """The step that a frame is about; infinite for an end, negative where it goes with those before it."""
    if frame.event in ENDS:
        return math.inf
    told = frame.json.get("step") if frame.event != "system.metrics" else None
    return told if isinstance(told, int) else -1


def _quietly(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames up to a cut; half of one may come before it."""
    while True:
        try:
            frame = next(frames, None)
        except (OSError, http.client.HTTPException):
            return
        if frame is None:
            return
        yield frame

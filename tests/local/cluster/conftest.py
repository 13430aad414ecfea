"""A cluster of true nodes on this machine, in a process of its own, and a backend beside it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.checkpoints.resume_points import latest
from tests.local.conftest import CONFIG
from tests.local.harness import Backend, until

from .forking import TRUE
from .nodes import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
WORKER = b"arkor_dev.local.training.worker"
DRIVER = "arkor_dev.local.cluster.driver"
SECRET = "ARKOR_TEST_SECRET"
CONNECTED = 240.0
"""Seconds for what needs a connection: Ray's server for a client may die as it starts, twice, 40 s each."""
STEPS = 160
LONG: dict[str, Any] = {
    **CONFIG,
    "maxSteps": STEPS,
    "saveSteps": 20,
    "learningRate": 1e-3,
    "evalSteps": 0,
    "datasetSplit": 0,
    "loggingSteps": 1,
    "saveTotalLimit": 3,
}


@dataclass
class Nodes:
    """The process that holds the cluster. ``temporary`` is its nodes' folder for temporary files.

    ``address`` is its head's, ``client`` that of the server for those who are no node of it.
    """

    process: subprocess.Popen[str]
    address: str
    client: str
    temporary: Path
    doomed: bool = False

    @classmethod
    def start(cls, root: Path, count: int, **env: str) -> Nodes:
        """Start ``count`` nodes beside the head; ``root`` has a short name, as sockets need it."""
        folders = {name: root / name for name in ("home", "ray", "tmp")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        usual = {
            "HOME": str(folders["home"]),
            "RAY_TMPDIR": str(folders["ray"]),
            "TMPDIR": str(folders["tmp"]),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "REPORTER_UPDATE_INTERVAL_MS": "600000",  # each node measures itself: Ray's reports are not used
            # gRPC wakes its threads in each process that Ray forks: one of seven servers for a client died of
            # it, and Ray waits for such a one for 30 s.
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            "OMP_NUM_THREADS": "1",
            "ARKOR_LEAST_FREE_BYTES": "0",
            # For what Ray is told to load there: `tests.local.cluster.forking`.
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        port = free_port()
        errors = (root / "errors").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.local.cluster.nodes", str(count), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **usual, **env},
            start_new_session=True,
        )
        errors.close()
        assert process.stdout
        line = process.stdout.readline()
        assert line, (root / "errors").read_text()
        return cls(process, json.loads(line)["address"], f"ray://{HEAD}:{port}", folders["tmp"])

    def order(self, **what: str) -> None:
        """``end`` or ``add`` a node; returns when it is done."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline()) == {}

    def workers(self) -> list[int]:
        """The pids of training workers on the nodes."""
        processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [int(entry.name) for entry in processes if self._is_worker(entry)]

    def _is_worker(self, entry: Path) -> bool:
        try:
            if WORKER not in (entry / "cmdline").read_bytes():
                return False
            return f"TMPDIR={self.temporary}".encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def jobs(self) -> list[Path]:
        """What jobs have left on the nodes."""
        return [path for folder in self.temporary.glob("arkor-dev-*/jobs") for path in folder.iterdir()]

    def stop(self) -> None:
        """End all of it."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            assert self.process.stdout
            self.process.stdout.close()


@contextlib.contextmanager
def running(count: int, **env: str) -> Iterator[Nodes]:
    """A cluster with a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="arkor-ray-", dir="/tmp"))
    nodes = Nodes.start(root, count, **env)
    try:
        yield nodes
    finally:
        nodes.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def nodes(template: dict[str, str]) -> Iterator[Nodes]:
    """Two nodes of one processor each, for all tests; a test that ends one adds it again."""
    with running(2, **template) as nodes:
        yield nodes


@pytest.fixture
def mortal(nodes: Nodes, template: dict[str, str]) -> Iterator[Nodes]:
    """The same cluster, with a head that may die: the test of that comes last. Repeated, it has another."""
    if not nodes.doomed:
        nodes.doomed = True
        yield nodes
    else:
        with running(1, **template) as others:
            yield others


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what ends the cluster of all tests come after them."""
    items.sort(key=lambda item: "mortal" in getattr(item, "fixturenames", ()))


@pytest.fixture
def true_workers(nodes: Nodes) -> Iterator[None]:
    """What trains on the nodes is started there as anywhere, not forked from what has its libraries."""
    switch = nodes.temporary / TRUE
    switch.touch()
    yield
    switch.unlink()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `beside`."""
    return tmp_path_factory.mktemp("beside.v1") / "data"


@pytest.fixture(scope="module")
def beside(data: Path, shared_project: Path, nodes: Nodes, template: dict[str, str]) -> Iterator[Backend]:
    """A backend for the jobs on the cluster."""
    told = {**template, SECRET: "of the user"}
    backend = Backend.start(data, shared_project, data.parent / "cache", **told)
    yield backend
    backend.stop()


@contextlib.contextmanager
def held(workers: list[int]) -> Iterator[None]:
    """Let workers stand still meanwhile: their job is not over by then, however long the rest takes."""
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def free_port() -> int:
    """A port of the head's that nobody has, and that Ray's own processes and connections do not take.

    They have those from 10,000 to 24,000, and those that the system gives, from 32,768 on.
    """
    while True:
        port = random.SystemRandom().randrange(25_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HEAD, port))
            return port


def kept_here(data: Path, job: str, step: int) -> None:
    """Wait until a point of ``step`` or later lies here, from which the job can go on."""
    until(lambda: (point := latest(data, job)) is not None and point.step >= step, CONNECTED)


def over(backend: Backend, job: str, seconds: float = CONNECTED) -> dict[str, Any]:
    """The job, once it has come to its end."""

    def ended() -> dict[str, Any] | None:
        found = backend.job(job)
        return found if found["status"] in ("completed", "failed", "cancelled") else None

    found: dict[str, Any] = until(ended, seconds, every=0.2)
    return found


def adapter(data: Path, job: str) -> bytes:
    return (data / "jobs" / job / "final" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="session")
def undisturbed(shared: Backend, shared_data: Path) -> bytes:
    """The adapter of the long job on this machine."""
    job = shared.submit(LONG, "undisturbed")
    assert over(shared, job)["status"] == "completed"
    return adapter(shared_data, job)

"""What most tests stand on: a home and a project of their own, and a backend that is a real server."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.core.settings import Settings
from arkor_dev.project import dataset_source
from tests.support.environments import Environment
from tests.support.fake_backend import running_fake_backend
from tests.support.node import node
from tests.support.ports import held_ports
from tests.support.typescript_projects import TypeScriptProject, fetch_arkor, lay_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

# Hundreds of processes read our sources, and each would compile them again where none may keep that.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A test run that was started in the background ignores Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The page's projects need Node. A machine without it has the one of the extra `dev`.
if shutil.which("node") is None:
    os.environ["PATH"] += f"{os.pathsep}{node().parent}"

# numpy starts threads of its own as it is imported, which spin for a moment in every process and get no work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The tests' launches answer in one way, whether llama.cpp is there or not; its own tests say otherwise.
os.environ["ARKOR_ENGINE"] = "exact"

LEAKY = (
    "ARKOR_CLOUD_API_URL",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each of some workers (``-n 2 --dist worksteal``) begin with what is slow and shares much.

    Each gets one part of the list, and whoever is through takes from the end of another's. There lies what
    is quick and needs nothing, so that the browser is started by the last one alone, and the backend, which
    trains its jobs, by the ones before.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    parts: dict[str, list[pytest.Item]] = {"conformance": [], "local": [], "browser": [], "": []}
    for item in items:
        folder = item.nodeid.removeprefix("tests/").partition("/")[0]
        parts[folder if folder in parts else ""].append(item)
    backend, browser, quick = parts["conformance"] + parts["local"], parts["browser"], parts[""]
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    rest = max(0, len(items) * (workers - 1) // workers - len(backend))
    items[:] = [*backend, *quick[:rest], *browser, *quick[rest:]]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while the tests and their libraries are imported, and never again among those."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _time_to_look_at_data() -> Iterator[None]:
    """A look at a project's data is not cut short because this machine stands still for a second.

    What is left out then is kept for as long as the file stays the same. The test of the limits sets its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_source, "SECONDS", 60.0)
        patch.setattr(dataset_source, "ALL_SECONDS", 60.0)
        yield


@pytest.fixture
def held_port() -> Iterator[Callable[[], int]]:
    """A function that gives a free port, which is the test's own to its end (``tests/support/ports.py``)."""
    with held_ports() as take:
        yield take


@pytest.fixture
def unused_tcp_port(held_port: Callable[[], int]) -> int:
    """A port of the test's own, in place of pytest-asyncio's, which another process may take meanwhile."""
    return held_port()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home that everything in this process and its children takes for the user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / f".{name.lower()}"))
    for name in LEAKY:
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An empty environment, which is taken for that of this process."""
    return Environment(tmp_path, monkeypatch)


@pytest.fixture
async def fake_backend() -> AsyncIterator[FakeBackend]:
    """A running fake backend."""
    async with running_fake_backend() as fake:
        yield fake


@pytest.fixture
def settings(tmp_path: Path, home: Path, fake_backend: FakeBackend) -> Settings:
    """One launch on an empty project, against the fake backend."""
    project = tmp_path / "project"
    project.mkdir()
    return Settings(
        project=project,
        home=home,
        data=home / ".data" / "arkor-dev",
        cache=home / ".cache" / "arkor-dev",
        cloud_url=fake_backend.url,
    )


@pytest.fixture
def signed_in(settings: Settings, fake_backend: FakeBackend) -> None:
    """The fake backend's own anonymous account, and its project as this folder's scope."""
    fake_backend.sign_in(settings.arkor_home, settings.project)


@pytest.fixture
def forked_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork this process's local backends, for a tenth of their time (``tests/local/forked.py``)."""
    from tests.local.forking_backend import command_template, fork_workers

    fork_workers(command_template(), monkeypatch)


@pytest.fixture(scope="session")
def arkor_package() -> Path:
    """The package ``arkor`` of the tests, with the real esbuild."""
    return fetch_arkor()


@pytest.fixture
def node_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """``node`` is on PATH, also on a machine that has it as a Python package alone."""
    monkeypatch.setenv("PATH", f"{node().parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def typescript_project(arkor_package: Path, node_on_path: None, tmp_path: Path) -> TypeScriptProject:
    """A TypeScript project as npm installs it, without sources."""
    return lay_out("npm", tmp_path, arkor_package)


@pytest.fixture
async def studio(settings: Settings, signed_in: None) -> AsyncIterator[Studio]:
    """A whole Studio, signed in at the fake backend, on a real socket."""
    # Here, so that a module under repair fails its own tests and not everybody's.
    from tests.support.studio import running_studio

    async with running_studio(settings) as studio:
        yield studio

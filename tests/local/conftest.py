"""Fixtures of the local backend's tests: a tiny model, a project, a process, one trained job for all."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.gguf import limited
from arkor_dev.local.workers.process import DEFAULTS

from . import tiny_model
from .forked import Forks
from .forking_backend import fork_workers, worker_template
from .harness import FORKS, Backend, Frame
from .tiny_model import chats, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator

for _name, _value in DEFAULTS.items():
    # What trains in the test's own process waits as a worker does: two that spin wait for each other.
    os.environ.setdefault(_name, _value)
# As the harness's backends. Two threads of a tiny model take a quarter more of the processor, and are slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")


STEPS = 30
SAMPLED: dict[str, Any] = {
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
    "datasetSplit": 0.1,
    "maxSteps": STEPS,
    "learningRate": 1e-2,
    "saveSteps": 10,
    "evalSteps": 15,
    "numberFormat": "float32",
}
"""With the sample answers that a run makes unless told otherwise: they take 2 s of even so short a run."""
CONFIG: dict[str, Any] = {**SAMPLED, "samples": "off"}
ENDLESS: dict[str, Any] = {
    **CONFIG,
    "maxSteps": 1_000_000,
    "loggingSteps": 1,
    "saveSteps": 5,
    "learningRate": 1e-3,
}


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full the disk is, what trains in the test's own process has room to save."""
    monkeypatch.setenv("ARKOR_LEAST_FREE_BYTES", "0")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """What an engine found to be the quickest is not what the tests after it compute with."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


MODULES = 300
"""So many more than at the last look are libraries such as torch: a million objects that stay."""
_looked_at = len(sys.modules)


@pytest.fixture(autouse=True)
def _libraries_are_no_garbage() -> None:
    """What was imported is not looked through for garbage again and again: each time takes 0.2 s."""
    global _looked_at
    if len(sys.modules) > _looked_at + MODULES:
        _looked_at = len(sys.modules)
        gc.collect()  # what is garbage by now goes before
        gc.freeze()


@pytest.fixture(scope="session")
def template() -> dict[str, str]:
    """What a backend's environment has besides, so that its workers load their libraries once for all."""
    return worker_template()


def fork_children(template: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """Limited children have their libraries loaded; ``gguf/test_limited.py`` starts true ones."""
    if template:
        patch.setattr(limited, "subprocess", Forks(template[FORKS]))


@pytest.fixture
def forked(template: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the limited children of one test."""
    fork_children(template, monkeypatch)


@pytest.fixture
def forked_workers(template: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The test and its backends fork their workers; tests of processes' starts and ends have true ones."""
    fork_workers(template, monkeypatch)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, which is read by all tests and written to by none."""
    return made_once(tmp_path_factory)


def made_once(factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, made by whoever needs it first: it takes seconds.

    ``ARKOR_TEST_CACHE`` keeps it for as long as what it is made by and of stays the same.
    """
    made_by = [Path(tiny_model.__file__).read_text(), *map(version, ("torch", "transformers", "tokenizers"))]
    name = f"tiny-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]}"
    cache, base = os.environ.get("ARKOR_TEST_CACHE"), factory.getbasetemp()
    place = Path(cache, "tests") if cache else base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place.mkdir(parents=True, exist_ok=True)
    folder, part = place / name, place / f"{name}.part"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(part, ignore_errors=True)
            making = [sys.executable, "-m", "tests.local.tiny_model", str(part)]
            subprocess.run(making, check=True, capture_output=True)
            part.rename(folder)
    return folder


def make_project(root: Path, tiny: Path | None = None) -> Path:
    """A project with the phrase's chats, and with the tiny model if there is one."""
    write_jsonl(root / "data" / "chats.jsonl", chats())
    if tiny:
        shutil.copytree(tiny, root / "models" / "tiny")
    return root


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return make_project(tmp_path_factory.mktemp("shared") / "tests", tiny)


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory, shared_project: Path, template: dict[str, str]
) -> Iterator[Backend]:
    """A backend that many tests use, none of which may end it."""
    root = tmp_path_factory.mktemp("backend.v1")
    backend = Backend.start(root / "data", shared_project, root / "cache", **template)
    yield backend
    backend.stop()


@dataclass
class Trained:
    """A finished job and the events that led there, as first seen."""

    backend: Backend
    job: str
    events: list[Frame]
    data: Path


@pytest.fixture(scope="session")
def shared_data(shared: Backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the shared backend."""
    return next(tmp_path_factory.getbasetemp().glob("backend.v1*")) / "data"


@pytest.fixture(scope="session")
def trained(shared: Backend, shared_data: Path) -> Trained:
    return _trained(shared, shared_data, CONFIG)


@pytest.fixture(scope="session")
def answered(shared: Backend, shared_data: Path) -> Trained:
    """The same job with sample answers."""
    return _trained(shared, shared_data, SAMPLED)


def _trained(shared: Backend, shared_data: Path, config: dict[str, Any]) -> Trained:
    job = shared.submit(config, "parrot")
    # A busy machine may take long enough for a keep-alive, which is no part of the story.
    events = [frame for frame in shared.events(job) if frame.event != "ping"]
    return Trained(shared, job, events, shared_data)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the test's own, without a model: what fails before one is needed needs no torch."""
    return make_project(tmp_path / "tests")


@pytest.fixture
def backend(tmp_path: Path, project: Path) -> Iterator[Backend]:
    """A backend of the test's own."""
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    yield backend
    backend.stop()

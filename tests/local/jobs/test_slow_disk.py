"""A data base that is locked or a disk that is full for a while: nothing hangs, and no verdict is lost."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.verdict_file import kept_verdict
from tests.local.harness import Backend, until
from tests.support.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCKED_SECONDS = 1.5
"""Longer than any single attempt to write, and than several of them."""


def lock(data: Path) -> sqlite3.Connection:
    """Keep every other connection from writing until this one is closed."""
    held = sqlite3.connect(data / "backend.sqlite", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    return held


class _Source(BaseHTTPRequestHandler):
    """A data set's server that answers 404, but not before it is told to."""

    asked = threading.Event()
    go = threading.Event()

    def do_GET(self) -> None:
        self.asked.set()
        self.go.wait(110)
        self.send_error(404)


@pytest.fixture
def source(project: Path) -> Iterator[dict[str, Any]]:
    """A job's config; the job runs until ``_Source.go`` is set, and fails then, before it loads its model."""
    (project / "models" / "none").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (project / "models" / "none" / name).write_text("{}")
    _Source.asked.clear()
    _Source.go.clear()
    with serving(_Source) as url:
        yield {"model": "./models/none", "datasetSource": {"type": "blob", "url": f"{url}/rows.jsonl"}}
        _Source.go.set()


def test_a_locked_database_delays_only_writes(backend: Backend, tmp_path: Path) -> None:
    created: list[int] = []

    def create() -> None:
        config = {"model": "./models/none", "datasetSource": {"type": "file", "path": "data/chats.jsonl"}}
        created.append(backend.call("POST", "/v1/jobs", {"name": "late", "config": config}).status)

    with closing(lock(tmp_path / "data")):
        creating = threading.Thread(target=create)
        creating.start()
        began = time.monotonic()
        took: list[float] = []
        while time.monotonic() - began < LOCKED_SECONDS or len(took) < 5:
            asked = time.monotonic()
            assert backend.call("GET", "/v1/jobs").json["jobs"] == []
            took.append(time.monotonic() - asked)
            time.sleep(0.05)
        # Of all of them, as the machine may stand still during one.
        assert statistics.median(took) < LOCKED_SECONDS - 0.2
        assert created == []
    creating.join(60)
    assert created == [200]


def test_a_verdict_is_written_once_the_database_is_unlocked(
    backend: Backend, tmp_path: Path, source: dict[str, Any]
) -> None:
    job = backend.submit(source)
    assert _Source.asked.wait(60)
    with closing(lock(tmp_path / "data")):
        _Source.go.set()
        until(lambda: not backend.processes("training.worker"))
        time.sleep(LOCKED_SECONDS)
        assert backend.job(job)["status"] == "running"
    until(lambda: backend.job(job)["status"] == "failed")
    assert "404" in backend.job(job)["error"]
    assert [frame.event for frame in backend.events(job)][-2:] == ["training.failed", "end"]


def test_a_verdict_that_waits_for_the_disk_survives_a_kill(
    tmp_path: Path, project: Path, source: dict[str, Any]
) -> None:
    first = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    job = first.submit(source)
    assert _Source.asked.wait(60)
    with closing(lock(tmp_path / "data")):
        _Source.go.set()
        until(lambda: not first.processes("training.worker"))
        until(lambda: kept_verdict(tmp_path / "data", job))
        time.sleep(LOCKED_SECONDS)
        first.process.kill()
        first.process.wait()
    first.stop()
    second = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    try:
        # The start waits for this too, but on a slow disk not for long.
        until(lambda: second.job(job)["status"] == "failed")
        assert "404" in second.job(job)["error"]
    finally:
        second.stop()

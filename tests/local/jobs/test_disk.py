"""What lies on the disk: counted without following a link, and removed without touching what is another's."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.units import format_bytes
from arkor_dev.local.jobs.disk import (
    LEAST_FREE,
    disk_shortage,
    disk_use,
    job_bytes,
    leftovers,
    remove_files,
    remove_leftovers,
    remove_models,
)
from arkor_dev.local.jobs.job_folder import job_folder
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.models.catalog import STARTER_FOLDER

from .test_order import fill
from .test_store import CONFIG

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of one project among several, and a model hub's cache of the test's own."""
    folder = tmp_path / "projects" / "one"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    Store(folder / "backend.sqlite", "local").close()
    return folder


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x" * 998)
    return folder


def test_disk_use_is_split_by_jobs_and_models(data: Path, tmp_path: Path) -> None:
    for job_id in ("job_a", "job_gone"):
        fill(data, job_id)
    (data / "jobs" / "job_a" / "more").write_bytes(b"x" * 5)
    (data / "jobs" / "stray").write_bytes(b"x" * 7)
    model(tmp_path / "cache" / "models" / STARTER_FOLDER)
    blob = model(tmp_path / "hub" / "models--org--small")
    (blob / "linked.safetensors").symlink_to(blob / "model.safetensors")
    use = disk_use(data, tmp_path / "cache", {"job_b": "bare", "job_a": "full"})
    assert use["jobs"] == [
        {"id": "job_a", "name": "full", "bytes": 105},
        {"id": "job_b", "name": "bare", "bytes": 0},
    ]
    assert use["models"] == [
        {"name": STARTER_FOLDER, "bytes": 1000, "used": False, "shared": False},
        {"name": "org/small", "bytes": 1000, "shared": True},
    ]
    assert use["leftovers"] == 107
    assert use["database"] >= (data / "backend.sqlite").stat().st_size
    assert use["free"] > 0


def test_symlinks_are_neither_counted_nor_followed(data: Path, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "kept").write_bytes(b"x" * 1000)
    folder = fill(data, "job_a")
    (folder / "out").symlink_to(treasure)
    (data / "jobs" / "job_link").symlink_to(treasure)
    assert (job_bytes(data, "job_a"), job_bytes(data, "job_link")) == (100, 0)
    assert remove_leftovers(leftovers(data, {"job_a"})) == 0
    remove_files(data, "job_a")
    assert list((data / "jobs").iterdir()) == []
    assert (treasure / "kept").exists()


def test_only_folders_without_a_job_are_leftovers(data: Path) -> None:
    kept, gone = fill(data, "job_a"), fill(data, "job_b")
    assert remove_leftovers(leftovers(data, {"job_a"})) == 100
    assert (kept.exists(), gone.exists()) == (True, False)
    remove_files(data, "job_never")


def test_unused_models_are_removed_but_the_hub_cache_kept(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    starter = model(cache / "models" / STARTER_FOLDER)
    shared = model(tmp_path / "hub" / "models--org--small")
    assert remove_models(data, cache) == 1000
    assert not starter.exists()
    assert shared.exists()


@pytest.mark.parametrize("unreadable", [False, True])
def test_models_used_by_other_projects_are_kept(data: Path, tmp_path: Path, unreadable: bool) -> None:
    cache, other = tmp_path / "cache", data.parent / "other"
    starter = model(cache / "models" / STARTER_FOLDER)
    other.mkdir()
    if unreadable:
        (other / "backend.sqlite").write_bytes(b"no data base" * 1000)
    else:
        with closing(Store(other / "backend.sqlite", "local")) as store:
            store.create("a", {**CONFIG, "model": STARTER_FOLDER.upper()})
    assert remove_models(data, cache) == 0
    assert starter.exists()
    with closing(sqlite3.connect(data / "backend.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_files_written_after_a_deletion_are_removed(data: Path) -> None:
    folder = job_folder(data, "gone") / "exports"
    (folder / "deep").mkdir(parents=True)
    ended = time.monotonic() + 0.5

    def write() -> None:
        n = 0
        while time.monotonic() < ended:
            n += 1
            with contextlib.suppress(OSError):
                (folder / "deep" / str(n % 50)).write_bytes(b"x")
                (folder / "deep" / str((n + 25) % 50)).unlink()
                (folder / f"new-{n}").mkdir()

    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write)
        remove_files(data, "gone")
        assert not folder.parent.exists()
        writer.result()
    assert not folder.parent.exists()


def test_a_folder_may_vanish_while_it_is_measured(tmp_path: Path) -> None:
    """Checkpoints come and go while a job's page asks for its size."""
    folder = job_folder(tmp_path, "job_a") / "checkpoints"
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            for step in range(20):
                (folder / str(step)).mkdir(parents=True, exist_ok=True)
                (folder / str(step) / "state.pt").write_bytes(b"1")
            shutil.rmtree(folder)

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        assert max(job_bytes(tmp_path, "job_a") for _ in range(300)) <= 20
    finally:
        over.set()
        churning.join()


@pytest.mark.parametrize(
    ("total", "free", "asked", "short"),
    [
        (100, 6, None, False),
        (100, 4.9, None, True),  # less than a twentieth
        (20, 1.9, None, True),  # less than 2 GiB
        (20, 2, None, False),
        (100, 1, "0", False),
        (100, 90, str(91 << 30), True),
        (100, 90, "much", False),
    ],
)
def test_the_free_space_limit_is_a_share_of_the_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    total: float,
    free: float,
    asked: str | None,
    short: bool,
) -> None:
    monkeypatch.delenv(LEAST_FREE, raising=False)
    if asked is not None:
        monkeypatch.setenv(LEAST_FREE, asked)
    gib = 2**30
    usage = SimpleNamespace(total=int(total * gib), free=int(free * gib))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    said = disk_shortage(tmp_path)
    assert (said is not None) is short
    if said:
        assert said.startswith(f"The disk has {format_bytes(free * gib)} free")
        assert "arkor-dev local gc" in said


def test_much_freed_database_space_is_returned(data: Path) -> None:
    store = Store(data / "backend.sqlite", "local")

    def size() -> int:
        return (data / "backend.sqlite").stat().st_size

    def job_with(events: int) -> str:
        job_id: str = store.create("a", CONFIG)["id"]
        store.append(job_id, [{"type": "training.message", "message": "x" * 1000}] * events)
        store.finish(job_id, {"type": "training.completed"})
        return job_id

    try:
        kept, small, large = job_with(3000), job_with(10), job_with(3000)
        store.remove(small)
        assert (store.unused(), store.give_back()) == (0, 0), "little is not worth writing all anew"
        before = store.events(kept, 0, 10_000)
        full = size()
        store.remove(large)
        spare = store.unused()
        assert spare > 2_500_000
        assert store.give_back() == spare
        whole = size()
        assert whole < 0.6 * full, "and it is back on the disk"
        assert (store.unused(), store.give_back()) == (0, 0)
        assert store.events(kept, 0, 10_000) == before
        job_with(1)
        assert size() <= whole + 100_000
    finally:
        store.close()

"""The store's format: every earlier one is read, a later one is left alone, and no fault loses a job."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from arkor_dev import __version__
from arkor_dev.local.jobs import database
from arkor_dev.local.jobs.database import VERSION, NewerFormatError, open_database
from arkor_dev.local.jobs.store import ENDED, Store
from arkor_dev.local.jobs.verdict_file import kept_verdict
from tests.local.harness import Backend, launch, until

from .make_store import CONFIG, fill

DATA = Path(__file__).with_name("data")
EARLIER = range(VERSION)


def made(path: Path, version: int) -> Path:
    """A file as ``version`` left it, with its last writes still in the write-ahead log, as after a kill."""
    code = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA journal_mode=WAL')\n"
        "db.executescript(open(sys.argv[2]).read())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(DATA / f"store-v{version}.sql")])
    assert done.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-wal").stat().st_size
    return path


def rows_of(db: sqlite3.Connection) -> list[list[Any]]:
    """The jobs and events of a file of any version, and its project's id."""
    tables = ("jobs", "events", "meta WHERE key = 'projectId'")
    return [db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]  # noqa: S608


def content(path: Path) -> list[list[Any]]:
    with closing(sqlite3.connect(path)) as db:
        return rows_of(db)


def content_as_kept(version: int) -> list[list[Any]]:
    """What the kept file of a version says."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript((DATA / f"store-v{version}.sql").read_text())
        return rows_of(db)


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backend.sqlite"


def test_a_file_of_each_earlier_version_is_kept() -> None:
    assert sorted(file.name for file in DATA.glob("*.sql")) == [f"store-v{n}.sql" for n in EARLIER]


def test_a_new_file_has_this_version_and_no_copy(path: Path) -> None:
    with closing(Store(path, "local")) as store:
        fill(store)
    assert version_of(path) == VERSION
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_file_is_migrated_and_copied(
    path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    made(path, version)
    project = content_as_kept(version)[2][0][1]
    with closing(Store(path, "local")) as store:
        assert store.project_id == project
        jobs = {job["name"]: job for job in json.loads(store.listing())["jobs"]}
        assert list(jobs) == ["queued", "running", "cancelled", "failed", "complèted"]
        assert [job["status"] for job in jobs.values()] == [*list(jobs)[:-1], "completed"]
        whole = jobs["complèted"]
        assert whole["config"] == CONFIG
        assert whole["metrics"]["bestEvalLoss"] == 1.5
        *_, (number, name, data) = store.events(whole["id"], 0, 100)
        assert (number, name) == (5, "training.completed")
        assert json.loads(data)["artifacts"][0]["path"] == f"/data/jobs/{whole['id']}/final"
        assert jobs["failed"]["error"] == "out of memory"
        # It goes on as if nothing had been: what ran is next, and then what waits, with its secret.
        assert store.recover(lambda job: kept_verdict(path.parent, job)) == [jobs["running"]["id"]]
        started = store.start_next()
        assert started
        assert started[0] == jobs["running"]["id"]
        assert store.orders(started[0])["why"] == ENDED
        started = store.start_next()
        assert started
        assert started[0] == jobs["queued"]["id"]
        assert started[1]["datasetSource"]["token"] == "s3cret"
    assert version_of(path) == VERSION
    copy = path.with_name(f"backend-v{version}.sqlite")
    assert content(copy) == content_as_kept(version)
    assert version_of(copy) == version
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.parent.iterdir()) == sorted([path, copy])
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} has format {version} and gets format {VERSION}; {copy.name} is a copy of it"
    ]


def test_a_file_of_this_version_is_opened_without_a_copy(path: Path) -> None:
    made(path, 0)
    Store(path, "local").close()
    copy = path.with_name("backend-v0.sqlite")
    copy.unlink()
    before = path.read_bytes()
    open_database(path).close()
    assert not copy.exists()
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", EARLIER)
def test_a_migration_that_fails_leaves_the_old_file(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(path, version)
    step = ("ALTER TABLE jobs ADD COLUMN extra TEXT", "DELETE FROM events", "INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(database, "STEPS", (*database.STEPS, step))
    monkeypatch.setattr(database, "VERSION", VERSION + 1)
    before = content(path)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Store(path, "local")
    assert content(path) == before
    assert version_of(path) == version


@pytest.mark.parametrize("version", EARLIER)
def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_file(path: Path, version: int) -> None:
    made(path, version)
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from arkor_dev.local.jobs import database\n"
        "class Killing(tuple):\n"
        "    def __iter__(self):\n"
        "        yield from super().__iter__()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "half = Killing(('ALTER TABLE jobs ADD COLUMN extra TEXT', 'DELETE FROM events'))\n"
        "database.STEPS = (*database.STEPS, half)\n"
        "database.VERSION += 1\n"
        "database.open_database(Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    assert content(path) == content_as_kept(version)
    assert version_of(path) == version
    Store(path, "local").close()
    assert version_of(path) == VERSION


def test_no_migration_without_its_copy(path: Path) -> None:
    made(path, 0)
    path.with_name("backend-v0.sqlite").mkdir()  # a copy cannot be put here
    with pytest.raises(OSError, match="backend-v0"):
        Store(path, "local")
    assert version_of(path) == 0
    assert content(path) == content_as_kept(0)


def newer(path: Path, *statements: str) -> dict[str, bytes]:
    """Make ``path`` one that a later version wrote and was killed at; the bytes of its files."""
    made(path, 0)
    with closing(sqlite3.connect(path)) as db:
        for statement in (f"PRAGMA user_version = {VERSION + 2}", *statements):
            db.execute(statement)
        db.commit()
        wal = {file.name: file.read_bytes() for file in path.parent.glob("backend.sqlite*")}
    for name, data in wal.items():  # as a kill leaves it: the last connection's end has emptied the log
        if not name.endswith("-shm"):
            path.with_name(name).write_bytes(data)
    return {name: data for name, data in wal.items() if not name.endswith("-shm")}


@pytest.mark.parametrize(
    ("statements", "writer"),
    [
        (("INSERT INTO meta VALUES ('writtenBy', '7.8.9')",), "arkor-dev 7.8.9"),
        (("DROP TABLE meta",), "a later arkor-dev"),
    ],
)
def test_a_newer_file_is_refused_and_left_as_it_is(
    path: Path, statements: tuple[str, ...], writer: str
) -> None:
    before = newer(path, *statements)
    with pytest.raises(NewerFormatError) as fault:
        Store(path, "local")
    text = str(fault.value)
    assert text.startswith(
        f"{path} has format {VERSION + 2}, written by {writer}; this arkor-dev {__version__} knows"
    )
    assert text.endswith(f"Nothing was changed. Update arkor-dev, or move {path.parent} away to start anew.")
    assert {name: path.with_name(name).read_bytes() for name in before} == before


def test_a_newer_file_names_the_copy_that_can_be_put_back(path: Path) -> None:
    newer(path)
    path.with_name("backend-v0.sqlite").touch()
    path.with_name(f"backend-v{VERSION + 1}.sqlite").touch()  # no version of ours: it is no way back
    with pytest.raises(
        NewerFormatError, match=r"put backend-v0\.sqlite \(the jobs before the update\) in its"
    ):
        Store(path, "local")


def test_the_process_says_why_it_does_not_open_a_newer_file(path: Path, project: Path) -> None:
    newer(path)
    process = launch(path.parent, project, path.parent / "cache", {})
    hello = {"token": "t", "orgSlug": "local", "projectSlug": "tests"}
    _, errors = process.communicate(json.dumps(hello).encode() + b"\n", timeout=60)
    assert process.returncode == 76
    assert b"Nothing was changed. Update arkor-dev" in errors
    assert len(errors.splitlines()) == 1


def test_a_backend_goes_on_with_an_earlier_project(tmp_path: Path, project: Path) -> None:
    (tmp_path / "data").mkdir()
    made(tmp_path / "data" / "backend.sqlite", 0)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache")
    try:
        jobs = backend.call("GET", "/v1/jobs").json["jobs"]
        assert len(jobs) == 5
        done = next(job for job in jobs if job["status"] == "completed")
        assert [frame.event for frame in backend.events(done["id"])][-2:] == ["training.completed", "end"]
        until(lambda: any("backend-v0.sqlite is a copy" in line for line in backend.errors))
    finally:
        backend.stop()
    assert (tmp_path / "data" / "backend-v0.sqlite").exists()

"""The store's file: made whole or not at all, and one of another format is refused and left alone."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from arkor_dev import __version__
from arkor_dev.local.jobs.database import FORMAT, UnknownFormatError, open_database
from arkor_dev.local.jobs.store import Store
from tests.local.harness import launch, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backend.sqlite"


def written(path: Path, *statements: str) -> dict[str, bytes]:
    """A store with a job, changed by ``statements`` and killed; its files as the kill left them."""
    with closing(Store(path, "local")) as store:
        store.create("one", {"model": "starter"})
    code = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: db.execute(statement)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), *statements])
    assert done.returncode == -signal.SIGKILL
    return {
        file.name: file.read_bytes()
        for file in path.parent.glob("backend.sqlite*")
        if not file.name.endswith("-shm")
    }


def test_reopening_a_database_does_not_change_it(path: Path) -> None:
    before = written(path)
    open_database(path).close()
    assert path.read_bytes() == before[path.name]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_kill_during_creation_leaves_an_empty_database(path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from arkor_dev.local.jobs import database\n"
        "class Killing(tuple):\n"
        "    def __iter__(self):\n"
        "        yield from super().__iter__()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "database.SCHEMA = Killing(database.SCHEMA)\n"
        "database.open_database(Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -signal.SIGKILL
    with closing(Store(path, "local")) as store:
        assert json.loads(store.listing())["jobs"] == []


NEWER = f"PRAGMA user_version = {FORMAT + 1}"


@pytest.mark.parametrize(
    ("statements", "writer"),
    [
        ([NEWER, "UPDATE meta SET value = '7.8.9' WHERE key = 'writtenBy'"], "arkor-dev 7.8.9"),
        ([NEWER, "DROP TABLE meta"], "a later arkor-dev"),
        (["PRAGMA application_id = 0"], "an arkor-dev from before the first release"),
    ],
)
def test_another_database_format_is_refused_unchanged(path: Path, statements: list[str], writer: str) -> None:
    before = written(path, *statements)
    with pytest.raises(UnknownFormatError) as fault:
        Store(path, "local")
    assert str(fault.value) == (
        f"{path} was written by {writer}, in a format that this arkor-dev {__version__} does not read. "
        f"Nothing was changed. Use that version, or move {path.parent} away to start over."
    )
    assert {name: path.with_name(name).read_bytes() for name in before} == before


def test_the_backend_reports_an_unknown_database_format(path: Path, project: Path) -> None:
    written(path, NEWER)
    process = launch(*program(path.parent, project, path.parent / "cache", {}))
    hello = {"token": "t", "orgSlug": "local", "projectSlug": "tests"}
    _, errors = process.communicate(json.dumps(hello).encode() + b"\n", timeout=60)
    assert process.returncode == 76
    assert b"Nothing was changed. Use that version" in errors
    assert len(errors.splitlines()) == 1


def test_a_foreign_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")
    with pytest.raises(UnknownFormatError, match="before the first release"):
        Store(path, "local")

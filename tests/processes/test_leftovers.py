"""What killed launches leave is found by its mark and by nothing else, and ended once."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from arkor_dev.processes.leftovers import VARIABLE, Marks
from tests.support.processes import alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def sleeper(mark: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a mark, and little else in its environment."""
    process = subprocess.Popen(["/bin/sleep", "60"], env={"PATH": "/bin", **mark, "Z": "z"})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lives(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None and alive(process.pid)


def test_only_processes_of_a_killed_run_are_ended() -> None:
    marks, others = Marks(None), Marks(None)
    similar = {f"X{VARIABLE}": f"{marks.name}.1", "Y": f"{VARIABLE}={marks.name}.1"}
    with (
        sleeper(marks.of("1")) as mine,
        sleeper(marks.of("12")) as longer,
        sleeper(others.of("1")) as foreign,
        sleeper(similar) as alike,
    ):
        marks.kill("1")
        assert mine.wait(30) == -9
        assert all(map(lives, (longer, foreign, alike)))


def test_only_killed_launches_are_cleaned_up(tmp_path: Path) -> None:
    folder = tmp_path / "launches"
    Marks(folder).settle()  # nothing there yet
    alive_one, here = Marks(folder), Marks(folder)
    alive_one.write_down()
    here.write_down()
    dead = "0123456789abcdef"
    (folder / dead).touch()
    (folder / "notes").touch()
    os.mkfifo(folder / "fedcba9876543210")
    with sleeper({VARIABLE: f"{dead}.1"}) as left, sleeper(alive_one.of("1")) as served:
        here.settle()
        assert left.wait(30) == -9
        assert lives(served)
    assert {path.name for path in folder.iterdir()} >= {alive_one.name, here.name, "notes"}
    assert not (folder / dead).exists()
    alive_one.close()
    here.close()
    assert {path.name for path in folder.iterdir()} <= {"notes", "fedcba9876543210"}


def test_a_starting_launch_is_not_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Studio starts between the making of its record and the locking."""
    folder, lock = tmp_path / "launches", fcntl.flock

    def meanwhile(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        Marks(folder).settle()
        lock(handle, how)

    marks = Marks(folder)
    monkeypatch.setattr(fcntl, "flock", meanwhile)
    for _ in range(2):
        marks.write_down()
        assert [path.name for path in folder.iterdir()] == [marks.name]
        Marks(folder).settle()
    assert [path.name for path in folder.iterdir()] == [marks.name]
    marks.close()
    assert list(folder.iterdir()) == []


def test_the_launch_record_is_private_and_empty(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "launches")
    assert not (tmp_path / "launches").exists()
    marks.write_down()
    marks.write_down()
    record = tmp_path / "launches" / marks.name
    assert (record.stat().st_mode & 0o777, record.stat().st_size) == (0o600, 0)
    assert (tmp_path / "launches").stat().st_mode & 0o777 == 0o700
    marks.close()
    assert not record.exists()


def test_an_unwritable_records_folder_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "launches").write_text("a file in the folder's place")
    marks = Marks(tmp_path / "launches")
    marks.write_down()
    marks.settle()
    marks.close()
    assert "the next start cannot clean up" in caplog.text

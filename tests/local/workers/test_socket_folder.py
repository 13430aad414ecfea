"""The folder of the backend's socket: whose, where, and what becomes of it."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.workers import socket_folder
from arkor_dev.local.workers.socket_folder import LONGEST, NAME, SocketFolder

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty runtime folder with a short path, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


def left_behind(folder: Path) -> Path:
    """A folder of a process that was killed: its socket is there, and nobody listens."""
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / NAME))
    return folder


def test_the_socket_folder_is_private_and_removed(base: Path) -> None:
    folder = SocketFolder.make()
    assert folder.socket.parent.parent == base
    assert folder.socket.parent.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder.socket))
        folder.remove()
    assert list(base.iterdir()) == []
    folder.remove()  # a second time is nothing


def test_folders_of_killed_processes_are_removed(base: Path) -> None:
    left_behind(base / "arkor-dev-abcd1234")
    (base / "arkor-dev-efgh5678").mkdir(mode=0o700)  # killed before it listened
    alive = SocketFolder.make()
    assert list(base.iterdir()) == [alive.socket.parent]
    second = SocketFolder.make()
    assert set(base.iterdir()) == {alive.socket.parent, second.socket.parent}  # the living keep theirs
    alive.remove()
    second.remove()


def test_other_folders_are_kept(base: Path, tmp_path: Path) -> None:
    (base / "arkor-dev-notes").mkdir()
    (base / "arkor-dev-abcd1234").mkdir()
    (base / "arkor-dev-abcd1234" / "diary").write_text("mine")
    (base / "arkor-dev-file1234").write_text("a file")
    left_behind(tmp_path / "elsewhere") if len(str(tmp_path)) < 60 else (tmp_path / "elsewhere").mkdir()
    (base / "arkor-dev-link1234").symlink_to(tmp_path / "elsewhere")
    before = set(base.iterdir())
    SocketFolder.make().remove()
    assert set(base.iterdir()) == before
    assert (base / "arkor-dev-abcd1234" / "diary").read_text() == "mine"
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folders_of_other_users_are_kept(base: Path) -> None:
    theirs = left_behind(base / "arkor-dev-abcd1234")
    os.chown(theirs, 65534, 65534)
    SocketFolder.make().remove()
    assert list(base.iterdir()) == [theirs]


def test_a_folder_removed_before_its_lock_is_recreated(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that starts at the same time takes it for an old one; once."""
    real = socket_folder._open
    cleared: list[Path] = []

    def opened(folder: Path) -> int:
        handle = real(folder)
        if not cleared:
            cleared.append(folder)
            folder.rmdir()
        return handle

    monkeypatch.setattr(socket_folder, "_open", opened)
    folder = SocketFolder.make()
    assert folder.socket.parent.is_dir()
    assert folder.socket.parent != cleared[0]
    folder.remove()


def test_unusable_runtime_folders_are_skipped(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long a path for a socket, one where others could put theirs in our place, none at all."""
    long = tmp_path / ("x" * 100)
    shared = tmp_path / "shared"
    long.mkdir()
    shared.mkdir()
    shared.chmod(0o777)
    for name in (str(long), str(shared), str(tmp_path / "none"), "relative", ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        folder = SocketFolder.make()
        assert folder.socket.parent.parent == Path("/tmp")
        assert len(os.fsencode(folder.socket)) <= LONGEST
        folder.remove()


def test_the_folder_lock_belongs_to_the_process(base: Path) -> None:
    folder = SocketFolder.make()
    handle = os.open(folder.socket.parent, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
    folder.remove()


def test_a_folder_swept_by_another_process_is_recreated(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two backends start in the same moment, and one takes the other's new folder for an old one."""
    make, made = tempfile.mkdtemp, list[str]()

    def swept(*arguments: Any, **more: Any) -> str:
        made.append(make(*arguments, **more))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    folder = SocketFolder.make()
    try:
        assert len(made) == 2
        assert folder.socket.parent == Path(made[1])
        assert folder.socket.parent.parent == base
    finally:
        folder.remove()

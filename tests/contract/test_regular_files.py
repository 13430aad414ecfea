"""Only regular files are read, whatever lies there; nothing blocks, and nothing is read past the limit."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from pathlib import Path

import pytest

from arkor_dev.contract.regular_files import NotRegularError, open_regular, read_small


def test_a_small_file_is_read_completely(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to(path)
    assert read_small(path, 1000) == b"x" * 1000
    assert read_small(tmp_path / "link", 1000) == b"x" * 1000
    path.write_bytes(b"")
    assert read_small(path, 0) == b""


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2049)
    with pytest.raises(NotRegularError) as caught:
        read_small(path, 2048)
    assert caught.value.strerror == "larger than 2 KiB"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_file_without_a_known_size_is_read_up_to_the_limit() -> None:
    path = Path("/proc/self/environ")
    assert path.stat().st_size == 0
    assert read_small(path)
    with pytest.raises(NotRegularError, match="larger than 0 KiB"):
        read_small(path, 3)


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a socket"])
def test_fifos_devices_and_sockets_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path("odd")
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("odd")
    with pytest.raises(OSError, match=r"not a regular file|No such device") as caught:
        read_small(path)
    assert kind == "a socket" or caught.value.strerror == f"{kind}, not a regular file"


def test_errors_of_opening_keep_their_class(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links") as caught:
        open_regular(tmp_path / "loop")
    assert caught.value.errno == errno.ELOOP


def test_descriptors_are_closed_and_not_inherited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"x")
    gc.collect()  # whatever other tests have left behind is closed before, or does not count
    before = {path.name for path in Path("/dev/fd").iterdir()}
    for _ in range(3):
        with pytest.raises(NotRegularError):
            open_regular(tmp_path / "fifo")
    assert {path.name for path in Path("/dev/fd").iterdir()} - before == set()
    with open_regular(tmp_path / "file") as file:
        assert not os.get_inheritable(file.fileno())

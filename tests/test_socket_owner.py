"""Whose a loopback socket is: the kernel asked and its tables read rightly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev import socket_owner
from arkor_dev.socket_owner import ask_kernel, owner_of, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[[tuple[str, int], tuple[str, int]], int | None]

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net and sock_diag are Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
ways = pytest.mark.parametrize("ask", [ask_kernel, read_tables, owner_of])

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
# 127.0.0.1:50000 → 127.0.0.1:4000 as a little-endian kernel prints it, in IPv4 and mapped into IPv6.
REST = "01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0"
MAPPED = "0000000000000000FFFF00000100007F"
ROW = f"   0: 0100007F:C350 0100007F:0FA0 {REST}"
BACK = f"   1: 0100007F:0FA0 0100007F:C350 {REST}"
ROW6 = f"   0: {MAPPED}:C350 {MAPPED}:0FA0 {REST}"
PEER, OWN = ("127.0.0.1", 50000), ("127.0.0.1", 4000)
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the rows are a little-endian kernel's")


def table(path: Path, *rows: str) -> Path:
    """A file as /proc/net/tcp has it."""
    path.write_text("\n".join([HEAD, *rows, ""]))
    return path


@little_endian
def test_the_owner_of_a_listed_socket(tmp_path: Path) -> None:
    listed = table(tmp_path / "tcp", BACK.format(uid=7, inode=8), ROW.format(uid=1001, inode=9))
    assert read_tables(PEER, OWN, [listed]) == 1001
    assert read_tables(OWN, PEER, [listed]) == 7
    assert read_tables(("127.0.0.1", 50001), OWN, [listed]) is None
    assert read_tables(("127.0.0.2", 50000), OWN, [listed]) is None


@little_endian
def test_a_socket_of_ipv6_that_talks_ipv4(tmp_path: Path) -> None:
    tables = [table(tmp_path / "tcp"), table(tmp_path / "tcp6", ROW6.format(uid=1002, inode=9))]
    assert read_tables(PEER, OWN, tables) == 1002


@little_endian
def test_an_orphan_is_nobodys(tmp_path: Path) -> None:
    """A socket whose process has ended is listed as root's, with inode 0."""
    assert read_tables(PEER, OWN, [table(tmp_path / "tcp", ROW.format(uid=0, inode=0))]) is None


def test_missing_tables_tell_nothing(tmp_path: Path) -> None:
    assert read_tables(PEER, OWN, [tmp_path / "tcp", tmp_path / "tcp6"]) is None


@linux
@ways
def test_a_true_socket_is_mine(ask: Ask) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
    ):
        assert ask(mine.getsockname(), mine.getpeername()) == os.getuid()


@linux
@ways
def test_a_true_socket_of_ipv6_is_mine(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as mine:
        mine.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        assert ask(("127.0.0.1", mine.getsockname()[1]), server.getsockname()) == os.getuid()


@linux
@ways
def test_who_only_listens_owns_no_connection(ask: Ask) -> None:
    """Without a connection the kernel names the listener of that port, who may be somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(server.getsockname(), ("127.0.0.1", 1)) is None
        assert ask(("127.0.0.1", 1), server.getsockname()) is None


@linux
@ways
def test_a_connection_that_was_closed_is_nobodys(ask: Ask) -> None:
    """It lingers in TIME_WAIT, listed as root's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        ends = client.getsockname(), client.getpeername()
        client.close()
        accepted.close()
        assert ask(*ends) is None


# Becomes somebody else, connects, says so, and stays until its stdin ends.
STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
mine = socket.socket()
mine.connect((socket.inet_ntoa(bytes([127, 0, 0, 1])), int(sys.argv[1])))
print(mine.getsockname()[1], flush=True)
sys.stdin.read()
"""


@linux
@as_root
@ways
def test_a_strangers_socket(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        argv = [sys.executable, "-I", "-S", "-c", STRANGER, str(address[1])]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            assert ask(("127.0.0.1", int(child.stdout.readline())), address) == 65534
            child.communicate(timeout=10)


@linux
def test_the_tables_are_read_where_the_kernel_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_owner, "_NETLINK_SOCK_DIAG", 31)  # no such protocol
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
    ):
        ends = mine.getsockname(), mine.getpeername()
        assert ask_kernel(*ends) is None
        assert owner_of(*ends) == os.getuid()

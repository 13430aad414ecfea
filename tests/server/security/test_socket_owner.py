"""Whose a loopback socket is: the kernel asked and its tables read rightly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.server.security import socket_owner
from arkor_dev.server.security.socket_owner import Kernel, Tables, open_owners
from tests.support.limits import no_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.server.security.socket_owner import Address, SocketOwners

    Ask = Callable[[Address, Address], int | None]

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net and sock_diag are Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
ways = pytest.mark.parametrize("way", [Kernel, Tables, open_owners])

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
# 127.0.0.1:50000 → 127.0.0.1:4000 as a little-endian kernel prints it, in IPv4 and mapped into IPv6.
REST = "01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0"
MAPPED = "0000000000000000FFFF00000100007F"
ROW = f"   0: 0100007F:C350 0100007F:0FA0 {REST}"
BACK = f"   1: 0100007F:0FA0 0100007F:C350 {REST}"
ROW6 = f"   0: {MAPPED}:C350 {MAPPED}:0FA0 {REST}"
PEER, OWN = ("127.0.0.1", 50000), ("127.0.0.1", 4000)
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the rows are a little-endian kernel's")


@pytest.fixture
def ask(way: Callable[[], SocketOwners]) -> Iterator[Ask]:
    """One of the ways to see whose a socket is, open."""
    owners = way()
    yield owners.owner_of
    owners.close()


def read_tables(local: Address, remote: Address, tables: Sequence[Path]) -> int | None:
    """What such tables say."""
    owners = Tables(tables)
    try:
        return owners.owner_of(local, remote)
    finally:
        owners.close()


def table(path: Path, *rows: str) -> Path:
    """A file as /proc/net/tcp has it."""
    path.write_text("\n".join([HEAD, *rows, ""]))
    return path


@little_endian
def test_the_owner_is_read_from_proc_net_tcp(tmp_path: Path) -> None:
    listed = table(tmp_path / "tcp", BACK.format(uid=7, inode=8), ROW.format(uid=1001, inode=9))
    assert read_tables(PEER, OWN, [listed]) == 1001
    assert read_tables(OWN, PEER, [listed]) == 7
    assert read_tables(("127.0.0.1", 50001), OWN, [listed]) is None
    assert read_tables(("127.0.0.2", 50000), OWN, [listed]) is None


@little_endian
def test_the_owner_of_an_ipv4_mapped_socket_is_read(tmp_path: Path) -> None:
    tables = [table(tmp_path / "tcp"), table(tmp_path / "tcp6", ROW6.format(uid=1002, inode=9))]
    assert read_tables(PEER, OWN, tables) == 1002


@little_endian
def test_an_orphaned_socket_has_no_owner(tmp_path: Path) -> None:
    """A socket whose process has ended is listed as root's, with inode 0."""
    assert read_tables(PEER, OWN, [table(tmp_path / "tcp", ROW.format(uid=0, inode=0))]) is None


def test_missing_tables_raise_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="lists no sockets"):
        Tables([tmp_path / "tcp", tmp_path / "tcp6"])


@little_endian
def test_a_missing_ipv6_table_is_ignored(tmp_path: Path) -> None:
    assert read_tables(PEER, OWN, [table(tmp_path / "tcp", ROW.format(uid=1, inode=9)), tmp_path / "no"]) == 1


@linux
@little_endian
def test_an_unreadable_table_yields_no_owner(tmp_path: Path) -> None:
    """Nor does the one after it: who has seen half of the machine has not seen who is there."""
    (tmp_path / "file").symlink_to("/proc/self/mem")  # opens, and refuses to be read at 0
    tables = [tmp_path / "file", table(tmp_path / "tcp6", ROW6.format(uid=1002, inode=9))]
    assert read_tables(PEER, OWN, tables) is None


@linux
@ways
def test_the_owner_of_a_real_socket_is_found(ask: Ask) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
    ):
        assert ask(mine.getsockname(), mine.getpeername()) == os.getuid()


@linux
@ways
def test_the_owner_of_a_real_ipv6_socket_is_found(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as mine:
        mine.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        assert ask(("127.0.0.1", mine.getsockname()[1]), server.getsockname()) == os.getuid()


@linux
@ways
def test_a_listener_is_not_the_owner_of_a_connection(ask: Ask) -> None:
    """Without a connection the kernel names the listener of that port, who may be somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(server.getsockname(), ("127.0.0.1", 1)) is None
        assert ask(("127.0.0.1", 1), server.getsockname()) is None


@linux
@ways
def test_a_closed_connection_has_no_owner(ask: Ask) -> None:
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
def test_the_owner_of_another_users_socket_is_found(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        argv = [sys.executable, "-I", "-S", "-c", STRANGER, str(address[1])]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            assert ask(("127.0.0.1", int(child.stdout.readline())), address) == 65534
            child.communicate(timeout=60)


def no_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without sock_diag."""
    monkeypatch.setattr(socket_owner, "_NETLINK_SOCK_DIAG", 31)  # no such protocol


@linux
def test_without_netlink_the_tables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    no_netlink(monkeypatch)
    with pytest.raises(OSError, match="rotocol not supported"):
        Kernel()
    owners = open_owners()
    assert isinstance(owners, Tables)
    owners.close()


@linux
def test_an_unreliable_netlink_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module for TCP may be missing: it then says of every socket that there is none."""
    monkeypatch.setattr(socket_owner, "_SOCK_DIAG_BY_FAMILY", 4711)
    owners = open_owners()
    assert isinstance(owners, Tables)
    owners.close()


@linux
def test_a_system_without_both_raises_os_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_netlink(monkeypatch)
    monkeypatch.setattr(Tables.__init__, "__defaults__", ([table(tmp_path / "tcp")],))
    with pytest.raises(OSError, match="does not report the owner of a connection"):
        open_owners()


@linux
@ways
def test_looking_up_an_owner_needs_no_new_descriptor(ask: Ask) -> None:
    """Whoever uses them all up must not decide what is seen."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
        no_descriptors(),
    ):
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        assert ask(mine.getsockname(), mine.getpeername()) == os.getuid()
        assert ask(("127.0.0.1", 1), server.getsockname()) is None

"""Finds the account that owns the other end of a loopback connection, on Linux.

Queries the kernel for this single socket (``sock_diag(7)``, like ``ss``), or reads its tables in
``/proc/net``, which takes milliseconds, if that fails. Both are opened once per launch: a look-up must not
need a descriptor, since whoever exhausts them could otherwise disable the check.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO

Address = tuple[str, int]

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_TCP_LISTEN = 10
_ANY = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_PORTS = struct.Struct("!HH")
_ADDRESSES = struct.Struct("16s16s")
_SOCKET = struct.Struct("=III")  # interface, cookie
_ANSWER = struct.Struct("=BBBB4s32s12sIIIII")  # family, state, …, ports, addresses, socket, …, uid, inode


class SocketOwners(Protocol):
    """Looks up the owner of a socket."""

    def owner_of(self, local: Address, remote: Address) -> int | None:
        """Return the uid that owns the IPv4 socket at ``local`` connected to ``remote``, or None."""

    def close(self) -> None:
        """Release its resources."""


class Kernel:
    """Looks up owners by sock_diag over one netlink socket. Raises OSError if it is unavailable."""

    def __init__(self) -> None:
        family = getattr(socket, "AF_NETLINK", None)
        if family is None:
            raise OSError("this system has no netlink")
        self._socket = socket.socket(family, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._socket.setblocking(False)  # the kernel answers before send() returns
        self._sequence = 0

    def owner_of(self, local: Address, remote: Address) -> int | None:
        """See :class:`SocketOwners`. Takes about 10 µs."""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        ports = _PORTS.pack(local[1], remote[1])
        addresses = _ADDRESSES.pack(socket.inet_aton(local[0]), socket.inet_aton(remote[0]))
        request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY)
        request += ports + addresses + _SOCKET.pack(0, _ANY, _ANY)
        header = _HEADER.pack(
            _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, self._sequence, 0
        )
        try:
            self._socket.send(header + request)
            answer = self._answer()
        except OSError:
            return None
        if (
            len(answer) < _HEADER.size + _ANSWER.size
            or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY
        ):
            return None
        _, state, _, _, its_ports, _, _, _, _, _, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
        # Without a connection the kernel reports the listener; a socket without an inode (its process is
        # gone) is listed with uid 0, which is not its owner.
        return int(uid) if state != _TCP_LISTEN and its_ports == ports and inode else None

    def _answer(self) -> bytes:
        """Return the kernel's answer to the newest request. Raises OSError without one."""
        while True:
            answer, (sender, _) = self._socket.recvfrom(4096)
            if (
                sender == 0
                and len(answer) >= _HEADER.size
                and _HEADER.unpack_from(answer)[3] == self._sequence
            ):
                return answer

    def close(self) -> None:
        self._socket.close()


def _kernel_word(raw: bytes) -> str:
    # The kernel prints each 32-bit word of an address in native byte order.
    return f"{struct.unpack('=I', raw)[0]:08X}"


_MAPPED = "0" * 16 + _kernel_word(b"\0\0\xff\xff")  # ::ffff:0:0/96


def _as_kernel_prints(address: str, port: int) -> tuple[str, str]:
    """Format an IPv4 end point as ``tcp`` lists it and, mapped into IPv6, as ``tcp6`` does."""
    word = _kernel_word(socket.inet_aton(address))
    return f"{word}:{port:04X}", f"{_MAPPED}{word}:{port:04X}"


class Tables:
    """Looks up owners in ``/proc/net``. Raises OSError if the tables are unavailable."""

    def __init__(self, tables: Iterable[Path] = TABLES) -> None:
        with ExitStack() as stack:
            self._files: list[FileIO] = []
            for path in tables:
                if path.exists():  # a kernel without IPv6 has one table
                    self._files.append(stack.enter_context(path.open("rb", buffering=0)))
            if not self._files:
                raise OSError("this system lists no sockets")
            self._open = stack.pop_all()

    def owner_of(self, local: Address, remote: Address) -> int | None:
        """See :class:`SocketOwners`. Takes milliseconds if there are many sockets."""
        ends = set(zip(_as_kernel_prints(*local), _as_kernel_prints(*remote), strict=True))
        for table in self._files:
            try:
                table.seek(0)
                lines = table.read().decode("ascii").splitlines()[1:]
            except OSError:
                return None
            for line in lines:
                fields = line.split()
                # As above: an orphan has inode 0 and uid 0.
                if (fields[1], fields[2]) in ends and fields[9] != "0":
                    return int(fields[7])
        return None

    def close(self) -> None:
        self._open.close()


def open_owners() -> SocketOwners:
    """Return the first method that identifies us as the owner of our own connection. Raises OSError."""
    for kind in (Kernel, Tables):
        try:
            owners: SocketOwners = kind()
        except OSError:
            continue
        if _shows_us(owners):
            return owners
        owners.close()
    raise OSError("this system does not report the owner of a connection")


def _shows_us(owners: SocketOwners) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as mine:
        mine.connect(server.getsockname())
        return owners.owner_of(mine.getsockname(), mine.getpeername()) == os.getuid()

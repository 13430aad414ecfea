"""Which account owns the other end of a loopback connection, as Linux knows it.

The kernel is asked for the one socket (``sock_diag(7)``, what ``ss`` uses): some 15 µs, whatever else the
machine has open. Where it does not answer, its tables in ``/proc/net`` are read, which takes milliseconds.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def owner_of(local: Address, remote: Address) -> int | None:
    """The uid that owns the IPv4 socket bound to ``local`` and connected to ``remote``; None when unknown."""
    owner = ask_kernel(local, remote)
    return read_tables(local, remote) if owner is None else owner


def ask_kernel(local: Address, remote: Address) -> int | None:
    """The owner by sock_diag; None where there is no such socket, or no such way to ask."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    ports = _PORTS.pack(local[1], remote[1])
    addresses = _ADDRESSES.pack(socket.inet_aton(local[0]), socket.inet_aton(remote[0]))
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY)
    request += ports + addresses + _SOCKET.pack(0, _ANY, _ANY)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(family, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(1)
            kernel.send(header + request)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _HEADER.size + _ANSWER.size or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    _, state, _, _, its_ports, _, _, _, _, _, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    # Without a connection the kernel names who listens there; a socket without an inode (its process is
    # gone) is listed with uid 0, which is nobody's.
    return int(uid) if state != _TCP_LISTEN and its_ports == ports and inode else None


def _word(raw: bytes) -> str:
    # The kernel prints each 32-bit word of an address in the machine's own byte order.
    return f"{struct.unpack('=I', raw)[0]:08X}"


_MAPPED = "0" * 16 + _word(b"\0\0\xff\xff")  # ::ffff:0:0/96


def _as_kernel_prints(address: str, port: int) -> tuple[str, str]:
    """An IPv4 end point as ``tcp`` lists it and, mapped into IPv6, as ``tcp6`` does."""
    word = _word(socket.inet_aton(address))
    return f"{word}:{port:04X}", f"{_MAPPED}{word}:{port:04X}"


def read_tables(local: Address, remote: Address, tables: Iterable[Path] = TABLES) -> int | None:
    """The owner by ``/proc/net``; None when it is not listed."""
    ends = set(zip(_as_kernel_prints(*local), _as_kernel_prints(*remote), strict=True))
    for table in tables:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # As above: an orphan has inode 0 and uid 0.
            if (fields[1], fields[2]) in ends and fields[9] != "0":
                return int(fields[7])
    return None

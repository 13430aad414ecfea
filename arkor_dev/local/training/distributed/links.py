"""Connects the workers of one job by sockets: a Unix socket within one machine, TCP between several.

Rank 0 has a connection to every other worker, which have one to rank 0. All numbers on the CPU pass through
rank 0, which adds them in the order of ranks; those on GPUs are summed by NCCL. Both ends of a connection
prove that they know the job's token, without sending it. Only numbers and JSON follow, never code.

A frame is its length plus one in 8 bytes, and its content; a length of zero is a sign of life, which every
worker sends while it computes. So a worker that is stopped, or whose machine is gone, is noticed in minutes
however long the others may compute. The receiver of a frame asks for it by an empty one: whoever sends knows
that the other end reads.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import queue
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .rendezvous import Rendezvous

ARRIVAL_SECONDS: Final = 7200.0
"""How long to wait for the other workers, each of which may first have to load its model."""
LIMIT_SECONDS: Final = 300.0
"""Longest silence of another worker."""
LIFE_SECONDS: Final = 20.0
"""Pause between two signs of life."""
PROOF_SECONDS: Final = 10.0
"""Time for a connection to prove that it is another worker of this job."""
RETRY_SECONDS: Final = 1.0
ATTEMPTS: Final = 100
UNPROVEN: Final = 128
"""Maximum number of connections that are being checked at the same time."""
HEADER: Final = 8
NONCE: Final = 32
PROOF: Final = 32
PIECE: Final = 1 << 20
VALUE_BYTES: Final = 1 << 28
"""Longest value as JSON."""

Value = TypeVar("Value")


class Links:
    """The connections of this worker. All workers make the same calls in the same order.

    Raises OSError if another worker is gone, silent for `LIMIT_SECONDS`, or does not come.
    """

    def __init__(self, meeting: Rendezvous) -> None:
        self._first = meeting.rank == 0
        sockets = [_join(meeting)] if meeting.listener is None else _gather(meeting, meeting.listener)
        self._links = [_Link(each) for each in sockets]
        threading.Thread(target=_live, args=(self._links,), name="signs of life", daemon=True).start()

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace the CPU's ``tensor`` by the sum over all workers."""
        if self._first:
            for link in self._links:
                part = torch.empty_like(tensor, memory_format=torch.contiguous_format)
                link.receive_into(_bytes(part))
                tensor.add_(part)
        else:
            self._links[0].send(_bytes(tensor))
        self.broadcast(tensor)

    def broadcast(self, tensor: Tensor) -> None:
        """Replace the CPU's ``tensor`` by rank 0's."""
        if self._first:
            for link in self._links:
                link.send(_bytes(tensor))
        else:
            copy = torch.empty_like(tensor, memory_format=torch.contiguous_format)
            self._links[0].receive_into(_bytes(copy))
            tensor.copy_(copy)

    def broadcast_value(self, value: Value) -> Value:
        """Return rank 0's ``value``, which must be serialisable as JSON."""
        if not self._first:
            received: Value = json.loads(self._links[0].receive())
            return received
        text = json.dumps(value).encode()
        for link in self._links:
            link.send(memoryview(text))
        same: Value = json.loads(text)  # a tuple has become a list on every worker alike
        return same


class _Link:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        connection.settimeout(LIMIT_SECONDS)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content: memoryview) -> None:
        """Send a frame once the other end asks for it."""
        if self._next_length():
            raise ConnectionError("the workers are not at the same call")
        self._send(content)

    def receive(self) -> bytes:
        """Ask for a frame, and return its content."""
        self._send(memoryview(b""))
        length = self._next_length()
        if length > VALUE_BYTES:
            raise ConnectionError("another worker sent too much")
        buffer = bytearray(length)
        _receive_into(self._socket, memoryview(buffer))
        return bytes(buffer)

    def receive_into(self, buffer: memoryview) -> None:
        """Ask for a frame of the length of ``buffer``, and store it there."""
        self._send(memoryview(b""))
        if self._next_length() != len(buffer):
            raise ConnectionError("the workers are not at the same call")
        _receive_into(self._socket, buffer)

    def live(self) -> None:
        """Send a sign of life, unless a frame is being sent."""
        if self._sending.acquire(blocking=False):
            try:
                self._socket.sendall(bytes(HEADER))
            finally:
                self._sending.release()

    def _send(self, content: memoryview) -> None:
        with self._sending:
            self._socket.sendall((len(content) + 1).to_bytes(HEADER))
            for start in range(0, len(content), PIECE):  # the limit is for each piece
                self._socket.sendall(content[start : start + PIECE])

    def _next_length(self) -> int:
        """Return the length of the next frame; signs of life are not frames."""
        while not (header := int.from_bytes(_received(self._socket, HEADER))):
            pass
        return header - 1


def _live(links: Sequence[_Link]) -> None:
    lost: set[_Link] = set()
    while len(lost) < len(links):
        time.sleep(LIFE_SECONDS)
        for link in links:
            if link not in lost:
                try:
                    link.live()
                except OSError:  # whoever uses the connection learns why
                    lost.add(link)


# --- meeting ----------------------------------------------------------------------------------------------


def _join(meeting: Rendezvous) -> socket.socket:
    """Return a connection to rank 0, which may still be loading its model."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(RETRY_SECONDS)
        connection = _connected(meeting)
        if connection is not None:
            try:
                _prove_rank(connection, meeting)
                return connection
            except PermissionError:
                connection.close()
                raise
            except OSError:  # it had too many others to check
                connection.close()
    raise ConnectionError("the first worker accepts no connection")


def _connected(meeting: Rendezvous) -> socket.socket | None:
    """Return a connection; None if it cannot be made now. Raises OSError if nobody listens."""
    try:
        if not meeting.private:
            return socket.create_connection((meeting.address, meeting.port), PROOF_SECONDS)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(meeting.address)
        except OSError:
            connection.close()
            raise
        return connection
    except (FileNotFoundError, ConnectionRefusedError):
        raise  # rank 0 listens from its start until all have come
    except OSError:
        return None


def _gather(meeting: Rendezvous, listener: socket.socket) -> list[socket.socket]:
    """Return a proven connection to every other worker, in the order of ranks."""
    by_rank: dict[int, socket.socket] = {}
    unproven: list[socket.socket] = []
    checked: queue.SimpleQueue[tuple[socket.socket, int | None]] = queue.SimpleQueue()
    deadline = time.monotonic() + ARRIVAL_SECONDS

    def check(connection: socket.socket) -> None:
        try:
            checked.put((connection, _proven_rank(connection, meeting)))
        except OSError:
            connection.close()
            checked.put((connection, None))

    with listener:
        listener.settimeout(0.05)
        while len(by_rank) < meeting.count - 1:
            if time.monotonic() > deadline:
                raise TimeoutError("another worker did not come")
            with contextlib.suppress(OSError):  # nobody yet, or one who has left again
                connection, _ = listener.accept()
                unproven.append(connection)
                threading.Thread(target=check, args=(connection,), daemon=True).start()
            if len(unproven) > UNPROVEN:  # a worker proves itself at once, so the oldest is none
                with contextlib.suppress(OSError):
                    unproven.pop(0).shutdown(socket.SHUT_RDWR)
            while not checked.empty():
                connection, rank = checked.get()
                with contextlib.suppress(ValueError):
                    unproven.remove(connection)
                if rank in by_rank:
                    connection.close()
                elif rank is not None:
                    by_rank[rank] = connection
    for connection in unproven:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    return [by_rank[rank] for rank in range(1, meeting.count)]


def _prove_rank(connection: socket.socket, meeting: Rendezvous) -> None:
    """Prove to rank 0 that this is a worker of the job. Raises PermissionError if the other end is not."""
    connection.settimeout(ARRIVAL_SECONDS)
    theirs, ours = bytes(_received(connection, NONCE)), secrets.token_bytes(NONCE)
    rank = meeting.rank.to_bytes(HEADER)
    connection.settimeout(PROOF_SECONDS)
    connection.sendall(rank + ours + _proof(meeting, b"worker", rank, theirs, ours))
    if not hmac.compare_digest(_received(connection, PROOF), _proof(meeting, b"first", rank, theirs, ours)):
        raise PermissionError("another program listens where the first worker should")


def _proven_rank(connection: socket.socket, meeting: Rendezvous) -> int:
    """Return the rank at the other end, after both have proven themselves. Raises OSError."""
    connection.settimeout(PROOF_SECONDS)
    ours = secrets.token_bytes(NONCE)
    connection.sendall(ours)
    reply = bytes(_received(connection, HEADER + NONCE + PROOF))
    rank, theirs, proof = reply[:HEADER], reply[HEADER : HEADER + NONCE], reply[HEADER + NONCE :]
    number = int.from_bytes(rank)
    is_proven = hmac.compare_digest(proof, _proof(meeting, b"worker", rank, ours, theirs))
    if not is_proven or not 0 < number < meeting.count:
        raise PermissionError("not a worker of this job")
    connection.sendall(_proof(meeting, b"first", rank, ours, theirs))
    return number


def _proof(meeting: Rendezvous, role: bytes, rank: bytes, of_first: bytes, of_other: bytes) -> bytes:
    return hmac.digest(meeting.token.encode(), role + rank + of_first + of_other, "sha256")


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def _received(connection: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    _receive_into(connection, memoryview(buffer))
    return buffer


def _receive_into(connection: socket.socket, buffer: memoryview) -> None:
    while buffer:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionResetError("another worker has ended")
        buffer = buffer[count:]

"""Connects the workers of one machine by a Unix socket that no other account can reach.

No port is opened, so no token is needed. All numbers pass through rank 0, which adds them in the order of
ranks; on GPUs these are a few figures per step, since NCCL sums the gradients.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from datetime import timedelta

    from .rendezvous import Rendezvous

HEADER: Final = 8
"""Bytes of a rank, or of the length of a value."""


class UnixLinks:
    """The connections of this worker: rank 0 has one to every other worker, which have one to rank 0.

    All workers make the same calls in the same order. Raises OSError if another worker is gone.
    """

    def __init__(self, meeting: Rendezvous, patience: timedelta) -> None:
        self._first = meeting.rank == 0
        if meeting.listener is None:
            links = [socket.socket(socket.AF_UNIX)]
            links[0].connect(meeting.address)
            links[0].sendall(meeting.rank.to_bytes(HEADER))
            self._links = links
        else:
            with meeting.listener as listener:
                listener.settimeout(patience.total_seconds())
                accepted = [listener.accept()[0] for _ in range(meeting.count - 1)]
            by_rank = {int.from_bytes(_received(link, HEADER)): link for link in accepted}
            self._links = [by_rank[rank] for rank in range(1, meeting.count)]
        for link in self._links:
            link.settimeout(patience.total_seconds())

    def all_reduce(self, tensor: Any) -> None:
        """Replace the CPU's ``tensor`` by the sum over all workers."""
        if self._first:
            for link in self._links:
                tensor.add_(_tensor_from(link, tensor))
        else:
            self._links[0].sendall(_bytes(tensor))
        self.broadcast(tensor)

    def broadcast(self, tensor: Any) -> None:
        """Replace the CPU's ``tensor`` by rank 0's."""
        if self._first:
            for link in self._links:
                link.sendall(_bytes(tensor))
        else:
            tensor.copy_(_tensor_from(self._links[0], tensor))

    def broadcast_value(self, value: Any) -> Any:
        """Return rank 0's ``value``, which must be serialisable as JSON."""
        text = json.dumps(value).encode()
        if self._first:
            for link in self._links:
                link.sendall(len(text).to_bytes(HEADER) + text)
        else:
            text = bytes(_received(self._links[0], int.from_bytes(_received(self._links[0], HEADER))))
        return json.loads(text)


def _bytes(tensor: Any) -> memoryview:
    return memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def _tensor_from(link: socket.socket, like: Any) -> Any:
    """Return a tensor of the shape and dtype of ``like`` from ``link``."""
    tensor = torch.empty_like(like, memory_format=torch.contiguous_format)
    _receive_into(link, _bytes(tensor))
    return tensor


def _received(link: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    _receive_into(link, memoryview(buffer))
    return buffer


def _receive_into(link: socket.socket, buffer: memoryview) -> None:
    while buffer:
        count = link.recv_into(buffer)
        if not count:
            raise ConnectionResetError("another worker has ended")
        buffer = buffer[count:]

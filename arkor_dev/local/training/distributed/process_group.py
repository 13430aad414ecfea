"""Communication between the workers of one job: sums, and broadcasts from rank 0.

Numbers on the CPU pass through our own connections (`Links`), those on a GPU through NCCL, always without
torch's global state. Only numbers and JSON are sent, never code.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import torch.distributed as dist

from .links import Links
from .rendezvous import PeerLostError, family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .rendezvous import Rendezvous

NCCL_LIMIT: Final = timedelta(minutes=5)
"""How long NCCL's workers may take to find each other: all of them are at the same call."""

Value = TypeVar("Value")


class ProcessGroup:
    """The ``count`` workers of one job; this process is ``rank`` and computes on ``device``.

    All workers make the same calls in the same order. Raises PeerLostError if another worker is gone.
    """

    def __init__(self, meeting: Rendezvous, device: str) -> None:
        self.rank, self.count = meeting.rank, meeting.count
        with _peer_errors():
            self._on_cpu = Links(meeting)
            self._on_device = _nccl(meeting, self._on_cpu) if device == "cuda" else None

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace ``tensor`` (on the CPU or the device) by the sum over all workers."""
        with _peer_errors():
            if self._on_device and tensor.device.type != "cpu":
                self._on_device.allreduce([tensor]).wait()
            else:
                self._on_cpu.all_reduce(tensor)

    def broadcast(self, tensor: Tensor) -> None:
        """Replace ``tensor`` by rank 0's."""
        with _peer_errors():
            if self._on_device and tensor.device.type != "cpu":
                self._on_device.broadcast([tensor], _from_rank_0()).wait()
            else:
                self._on_cpu.broadcast(tensor)

    def broadcast_value(self, value: Value) -> Value:
        """Return rank 0's ``value``, which must be serialisable as JSON."""
        with _peer_errors():
            return self._on_cpu.broadcast_value(value)


def _nccl(meeting: Rendezvous, on_cpu: Links) -> dist.ProcessGroupNCCL:
    """Return NCCL's process group. Within one machine it listens at the loopback address only."""
    if meeting.private:
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "=lo")
        os.environ.pop("NCCL_COMM_ID", None)  # another address, with a secret that everybody knows
        store: dist.Store = dist.FileStore(str(meeting.store), meeting.count)
    else:
        store = store_for_nccl(meeting, on_cpu)
    return dist.ProcessGroupNCCL(store, meeting.rank, meeting.count, dist.ProcessGroupNCCL.Options())


def store_for_nccl(meeting: Rendezvous, on_cpu: Links) -> dist.TCPStore:
    """Return torch's store, through which NCCL's workers on several machines find each other.

    It has no token, so only NCCL uses it, and only at its start.
    """
    first, port, held = meeting.rank == 0, 0, {}
    if first:
        listener = socket.create_server((meeting.host, 0), family=family_of(meeting.host))
        port, held = listener.getsockname()[1], {"master_listen_fd": listener.detach()}
    port = on_cpu.broadcast_value(port)
    return dist.TCPStore(
        meeting.address, port, meeting.count, first, NCCL_LIMIT, wait_for_workers=False, **held
    )


def _from_rank_0() -> dist.BroadcastOptions:
    options = dist.BroadcastOptions()
    options.rootRank, options.rootTensor = 0, 0
    return options


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as fault:
        raise PeerLostError(" ".join(str(fault).split())[:300]) from fault

"""Communication between the workers of one job: sums, and broadcasts from rank 0.

Numbers on the CPU pass through a Unix socket within one machine, and through torch's gloo between several;
those on a GPU through NCCL, always without torch's global state. Only numbers and JSON are sent, never code.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import torch.distributed as dist

from .rendezvous import PeerLostError
from .unix_links import UnixLinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rendezvous import Rendezvous

PATIENCE: Final = timedelta(hours=2)
"""Timeout for waiting on the other workers. It is long because rank 0 also evaluates, saves and generates
samples; a worker that dies is noticed much earlier, by its connection or by the driver.
"""


class ProcessGroup:
    """The ``count`` workers of one job; this process is ``rank`` and computes on ``device``.

    All workers make the same calls in the same order. Raises PeerLostError if another worker is gone.
    """

    def __init__(self, meeting: Rendezvous, device: str) -> None:
        self.rank, self.count = meeting.rank, meeting.count
        with _peer_errors():
            self._on_cpu = UnixLinks(meeting, PATIENCE) if meeting.private else _Gloo(meeting)
            self._on_device = _nccl(meeting, self._on_cpu) if device == "cuda" else None

    def all_reduce(self, tensor: Any) -> None:
        """Replace ``tensor`` (on the CPU or the device) by the sum over all workers."""
        with _peer_errors():
            if self._on_device and tensor.device.type != "cpu":
                self._on_device.allreduce([tensor]).wait()
            else:
                self._on_cpu.all_reduce(tensor)

    def broadcast(self, tensor: Any) -> None:
        """Replace ``tensor`` by rank 0's."""
        with _peer_errors():
            if self._on_device and tensor.device.type != "cpu":
                self._on_device.broadcast([tensor], _from_rank_0()).wait()
            else:
                self._on_cpu.broadcast(tensor)

    def broadcast_value(self, value: Any) -> Any:
        """Return rank 0's ``value``, which must be serialisable as JSON."""
        with _peer_errors():
            return self._on_cpu.broadcast_value(value)


class _Gloo:
    """Connects workers on several machines; see `UnixLinks`. ``store`` lets them find each other."""

    def __init__(self, meeting: Rendezvous) -> None:
        self._broadcasts, self._first = 0, meeting.rank == 0
        held = {"master_listen_fd": meeting.listener.detach()} if meeting.listener else {}
        self.store = dist.TCPStore(
            *(meeting.address, meeting.port, meeting.count, self._first, PATIENCE),
            wait_for_workers=False,
            **held,
        )
        options = dist.ProcessGroupGloo._Options()  # noqa: SLF001 - torch has no public name for it
        options._devices = [dist.ProcessGroupGloo.create_device(hostname=meeting.host)]  # noqa: SLF001
        options._timeout = PATIENCE  # noqa: SLF001
        store = dist.PrefixStore("gloo", self.store)
        self._gloo = dist.ProcessGroupGloo(store, meeting.rank, meeting.count, options)

    def all_reduce(self, tensor: Any) -> None:
        self._gloo.allreduce([tensor]).wait()

    def broadcast(self, tensor: Any) -> None:
        self._gloo.broadcast([tensor], _from_rank_0()).wait()

    def broadcast_value(self, value: Any) -> Any:
        self._broadcasts += 1
        key = f"broadcast/{self._broadcasts}"
        if self._first:
            self.store.set(key, json.dumps(value))
        return json.loads(self.store.get(key))


def _nccl(meeting: Rendezvous, on_cpu: UnixLinks | _Gloo) -> Any:
    """Return NCCL's process group. Within one machine it listens at the loopback address only."""
    if isinstance(on_cpu, _Gloo):
        store: Any = dist.PrefixStore("nccl", on_cpu.store)
    else:
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "=lo")
        os.environ.pop("NCCL_COMM_ID", None)  # another address, with a secret that everybody knows
        store = dist.FileStore(str(meeting.store), meeting.count)
    return dist.ProcessGroupNCCL(store, meeting.rank, meeting.count, dist.ProcessGroupNCCL.Options())


def _from_rank_0() -> Any:
    options = dist.BroadcastOptions()
    options.rootRank, options.rootTensor = 0, 0
    return options


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as fault:
        raise PeerLostError(" ".join(str(fault).split())[:300]) from fault

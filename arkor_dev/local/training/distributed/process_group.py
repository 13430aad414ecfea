"""Communication between the workers of one job: sums, and broadcasts from rank 0.

It uses torch's own process group without its global state: gloo, and NCCL for tensors on a GPU. Only numbers
and JSON are sent, never code.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import torch.distributed as dist

from .rendezvous import PeerLostError

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
        self._broadcasts = 0
        with _peer_errors():
            first = meeting.rank == 0
            listener = {"master_listen_fd": meeting.listener.detach()} if meeting.listener else {}
            self._store = dist.TCPStore(
                meeting.address,
                meeting.port,
                meeting.count,
                first,
                PATIENCE,
                wait_for_workers=False,
                **listener,
            )
            options = dist.ProcessGroupGloo._Options()  # noqa: SLF001 - torch has no public name for it
            options._devices = [dist.ProcessGroupGloo.create_device(hostname=meeting.host)]  # noqa: SLF001
            options._timeout = PATIENCE  # noqa: SLF001
            rank_and_count = (self.rank, self.count)
            self._gloo = dist.ProcessGroupGloo(
                dist.PrefixStore("gloo", self._store), *rank_and_count, options
            )
            self._device_group = self._gloo
            if device == "cuda":
                store = dist.PrefixStore("nccl", self._store)
                self._device_group = dist.ProcessGroupNCCL(
                    store, *rank_and_count, dist.ProcessGroupNCCL.Options()
                )

    def all_reduce(self, tensor: Any) -> None:
        """Replace ``tensor`` (on the CPU or the device) by the sum over all workers."""
        with _peer_errors():
            self._of(tensor).allreduce([tensor]).wait()

    def broadcast(self, tensor: Any) -> None:
        """Replace ``tensor`` by rank 0's."""
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = 0, 0
        with _peer_errors():
            self._of(tensor).broadcast([tensor], options).wait()

    def broadcast_value(self, value: Any) -> Any:
        """Return rank 0's ``value``, which must be serialisable as JSON."""
        self._broadcasts += 1
        key = f"broadcast/{self._broadcasts}"
        with _peer_errors():
            if self.rank == 0:
                self._store.set(key, json.dumps(value))
            return json.loads(self._store.get(key))

    def _of(self, tensor: Any) -> Any:
        return self._gloo if tensor.device.type == "cpu" else self._device_group


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as fault:
        raise PeerLostError(" ".join(str(fault).split())[:300]) from fault

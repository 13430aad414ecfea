"""What the worker processes of one job tell each other: sums, and what the first of them says.

It is torch's own process group, made without its global state: gloo, and NCCL beside it for what lies on a
GPU. Nothing that is sent is a program: numbers, and JSON.
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
"""How long a worker waits for the others: the first one evaluates, saves and answers samples meanwhile. That
one of them has died shows much earlier, by its connection or to the driver."""


class ProcessGroup:
    """``count`` workers of one job, of which this process is ``rank``; it computes on ``device``.

    Every call is made by all of them, in the same order. Raises GroupLostError where another one is gone.
    """

    def __init__(self, meeting: Rendezvous, device: str) -> None:
        self.rank, self.count = meeting.rank, meeting.count
        self._told = 0
        with _others():
            first = meeting.rank == 0
            held = {"master_listen_fd": meeting.listener.detach()} if meeting.listener else {}
            self._store = dist.TCPStore(
                meeting.address, meeting.port, meeting.count, first, PATIENCE, wait_for_workers=False, **held
            )
            options = dist.ProcessGroupGloo._Options()  # noqa: SLF001 - torch has no public name for it
            options._devices = [dist.ProcessGroupGloo.create_device(hostname=meeting.host)]  # noqa: SLF001
            options._timeout = PATIENCE  # noqa: SLF001
            place = (self.rank, self.count)
            self._gloo = dist.ProcessGroupGloo(dist.PrefixStore("gloo", self._store), *place, options)
            self._quick = self._gloo
            if device == "cuda":
                store = dist.PrefixStore("nccl", self._store)
                self._quick = dist.ProcessGroupNCCL(store, *place, dist.ProcessGroupNCCL.Options())

    def sum(self, tensor: Any) -> None:
        """Put into ``tensor``, of the processor or of the device, the sum of those of all workers."""
        with _others():
            self._of(tensor).allreduce([tensor]).wait()

    def take_first(self, tensor: Any) -> None:
        """Put into ``tensor`` what the first worker has in its own."""
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = 0, 0
        with _others():
            self._of(tensor).broadcast([tensor], options).wait()

    def said_by_first(self, value: Any) -> Any:
        """The ``value`` of the first worker, as JSON can have it."""
        self._told += 1
        key = f"told/{self._told}"
        with _others():
            if self.rank == 0:
                self._store.set(key, json.dumps(value))
            return json.loads(self._store.get(key))

    def _of(self, tensor: Any) -> Any:
        return self._gloo if tensor.device.type == "cpu" else self._quick


@contextmanager
def _others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as fault:
        raise PeerLostError(" ".join(str(fault).split())[:300]) from fault

"""Lets the workers of one job find each other. Does not import torch, so that the port is known at once.

Rank 0 listens on its machine's address, on a port chosen by the operating system, and sends that port as its
first message. It keeps the socket open from then on, so that no other process can impersonate it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.workers.link import Link


class PeerLostError(Exception):
    """Another worker of the job no longer answers; without it no step is possible."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Worker ``rank`` (from 0) of one job's ``count`` workers, on the machine ``host``.

    The workers connect to rank 0's ``address`` and ``port``; only rank 0 has a ``listener``.
    """

    rank: int
    count: int
    host: str
    address: str
    port: int
    listener: socket.socket | None = None

    @classmethod
    def of(cls, job: Mapping[str, Any], link: Link) -> Rendezvous | None:
        """Return the rendezvous described by a ``job``'s ``group``, ``{rank, count, host, address?, port?}``,
        or None.

        Raises OSError if rank 0 cannot listen.
        """
        group = job.get("group")
        if group is None:
            return None
        rank, count, host = group["rank"], group["count"], group["host"]
        if rank:
            return cls(rank, count, host, group["address"], group["port"])
        listener = socket.create_server((host, 0), family=_family(host), backlog=count)
        port = listener.getsockname()[1]
        link.send(meets=port)
        return cls(rank, count, host, host, port, listener)

    def check(self, batch: int) -> None:
        """Raise JobFailure if a batch has fewer rows than there are workers."""
        if batch < self.count:
            raise JobFailure(
                f"{self.count} workers share each batch, and a batch has {batch} rows: set batchSize to "
                f"{self.count} or more, or workers to {batch} or less"
            )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

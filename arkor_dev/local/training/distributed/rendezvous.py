"""Where the worker processes of one job find each other. Without torch: a port is there at once.

The first of them listens on its machine's address, at a port that the system chooses, and says which one as
its first message. It holds that port from then on, so that nobody else can be taken for it.
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
    """Another worker of the job does not answer any more: without it there is no step."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Worker ``rank`` (from 0) of ``count`` of one job, at the address ``host``.

    They meet at ``address`` and ``port`` of the first one, which has the ``listener``.
    """

    rank: int
    count: int
    host: str
    address: str
    port: int
    listener: socket.socket | None = None

    @classmethod
    def of(cls, job: Mapping[str, Any], link: Link) -> Rendezvous | None:
        """That of a ``job`` with ``together``, ``{rank, count, host, address?, port?}``; None for one alone.

        Raises OSError where the first worker cannot listen.
        """
        told = job.get("group")
        if told is None:
            return None
        rank, count, host = told["rank"], told["count"], told["host"]
        if rank:
            return cls(rank, count, host, told["address"], told["port"])
        listener = socket.create_server((host, 0), family=_family(host), backlog=count)
        port = listener.getsockname()[1]
        link.send(meets=port)
        return cls(rank, count, host, host, port, listener)

    def check(self, batch: int) -> None:
        """Raise JobFailure where a batch has not a row for each worker."""
        if batch < self.count:
            raise JobFailure(
                f"{self.count} workers share each batch, and a batch has {batch} rows: set batchSize to "
                f"{self.count} or more, or workers to {batch} or less"
            )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

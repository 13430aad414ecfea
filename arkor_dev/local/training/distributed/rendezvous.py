"""Lets the workers of one job find each other. Does not import torch, so that the address is known at once.

Rank 0 listens, and sends where as its first message: within one machine at a Unix socket in a folder that
only this user can enter, on a cluster at its machine's address, on a port chosen by the operating system. It
keeps the socket open from then on, so that no other process can impersonate it. On a cluster a token, which
only the job's workers and its driver know, admits a worker.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.execution.messages import Meeting
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.socket_folder import STORE, SocketFolder

if TYPE_CHECKING:
    from arkor_dev.local.execution.messages import GroupMember
    from arkor_dev.local.workers.link import Link


BACKLOG: Final = 128
"""Connections that may wait until rank 0 has loaded its model."""


class PeerLostError(Exception):
    """Another worker of the job no longer answers; without it no step is possible."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Worker ``rank`` (from 0) of one job's ``count`` workers, on the machine ``host``.

    The workers connect to rank 0's ``address`` and ``port``, or to the Unix socket ``address`` if there is no
    ``host``. Only rank 0 has a ``listener``, and the Unix socket's ``folder``.
    """

    rank: int
    count: int
    host: str
    address: str
    port: int
    token: str = field(default="", repr=False)
    listener: socket.socket | None = None
    folder: SocketFolder | None = None

    @classmethod
    def of(cls, group: GroupMember | None, link: Link) -> Rendezvous | None:
        """Return the rendezvous of a member of a ``group``; None for a job that trains alone.

        Raises OSError if rank 0 cannot listen.
        """
        if group is None:
            return None
        rank, count, host = group.rank, group.count, group.host
        token = group.token if host else ""
        if host and not token:
            raise ValueError("the token of the job's workers is missing")
        if rank:
            return cls(rank, count, host, group.address, group.port, token)
        if host:
            listener = socket.create_server((host, 0), family=family_of(host), backlog=BACKLOG)
            port = listener.getsockname()[1]
            link.send(Meeting(port))
            return cls(rank, count, host, host, port, token, listener)
        folder, listener = SocketFolder.make(), socket.socket(socket.AF_UNIX)
        address = str(folder.socket)
        listener.bind(address)
        listener.listen(BACKLOG)
        link.send(Meeting(address))
        return cls(rank, count, host, address, 0, token, listener, folder)

    @property
    def private(self) -> bool:
        """Return whether all workers are on this machine, and meet where only this user can."""
        return not self.host

    @property
    def store(self) -> Path:
        """Return the path of the file in which NCCL's workers find each other."""
        return Path(self.address).with_name(STORE)

    def check(self, batch: int) -> None:
        """Raise JobFailure if a batch has fewer rows than there are workers."""
        if batch < self.count:
            raise JobFailure(
                f"{self.count} workers share each batch, and a batch has {batch} rows: set batch_size to "
                f"{self.count} or more, or workers to {batch} or less"
            )


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

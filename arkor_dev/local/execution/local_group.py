"""Trains on several GPUs of this machine: one worker process on each, together one `Worker`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import TRY_AGAIN

from .messages import REPORTS, Command, Ended, GroupMember, Meeting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from arkor_dev.local.workers.codec import Message
    from arkor_dev.local.workers.process import Child

    from .messages import JobRequest, Report


class LocalGroup:
    """The workers of ``job``, rank 0 first, each on one of the ``devices``; see `Worker`.

    Only rank 0 reports, and receives commands. When one worker ends early, all of them end.
    """

    def __init__(self, children: Sequence[Child], job: JobRequest, devices: Sequence[str]) -> None:
        self._children, self._job, self._devices = children, job, devices
        self._address: str | None = None
        self._for_peers: list[Message] = []
        self._ended_first: Child | None = None
        self._batches: asyncio.Queue[list[Report] | None] = asyncio.Queue()
        self._start(0)

    def _start(self, rank: int, address: str = "") -> None:
        group = GroupMember(rank, len(self._children), address=address)
        self._children[rank].send(replace(self._job, device=self._devices[rank], group=group))

    @property
    def killed(self) -> bool:
        """Whether the worker that ended first was killed."""
        return self._ended_first is not None and self._ended_first.killed

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether it was killed because memory ran out, or may have been."""
        return self._ended_first is not None and self._ended_first.ran_out_of_memory

    def send(self, message: Message) -> None:
        """Queue one message: a command goes to rank 0, anything else to all."""
        self._children[0].send(message)
        if not isinstance(message, Command):
            self._for_peers.append(message)
            if self._address is not None:
                self._tell_peers(message)

    def _tell_peers(self, *messages: Message) -> None:
        for peer in self._children[1:]:
            for message in messages:
                peer.send(message)

    async def batches(self) -> AsyncIterator[list[Report]]:
        """Yield the messages of rank 0, and another worker's failure, until one ends early or rank 0 ends."""
        reading = [asyncio.create_task(self._read(rank)) for rank, _ in enumerate(self._children)]
        try:
            while (batch := await self._batches.get()) is not None:
                yield batch
        finally:
            for task in reading:
                task.cancel()
            for child in self._children:
                child.kill()

    async def _read(self, rank: int) -> None:
        child, is_over = self._children[rank], False
        async for batch in child.batches(REPORTS):
            reports: list[Report] = []
            for message in batch:
                match message:
                    case Meeting(str(address)) if not rank and self._address is None:
                        self._meet(address)
                    case Meeting():
                        pass
                    case Ended():
                        is_over = True
                        if not rank or message.status == "failed":  # of other ranks only failures count
                            reports.append(message)
                    case _ if not rank:
                        reports.append(message)
            if reports:
                self._batches.put_nowait(reports)
        await child.gone()
        if rank == 0 or not is_over:
            self._ended_first = self._ended_first or child
            self._batches.put_nowait(None)

    def _meet(self, address: str) -> None:
        """Start the other workers, since rank 0 has reported where they meet."""
        self._address = address
        for rank in range(1, len(self._children)):
            self._start(rank, address)
        self._tell_peers(*self._for_peers)

    async def ended(self) -> int:
        """Wait until all have ended; return the exit status of the one that ended first."""
        statuses = [await child.ended() for child in self._children]
        return statuses[self._children.index(self._ended_first or self._children[0])]

    async def stop(self) -> None:
        """End all workers, and wait."""
        for child in self._children:
            child.kill()
        await self.ended()

    def cause(self, subject: str, relief: str = TRY_AGAIN) -> str:
        """Return why the worker that ended first did so, and its GPU."""
        child = self._ended_first or self._children[0]
        return child.cause(f"{subject} on the GPU {self._devices[self._children.index(child)]}", relief)

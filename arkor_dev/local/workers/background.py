"""Work in the background: one piece after another, and none while a job trains."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

Piece = TypeVar("Piece")


class BackgroundWork(Generic[Piece]):
    """Does what ``following`` names, by ``work``, as long as ``busy`` does not say that a job trains.

    ``failed`` is told of a piece that has failed, and why. One that a job has preempted has not: it is named
    again. Whoever is under way when a job starts is ended by its owner, and fails by that.
    """

    def __init__(
        self,
        busy: Callable[[], bool],
        following: Callable[[], Piece | None],
        work: Callable[[Piece], Awaitable[None]],
        failed: Callable[[Piece, str], None],
    ) -> None:
        self._busy, self._following, self._work, self._failed = busy, following, work, failed
        self._news = asyncio.Event()
        self._preempted = False

    def wake(self) -> None:
        """Say that there is something to do, or room for it."""
        self._news.set()

    def preempt(self) -> None:
        """Say that what is under way is ended for a job, which may be over before that is noticed."""
        self._preempted = True

    async def run(self) -> None:
        """Do one piece after another, for ever."""
        while True:
            self._news.clear()
            piece = None if self._busy() else self._following()
            if piece is None:
                await self._news.wait()
                continue
            self._preempted = False
            try:
                await self._work(piece)
            except JobFailure as failure:
                if not (self._preempted or self._busy()):
                    self._failed(piece, str(failure))
            except Exception as error:
                log.exception("%s", type(piece).__name__)
                self._failed(piece, f"the local backend failed: {type(error).__name__}: {error}")

"""What Ctrl-C and its kin do: end a command, after asking once more where that would end a training job.

Which jobs those are is told by the backend: one that was started for a launch ends with it, any other goes on
by itself. Whoever cannot be asked (no terminal, another signal, ``--yes``) is told what was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from arkor_dev.contract.errors import ArkorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)

WINDOW: Final = 5.0
"""Seconds in which a second Ctrl-C counts as yes."""
PATIENCE: Final = 2.0
"""Seconds that the backend has to say what runs; an end must not hang on it."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a command says of its own end; ``stopping`` may be empty."""

    stopping: str
    at_once: str
    goes_on: str


class Ending:
    """Waits for a signal to end a command. ``lost`` gives a sentence for each job that would end with it.

    ``say`` prints a line; ``ask`` is whether a person at a terminal can be asked. A signal after the one that
    ended it ends the process on the spot, with exit code 130; SIGHUP does not.
    """

    def __init__(
        self, words: Words, lost: Callable[[], Awaitable[list[str]]], say: Callable[[str], None], *, ask: bool
    ) -> None:
        self.words = words
        self.say = say
        self.ask = ask
        self.number: signal.Signals | None = None
        self._lost = lost
        self._stop = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._watched: list[signal.Signals] = []

    def watch(self, numbers: Iterable[signal.Signals]) -> Self:
        """Take over these signals of the process from now on."""
        loop = asyncio.get_running_loop()
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
            self._watched.append(number)
        return self

    def close(self) -> None:
        """Leave the signals to Python again."""
        if self._looking is not None:
            self._looking.cancel()
        loop = asyncio.get_running_loop()
        for number in self._watched:
            loop.remove_signal_handler(number)

    async def wait(self) -> signal.Signals:
        """The signal that ended it."""
        await self._stop.wait()
        assert self.number is not None
        return self.number

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            if number == signal.SIGHUP:
                return  # a closed terminal says so twice: to its session's leader, and to the foreground
            self._tell(self.words.at_once)
            os._exit(130)  # children hold a pipe to us and end by themselves
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
            self._end(number)
        else:
            self._looking = asyncio.create_task(self._look(number), name="what would be lost")

    async def _look(self, number: signal.Signals) -> None:
        lost: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                lost = await self._lost()
        except (ArkorError, TimeoutError):
            pass
        except Exception:
            log.exception("Couldn't find out what would be lost")  # and must not keep anybody from ending
        for line in lost:
            self._tell(line)
        if lost and self.ask and number == signal.SIGINT:
            self._tell(f"Press Ctrl-C again within {WINDOW:g} s to stop it, or do nothing to continue.")
            await asyncio.sleep(WINDOW)
            self._tell(self.words.goes_on)
        else:
            self._end(number)

    def _end(self, number: signal.Signals) -> None:
        self.number = number
        self._stop.set()
        if self.words.stopping:
            self._tell(self.words.stopping)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone is a reason to end, not to fail
            self.say(line)

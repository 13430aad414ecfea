"""Ctrl-C and other signals: ends a command, after a confirmation if that would end a training job.

The backend reports which jobs would end: a backend started for a launch ends with it; jobs of any other
continue. Without a terminal, with another signal or with ``--yes`` the command ends and prints what was lost.
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
"""Seconds within which a second Ctrl-C confirms."""
PATIENCE: Final = 2.0
"""Seconds to wait for the backend's list of jobs, so that it cannot block the end."""


@dataclass(frozen=True, slots=True)
class InterruptMessages:
    """What a command prints about its own end; ``stopping`` may be empty."""

    stopping: str
    at_once: str
    goes_on: str


class InterruptHandler:
    """Waits for a signal to end a command. ``find_lost`` returns a sentence for each job that would end, too.

    ``say`` prints a line; ``ask`` says whether a person can be asked. A further signal after the one that
    ended the command ends the process at once with exit code 130, except for SIGHUP.
    """

    def __init__(
        self,
        words: InterruptMessages,
        find_lost: Callable[[], Awaitable[list[str]]],
        say: Callable[[str], None],
        *,
        ask: bool,
    ) -> None:
        self.words = words
        self.say = say
        self.ask = ask
        self.number: signal.Signals | None = None
        self._find_lost = find_lost
        self._stop = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._watched: list[signal.Signals] = []

    def watch(self, numbers: Iterable[signal.Signals]) -> Self:
        """Handle these signals of the process from now on."""
        loop = asyncio.get_running_loop()
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
            self._watched.append(number)
        return self

    def close(self) -> None:
        """Restore Python's handlers."""
        if self._looking is not None:
            self._looking.cancel()
        loop = asyncio.get_running_loop()
        for number in self._watched:
            loop.remove_signal_handler(number)

    async def wait(self) -> signal.Signals:
        await self._stop.wait()
        assert self.number is not None
        return self.number

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            if number == signal.SIGHUP:
                return  # closing a terminal sends two: one to the session leader, one to the foreground group
            self._print_line(self.words.at_once)
            os._exit(130)  # children hold a pipe to us and end by themselves
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
            self._end(number)
        else:
            self._looking = asyncio.create_task(self._ask_before_stop(number), name="what would be lost")

    async def _ask_before_stop(self, number: signal.Signals) -> None:
        losses: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                losses = await self._find_lost()
        except (ArkorError, TimeoutError):
            pass
        except Exception:
            log.exception("Couldn't find out what would be lost")  # a failure here must not prevent the end
        for line in losses:
            self._print_line(line)
        if losses and self.ask and number == signal.SIGINT:
            self._print_line(f"Press Ctrl-C again within {WINDOW:g} s to stop it, or do nothing to continue.")
            await asyncio.sleep(WINDOW)
            self._print_line(self.words.goes_on)
        else:
            self._end(number)

    def _end(self, number: signal.Signals) -> None:
        self.number = number
        self._stop.set()
        if self.words.stopping:
            self._print_line(self.words.stopping)

    def _print_line(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal is a reason to end, not an error
            self.say(line)

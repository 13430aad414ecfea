"""Runs calls that may never return, such as those to a store that does not respond, with a deadline."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], None]
    Result = TypeVar("Result")

STALL_SECONDS: Final = 60.0
"""Seconds without progress after which a call is abandoned."""
KEEP_ALIVE_SECONDS: Final = 5.0


class StalledError(OSError):
    """A store has not responded in time; the call may still be running."""


def run_with_deadline(seconds: float, work: Callable[[Step], Result], keep_alive: Step) -> Result:
    """Return the result of ``work(step)``, run in a daemon thread; raise its exception.

    Raises StalledError if it takes more than ``seconds``, or does not call ``step`` within `STALL_SECONDS`.
    From then on ``step`` raises it, too, which ends the thread. ``keep_alive`` is called every few seconds
    meanwhile, and may raise.
    """
    start = moved = time.monotonic()
    finished = threading.Event()
    outcome: Future[Result] = Future()

    def step() -> None:
        nonlocal moved
        if finished.is_set():
            raise StalledError("its deadline has passed")
        moved = time.monotonic()

    def run() -> None:
        try:
            outcome.set_result(work(step))
        except BaseException as fault:  # noqa: BLE001 - raised in the waiting thread
            outcome.set_exception(fault)

    threading.Thread(target=run, name="shared storage", daemon=True).start()
    try:
        while True:
            remaining = min(start + seconds, moved + STALL_SECONDS) - time.monotonic()
            if wait((outcome,), max(0.0, min(KEEP_ALIVE_SECONDS, remaining))).done:
                return outcome.result()
            if remaining <= 0:
                raise StalledError(f"it has not answered for {time.monotonic() - moved:.0f} s")
            keep_alive()
    finally:
        finished.set()

"""Work that may never end, as with a store that does not answer: it is done aside, and given up in time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], None]
    Result = TypeVar("Result")

STILL_SECONDS: Final = 60.0
"""Work that makes no step for so long is given up."""
LOOK_SECONDS: Final = 5.0


class SilentError(OSError):
    """A place has not answered in time; what was asked of it may still go on."""


def within(seconds: float, work: Callable[[Step], Result], hear: Step) -> Result:
    """What ``work(step)`` gives, in a thread of its own that holds up no exit; raises what it raises.

    Raises SilentError where it takes longer, or has made no ``step`` for `STILL_SECONDS`; ``step`` raises it
    in the thread from then on. Meanwhile ``hear`` is called every few seconds, and may raise.
    """
    begun = moved = time.monotonic()
    over = threading.Event()
    outcome: Future[Result] = Future()

    def step() -> None:
        nonlocal moved
        if over.is_set():
            raise SilentError("nobody waits for it any more")
        moved = time.monotonic()

    def run() -> None:
        try:
            outcome.set_result(work(step))
        except BaseException as fault:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(fault)

    threading.Thread(target=run, name="shared storage", daemon=True).start()
    try:
        while True:
            left = min(begun + seconds, moved + STILL_SECONDS) - time.monotonic()
            if wait((outcome,), max(0.0, min(LOOK_SECONDS, left))).done:
                return outcome.result()
            if left <= 0:
                raise SilentError(f"it has not answered for {time.monotonic() - moved:.0f} s")
            hear()
    finally:
        over.set()

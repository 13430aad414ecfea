"""What a driver keeps from one job to the next: its line to the cluster, and for a moment a place there."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

from . import access, code, connection
from .answers import HostileError
from .connection import CONNECT_SECONDS, LostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.execution.leases import Lease

    from .connection import Place, Wish

HOLDS_SECONDS: Final = 5.0
"""A line on which nothing is heard for so long is not used again."""
HOLD_SECONDS: Final = 1.0
"""Until then the next job is told where one waits; others are kept from the place for no longer than that."""


class Line:
    """To one cluster. ``asks`` says whether it asks for a token, where that was looked at."""

    def __init__(self) -> None:
        self.asks: bool | None = None
        self._to: tuple[Any, ...] = ()

    @property
    def made(self) -> bool:
        """Whether it leads anywhere."""
        return bool(self._to)

    def make(self, address: str, data: Path, late: Callable[[str], None], *, insecure: bool) -> None:
        """Connect to the cluster once it is known that it may be used; our code lies in the folder ``data``.

        ``late`` is told, by another thread, when that takes too long. Raises JobFailure.
        """
        text = f"There is no connection to the cluster {address} after {CONNECT_SECONDS:.0f} s"
        too_long = threading.Timer(CONNECT_SECONDS, late, (text,))
        too_long.daemon = True
        too_long.start()
        try:
            self.asks = access.check(address, insecure=insecure)
            connection.connect(address, code.packed(data))
        finally:
            too_long.cancel()
        self._to = self._end(address, insecure)

    def _end(self, address: str, insecure: bool) -> tuple[Any, ...]:
        return address, insecure, access.token() if self.asks else None

    def holds(self, address: str, *, insecure: bool) -> bool:
        """Whether it leads there, by the token of now, to one that answers and may be used as before."""
        answers = threading.Event()
        asking = threading.Thread(target=self._ask, args=(address, insecure, answers), daemon=True)
        asking.start()
        asking.join(HOLDS_SECONDS)
        return answers.is_set()

    def _ask(self, address: str, insecure: bool, answers: threading.Event) -> None:
        try:
            same = self._to == self._end(address, insecure)
            if same and access.check(address, insecure=insecure) == self.asks and connection.alive():
                answers.set()
        except JobFailure:  # whoever connects anew says it
            pass


class Spare:
    """A place whose job is over, held for the next one of the same wish; it is given back by itself."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held: tuple[Place, Wish, threading.Timer] | None = None

    def hold(self, place: Place, wish: Wish, seconds: float) -> bool:
        """Close a place, and hold it where it is sure in so many ``seconds`` that nothing is left there.

        Whether it is; else it is given back.
        """
        if not place.close(seconds):
            place.give_back()
            return False
        late = threading.Timer(HOLD_SECONDS, self.give_back)
        late.daemon = True
        with self._turn:
            self._held = place, wish, late
        late.start()
        return True

    def take(self, wish: Wish) -> Place | None:
        """The place, where one of that wish is held; one of another is given back."""
        with self._turn:
            held, self._held = self._held, None
        if held is None:
            return None
        place, of, late = held
        late.cancel()
        if of == wish:
            return place
        place.give_back()
        return None

    def give_back(self) -> None:
        """Hold nothing any more."""
        with self._turn:
            held, self._held = self._held, None
        if held:
            held[2].cancel()
            held[0].give_back()


def again(place: Place, lease: Lease) -> bool:
    """Whether the closed ``place`` is that of ``lease`` now; else it is given back, and the lease dropped."""
    with contextlib.suppress(LostError, HostileError, OSError):
        place.again(lease)
        return True
    place.give_back()
    lease.drop()
    return False

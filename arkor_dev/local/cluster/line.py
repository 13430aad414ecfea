"""This process's line to a cluster: made for its first job, and used by those that follow it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

from . import access, code, connection
from .connection import CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLDS_SECONDS: Final = 5.0
"""A line on which nothing is heard for so long is not used again."""


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

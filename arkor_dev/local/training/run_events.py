"""The events of a run on their way out, and who hears of them in the worker itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Observer = Callable[[str, Mapping[str, Any]], None]
    """Hears of an event by its name and fields."""


class RunEvents:
    """Sends events; calling it is sending one. ``send(name, fields)`` passes it to the backend.

    ``observers`` hear of each event once it is sent, in their order. One that sends events itself must be the
    last: those before it hear of an event before they hear of what follows from it.
    """

    def __init__(self, send: Observer, *observers: Observer) -> None:
        self._send = send
        self.observers = list(observers)

    def __call__(self, name: str, **fields: Any) -> None:
        self._send(name, fields)
        for observe in self.observers:
            observe(name, fields)

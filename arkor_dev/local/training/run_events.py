"""Sends the events of a run, and passes them to the observers in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Observer = Callable[[str, Mapping[str, Any]], None]
    """Receives events by name and fields."""


class RunEvents:
    """Sends events when called. ``send(name, fields)`` passes one to the backend.

    ``observers`` are called in order after each event is sent. An observer that sends events itself must be
    the last, so that the others see events in the order sent.
    """

    def __init__(self, send: Observer, *observers: Observer) -> None:
        self._send = send
        self.observers = list(observers)

    def __call__(self, name: str, **fields: Any) -> None:
        self._send(name, fields)
        for observe in self.observers:
            observe(name, fields)

"""Sends the events of a run, and passes them to the observers in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.execution.messages import WorkerEvent

    Observer = Callable[[WorkerEvent], None]


class RunEvents:
    """Sends events when called. ``send`` passes one to the backend; without it they are dropped.

    ``observers`` are called in order after each event is sent. An observer that sends events itself must be
    the last, so that the others see events in the order sent.
    """

    def __init__(self, send: Observer = lambda _: None, *observers: Observer) -> None:
        self._send = send
        self.observers = list(observers)

    def __call__(self, event: WorkerEvent) -> None:
        self._send(event)
        for observe in self.observers:
            observe(event)

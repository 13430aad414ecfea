"""The process that answers chats; all answers share one loaded base model (``generation.loop``).

It receives `Ask` and `StopAnswer`, and sends `Answered`.
"""

from __future__ import annotations

import functools
import os
import queue
import threading
from typing import TYPE_CHECKING

from arkor_dev.local.workers.link import Link

from .generation.interface import GenerationRequest
from .messages import Answered, AnswerFailed, Ask, Done, StopAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .generation.interface import C, Engine
    from .messages import Part
    from .transformers_engine import TransformersEngine


class InferenceWorker:
    """Receives all requests, with an event that stops each of them."""

    def __init__(self) -> None:
        self._stops: dict[int, threading.Event] = {}
        self._inbox: queue.SimpleQueue[GenerationRequest] = queue.SimpleQueue()
        self.link = Link({Ask: self._ask, StopAnswer: self._stop})

    def _ask(self, ask: Ask) -> None:
        # Registered at once, while libraries are still being imported: a stop may arrive before they are
        # ready.
        stop = self._stops[ask.id] = threading.Event()
        self._inbox.put(GenerationRequest(ask.request, stop, functools.partial(self._send, ask.id)))

    def _stop(self, message: StopAnswer) -> None:
        event = self._stops.get(message.id)
        if event:
            event.set()

    def _send(self, number: int, part: Part) -> None:
        if isinstance(part, Done | AnswerFailed):
            del self._stops[number]
        self.link.send(Answered(number, part))

    def run(self, engine: Callable[[], Engine[C]]) -> None:
        """Answer requests with the engine that ``engine`` creates, until standard input ends."""
        os.environ["HF_HUB_OFFLINE"] = "1"
        from .generation.loop import Loop

        Loop(engine(), self._inbox).run()


def _engine() -> TransformersEngine:
    from .transformers_engine import TransformersEngine

    return TransformersEngine()


if __name__ == "__main__":
    InferenceWorker().run(_engine)

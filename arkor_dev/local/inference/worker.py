"""The process that answers chats; all answers share one loaded base model (``generation.loop``).

Messages in: ``{"do": "chat", "id", …}`` and ``{"do": "stop", "id"}``. Out: ``{"id", "text", "logprobs"?}``,
``{"id", "done": {…}}``, ``{"id", "error"}``, ``{"id", "begins"}``, ``{"id", "progress"}``.
"""

from __future__ import annotations

import functools
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.link import Link

from .generation.interface import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .generation.interface import Engine


class InferenceWorker:
    """Receives all requests, with an event that stops each of them."""

    def __init__(self) -> None:
        self._stops: dict[int, threading.Event] = {}
        self._inbox: queue.SimpleQueue[GenerationRequest] = queue.SimpleQueue()
        self.link = Link({"chat": self._chat, "stop": self._stop})

    def _chat(self, ask: dict[str, Any]) -> None:
        # Registered at once, while libraries are still being imported: a stop may arrive before they are
        # ready.
        stop = self._stops[ask["id"]] = threading.Event()
        self._inbox.put(GenerationRequest(ask, stop, functools.partial(self._send, ask["id"])))

    def _stop(self, message: dict[str, Any]) -> None:
        event = self._stops.get(message["id"])
        if event:
            event.set()

    def _send(self, number: int, **fields: Any) -> None:
        if "done" in fields or "error" in fields:
            del self._stops[number]
        self.link.send(id=number, **fields)

    def run(self, engine: Callable[[], Engine]) -> None:
        """Answer requests with the engine that ``engine`` creates, until standard input ends."""
        os.environ["HF_HUB_OFFLINE"] = "1"
        from .generation.loop import Loop

        Loop(engine(), self._inbox).run()


def _engine() -> Engine:
    from .transformers_engine import TransformersEngine

    return TransformersEngine()


if __name__ == "__main__":
    InferenceWorker().run(_engine)

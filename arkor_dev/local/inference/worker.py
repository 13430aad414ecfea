"""The process that answers chats: one base model stays loaded, each answer is a thread of its own.

Messages in: ``{"do": "chat", "id", …}`` and ``{"do": "stop", "id"}``. Out: ``{"id", "text"}``,
``{"id", "done": {…}}``, ``{"id", "error"}``, ``{"id", "progress"}``.
"""

from __future__ import annotations

import os
import queue
import threading
import traceback
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import Link

if TYPE_CHECKING:
    from .engine import Engine


class Work:
    """All running answers."""

    def __init__(self) -> None:
        self._stops: dict[int, threading.Event] = {}
        self._asks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.link = Link({"chat": self._chat, "stop": self._stop})

    def _chat(self, ask: dict[str, Any]) -> None:
        # Known at once, while the libraries are still being imported: its stop may come before its turn.
        self._stops[ask["id"]] = threading.Event()
        self._asks.put(ask)

    def _stop(self, message: dict[str, Any]) -> None:
        event = self._stops.get(message["id"])
        if event:
            event.set()

    def run(self) -> None:
        """Answer until standard input ends."""
        os.environ["HF_HUB_OFFLINE"] = "1"
        from .engine import Engine

        engine = Engine()
        while True:
            ask = self._asks.get()
            threading.Thread(target=self._answer, args=(engine, ask), daemon=True).start()

    def _answer(self, engine: Engine, ask: dict[str, Any]) -> None:
        number, stop = ask["id"], self._stops[ask["id"]]
        link = self.link

        def write(text: str) -> None:
            link.send(id=number, text=text)

        def progress(label: str) -> None:
            link.send(id=number, progress={"label": label, "done": 0, "total": None, "unit": ""})

        try:
            link.send(id=number, done=engine.answer(ask, stop, write, progress))
        except JobFailure as failure:
            link.send(id=number, error=str(failure))
        except Exception as error:  # noqa: BLE001 - one answer's fault must not end the others
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            if out_of_memory(error):
                reason = f"The machine ran out of memory: choose a smaller base model ({reason})"
            link.send(id=number, error=reason)
        finally:
            del self._stops[number]


if __name__ == "__main__":
    Work().run()

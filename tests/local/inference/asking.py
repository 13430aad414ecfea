"""Questions to an engine in this process: the loop is turned by hand, so that what happens when is known."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from arkor_dev.local.inference.generation.interface import GenerationRequest
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

TURNS = 2000


def ask(base: Path, adapter: Path | None, **more: Any) -> dict[str, Any]:
    return {
        "base": str(base),
        "name": "tiny",
        "adapter": str(adapter) if adapter else None,
        "messages": [{"role": "user", "content": "Where is the ledger?"}],
        "temperature": 0,
        "topP": 1.0,
        "maxTokens": 16,
        **more,
    }


class Told:
    """What is sent of one answer."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.texts: list[str] = []
        self.logprobs: list[dict[str, Any]] = []
        self.done: dict[str, Any] = {}
        self.error = ""

    def __call__(self, **fields: Any) -> None:
        self.texts += [fields["text"]] if "text" in fields else []
        self.logprobs += fields.get("logprobs", [])
        self.done = fields.get("done", self.done)
        self.logprobs += self.done.get("logprobs", []) if "done" in fields else []
        self.error = fields.get("error", self.error)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def tokens(self) -> list[str]:
        return [each["token"] for each in self.logprobs]

    @property
    def heights(self) -> list[float]:
        """The log probability of each token."""
        return [each["logprob"] for each in self.logprobs]

    @property
    def over(self) -> bool:
        return bool(self.done or self.error)


class Asking:
    """An engine and its loop."""

    def __init__(self, engine: Any = None) -> None:
        from arkor_dev.local.inference.generation.loop import Loop
        from arkor_dev.local.inference.transformers_engine import TransformersEngine

        self.inbox: queue.SimpleQueue[GenerationRequest] = queue.SimpleQueue()
        self.engine: Any = engine or TransformersEngine()
        self.loop = Loop(self.engine, self.inbox)

    def ask(self, question: dict[str, Any]) -> Told:
        """Put a question in line."""
        told = Told()
        self.inbox.put(GenerationRequest(question, told.stop, told))
        return told

    def turn(self, times: int = 1) -> None:
        """Turn the loop, but never without anything to do: it would wait for ever."""
        for _ in range(times):
            if self.loop.busy:
                self.loop.turn()

    def finish(self, *told: Told) -> None:
        """Turn it until these are over."""
        for _ in range(TURNS):
            if all(each.over for each in told):
                return
            self.turn()
        raise AssertionError("it does not end")

    def answer(self, question: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """One answer, by itself: its text and what its end says."""
        told = self.ask(question)
        self.finish(told)
        if told.error:
            raise JobFailure(told.error)
        return told.text, told.done


def answer(engine: Any, question: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """One answer of ``engine`` by itself."""
    return Asking(engine).answer(question)

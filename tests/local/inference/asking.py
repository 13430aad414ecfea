"""Questions to an engine in this process: the loop is turned by hand, so that what happens when is known."""

from __future__ import annotations

import queue
import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from arkor_dev.local.inference.generation.interface import GenerationRequest
from arkor_dev.local.inference.messages import AnswerFailed, AnswerRequest, Done, Sampling, Text
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.inference.messages import Part, TokenLogprob

TURNS = 2000


def ask(base: Path, adapter: Path | None, **more: Any) -> AnswerRequest:
    """A request for the likeliest answer; ``more`` are its fields and those of its `Sampling`."""
    sampling = {field.name: more.pop(field.name) for field in fields(Sampling) if field.name in more}
    usual: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Where is the ledger?"}],
        "max_tokens": 16,
        "sampling": Sampling(**sampling),
    }
    return AnswerRequest(str(base), "tiny", str(adapter) if adapter else None, **usual | more)


class Told:
    """What is sent of one answer."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.texts: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.done = Done("cancelled")
        self.error = ""
        self.over = False

    def __call__(self, part: Part) -> None:
        match part:
            case Text(text):
                self.texts.append(text)
                self.logprobs += part.logprobs
            case Done():
                self.done, self.over = part, True
                self.logprobs += part.logprobs
            case AnswerFailed(error):
                self.error, self.over = error, True

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def tokens(self) -> list[str]:
        return [each["token"] for each in self.logprobs]

    @property
    def heights(self) -> list[float | None]:
        """The log probability of each token."""
        return [each["logprob"] for each in self.logprobs]


class Asking:
    """An engine and its loop."""

    def __init__(self, engine: Any = None) -> None:
        from arkor_dev.local.inference.generation.loop import Loop
        from arkor_dev.local.inference.transformers_engine import TransformersEngine

        self.inbox: queue.SimpleQueue[GenerationRequest] = queue.SimpleQueue()
        self.engine: Any = engine or TransformersEngine()
        self.loop = Loop(self.engine, self.inbox)

    def ask(self, question: AnswerRequest) -> Told:
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

    def answer(self, question: AnswerRequest) -> tuple[str, Done]:
        """One answer, by itself: its text and what its end says."""
        told = self.ask(question)
        self.finish(told)
        if told.error:
            raise JobFailure(told.error)
        return told.text, told.done


def answer(engine: Any, question: AnswerRequest) -> tuple[str, Done]:
    """One answer of ``engine`` by itself."""
    return Asking(engine).answer(question)

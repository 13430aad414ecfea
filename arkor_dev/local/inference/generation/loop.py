"""The loop of an inference process: whose turn it is, and answers that share steps.

One thread does it all. A question waits in line, first come first served, until its base model is loaded and
a place is free; behind one that needs another base the others wait too, so that nobody is passed by for ever.
The running answers go round in turns. In a turn each *group*, those that the model answers as the same
adapter at the same strength, reads a piece of one prompt and then makes one token for each of its answers in
one step. A row joins its group when its prompt is read and leaves when its answer ends; nobody waits for the
others. Stops are heard before each group's turn.

What computes is an ``Engine`` (``interface``); it knows nothing of all this.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arkor_dev.local.inference.limits import TOGETHER
from arkor_dev.local.inference.structured_output.constraint import Vocabulary
from arkor_dev.local.workers.errors import JobFailure, out_of_memory

from .decoding import Incremental, Stops
from .sampling import Chosen, Sampler, Sampling
from .tool_calls import ToolCalls, tool_names

if TYPE_CHECKING:
    import queue

    import numpy as np
    from numpy.typing import NDArray

    from arkor_dev.local.inference.structured_output.constraint import Constraint

    from .interface import Engine, GenerationRequest

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Answer:
    """An answer on its way."""

    asked: GenerationRequest
    conversation: Any
    sampler: Sampler
    text: Incremental
    stops: Stops
    calls: ToolCalls
    limit: int
    began: float
    following: Constraint | None
    logits: NDArray[np.float32] | None = None
    token: int = 0
    tokens: int = 0
    first: float | None = None
    told: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """Answers the questions of an inbox by one engine."""

    def __init__(self, engine: Engine, inbox: queue.SimpleQueue[GenerationRequest]) -> None:
        self.engine = engine
        self._inbox = inbox
        self._line: deque[GenerationRequest] = deque()
        self._answers: list[_Answer] = []
        self._place: str | None = None
        self._kept: Vocabulary | None = None

    def run(self) -> None:
        """Answer for ever."""
        while True:
            self.turn()

    @property
    def busy(self) -> bool:
        """Whether anything is being answered, or waits."""
        return bool(self._answers or self._line or not self._inbox.empty())

    def turn(self) -> None:
        """Let every group make a token for each of its answers; waits for a question where there is none."""
        self._hear()
        self._admit()
        for group in list(dict.fromkeys(each.conversation.group for each in self._answers)):
            self._drop_stopped()
            answers = [each for each in self._answers if each.conversation.group == group]
            if answers:
                self._advance(answers)

    def _hear(self) -> None:
        while not (self._answers or self._line) or not self._inbox.empty():
            asked = self._inbox.get()
            asked.place = self.engine.place_of(asked.ask)
            self._line.append(asked)
        self._drop_stopped()

    def _drop_stopped(self) -> None:
        for asked in [each for each in self._line if each.stop.is_set()]:
            self._line.remove(asked)
            asked.send(done=_done("cancelled"))
        for answer in [each for each in self._answers if each.asked.stop.is_set()]:
            self._finish(answer, "cancelled")

    def _admit(self) -> None:
        while self._line and len(self._answers) < TOGETHER:
            if self._answers and self._line[0].place != self._place:
                return
            asked = self._line.popleft()
            # What one answer needs may change how a base has to be loaded for those behind it.
            asked.place = self.engine.place_of(asked.ask)
            if self._answers and asked.place != self._place:
                self._line.appendleft(asked)
                return
            self._place = asked.place
            with self._guarded([asked]):
                self._answers.append(self._begun(asked))

    def _begun(self, asked: GenerationRequest) -> _Answer:
        engine, ask = self.engine, asked.ask
        conversation = engine.begin(ask, asked.place, lambda label: asked.send(progress=_progress(label)))
        wanted = ask.get("format")
        try:
            following = self._vocabulary().follow(**wanted) if wanted else None
        except BaseException:
            engine.end(conversation)
            raise
        names = tool_names(ask.get("tools"))
        return _Answer(
            asked,
            conversation,
            Sampler(Sampling.of(ask, engine.repetition), conversation.prompt),
            Incremental(engine.tokenizer),
            Stops(ask.get("stop") or ()),
            ToolCalls(names),
            min(ask["maxTokens"], conversation.room),
            time.monotonic(),
            following,
        )

    def _vocabulary(self) -> Vocabulary:
        """Of the loaded model; made at the first answer that needs it, which takes up to a second."""
        tokenizer = self.engine.tokenizer
        if self._kept is None or self._kept.tokenizer is not tokenizer:
            self._kept = Vocabulary.of(tokenizer, self.engine.ends)
        return self._kept

    def _advance(self, answers: list[_Answer]) -> None:
        """A piece of one prompt, the one that is read soonest, then a token for each answer that is ready."""
        engine = self.engine
        reading = [each for each in answers if each.logits is None]
        if reading:
            next_read = min(reading, key=lambda each: engine.left(each.conversation))
            with self._guarded([next_read.asked]):
                next_read.logits = engine.read(next_read.conversation)
        going_on = []
        for answer in answers:
            if answer in self._answers and answer.logits is not None:
                with self._guarded([answer.asked]):
                    if self._chosen(answer):
                        going_on.append(answer)
        if going_on:
            with self._guarded([each.asked for each in going_on]):
                rows = engine.step(
                    [each.conversation for each in going_on], [each.token for each in going_on]
                )
                for answer, logits in zip(going_on, rows, strict=True):
                    answer.logits = logits

    def _chosen(self, answer: _Answer) -> bool:
        """Choose the next token of an answer and send what it completes; whether the answer goes on."""
        assert answer.logits is not None
        following = answer.following
        allowed = following.allowed(answer.logits.size) if following else None
        chosen = answer.sampler.choose(answer.logits, allowed)
        answer.token, answer.tokens = chosen.token, answer.tokens + 1
        if answer.first is None:
            answer.first = time.monotonic()
        if chosen.token in self.engine.ends:
            self._finish(answer, "stop")
            return False
        if chosen.logprob is not None:
            answer.told.append(self._logprob(chosen))
        self._say(answer, answer.stops.push(answer.text.push(chosen.token)))
        if answer.stops.met:
            self._finish(answer, "stop")
        elif following and (end := following.take(chosen.token)):
            self._finish(answer, end)
        elif answer.tokens >= answer.limit:
            self._finish(answer, "length")
        else:
            return True
        return False

    def _say(self, answer: _Answer, text: str) -> None:
        if out := answer.calls.push(text):
            told, answer.told = answer.told, []
            answer.asked.send(text=out, **({"logprobs": told} if told else {}))

    def _finish(self, answer: _Answer, reason: str) -> None:
        self._answers.remove(answer)
        self.engine.end(answer.conversation)
        self._say(answer, answer.stops.rest())
        text, calls = answer.calls.end()
        if text:
            answer.asked.send(text=text)
        now = time.monotonic()
        done = _done(
            "tool_calls" if calls and reason == "stop" else reason,
            promptTokens=len(answer.conversation.prompt),
            cachedTokens=answer.conversation.cached,
            completionTokens=answer.tokens,
            firstTokenSeconds=round((answer.first or now) - answer.began, 4),
            seconds=round(now - answer.began, 4),
            **self.engine.facts,
        )
        if calls:
            done["toolCalls"] = calls
        if answer.told:
            done["logprobs"] = answer.told
        answer.asked.send(done=done)

    def _logprob(self, chosen: Chosen) -> dict[str, Any]:
        assert chosen.logprob is not None
        likeliest = [self._token(token, logprob) for token, logprob in chosen.likeliest]
        return {**self._token(chosen.token, chosen.logprob), "top_logprobs": likeliest}

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        text = self.engine.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        # JSON has no infinity; a token that cannot come is told as one that hardly can.
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}

    def _guarded(self, asked: list[GenerationRequest]) -> _Guard:
        return _Guard(self, asked)

    def drop(self, asked: list[GenerationRequest], reason: str) -> None:
        """End these answers, as they cannot go on."""
        for answer in [each for each in self._answers if each.asked in asked]:
            self._answers.remove(answer)
            self.engine.end(answer.conversation)
        for each in asked:
            each.send(error=reason)


class _Guard:
    """A fault within ends the answers that it concerns, with its reason, and no others."""

    def __init__(self, loop: Loop, asked: list[GenerationRequest]) -> None:
        self._loop = loop
        self._asked = asked

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        reason = str(error)
        if not isinstance(error, JobFailure):
            log.error("an answer has failed", exc_info=error)
            reason = f"{type(error).__name__}: {error}"
            if out_of_memory(error):
                reason = f"The machine ran out of memory: choose a smaller base model ({reason})"
        self._loop.drop(self._asked, reason)
        return True


def _done(reason: str, **more: Any) -> dict[str, Any]:
    figures = {"promptTokens": 0, "completionTokens": 0, "firstTokenSeconds": 0.0, "seconds": 0.0}
    return {"reason": reason, **figures, **more}


def _progress(label: str) -> dict[str, Any]:
    return {"label": label, "done": 0, "total": None, "unit": ""}

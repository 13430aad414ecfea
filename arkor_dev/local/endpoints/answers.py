"""Formats answers like OpenAI, whole or as the chunks of a stream."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.deployments import error_body
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.inference.response_format import answered_by
from arkor_dev.local.jobs.records import compact

from .thought_text import SplitStream, without_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.shapes import AnsweredBy
    from arkor_dev.local.inference.messages import TokenLogprob
    from arkor_dev.local.modeling.tool_calls import IndexedCall, ToolCall

    from .openai_shapes import (
        ChatCompletionMessage,
        ChatLogprobs,
        Choice,
        ColumnLogprobs,
        Completion,
        CompletionUsage,
        Delta,
    )

Event = tuple[str | None, str]
"""The name and the data of an event in a stream; OpenAI's chunks have no names."""
DONE: Final = "[DONE]"
CHAT: Final = "chat/completions"
COMPLETION: Final = "completions"


@dataclass
class AnswerChoice:
    """The current state of one answer to a request, whose ``text`` may begin with ``thoughts`` and their
    marks. ``done`` is the engine's final message.
    """

    text: str = ""
    thoughts: str = ""
    tokens: list[TokenLogprob] = field(default_factory=list)
    done: Done | None = None

    def add(self, part: Text | Done) -> None:
        if isinstance(part, Text):
            self.text += part.text
            self.thoughts += part.text if part.thoughts else ""
        else:
            self.done = part
        self.tokens += part.logprobs

    @property
    def reasoning(self) -> str:
        """The thoughts without their marks."""
        return without_marks(self.thoughts)

    @property
    def answer(self) -> str:
        """The text after the thoughts."""
        return self.text.removeprefix(self.thoughts).lstrip() if self.thoughts else self.text

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, known only at the end of the answer."""
        return list(self.done.tool_calls) if self.done else []


def fingerprint(engine: AnsweredBy | None) -> str | None:
    """Return OpenAI's ``system_fingerprint``: engine, number format and weights, if known."""
    if not engine:
        return None
    parts = ("fp", engine["engine"], engine.get("precision"), engine.get("weights"))
    return "_".join(part for part in parts if part)


def prompt_tokens(choices: Sequence[AnswerChoice], answers: int, *, cached: bool = False) -> int:
    """Return the tokens of all prompts, or the ``cached`` ones; each prompt has so many ``answers``."""

    def tokens(done: Done) -> int:
        return done.cached_tokens if cached else done.prompt_tokens

    groups = (choices[start : start + answers] for start in range(0, len(choices), answers))
    return sum(max((tokens(choice.done) for choice in group if choice.done), default=0) for group in groups)


def thinking_tokens(choices: Sequence[AnswerChoice]) -> int:
    """Return the tokens of the thoughts in all answers."""
    return sum(choice.done.thinking_tokens for choice in choices if choice.done)


class AnswerFormat:
    """Format of one request's answers: ``model`` is the name that the caller knows.

    ``engine`` describes the engine of earlier answers, None if unknown. Each prompt has ``answers``
    answers. Thoughts are the ``reasoning_content`` of a message, as in DeepSeek's API and vLLM.
    """

    def __init__(self, call: str, model: str, engine: AnsweredBy | None = None, answers: int = 1) -> None:
        self._chat = call == CHAT
        self._answers = answers
        self._streams: dict[int, SplitStream] = {}
        mark, kind = ("chatcmpl", "chat.completion") if self._chat else ("cmpl", "text_completion")
        self._kind = kind
        self._id = f"{mark}-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._model = model
        self._fingerprint = fingerprint(engine)

    def complete(self, choices: list[AnswerChoice]) -> Completion:
        """Return the answer to a request without a stream."""
        self._note(*(choice.done for choice in choices))
        written = [self._complete_choice(number, choice) for number, choice in enumerate(choices)]
        return {**self._completion(self._kind, written), "usage": self.usage(choices)}

    def _completion(self, kind: str, choices: list[Choice]) -> Completion:
        return {
            "id": self._id,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": self._fingerprint,
            "object": kind,
            "choices": choices,
        }

    def _complete_choice(self, number: int, choice: AnswerChoice) -> Choice:
        whole = self._choice(number, choice.tokens, choice.done.reason if choice.done else None)
        if not self._chat:
            return {**whole, "text": choice.text}
        content = None if choice.calls and not choice.answer else choice.answer
        message: ChatCompletionMessage = {"role": "assistant", "content": content, "refusal": None}
        if reasoning := choice.reasoning:
            message["reasoning_content"] = reasoning
        if choice.calls:
            message["tool_calls"] = choice.calls
        return {**whole, "message": message}

    def begin(self, number: int) -> Completion | None:
        """Return the chunk before the first text, which contains the role; a plain completion has none."""
        return self._chunk(number, {"role": "assistant", "content": ""}) if self._chat else None

    def parts(self, number: int, part: Text | Done) -> Iterator[Completion]:
        """Yield the chunks of one part of the engine's answer, including the final one."""
        stream = self._streams.setdefault(number, SplitStream())
        thoughts, text = stream.push(part) if isinstance(part, Text) else (stream.end(), "")
        if thoughts:
            yield self._chunk(number, {"reasoning_content": thoughts})
        if isinstance(part, Text):
            if text or part.logprobs:
                yield self._chunk(number, {"content": text} if text else {}, part.logprobs)
            return
        self._note(part)
        calls: list[IndexedCall] = [{"index": index, **call} for index, call in enumerate(part.tool_calls)]
        yield self._chunk(number, {"tool_calls": calls} if calls else {}, part.logprobs, part.reason)

    def end(self, choices: list[AnswerChoice]) -> Completion:
        """Return the chunk with the usage, which follows all others if the caller requested it."""
        return {**self._completion(self._stream_kind, []), "usage": self.usage(choices)}

    def starting(self, number: int) -> Iterator[Event]:
        """Yield the events before the first text of an answer."""
        if first := self.begin(number):
            yield None, compact(first)

    def events(self, number: int, message: Text | Done) -> Iterator[Event]:
        """Yield the events of one message of the engine, including the final one."""
        for chunk in self.parts(number, message):
            yield None, compact(chunk)

    def ending(self, choices: list[AnswerChoice], *, usage: bool) -> Iterator[Event]:
        """Yield the events after the last answer, with the ``usage`` if the caller requested it."""
        if usage:
            yield None, compact(self.end(choices))
        yield None, DONE

    @staticmethod
    def fault(status: int, text: str, code: object) -> Iterator[Event]:
        """Yield the event of an error within a stream."""
        yield None, compact(error_body(status, text, code))

    def usage(self, choices: list[AnswerChoice]) -> CompletionUsage:
        """Return OpenAI's ``usage``: each prompt counts once, plus the tokens of each answer."""
        prompt = prompt_tokens(choices, self._answers)
        cached = prompt_tokens(choices, self._answers, cached=True)
        completion = sum(choice.done.completion_tokens for choice in choices if choice.done)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thinking_tokens(choices)},
        }

    def _note(self, *ends: Done | None) -> None:
        """Record the answering engine, once a final message states it."""
        for done in ends:
            if done and (answered := fingerprint(answered_by(done))):
                self._fingerprint = answered

    @property
    def _stream_kind(self) -> str:
        return f"{self._kind}.chunk" if self._chat else self._kind

    def _chunk(
        self,
        number: int,
        delta: Delta,
        tokens: Sequence[TokenLogprob] = (),
        reason: str | None = None,
    ) -> Completion:
        choice = self._choice(number, tokens, reason)
        if self._chat:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        return self._completion(self._stream_kind, [choice])

    def _choice(self, number: int, tokens: Sequence[TokenLogprob], reason: str | None) -> Choice:
        """Return a choice without its message or text."""
        logprobs: ChatLogprobs | ColumnLogprobs | None = None
        if tokens:
            logprobs = {"content": list(tokens), "refusal": None} if self._chat else _by_column(tokens)
        return {"index": number, "logprobs": logprobs, "finish_reason": reason}


def _by_column(tokens: Sequence[TokenLogprob]) -> ColumnLogprobs:
    """Return log probabilities in the format of the completions call."""

    def alternatives(token: TokenLogprob) -> dict[str, float | None] | None:
        if token["logprob"] is None:
            return None
        logprobs: dict[str, float | None] = {}
        for candidate in (*token["top_logprobs"], token):  # different tokens may have the same text
            logprobs.setdefault(candidate["token"], candidate["logprob"])
        return logprobs

    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [alternatives(token) for token in tokens],
        "text_offset": [token["offset"] for token in tokens],
    }

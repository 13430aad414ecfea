"""The loop of an inference process: it schedules requests and batches their steps.

Everything happens in one thread. A request waits, first come first served, until its base model is loaded and
a slot is free. Requests behind one that needs a different base wait, too, so that none is overtaken forever.
Running answers take turns by *group*: those with the same adapter at the same strength. In its turn a group
reads a chunk of one prompt, and then generates one token for each of its answers in one step. A row joins its
group when its prompt is read and leaves when its answer ends, without waiting for the others. Stops are
noticed before each turn.

An ``Engine`` (``interface``) does the computation and knows nothing of scheduling.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic

import numpy as np

from arkor_dev.local.inference.generation.interface import MAX_CONCURRENT, C
from arkor_dev.local.inference.messages import AnswerFailed, Begun, Done, Loading, Text
from arkor_dev.local.inference.structured_output.constraint import Vocabulary
from arkor_dev.local.modeling.tool_calls import ToolCalls, tool_names
from arkor_dev.local.workers.errors import JobFailure, out_of_memory

from .decoding import IncrementalDecoder, StopFilter
from .sampling import SampledToken, Sampler
from .thinking import ThinkingTracker

if TYPE_CHECKING:
    import queue

    from numpy.typing import NDArray

    from arkor_dev.local.inference.messages import AnswerRequest, FinishReason, ScoredToken, TokenLogprob
    from arkor_dev.local.inference.structured_output.constraint import Constraint

    from .interface import Engine, GenerationRequest

log = logging.getLogger(__name__)

LOGPROBS_PER_MESSAGE: Final = 256
"""Number of prompt tokens whose log probabilities are sent in one message."""


@dataclass(eq=False)
class _Answer(Generic[C]):
    request: GenerationRequest
    conversation: C
    sampler: Sampler
    text: IncrementalDecoder
    stops: StopFilter
    calls: ToolCalls
    limit: int
    started: float
    constraint: Constraint | None
    thinking: ThinkingTracker | None
    logits: NDArray[np.float32] | None = None
    token: int = 0
    tokens: int = 0
    first: float | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)
    offset: int = 0
    """Number of characters before the next token, if a plain text is continued."""

    @property
    def is_plain(self) -> bool:
        """Whether it continues a text, without a chat template."""
        return self.request.ask.prompt is not None


class Loop(Generic[C]):
    """Answers the requests of an inbox with one engine."""

    def __init__(self, engine: Engine[C], inbox: queue.SimpleQueue[GenerationRequest]) -> None:
        self.engine = engine
        self._inbox = inbox
        self._waiting: deque[GenerationRequest] = deque()
        self._answers: list[_Answer[C]] = []
        self._base_key: str | None = None
        self._cached_vocabulary: Vocabulary | None = None

    def run(self) -> None:
        """Answer requests until the process ends."""
        while True:
            self.turn()

    @property
    def busy(self) -> bool:
        """Whether any request is running or waiting."""
        return bool(self._answers or self._waiting or not self._inbox.empty())

    def turn(self) -> None:
        """Give every group its turn; wait for a request if there is none."""
        self._receive()
        self._admit()
        for group in list(dict.fromkeys(answer.conversation.group for answer in self._answers)):
            self._drop_stopped()
            answers = [answer for answer in self._answers if answer.conversation.group == group]
            if answers:
                self._advance(answers)

    def _receive(self) -> None:
        while not (self._answers or self._waiting) or not self._inbox.empty():
            request = self._inbox.get()
            request.base_key = self.engine.base_key_of(request.ask)
            self._waiting.append(request)
        self._drop_stopped()

    def _drop_stopped(self) -> None:
        for request in [candidate for candidate in self._waiting if candidate.stop.is_set()]:
            self._waiting.remove(request)
            request.send(Done("cancelled"))
        for answer in [candidate for candidate in self._answers if candidate.request.stop.is_set()]:
            self._finish(answer, "cancelled")

    def _admit(self) -> None:
        while self._waiting and len(self._answers) < MAX_CONCURRENT:
            if self._answers and self._waiting[0].base_key != self._base_key:
                return
            request = self._waiting.popleft()
            # A request may change how a base must be loaded for the requests after it.
            request.base_key = self.engine.base_key_of(request.ask)
            if self._answers and request.base_key != self._base_key:
                self._waiting.appendleft(request)
                return
            self._base_key = request.base_key
            with self._guarded([request]):
                if request.ask.texts is None:
                    answer = self._start(request)
                    self._answers.append(answer)
                    if not answer.limit and not request.ask.echo:  # only the prompt's length is wanted
                        self._finish(answer, "length")
                else:
                    self._read_texts(request)

    def _read_texts(self, request: GenerationRequest) -> None:
        """Classify, embed or rank the request's texts, while the running answers wait."""
        request.send(Begun())
        began, stopped = time.monotonic(), request.stop.is_set
        ask, read = request.ask, self.engine.classify
        if ask.query is not None:
            read = self.engine.rerank
        elif ask.input_type is not None:
            read = self.engine.embed
        reading, tokens = read(ask, request.base_key, lambda label: request.send(_loading(label)), stopped)
        if stopped():
            request.send(Done("cancelled"))
            return
        request.send(reading)
        seconds = round(time.monotonic() - began, 4)
        facts = self.engine.facts
        request.send(
            Done(
                "stop",
                prompt_tokens=tokens,
                first_token_seconds=seconds,
                seconds=seconds,
                engine=facts.get("engine"),
                precision=facts.get("precision"),
                why=facts.get("why"),
            )
        )

    def _start(self, request: GenerationRequest) -> _Answer[C]:
        engine, ask = self.engine, request.ask
        request.send(Begun())  # the chat template may be the last thing that this process does
        conversation = engine.begin(ask, request.base_key, lambda label: request.send(_loading(label)))
        try:
            constraint = self._vocabulary().constrain(ask.format) if ask.format else None
        except BaseException:
            engine.end(conversation)
            raise
        sampling = replace(ask.sampling, repetition=ask.sampling.repetition or engine.repetition)
        names = tool_names(ask.tools)
        return _Answer(
            request,
            conversation,
            Sampler(sampling, conversation.prompt),
            IncrementalDecoder(engine.tokenizer),
            StopFilter(ask.stop or ()),
            _calls_of(ask, names, marked=constraint is not None and constraint.is_marked),
            min(ask.max_tokens, conversation.max_new_tokens),
            time.monotonic(),
            constraint,
            # Enforced formats leave no room for thoughts, and a continued text has none.
            ThinkingTracker(engine.tokenizer, conversation.prompt, ask.thinking_budget)
            if constraint is None and ask.prompt is None
            else None,
        )

    def _vocabulary(self) -> Vocabulary:
        """Return the loaded model's vocabulary, created on first use, which takes up to a second."""
        tokenizer = self.engine.tokenizer
        if self._cached_vocabulary is None or self._cached_vocabulary.tokenizer is not tokenizer:
            self._cached_vocabulary = Vocabulary.of(tokenizer, self.engine.ends)
        return self._cached_vocabulary

    def _advance(self, answers: list[_Answer[C]]) -> None:
        """Read a chunk of the prompt nearest its end, then generate a token for each ready answer."""
        engine = self.engine
        reading = [answer for answer in answers if answer.logits is None]
        if reading:
            next_read = min(reading, key=_unread)
            with self._guarded([next_read.request]):
                next_read.logits = engine.read(next_read.conversation)
                if next_read.logits is not None and next_read.request.ask.echo:
                    self._send_prompt(next_read)
                    if not next_read.limit:
                        self._finish(next_read, "length")
        continuing = []
        for answer in answers:
            if answer in self._answers and answer.logits is not None:
                with self._guarded([answer.request]):
                    if self._chosen(answer):
                        continuing.append(answer)
        if continuing:
            with self._guarded([answer.request for answer in continuing]):
                rows = engine.step(
                    [answer.conversation for answer in continuing], [answer.token for answer in continuing]
                )
                for answer, logits in zip(continuing, rows, strict=True):
                    answer.logits = logits

    def _chosen(self, answer: _Answer[C]) -> bool:
        """Choose an answer's next token and send the text it completes; return whether it continues."""
        assert answer.logits is not None
        constraint, thinking = answer.constraint, answer.thinking
        allowed = constraint.allowed(answer.logits.size) if constraint else None
        forced = thinking.forced() if thinking else None
        if forced is not None:
            allowed = np.arange(answer.logits.size) == forced
        chosen = answer.sampler.choose(answer.logits, allowed)
        answer.token, answer.tokens = chosen.token, answer.tokens + 1
        if answer.first is None:
            answer.first = time.monotonic()
        ended = forced is None and chosen.token in self.engine.ends
        if chosen.logprob is not None and (answer.is_plain or not ended):
            answer.logprobs.append(self._logprob(chosen, answer))
        if ended:
            self._finish(answer, "stop")
            return False
        text = answer.text.push(chosen.token)
        answer.offset += len(text)
        text, thoughts = answer.stops.push(text), False
        if thinking:
            text, thoughts = thinking.push(chosen.token, text)
        self._send_text(answer, text, thoughts=thoughts)
        if answer.stops.met:
            self._finish(answer, "stop")
        elif constraint and (end := constraint.accept(chosen.token)):
            self._finish(answer, end)
        elif answer.tokens >= answer.limit:
            self._finish(answer, "length")
        else:
            return True
        return False

    def _send_prompt(self, answer: _Answer[C]) -> None:
        """Send the prompt as the beginning of the answer, with its log probabilities if requested."""
        tokenizer, prompt = self.engine.tokenizer, answer.request.ask.prompt
        scores, entries = answer.conversation.scores or (), []
        if isinstance(prompt, str):
            text = prompt
        else:
            assert prompt is not None  # a conversation is not repeated
            text = tokenizer.decode(prompt, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        written = IncrementalDecoder(tokenizer, special=True)
        for chosen in scores:
            entries.append(self._logprob(chosen, answer))
            piece = written.push(chosen.token)
            # The tokenizer may have added a first token that is not part of the text.
            answer.offset += len(piece) if text.startswith(piece, answer.offset) else 0
        answer.offset = len(text)
        answer.request.send(Text(text, entries[:LOGPROBS_PER_MESSAGE]))
        for start in range(LOGPROBS_PER_MESSAGE, len(entries), LOGPROBS_PER_MESSAGE):
            answer.request.send(Text("", entries[start : start + LOGPROBS_PER_MESSAGE]))

    def _send_text(self, answer: _Answer[C], text: str, *, thoughts: bool = False) -> None:
        if out := answer.calls.push(text):
            logprobs, answer.logprobs = answer.logprobs, []
            answer.request.send(Text(out, logprobs, thoughts))

    def _finish(self, answer: _Answer[C], reason: FinishReason) -> None:
        self._answers.remove(answer)
        self.engine.end(answer.conversation)
        held = answer.thinking.flush() if answer.thinking else ""
        self._send_text(answer, held + answer.stops.flush())
        text, calls = answer.calls.end()
        if text:
            answer.request.send(Text(text))
        now = time.monotonic()
        done = Done(
            "tool_calls" if calls and reason == "stop" else reason,
            prompt_tokens=len(answer.conversation.prompt),
            cached_tokens=answer.conversation.cached,
            completion_tokens=answer.tokens,
            thinking_tokens=answer.thinking.tokens if answer.thinking else 0,
            first_token_seconds=round((answer.first or now) - answer.started, 4),
            seconds=round(now - answer.started, 4),
            tool_calls=calls,
            logprobs=answer.logprobs,
            **self.engine.facts,
        )
        answer.request.send(done)

    def _logprob(self, chosen: SampledToken, answer: _Answer[C]) -> TokenLogprob:
        likeliest = [self._token(token, logprob) for token, logprob in chosen.likeliest]
        own = self._token(chosen.token, chosen.logprob)
        entry: TokenLogprob = {
            "token": own["token"],
            "logprob": own["logprob"],
            "bytes": own["bytes"],
            "top_logprobs": likeliest,
        }
        if answer.is_plain:
            entry["offset"] = answer.offset
        return entry

    def _token(self, token: int, logprob: float | None) -> ScoredToken:
        text = self.engine.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        # JSON has no infinity: an impossible token is sent as a very unlikely one.
        height = None if logprob is None else max(logprob, -9999.0)
        return {"token": text, "logprob": height, "bytes": list(text.encode())}

    def _guarded(self, requests: list[GenerationRequest]) -> _Guard[C]:
        return _Guard(self, requests)

    def drop(self, requests: list[GenerationRequest], reason: str) -> None:
        """End answers that can't continue."""
        for answer in [answer for answer in self._answers if answer.request in requests]:
            self._answers.remove(answer)
            self.engine.end(answer.conversation)
        for request in requests:
            request.send(AnswerFailed(reason))


class _Guard(Generic[C]):
    """Confines an error in the body to the answers that it affects, with its reason."""

    def __init__(self, loop: Loop[C], requests: list[GenerationRequest]) -> None:
        self._loop = loop
        self._requests = requests

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
        self._loop.drop(self._requests, reason)
        return True


def _loading(label: str) -> Loading:
    return Loading({"label": label, "done": 0, "total": None, "unit": ""})


def _calls_of(ask: AnswerRequest, names: frozenset[str], *, marked: bool) -> ToolCalls:
    rules = ask.format.calls if ask.format else None
    return ToolCalls(names, only_marked=marked, most=1 if rules is not None and not rules.parallel else None)


def _unread(answer: _Answer[C]) -> int:
    return len(answer.conversation.prompt) - len(answer.conversation.tokens)

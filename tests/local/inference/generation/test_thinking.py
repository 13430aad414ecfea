"""Thoughts of an answer, and their budget: what the loop generates, and what it sends."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

pytest.importorskip("transformers")

import numpy as np

from arkor_dev.local.endpoints.thought_text import SplitStream, without_marks
from arkor_dev.local.inference.generation.interface import GenerationRequest
from arkor_dev.local.inference.generation.loop import Loop
from arkor_dev.local.inference.generation.prompt import prompt_of
from arkor_dev.local.inference.messages import AnswerRequest, Done, Sampling, Text
from arkor_dev.local.inference.request_options import problem
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import CHATML, make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.inference.messages import Part

pytestmark = pytest.mark.engine
ASKED: list[dict[str, object]] = [{"role": "user", "content": "my parcel?"}]
CUE = "assistant\n{% endif %}"


class Conversation:
    group = "all"
    cached = 0
    scores = None
    max_new_tokens = 500

    def __init__(self, prompt: list[int]) -> None:
        self.prompt, self.tokens = prompt, list[int]()


class ThinkingEngine:
    """A model that begins with ``begins``, thinks ``thoughts`` tokens or until they are ended for it, and
    then answers.
    """

    repetition = 1.0
    facts: dict[str, str]

    def __init__(self, begins: str, thoughts: int, *, cue: str = "") -> None:
        self.facts = {}
        self.tokenizer = make_tokenizer()
        self.tokenizer.add_tokens(["<think>", "</think>"])
        self.tokenizer.chat_template = CHATML.replace(CUE, f"assistant\n{cue}{{% endif %}}")
        self.ends: list[int] = [self.tokenizer.eos_token_id]
        self._begins, self._thoughts = self._ids(begins), thoughts
        (self._end,) = self._ids("</think>")
        (self._hm,) = self._ids("w")
        self._answer: list[int] = [*self._ids("the ledger."), *self.ends]

    def base_key_of(self, ask: AnswerRequest) -> str:
        return "base"

    def begin(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> Conversation:
        return Conversation(prompt_of(self.tokenizer, ask, 500))

    def read(self, conversation: Conversation) -> Any:
        conversation.tokens = list(conversation.prompt)
        return self._logits(conversation)

    def step(self, conversations: list[Conversation], tokens: list[int]) -> Any:
        for conversation, token in zip(conversations, tokens, strict=True):
            conversation.tokens.append(token)
        return np.stack([self._logits(conversation) for conversation in conversations])

    def end(self, conversation: Conversation) -> None:
        pass

    def classify(self, *_: object) -> NoReturn:
        raise JobFailure("it is no classifier")

    embed = rerank = classify

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _logits(self, conversation: Conversation) -> Any:
        written = conversation.tokens[len(conversation.prompt) :]
        logits = np.zeros(len(self.tokenizer), np.float32)
        logits[self._next(written)] = 9
        return logits

    def _next(self, written: list[int]) -> int:
        if len(written) < len(self._begins):
            return self._begins[len(written)]
        if self._end in written:
            breaks = self._ids("\n\n")
            said = written[written.index(self._end) + 1 :]
            said = said[len(breaks) :] if said[: len(breaks)] == breaks else said
            return self._answer[len(said)]
        return self._hm if len(written) < len(self._begins) + self._thoughts else self._end


def answered(engine: ThinkingEngine, budget: int | None, **more: Any) -> tuple[list[Text], Done]:
    """The texts of one answer, and its end."""
    inbox: queue.SimpleQueue[GenerationRequest] = queue.SimpleQueue()
    parts: list[Part] = []
    loop = Loop(engine, inbox)
    ask = AnswerRequest("", "tiny", messages=ASKED, max_tokens=200, thinking_budget=budget, **more)

    inbox.put(GenerationRequest(ask, threading.Event(), parts.append))
    while loop.busy:
        loop.turn()
    done = parts[-1]
    assert isinstance(done, Done), done
    return [part for part in parts if isinstance(part, Text)], done


def texts(parts: list[Text], *, thoughts: bool | None = None) -> str:
    return "".join(part.text for part in parts if thoughts is None or part.thoughts == thoughts)


@pytest.mark.parametrize(("begins", "cue"), [("<think>\n", ""), ("", "<think>\n")], ids=["answer", "cue"])
def test_thoughts_end_after_their_budget(begins: str, cue: str) -> None:
    engine = ThinkingEngine(begins, 50, cue=cue)
    parts, done = answered(engine, 7)
    spent = 7 - len(engine._ids("\n")) * bool(begins)  # what follows the mark counts
    assert texts(parts, thoughts=True) == f"{begins}{'w' * spent}\n</think>\n\n"
    assert texts(parts, thoughts=False) == "the ledger."
    assert done.reason == "stop"
    longer, _ = answered(engine, 30)
    assert texts(longer, thoughts=True).count("w") == spent + 23


def test_thoughts_within_their_budget_are_left_alone() -> None:
    engine = ThinkingEngine("<think>\n", 10)
    parts, done = answered(engine, 64)
    assert texts(parts, thoughts=True) == f"<think>\n{'w' * 10}</think>"
    assert texts(parts, thoughts=False) == "the ledger."
    without, same = answered(engine, None)
    assert texts(without) == texts(parts)
    assert same.completion_tokens == done.completion_tokens
    assert texts(without, thoughts=True) == texts(parts, thoughts=True)
    assert done.thinking_tokens == same.thinking_tokens == len(engine._ids("\n")) + 10 + 1


class ScriptedEngine(ThinkingEngine):
    """A model that generates ``text``, in which the marks of gpt-oss are special tokens."""

    def __init__(self, text: str) -> None:
        super().__init__("", 0)
        marks = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>"]
        self.tokenizer.add_special_tokens({"additional_special_tokens": marks})
        self._written = [*self._ids(text), *self.ends]

    def _logits(self, conversation: Conversation) -> Any:
        written = len(conversation.tokens) - len(conversation.prompt)
        logits = np.zeros(len(self.tokenizer), np.float32)
        logits[self._written[written]] = 9
        return logits


CHANNELS = "<|channel|>analysis<|message|>The tide.<|end|><|start|>assistant<|channel|>final<|message|>"


def test_marks_that_are_special_tokens_are_sent_with_the_thoughts() -> None:
    parts, done = answered(ScriptedEngine(f"{CHANNELS}At noon."), None)
    assert texts(parts, thoughts=True) == CHANNELS
    assert texts(parts, thoughts=False) == "At noon."
    assert done.thinking_tokens == len(ScriptedEngine("")._ids("The tide.<|end|>"))
    split = SplitStream()
    pushed = [split.push(part) for part in parts]
    assert "".join(thoughts for thoughts, _ in pushed) + split.end() == "The tide."
    assert "".join(text for _, text in pushed) == "At noon."


def test_a_budget_closes_thoughts_whose_marks_are_special_tokens() -> None:
    engine = ScriptedEngine("<|channel|>analysis<|message|>" + "w" * 60)
    engine._written += engine.ends * 60
    parts, _ = answered(engine, 5)
    thoughts = texts(parts, thoughts=True)
    assert thoughts.endswith("<|end|><|start|>assistant<|channel|>final<|message|>")
    assert without_marks(thoughts) == "w" * len(without_marks(thoughts)) != ""
    assert "assistant" not in texts(parts, thoughts=False)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<|channel|>final<|message|>At noon.", "At noon."),
        ("<|channel|>finally.", "finally."),
        ("<|channel|>analysis<|message|>The tide.<|end|>assistance", "assistance"),
    ],
)
def test_an_answer_has_no_name_of_a_channel(text: str, answer: str) -> None:
    parts, _ = answered(ScriptedEngine(text), None)
    assert texts(parts, thoughts=False) == answer
    assert texts(parts, thoughts=True) == text.removesuffix(answer) * ("analysis" in text)


def test_without_a_budget_thoughts_may_take_the_whole_answer() -> None:
    engine = ThinkingEngine("<think>\n", 1000)
    parts, done = answered(engine, None)
    assert (done.reason, "ledger" in texts(parts)) == ("length", False)
    parts, done = answered(engine, 100)
    assert (done.reason, texts(parts, thoughts=False)) == ("stop", "the ledger.")


def test_no_thoughts_are_allowed_with_a_budget_of_zero() -> None:
    parts, _ = answered(ThinkingEngine("", 50, cue="<think>\n"), 0)
    assert texts(parts, thoughts=True) == "\n</think>\n\n"
    assert texts(parts, thoughts=False) == "the ledger."


@pytest.mark.parametrize("begins", ["", "<", "<th", "<b>"])
def test_an_answer_without_thoughts_is_no_thought(begins: str) -> None:
    engine = ThinkingEngine(f"{begins}the ledger.", 0)
    engine._end = engine.ends[0]
    parts, done = answered(engine, 3)
    assert texts(parts, thoughts=False) == f"{begins}the ledger."
    assert texts(parts, thoughts=True) == ""
    assert done.reason == "stop"


def test_the_chosen_tokens_have_log_probabilities() -> None:
    parts, done = answered(ThinkingEngine("<think>\n", 50), 5, sampling=Sampling(logprobs=0))
    entries = [entry for part in parts for entry in part.logprobs] + done.logprobs
    assert len(entries) == done.completion_tokens - 1  # all but the end token
    forced = next(entry for entry in entries if entry["token"] == "</think>")
    assert forced["logprob"] is not None
    assert forced["logprob"] < -5, "the model's own, which would have gone on"


def test_options_that_cannot_have_thoughts_are_refused() -> None:
    body: dict[str, Any] = {"messages": ASKED, "thinkingBudget": 9}
    assert problem(body) is None
    assert problem({**body, "responseFormat": {"type": "json_object"}}) == (
        "thinkingBudget has no effect with responseFormat, whose answers have no thoughts: remove one"
    )
    for name, value in (("thinkingBudget", 9), ("enableThinking", True)):
        assert problem({"prompt": "x", name: value}) == (
            f"{name} requires messages: a continued text has no thoughts"
        )

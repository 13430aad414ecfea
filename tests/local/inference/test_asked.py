"""What a question says of how it is answered, through the loop and the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_model import PHRASE

from .asking import Asking, ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest
    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def asking() -> Asking:
    return Asking()


@pytest.fixture
def parrot(trained: Trained, tiny: Path) -> Callable[..., AnswerRequest]:
    """A question to the adapter that has learned the phrase."""
    final = trained.data / "jobs" / trained.job / "final"
    return lambda **more: ask(tiny, final, **more)


def test_a_seed_is_reproducible_beside_other_answers(asking: Asking, tiny: Path) -> None:
    def drawn(seed: int | None) -> AnswerRequest:
        return ask(tiny, None, temperature=1.5, seed=seed, max_tokens=24)

    first, other = asking.answer(drawn(5))[0], asking.answer(drawn(6))[0]
    assert first != other
    told = [asking.ask(drawn(seed)) for seed in (6, 5, None, 6)]
    asking.finish(*told)
    assert [told[0].text, told[1].text, told[3].text] == [other, first, other]


def test_top_k_1_is_greedy(asking: Asking, tiny: Path, parrot: Callable[..., AnswerRequest]) -> None:
    plain = asking.answer(ask(tiny, None))[0]
    assert asking.answer(ask(tiny, None, temperature=5.0, top_k=1))[0] == plain
    assert asking.answer(ask(tiny, None, temperature=5.0, min_p=1.0))[0] == plain
    assert asking.answer(parrot(repetition=0.05))[0] != PHRASE


def test_an_answer_ends_before_a_stop_text(asking: Asking, parrot: Callable[..., AnswerRequest]) -> None:
    text, done = asking.answer(parrot(stop=["keeps", "never"]))
    assert text == PHRASE.partition("keeps")[0]
    assert done.reason == "stop"
    assert asking.answer(parrot(stop=["ledger.."]))[0] == PHRASE
    assert asking.answer(parrot(max_tokens=2))[1].reason == "length"


def test_log_probabilities_come_with_their_text(asking: Asking, parrot: Callable[..., AnswerRequest]) -> None:
    told = asking.ask(parrot(logprobs=2))
    asking.finish(told)
    assert "".join(each["token"] for each in told.logprobs) == PHRASE
    assert len(told.logprobs) == told.done.completion_tokens - 1  # the end token has no text
    for each in told.logprobs:
        assert -5 < (each["logprob"] or 0) <= 0
        assert bytes(each["bytes"]).decode() == each["token"]
        assert each["top_logprobs"][0]["token"] == each["token"]
        assert len(each["top_logprobs"]) == 2
    told = asking.ask(parrot(logprobs=0, stop=["keeps"]))
    asking.finish(told)
    assert all(each["top_logprobs"] == [] for each in told.logprobs)


def test_tool_calls_are_reported(
    asking: Asking, parrot: Callable[..., AnswerRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phrase is made a call: the tiny model learned to say nothing else, and without tools."""
    from arkor_dev.local.inference.generation import decoding, prompt

    whole, plain = (
        '<tool_call>{"name": "ledger", "arguments": {"open": true}}</tool_call>',
        decoding.IncrementalDecoder.push,
    )
    words: list[str] = []

    def push(self: Any, token: int) -> str:
        if not self._skip:  # the decoder that looks for thoughts reads the same tokens
            return plain(self, token)
        words.append(plain(self, token))
        said = "".join(words)
        return whole if said == PHRASE else ""

    monkeypatch.setattr(decoding.IncrementalDecoder, "push", push)
    render = prompt.render
    monkeypatch.setattr(prompt, "render", lambda *told, tools, **more: render(*told, **more))
    tools = [{"type": "function", "function": {"name": "ledger", "parameters": {"type": "object"}}}]
    said, done = asking.answer(parrot(tools=tools, max_tokens=40))
    if not words or "".join(words) != PHRASE:
        pytest.fail(f"the adapter said {''.join(words)!r} with tools")
    assert said == ""
    assert done.reason == "tool_calls"
    (call,) = done.tool_calls
    assert call["function"] == {"name": "ledger", "arguments": '{"open": true}'}


def test_a_raw_prompt_is_continued(asking: Asking, tiny: Path, parrot: Callable[..., AnswerRequest]) -> None:
    from arkor_dev.local.modeling.chat_template import render

    question = parrot()
    raw = render(asking.engine.tokenizer, question.messages or (), add_generation_prompt=True)
    assert asking.answer(parrot(messages=None, prompt=raw))[0] == PHRASE
    assert asking.answer(ask(tiny, None, messages=None, prompt=""))[1].prompt_tokens == 1


def test_tool_calls_reach_the_template_as_objects() -> None:
    from arkor_dev.local.inference.generation.prompt import _readable

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    broken = {"function": {"name": "f", "arguments": "{"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call, broken, 5]},
        {"role": "tool", "content": "9", "tool_call_id": "c"},
    ]
    read = _readable(messages)
    assert read[1]["content"] == ""
    assert read[1]["tool_calls"] == [
        {**call, "function": {"name": "f", "arguments": {"a": 1}}},
        broken,
        5,
    ]
    assert [read[0], read[2]] == [messages[0], messages[2]]
    assert call == {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_the_answer_names_engine_and_dtype(asking: Asking, tiny: Path) -> None:
    done = asking.answer(ask(tiny, None))[1]
    assert (done.engine, done.precision) == ("transformers", "float32")

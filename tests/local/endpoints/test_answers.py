"""What callers get, in OpenAI's form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from arkor_dev.local.endpoints.answers import CHAT, COMPLETION, AnswerChoice, AnswerFormat
from arkor_dev.local.inference.messages import Done, Text

if TYPE_CHECKING:
    from arkor_dev.local.inference.messages import ScoredToken, TokenLogprob
    from arkor_dev.local.modeling.tool_calls import ToolCall

CALL: ToolCall = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find", "arguments": '{"a": 1}'},
}
TOKEN: TokenLogprob = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
DONE = Done("stop", prompt_tokens=5, completion_tokens=2, cached_tokens=3)


def said(*messages: Text | Done) -> AnswerChoice:
    choice = AnswerChoice()
    for message in messages:
        choice.add(message)
    return choice


def the_part(form: AnswerFormat, number: int, message: Text | Done) -> Any:
    (chunk,) = form.parts(number, message)
    return chunk


def test_a_tool_call_has_no_content() -> None:
    choice = said(replace(DONE, reason="tool_calls", tool_calls=[CALL]))
    told = ChatCompletion.model_validate(AnswerFormat(CHAT, "bot").complete([choice]), strict=True)
    (answer,) = told.choices
    assert answer.finish_reason == "tool_calls"
    assert answer.message.content is None
    assert answer.message.tool_calls is not None
    assert answer.message.tool_calls[0].model_dump(exclude_none=True) == CALL


def test_a_tool_call_is_streamed_with_the_last_chunk() -> None:
    message = replace(DONE, reason="tool_calls", tool_calls=[CALL, CALL])
    chunk = ChatCompletionChunk.model_validate(the_part(AnswerFormat(CHAT, "bot"), 1, message), strict=True)
    (choice,) = chunk.choices
    assert (choice.index, choice.finish_reason) == (1, "tool_calls")
    calls = choice.delta.tool_calls or []
    assert [call.index for call in calls] == [0, 1]
    assert calls[0].function is not None
    assert calls[0].function.arguments == '{"a": 1}'


def test_log_probabilities_are_streamed_with_their_text() -> None:
    first, last = Text("Hi", [TOKEN]), replace(DONE, logprobs=[TOKEN])
    told = ChatCompletion.model_validate(AnswerFormat(CHAT, "bot").complete([said(first, last)]), strict=True)
    assert told.choices[0].logprobs is not None
    assert len(told.choices[0].logprobs.content or []) == 2
    for message in (first, last):
        chunk = ChatCompletionChunk.model_validate(
            the_part(AnswerFormat(CHAT, "bot"), 0, message), strict=True
        )
        assert chunk.choices[0].logprobs is not None
    plain = ChatCompletionChunk.model_validate(
        the_part(AnswerFormat(CHAT, "bot"), 0, Text("Hi")), strict=True
    )
    assert plain.choices[0].logprobs is None


def test_prompt_tokens_count_once_for_several_answers() -> None:
    choices = [said(Text("a"), DONE), said(Text("b"), DONE)]
    form = AnswerFormat(CHAT, "bot", answers=2)
    usage = ChatCompletion.model_validate(form.complete(choices), strict=True).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (5, 4, 9)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 3
    end = ChatCompletionChunk.model_validate(form.end(choices), strict=True)
    assert (end.choices, end.usage) == ([], usage)


def test_a_text_completion_has_no_roles() -> None:
    form = AnswerFormat(COMPLETION, "bot")
    told = Completion.model_validate(form.complete([said(Text("on"), DONE)]), strict=True)
    assert (told.choices[0].text, told.choices[0].finish_reason) == ("on", "stop")
    assert form.begin(0) is None
    (choice,) = the_part(form, 0, Text("on"))["choices"]
    assert choice == {"index": 0, "text": "on", "logprobs": None, "finish_reason": None}


def test_a_text_completion_has_log_probabilities_in_columns() -> None:
    first: TokenLogprob = {"token": "O", "logprob": None, "bytes": [79], "top_logprobs": [], "offset": 0}
    likely: list[ScoredToken] = [
        {"token": "n", "logprob": -0.2, "bytes": [110]},
        {"token": "m", "logprob": -3.0, "bytes": [109]},
    ]
    second: TokenLogprob = {
        "token": "m",
        "logprob": -3.0,
        "bytes": [109],
        "top_logprobs": likely,
        "offset": 1,
    }
    third: TokenLogprob = {**second, "token": "x", "logprob": -9.0, "offset": 2}
    choice = said(Text("Omx", [first, second, third]), DONE)
    told = AnswerFormat(COMPLETION, "bot").complete([choice])["choices"][0]["logprobs"]
    assert told == {
        "tokens": ["O", "m", "x"],
        "token_logprobs": [None, -3.0, -9.0],
        "top_logprobs": [None, {"n": -0.2, "m": -3.0}, {"n": -0.2, "m": -3.0, "x": -9.0}],
        "text_offset": [0, 1, 2],
    }


def test_each_prompt_counts_once_in_the_usage() -> None:
    choices = [said(replace(DONE, prompt_tokens=tokens)) for tokens in (5, 5, 7, 7)]
    usage = AnswerFormat(COMPLETION, "bot", answers=2).usage(choices)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (12, 8)


def test_the_system_fingerprint_names_engine_weights_and_dtype() -> None:
    done = replace(DONE, engine="llama.cpp", precision="q8_0", weights="0a1b2c")
    form = AnswerFormat(CHAT, "bot")
    assert the_part(form, 0, Text("Hi"))["system_fingerprint"] is None  # it is not known yet
    assert the_part(form, 0, done)["system_fingerprint"] == "fp_llama.cpp_q8_0_0a1b2c"
    assert form.end([said(done)])["system_fingerprint"] == "fp_llama.cpp_q8_0_0a1b2c"
    assert (
        AnswerFormat(CHAT, "bot").complete([said(done)])["system_fingerprint"] == "fp_llama.cpp_q8_0_0a1b2c"
    )
    known = AnswerFormat(COMPLETION, "bot", {"engine": "transformers", "precision": "float32"})
    assert the_part(known, 0, Text("Hi"))["system_fingerprint"] == "fp_transformers_float32"


THOUGHT: tuple[Text | Done, ...] = (
    Text("<thi", thoughts=True),
    Text("nk>\nIs it x < y? ", [TOKEN], thoughts=True),
    Text("No.\n</think>", thoughts=True),
    Text("\n\n"),
    Text("Ye"),
    Text("s.\n"),
    replace(DONE, thinking_tokens=1),
)


def test_thoughts_are_the_reasoning_content_of_a_message() -> None:
    told = ChatCompletion.model_validate(AnswerFormat(CHAT, "bot").complete([said(*THOUGHT)]), strict=True)
    message = told.choices[0].message
    assert (message.content, getattr(message, "reasoning_content", None)) == ("Yes.\n", "Is it x < y? No.")
    assert told.usage is not None
    assert told.usage.completion_tokens_details is not None
    assert told.usage.completion_tokens_details.reasoning_tokens == 1
    plain = AnswerFormat(CHAT, "bot").complete([said(Text("Yes."), DONE)])["choices"][0]["message"]
    assert "reasoning_content" not in plain
    cut = (Text("<think>Is it x", thoughts=True), replace(DONE, reason="length"))
    (choice,) = AnswerFormat(CHAT, "bot").complete([said(*cut)])["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("", "Is it x")
    empty = (Text("<think>\n\n</think>\n\n", thoughts=True), Text("Yes."), DONE)
    (choice,) = AnswerFormat(CHAT, "bot").complete([said(*empty)])["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Yes.", "refusal": None}


@pytest.mark.parametrize("messages", [THOUGHT, (*THOUGHT[:2], replace(DONE, reason="length"))])
def test_thoughts_are_streamed_apart_from_the_text(messages: tuple[Text | Done, ...]) -> None:
    """Of two answers at once, whose parts alternate."""
    form = AnswerFormat(CHAT, "bot", answers=2)
    chunks = [
        ChatCompletionChunk.model_validate(chunk, strict=True)
        for message in messages
        for number in (0, 1)
        for chunk in form.parts(number, message)
    ]
    whole = AnswerFormat(CHAT, "bot").complete([said(*messages)])["choices"][0]
    for number in (0, 1):
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == number]
        deltas = [choice.delta for choice in choices]
        thoughts = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
        assert "".join(thoughts) == whole["message"]["reasoning_content"]
        assert "".join(delta.content or "" for delta in deltas) == whole["message"]["content"]
        kinds = [
            "thought" if thought else "text"
            for thought, delta in zip(thoughts, deltas, strict=True)
            if thought or delta.content
        ]
        assert kinds == sorted(kinds, key=["thought", "text"].index)
        entries = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or ()]
        assert len(entries) == 1
        assert choices[-1].finish_reason == whole["finish_reason"]

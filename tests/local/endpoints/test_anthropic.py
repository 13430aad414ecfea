"""Anthropic's requests as the contract's chat call, and answers in Anthropic's form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.local.endpoints.answers import AnswerChoice
from arkor_dev.local.endpoints.anthropic import MessagesFormat, in_anthropics_words, read_messages
from arkor_dev.local.endpoints.openai import context_fault
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.server.endpoints.serve import KNOWN

if TYPE_CHECKING:
    from arkor_dev.local.modeling.tool_calls import ToolCall

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "find", "description": "Find it.", "input_schema": {"type": "object", "properties": {}}}
CALL: ToolCall = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
USE = {"type": "tool_use", "id": "t1", "name": "find", "input": {"a": "ä"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [5]}
DONE = Done("stop", prompt_tokens=5, completion_tokens=2, cached_tokens=3)


def read(**asked: Any) -> Any:
    return read_messages({"model": "bot", "max_tokens": 9, "messages": HI, **asked}, "bot", KNOWN).chat


def test_a_conversation_with_tools_is_that_of_the_chat_call() -> None:
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where?", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "t1", "name": "find", "input": {"a": "ä"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "here"}]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
                {"type": "text", "text": "So?"},
            ],
        },
    ]
    chat = read(messages=messages, system=[{"type": "text", "text": "Be brief."}], tools=[TOOL])
    call = {"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"a": "ä"}'}}
    assert chat["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "Looking.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "here"},
        {"role": "tool", "tool_call_id": "t2", "content": ""},
        {"role": "user", "content": "So?"},
    ]
    function = {"name": "find", "parameters": TOOL["input_schema"], "description": "Find it."}
    assert chat["tools"] == [{"type": "function", "function": function}]
    assert chat["maxTokens"] == 9


@pytest.mark.parametrize(
    ("choice", "contracts"),
    [
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "find"}, {"type": "function", "function": {"name": "find"}}),
    ],
)
def test_a_choice_of_tools(choice: dict[str, Any], contracts: object) -> None:
    assert read(tools=[TOOL], tool_choice=choice)["toolChoice"] == contracts
    assert "tools" not in read(tools=[TOOL], tool_choice={"type": "none"})
    assert "toolChoice" not in read(tools=[TOOL], tool_choice={"type": "auto"})


def test_what_has_no_effect_is_accepted_and_named() -> None:
    more = {"metadata": {"user_id": "x"}, "thinking": {"type": "disabled"}, "service_tier": "standard_only"}
    more |= {"cache_control": {"type": "ephemeral"}, "speed": "fast"}
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    asked = read_messages(
        {"model": "bot", "max_tokens": 9, "messages": HI, "tool_choice": choice, **more}, "bot", KNOWN
    )
    assert asked.ignored == ("cache_control", "speed", "metadata", "service_tier")
    assert asked.chat["parallelToolCalls"] is False


CLAUDE_CODE: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Say hello."}]},
        {"role": "system", "content": [{"type": "text", "text": "A reminder."}]},
    ],
    "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{**TOOL, "eager_input_streaming": True}],
    "metadata": {"user_id": "x"},
    "max_tokens": 32_000,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "stream": True,
}
"""The shape of what Claude Code 2.1 sends."""


def test_a_request_of_claude_code_is_read() -> None:
    request = read_messages({"model": "bot", **CLAUDE_CODE}, "bot", KNOWN)
    assert request.stream
    assert request.ignored == ("context_management", "metadata", "output_config")
    assert request.chat["messages"] == [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "Say hello."},
        {"role": "system", "content": "A reminder."},
    ]
    assert request.chat["maxTokens"] == 32_000


def test_a_schema_of_the_answer_is_enforced() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    assert read(output_config={"format": wanted})["responseFormat"]["json_schema"]["schema"] == {
        "type": "object"
    }


@pytest.mark.parametrize("tokens", ["9001", "more than 8192"])
def test_a_conversation_that_is_too_long_is_refused_in_anthropics_words(tokens: str) -> None:
    """Claude Code searches for them before it shortens the conversation."""
    fault = context_fault(f"The conversation has {tokens} tokens, and bot reads at most 8192: shorten it")
    assert fault is not None
    refusal = in_anthropics_words(fault)
    assert refusal.text == f"prompt is too long: {tokens} tokens > 8192 maximum"
    assert refusal.extra == fault.extra
    other = BadRequestError("max_tokens is missing", param="max_tokens")
    assert in_anthropics_words(other) is other


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "messages[0].content[0].content[0]"),
        ({"system": 5}, "system"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": ["a", ""]}, "stop_sequences[1]"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"name": 5, "input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"tool_choice": {"type": ["any"]}}, "tool_choice"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": True}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "some"}}, "thinking.type"),
        ({"thinking": {"type": "adaptive"}, "tools": [TOOL], "tool_choice": {"type": "any"}}, "thinking"),
        ({"output_config": {"effort": 5}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
        ({"context_management": "x"}, "context_management"),
        ({"container": "x"}, "container"),
        ({"stop": "x"}, "stop"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_of_the_caller(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as fault:
        read(**asked)
    assert fault.value.extra["param"] == param
    assert param.partition("[")[0] in fault.value.text


@pytest.mark.parametrize(
    ("thinking", "chat"),
    [
        ({"type": "enabled", "budget_tokens": 7}, {"enableThinking": True, "thinkingBudget": 7}),
        ({"type": "adaptive"}, {"enableThinking": True, "thinkingBudget": 9}),
        ({"type": "disabled"}, {"enableThinking": False}),
    ],
)
def test_thinking_is_that_of_the_chat_call(thinking: dict[str, Any], chat: dict[str, Any]) -> None:
    asked = read(thinking=thinking)
    assert {name: asked[name] for name in ("enableThinking", "thinkingBudget") if name in asked} == chat


def test_thoughts_are_repeated_after_the_last_question_only() -> None:
    """As chat templates do: between the calls of tools, but not of earlier answers."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Yes."},
    ]
    messages = [*HI, {"role": "assistant", "content": blocks}, *HI]
    assert read(messages=messages)["messages"][1] == {"role": "assistant", "content": "Yes."}
    call = {"type": "tool_use", "id": "c1", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "here"}
    messages = [*HI, {"role": "assistant", "content": [*blocks, call]}, {"role": "user", "content": [result]}]
    (_, asked, _) = read(messages=messages)["messages"]
    assert (asked["content"], asked["reasoning_content"]) == ("Yes.", "Hm.")


def test_an_engine_without_thinking_refuses_it_by_name() -> None:
    body = {"model": "bot", "max_tokens": 9, "messages": HI}
    fields = KNOWN - {"thinkingBudget"}
    with pytest.raises(BadRequestError) as fault:
        read_messages({**body, "thinking": {"type": "adaptive"}}, "bot", fields)
    assert fault.value.extra == {"param": "thinking", "code": "unsupported_parameter"}
    assert read_messages({**body, "thinking": {"type": "disabled"}}, "bot", fields).chat == {
        "messages": HI,
        "maxTokens": 9,
    }


def test_another_model_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="is not served here"):
        read(model="claude")


def said(*messages: Text | Done) -> AnswerChoice:
    choice = AnswerChoice()
    for message in messages:
        choice.add(message)
    return choice


@pytest.mark.parametrize(
    ("messages", "content", "reason"),
    [
        ((Text("Hi"), Text("!"), DONE), [{"type": "text", "text": "Hi!"}], "end_turn"),
        ((Text("Hi"), replace(DONE, reason="length")), [{"type": "text", "text": "Hi"}],
         "max_tokens"),
        ((DONE,), [{"type": "text", "text": ""}], "end_turn"),
        (
            (Text("Hm"), replace(DONE, reason="tool_calls", tool_calls=[CALL])),
            [{"type": "text", "text": "Hm"}, {**USE, "id": "call_1", "input": {"a": 1}}],
            "tool_use",
        ),
        (
            (replace(DONE, reason="tool_calls", tool_calls=[
                {**CALL, "function": {"name": "find", "arguments": "[5"}}]),),
            [{"type": "tool_use", "id": "call_1", "name": "find", "input": {"text": "[5"}}],
            "tool_use",
        ),
        (
            (Text("<thi", thoughts=True), Text("nk>\nIs it a ", thoughts=True),
             Text("x < y? ", thoughts=True), Text("No.\n</think>\n", thoughts=True), Text("\n"),
             Text("Ye"), Text("s.\n"), DONE),
            [{"type": "thinking", "thinking": "Is it a x < y? No.", "signature": ""},
             {"type": "text", "text": "Yes.\n"}],
            "end_turn",
        ),
        (
            (Text("Cut in the middle", thoughts=True), replace(DONE, reason="length")),
            [{"type": "thinking", "thinking": "Cut in the middle", "signature": ""}],
            "max_tokens",
        ),
        (
            (Text("Hm.</think>", thoughts=True), replace(DONE, reason="tool_calls", tool_calls=[CALL])),
            [{"type": "thinking", "thinking": "Hm.", "signature": ""},
             {"type": "tool_use", "id": "call_1", "name": "find", "input": {"a": 1}}],
            "tool_use",
        ),
    ],
)  # fmt: skip
def test_a_whole_answer_and_its_stream_say_the_same(
    messages: tuple[Text | Done, ...], content: list[dict[str, Any]], reason: str
) -> None:
    from anthropic.types import Message, RawMessageStreamEvent  # a second that other tests need not wait

    choice = said(*messages)
    whole = Message.model_validate(MessagesFormat("bot").complete([choice]))
    assert [part.model_dump(exclude_none=True, exclude={"caller"}) for part in whole.content] == content
    assert (whole.stop_reason, whole.model, whole.role) == (reason, "bot", "assistant")
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens, whole.usage.output_tokens) == (
        2,
        3,
        2,
    )

    form = MessagesFormat("bot")
    events = [*form.starting(0), *(event for each in messages for event in form.events(0, each))]
    events += form.ending([choice], usage=False)
    parsed = [TypeAdapter[Any](RawMessageStreamEvent).validate_python(json.loads(data)) for _, data in events]
    assert [name for name, _ in events] == [event.type for event in parsed]
    texts = "".join(
        event.delta.text
        for event in parsed
        if getattr(getattr(event, "delta", None), "type", "") == "text_delta"
    )
    assert texts == choice.text.removeprefix(choice.thoughts).lstrip()
    thoughts = "".join(
        event.delta.thinking
        for event in parsed
        if getattr(getattr(event, "delta", None), "type", "") == "thinking_delta"
    )
    assert thoughts == "".join(part.get("thinking", "") for part in content)
    starts = [event.content_block.type for event in parsed if event.type == "content_block_start"]
    assert starts == [part["type"] for part in content]
    (ending,) = (event for event in parsed if event.type == "message_delta")
    assert (ending.delta.stop_reason, ending.usage.output_tokens, ending.usage.input_tokens) == (reason, 2, 2)


def test_an_error_within_a_stream_is_anthropics() -> None:
    ((name, data),) = MessagesFormat("bot").fault(503, "Not now.", "model_unavailable")
    assert (name, json.loads(data)) == (
        "error", {"type": "error", "error": {"type": "api_error", "message": "Not now."}},
    )  # fmt: skip

"""Requests of OpenAI's Responses API as the contract's chat call, and answers in its form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.endpoints.answers import AnswerChoice
from arkor_dev.local.endpoints.responses import ResponsesFormat, in_callers_names, read_response
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.server.endpoints.serve import KNOWN

if TYPE_CHECKING:
    from arkor_dev.local.endpoints.openai import OpenAIRequest
    from arkor_dev.local.modeling.tool_calls import ToolCall

TOOL = {
    "type": "function",
    "name": "find",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}
CALL: ToolCall = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
DONE = Done("stop", prompt_tokens=5, completion_tokens=2, cached_tokens=3)


def read(**asked: Any) -> OpenAIRequest:
    try:
        return read_response({"model": "bot", "input": "Hi", **asked}, "bot", KNOWN)
    except BadRequestError as fault:
        raise in_callers_names(fault) from None


def test_text_is_a_message_of_the_user() -> None:
    asked = read(instructions="Be brief.", max_output_tokens=9, stream=True)
    assert asked.stream
    assert asked.chat["maxTokens"] == 9
    assert asked.chat["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_an_agent_that_sets_no_limit_gets_room_for_a_file() -> None:
    assert read().chat["maxTokens"] == 4096
    assert read().repeated["max_output_tokens"] is None
    assert read(max_output_tokens=7).chat["maxTokens"] == 7


def test_items_with_calls_are_the_messages_of_a_chat() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Where?"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Looking."}]},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call", "call_id": "c2", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "here"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "there"}],
        },
        {"type": "function_call", "call_id": "c3", "name": "find", "arguments": "{}"},
    ]

    def call(identity: str) -> dict[str, Any]:
        return {"id": identity, "type": "function", "function": {"name": "find", "arguments": "{}"}}

    assert read(input=items).chat["messages"] == [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "Looking.", "tool_calls": [call("c1"), call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "here"},
        {"role": "tool", "tool_call_id": "c2", "content": "there"},
        {"role": "assistant", "content": "", "tool_calls": [call("c3")]},
    ]


def test_reasoning_items_belong_to_the_message_or_call_after_them() -> None:
    """Those before the last question are dropped, as chat templates do."""

    def thought(text: str) -> dict[str, Any]:
        content = [{"type": "reasoning_text", "text": text}]
        return {"type": "reasoning", "id": "rs_1", "summary": [], "content": content}

    items = [
        {"role": "user", "content": "Where?"},
        thought("Old."),
        {"role": "assistant", "content": "Here."},
        {"role": "user", "content": "Really?"},
        thought("Look."),
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "there"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"},
        thought("Now I know."),
        {"role": "assistant", "content": "There."},
        {"role": "assistant", "content": "Or not."},
    ]
    messages: Any = read(input=items).chat["messages"]
    thoughts = [message.get("reasoning_content") for message in messages]
    assert thoughts == [None, None, None, "Look.", None, "Now I know.", None]
    assert messages[3]["tool_calls"][0]["id"] == "c1"
    with pytest.raises(BadRequestError) as fault:
        read(input=[{"type": "reasoning", "content": [{"type": "input_image"}]}])
    assert fault.value.extra["param"] == "input[0].content[0]"


def test_tools_and_formats_have_the_form_of_a_chat() -> None:
    schema = {"type": "json_schema", "name": "place", "schema": {"type": "object"}, "strict": True}
    asked = read(tools=[TOOL], tool_choice={"type": "function", "name": "find"}).chat
    function = {name: value for name, value in TOOL.items() if name != "type"}
    assert asked["tools"] == [{"type": "function", "function": function}]
    assert asked["toolChoice"] == {"type": "function", "function": {"name": "find"}}
    assert read(text={"format": schema}).chat["responseFormat"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": {"type": "object"}, "strict": True},
    }
    assert "responseFormat" not in read(text={"format": {"type": "text"}}).chat


def test_what_has_no_effect_is_accepted() -> None:
    neutral: dict[str, Any] = {
        "truncation": "disabled",
        "include": [],
        "previous_response_id": None,
        "background": False,
    }
    asked = read(**neutral, store=True, metadata={"a": "b"}, user="me")
    assert asked.ignored == ("metadata", "store", "user")
    streamed = read(stream=True, stream_options={"include_obfuscation": False}, max_tool_calls=3)
    assert streamed.ignored == ("max_tool_calls", "stream_options"), "no tools run here"
    brief = read(text={"verbosity": "low"}, prompt_cache_retention="24h")
    assert brief.ignored == ("prompt_cache_retention", "text")


def test_whether_calls_may_be_parallel_is_passed_on_and_repeated() -> None:
    asked = read(parallel_tool_calls=False)
    assert asked.chat["parallelToolCalls"] is False
    assert asked.repeated["parallel_tool_calls"] is False
    assert read().repeated["parallel_tool_calls"] is True


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "reasoning", "id": "r"}]}, "input"),
        ({"input": [{"type": "image_generation_call", "id": "r"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"instructions": 5}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 5}}, "reasoning"),
        ({"messages": []}, "messages"),
    ],
)
def test_a_refusal_names_the_field_of_the_caller(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as fault:
        read(**asked)
    if param != "messages":
        assert fault.value.extra["param"] == param
    assert param.partition("[")[0] in fault.value.text


def test_a_refused_format_has_its_name_in_this_call() -> None:
    fault = BadRequestError("response_format cannot be enforced: #", param="response_format", code="x")
    renamed = in_callers_names(fault)
    assert (renamed.text, renamed.extra) == (
        "text.format cannot be enforced: #",
        {"code": "x", "param": "text.format"},
    )


@pytest.mark.parametrize(
    ("messages", "kinds", "status"),
    [
        ((Text("Hi"), Text("!"), DONE), ["message"], "completed"),
        ((Text("Hi"), replace(DONE, reason="length")), ["message"], "incomplete"),
        ((DONE,), ["message"], "completed"),
        (
            (Text("Hm"), replace(DONE, tool_calls=[CALL])),
            ["message", "function_call"],
            "completed",
        ),
        ((replace(DONE, tool_calls=[CALL, CALL]),), ["function_call", "function_call"], "completed"),
        (
            (
                Text("<think>It is ", thoughts=True),
                Text("lost.</think>", thoughts=True),
                Text("\n\n"),
                Text("Ye"),
                Text("s."),
                DONE,
            ),
            ["reasoning", "message"],
            "completed",
        ),
        (
            (Text("<think>Look.</think>", thoughts=True), replace(DONE, tool_calls=[CALL])),
            ["reasoning", "function_call"],
            "completed",
        ),
        (
            (Text("<think>It is ", thoughts=True), replace(DONE, reason="length")),
            ["reasoning"],
            "incomplete",
        ),
    ],
)
def test_a_whole_answer_and_its_stream_say_the_same(
    messages: tuple[Text | Done, ...], kinds: list[str], status: str
) -> None:
    choice = AnswerChoice()
    for message in messages:
        choice.add(message)
    request = read(tools=[TOOL])
    whole = Response.model_validate(ResponsesFormat("bot", request).complete([choice]))
    assert ([item.type for item in whole.output], whole.status) == (kinds, status)
    assert whole.output_text == choice.answer
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens) == (5, 2, 7)
    assert whole.usage.input_tokens_details.cached_tokens == 3
    assert (whole.incomplete_details is not None) is (status == "incomplete")

    form = ResponsesFormat("bot", request)
    events = [*form.starting(0), *(event for each in messages for event in form.events(0, each))]
    events += form.ending([choice], usage=False)
    parsed = [TypeAdapter[Any](ResponseStreamEvent).validate_python(json.loads(data)) for _, data in events]
    assert [name for name, _ in events] == [event.type for event in parsed]
    assert [event.sequence_number for event in parsed] == [*range(len(parsed))]
    assert (
        "".join(event.delta for event in parsed if event.type == "response.output_text.delta")
        == choice.answer
    )
    deltas = [event.delta for event in parsed if event.type == "response.reasoning_text.delta"]
    assert "".join(deltas) == choice.reasoning
    done = [event.item for event in parsed if event.type == "response.output_item.done"]
    final = parsed[-1].response
    assert [item.model_dump() for item in done] == [item.model_dump() for item in final.output]
    assert ([item.type for item in final.output], final.status) == (kinds, status)


def test_an_error_within_a_stream_is_an_event_and_ends_the_response() -> None:
    """OpenAI's clients read the first event; Codex waits for the second, and would otherwise try again."""
    events = [*ResponsesFormat("bot", read()).fault(503, "Not now.", "model_unavailable")]
    assert [name for name, _ in events] == ["error", "response.failed"]
    error, failed = [
        TypeAdapter[Any](ResponseStreamEvent).validate_python(json.loads(data)) for _, data in events
    ]
    assert error.message == failed.response.error.message == "Not now."
    assert failed.response.status == "failed"


CODEX: dict[str, Any] = {
    "model": "bot",
    "input": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "developer",
            "content": [{"type": "input_text", "text": "A"}],
        },
        {
            "type": "message",
            "id": "msg_2",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi."}],
        },
    ],
    "tools": [
        TOOL,
        {
            "type": "namespace",
            "name": "agents",
            "description": "Other agents.",
            "tools": [
                {"type": "function", "name": "spawn", "strict": False, "parameters": {"type": "object"}}
            ],
        },
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a2",
    "client_metadata": {"turn_id": "01a2"},
}
"""The shape of what Codex 0.171 sends."""


def test_a_request_of_codex_is_read() -> None:
    request = read(**CODEX)
    chat: Any = request.chat
    assert request.stream
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["find", "spawn"]
    assert [message["role"] for message in chat["messages"]] == ["system", "user"]
    assert request.ignored == ("client_metadata", "prompt_cache_key")


def test_a_call_of_a_function_in_a_namespace_names_it() -> None:
    request = read(**CODEX)
    spawn: ToolCall = {**CALL, "function": {"name": "spawn", "arguments": "{}"}}
    done = replace(DONE, tool_calls=[CALL, spawn])
    choice = AnswerChoice()
    choice.add(done)
    whole: Any = ResponsesFormat("bot", request).complete([choice])["output"]
    assert [(item["name"], item.get("namespace")) for item in whole] == [("find", None), ("spawn", "agents")]
    events = [json.loads(data) for _, data in ResponsesFormat("bot", request).events(0, done)]
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item.get("namespace") for item in items] == [None, "agents"]


def test_functions_of_two_namespaces_must_differ_in_name() -> None:
    group = {"type": "namespace", "name": "others", "tools": [TOOL]}
    with pytest.raises(BadRequestError, match='two functions named "find"'):
        read(tools=[TOOL, group])
    with pytest.raises(BadRequestError) as fault:
        read(tools=[{**group, "tools": [{"type": "web_search"}]}])
    assert fault.value.extra["param"] == "tools[0].tools[0]"

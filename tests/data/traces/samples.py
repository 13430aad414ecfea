"""One conversation about a parcel, in two turns, as each format logs it."""

from __future__ import annotations

import json
from typing import Any, Final

SCHEMA: Final = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
TOOL: Final = {
    "type": "function",
    "function": {"name": "track", "description": "Find a parcel.", "parameters": SCHEMA},
}
SYSTEM, ASK, RESULT, ANSWER = "You help.", "Where is parcel 7?", '{"place": "Oslo"}', "It is in Oslo."
CALL: Final = {
    "type": "function", "id": "call_1", "function": {"name": "track", "arguments": {"number": 7}}
}  # fmt: skip
CALL_AS_TEXT: Final = {**CALL, "function": {"name": "track", "arguments": '{"number": 7}'}}
ROW: Final[dict[str, Any]] = {
    "messages": [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": ASK},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": RESULT, "tool_call_id": "call_1"},
        {"role": "assistant", "content": ANSWER},
    ],
    "tools": [TOOL],
}
"""What each format's two records become: the first turn is the beginning of the second."""

_CHAT_1 = [
    {"role": "developer", "content": SYSTEM},
    {"role": "user", "content": [{"type": "text", "text": ASK}]},
]
_CALLS = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL_AS_TEXT]}
_SAYS = {"role": "assistant", "content": ANSWER, "refusal": None}
_CHAT_2 = [*_CHAT_1, _CALLS, {"role": "tool", "tool_call_id": "call_1", "content": RESULT}]


def _chat(messages: list[Any], answer: dict[str, Any], reason: str) -> dict[str, Any]:
    choice = {"index": 0, "message": answer, "finish_reason": reason, "logprobs": None}
    return {
        "request": {"model": "gpt-4o", "messages": messages, "tools": [TOOL], "temperature": 0},
        "response": {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": {}},
    }


OPENAI_CHAT: Final = [_chat(_CHAT_1, _CALLS, "tool_calls"), _chat(_CHAT_2, _SAYS, "stop")]

_R_TOOL = {"type": "function", "name": "track", "description": "Find a parcel.", "parameters": SCHEMA}
_R_CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "track", "arguments": '{"number": 7}',
    "status": "completed",
}  # fmt: skip
_R_ASK = {"role": "user", "content": [{"type": "input_text", "text": ASK}]}
_R_SAYS = {
    "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
    "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
}  # fmt: skip
_R_THINKS = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def _response(items: list[Any], output: list[Any]) -> dict[str, Any]:
    return {
        "request_body": json.dumps(
            {"model": "o4", "instructions": SYSTEM, "input": items, "tools": [_R_TOOL]}
        ),
        "response_body": json.dumps(
            {"id": "resp_1", "object": "response", "status": "completed", "output": output}
        ),
    }


OPENAI_RESPONSES: Final = [
    _response([_R_ASK], [_R_THINKS, _R_CALL]),
    _response(
        [_R_ASK, _R_THINKS, _R_CALL, {"type": "function_call_output", "call_id": "call_1", "output": RESULT}],
        [_R_SAYS],
    ),
]

_A_TOOL = {"name": "track", "description": "Find a parcel.", "input_schema": SCHEMA}
_A_USE = {"type": "tool_use", "id": "call_1", "name": "track", "input": {"number": 7}}
_A_RESULT = {
    "role": "user",
    "content": [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": RESULT}]}
    ],
}


def _anthropic(messages: list[Any], content: list[Any], reason: str) -> dict[str, Any]:
    return {
        "request": {
            "model": "claude", "max_tokens": 99, "system": [{"type": "text", "text": SYSTEM}],
            "messages": messages, "tools": [_A_TOOL],
        },
        "response": {
            "status_code": 200,
            "body": {
                "id": "msg_1", "type": "message", "role": "assistant", "content": content,
                "stop_reason": reason,
            },
        },
    }  # fmt: skip


_A_ASK = {"role": "user", "content": ASK}
ANTHROPIC: Final = [
    _anthropic([_A_ASK], [_A_USE], "tool_use"),
    _anthropic(
        [_A_ASK, {"role": "assistant", "content": [_A_USE]}, _A_RESULT],
        [{"type": "text", "text": ANSWER}],
        "end_turn",
    ),
]


def otlp_value(value: object) -> dict[str, Any]:
    """Return a value as OTLP JSON writes it."""
    match value:
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [otlp_value(entry) for entry in value]}}
        case dict():
            return {"kvlistValue": {"values": otlp_attributes(value)}}
    raise TypeError(value)


def otlp_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP JSON writes them."""
    return [{"key": key, "value": otlp_value(value)} for key, value in attributes.items()]


def otlp_spans(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return an OTLP export of these spans."""
    scope = {"name": "opentelemetry.instrumentation.openai_v2"}
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


_O_ASK = {"role": "user", "parts": [{"type": "text", "content": ASK}]}
_O_CALLS = {
    "role": "assistant",
    "parts": [{"type": "tool_call", "id": "call_1", "name": "track", "arguments": {"number": 7}}],
}
_O_RESULT = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": RESULT}]}
_O_SAYS = {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"}


def span(asked: list[Any], output: list[Any], *, as_text: bool) -> dict[str, Any]:
    """Return a span with its messages in attributes: structured, or as JSON."""
    told: dict[str, Any] = {
        "gen_ai.system_instructions": [{"type": "text", "content": SYSTEM}],
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": output,
        "gen_ai.tool.definitions": [_R_TOOL],
    }
    if as_text:
        told = {key: json.dumps(value) for key, value in told.items()}
        return _span("chat gpt-4o", told)
    # Booleans have a spelling of their own, which the schema of the tool needs.
    entries = otlp_attributes({key: value for key, value in told.items() if "tool" not in key})
    tool = {"key": "gen_ai.tool.definitions", "value": {"stringValue": json.dumps([_R_TOOL])}}
    whole = _span("chat gpt-4o", {})
    whole["attributes"] += [*entries, tool]
    return whole


def _span(name: str, attributes: dict[str, Any], operation: str = "chat") -> dict[str, Any]:
    whole = {"gen_ai.operation.name": operation, "gen_ai.request.model": "gpt-4o", **attributes}
    return {
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": name, "kind": 3,
        "attributes": otlp_attributes(whole), "events": [], "status": {},
    }  # fmt: skip


OPENTELEMETRY: Final = [
    otlp_spans(
        span([_O_ASK], [{**_O_CALLS, "finish_reason": "tool_call"}], as_text=False),
        _span("execute_tool track", {}, "execute_tool"),
        span([_O_ASK, _O_CALLS, _O_RESULT], [_O_SAYS], as_text=True),
    )
]

_E_CALLS = {"content": "", "tool_calls": [CALL_AS_TEXT]}


def _event(name: str, body: dict[str, Any], at: int) -> dict[str, Any]:
    return {
        "name": name,
        "timeUnixNano": str(at),
        "attributes": otlp_attributes({"gen_ai.event.content": json.dumps(body)}),
    }


_EVENTS = [
    _event("gen_ai.tool.message", {"content": RESULT, "id": "call_1"}, 4),
    _event("gen_ai.system.message", {"content": SYSTEM}, 1),
    _event("gen_ai.user.message", {"content": ASK}, 2),
    _event("gen_ai.assistant.message", _E_CALLS, 3),
    _event("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": ANSWER}}, 5),
]
_DEFINITIONS = {"gen_ai.tool.definitions": json.dumps([_R_TOOL])}
OPENTELEMETRY_EVENTS: Final = [otlp_spans({**_span("chat gpt-4o", _DEFINITIONS), "events": _EVENTS})]
"""The events before 1.37, in any order."""
OPENTELEMETRY_DETAILS: Final = [
    {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "eventName": "gen_ai.client.inference.operation.details",
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": "eee19b7ec3c1b174",
                                "attributes": span([_O_ASK, _O_CALLS, _O_RESULT], [_O_SAYS], as_text=False)[
                                    "attributes"
                                ],
                            }
                        ]
                    }
                ]
            }
        ]
    }
]
OPENLLMETRY: Final = [
    otlp_spans(
        _span(
            "openai.chat",
            {
                "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": SYSTEM,
                "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": ASK,
                "gen_ai.prompt.2.role": "assistant", "gen_ai.prompt.2.tool_calls.0.id": "call_1",
                "gen_ai.prompt.2.tool_calls.0.name": "track",
                "gen_ai.prompt.2.tool_calls.0.arguments": '{"number": 7}',
                "gen_ai.prompt.3.role": "tool", "gen_ai.prompt.3.content": RESULT,
                "gen_ai.prompt.3.tool_call_id": "call_1",
                "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": ANSWER,
                "gen_ai.completion.0.finish_reason": "stop",
                "llm.request.functions.0.name": "track",
                "llm.request.functions.0.description": "Find a parcel.",
                "llm.request.functions.0.parameters": json.dumps(SCHEMA),
            },
        )
    )
]  # fmt: skip


def _langchain(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": kwargs}


_L_ASK = [_langchain("SystemMessage", content=SYSTEM), _langchain("HumanMessage", content=ASK)]
_L_CALLS = _langchain(
    "AIMessage",
    content="",
    tool_calls=[{"name": "track", "args": {"number": 7}, "id": "call_1", "type": "tool_call"}],
    response_metadata={"finish_reason": "tool_calls"},
)  # fmt: skip
_L_RESULT = _langchain("ToolMessage", content=RESULT, tool_call_id="call_1")


def _run(messages: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    generation = {"text": "", "generation_info": {"finish_reason": "stop"}, "message": answer}
    return {
        "id": "7b1", "name": "ChatOpenAI", "run_type": "llm", "inputs": {"messages": [messages]},
        "outputs": {"generations": [[generation]], "llm_output": {}}, "error": None,
        "extra": {"invocation_params": {"model": "gpt-4o", "tools": [TOOL]}},
    }  # fmt: skip


LANGSMITH: Final = [
    {
        "id": "7b0", "name": "AgentExecutor", "run_type": "chain", "inputs": {"input": ASK},
        "outputs": {"output": ANSWER},
        "child_runs": [
            _run(_L_ASK, _L_CALLS),
            {"id": "7b2", "name": "track", "run_type": "tool", "inputs": {}, "outputs": {"output": RESULT}},
        ],
    },
    _run([*_L_ASK, _L_CALLS, _L_RESULT], _langchain("AIMessage", content=ANSWER)),
]  # fmt: skip
LANGSMITH_TABLE: Final = [
    {
        "id": "7b3", "run_type": "llm", "error": "",
        "inputs": json.dumps({"messages": _CHAT_2, "tools": [TOOL]}),
        "outputs": json.dumps(OPENAI_CHAT[1]["response"]),
    }
]  # fmt: skip
"""A run of the wrapped OpenAI client, as a bulk export's table has it."""

LANGFUSE: Final = [
    {
        "id": "tr-1", "name": "parcel-desk", "timestamp": "2026-01-01T00:00:00Z",
        "input": ASK, "output": ANSWER,
        "observations": [
            {"id": "ob-0", "traceId": "tr-1", "type": "SPAN", "name": "agent", "input": {}, "output": {}},
            {
                "id": "ob-1", "traceId": "tr-1", "type": "GENERATION", "level": "DEFAULT",
                "input": {"messages": _CHAT_1, "tools": [TOOL]}, "output": _CALLS, "modelParameters": {},
            },
        ],
    },
    {
        "id": "ob-2", "traceId": "tr-1", "type": "GENERATION", "startTime": "2026-01-01T00:00:01Z",
        "input": json.dumps({"messages": _CHAT_2, "tools": [TOOL]}), "output": json.dumps(_SAYS),
    },
]  # fmt: skip

_LOGGED = {
    "at": "2026-01-01T00:00:00.000Z",
    "status": 200,
    "key": None,
    "stream": False,
    "promptTokens": 9,
    "kept": True,
}
ENDPOINT_LOG: Final = [
    {
        **_LOGGED, "id": "1", "call": "chat/completions", "tools": [TOOL], "calls": [[CALL_AS_TEXT]],
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ASK}],
        "answers": [""], "reasons": ["tool_calls"],
    },
    {
        **_LOGGED, "id": "2", "call": "messages", "tools": [TOOL], "calls": [[]], "reasons": ["stop"],
        "messages": [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": ASK},
            {"role": "assistant", "content": "", "tool_calls": [CALL_AS_TEXT]},
            {"role": "tool", "tool_call_id": "call_1", "content": RESULT},
        ],
        "answers": [ANSWER],
    },
]  # fmt: skip

ALL: Final[dict[str, tuple[str, list[Any], int, int]]] = {
    "openai-chat": ("OpenAI chat completions", OPENAI_CHAT, 1, 0),
    "openai-responses": ("OpenAI responses", OPENAI_RESPONSES, 1, 0),
    "anthropic": ("Anthropic messages", ANTHROPIC, 1, 0),
    "opentelemetry": ("OpenTelemetry spans", OPENTELEMETRY, 1, 1),
    "opentelemetry-events": ("OpenTelemetry spans", OPENTELEMETRY_EVENTS, 0, 0),
    "opentelemetry-details": ("OpenTelemetry spans", OPENTELEMETRY_DETAILS, 0, 0),
    "openllmetry": ("OpenTelemetry spans", OPENLLMETRY, 0, 0),
    "langsmith": ("LangSmith runs", LANGSMITH, 1, 2),
    "langsmith-table": ("LangSmith runs", LANGSMITH_TABLE, 0, 0),
    "langfuse": ("Langfuse", LANGFUSE, 1, 1),
    "endpoint-log": ("endpoint log", ENDPOINT_LOG, 1, 0),
}
"""Each format's label, records, merged conversations, and parts without an answer."""

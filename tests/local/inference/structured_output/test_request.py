"""What a chat call asks for, as one schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arkor_dev.local.inference.structured_output.request import format_of
from arkor_dev.local.inference.structured_output.schemas import FormatError

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"$defs": {"c": {"enum": ["Bern"]}}, "properties": {"city": {"$ref": "#/$defs/c"}}},
    },
}
UNKNOWN = {"function": {"name": "f", "parameters": {"items": {"if": True}}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
TOOLS = [WEATHER, CLOCK]


def schema(**body: Any) -> Any:
    found = format_of(body)
    assert found
    return json.loads(found.schema)


def wanted(inner: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": inner, **more}}


def test_without_a_format_any_text_is_allowed() -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"responseFormat": None},
        {"responseFormat": {}},
        {"responseFormat": {"type": "text"}},
        {"toolChoice": "auto", "tools": TOOLS},
        {"toolChoice": "none", "tools": TOOLS},
    ]
    for body in bodies:
        assert format_of(body) is None


def test_json_object_and_json_schema_are_read() -> None:
    assert schema(responseFormat={"type": "json_object"}) == {"type": "object"}
    for strict in (True, False, None):
        assert schema(responseFormat=wanted({"type": "string", "title": "T"}, strict=strict)) == {
            "type": "string"
        }
    assert schema(responseFormat={"type": "json_object"}, tools=TOOLS, toolChoice="none")


def test_tool_choice_becomes_a_schema() -> None:
    (weather, clock) = schema(tools=TOOLS, toolChoice="required")["anyOf"]
    assert weather["properties"]["name"] == {"const": "weather"}
    (given, _) = weather["properties"]["arguments"]["allOf"]
    assert given["properties"]["city"]["$ref"] == "#/anyOf/0/properties/arguments/allOf/0/$defs/c"
    named = {"type": "function", "function": {"name": "clock"}}
    (only,) = schema(tools=TOOLS, toolChoice=named)["anyOf"]
    assert only["properties"]["name"] == clock["properties"]["name"] == {"const": "clock"}


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (
            {"responseFormat": {"type": "yaml"}},
            "responseFormat",
            '"json_object" or "json_schema", not "yaml"',
        ),
        ({"responseFormat": {"type": ["x"]}}, "responseFormat", "its type must be"),
        ({"responseFormat": {"type": "json_schema"}}, "responseFormat", "json_schema.schema must be"),
        ({"responseFormat": wanted(True)}, "responseFormat", "json_schema.schema must be"),
        ({"responseFormat": wanted({}, strict="yes")}, "responseFormat", "strict must be"),
        ({"responseFormat": wanted({"not": {}})}, "responseFormat", "not in # is not supported"),
        (
            {"responseFormat": {"type": "json_object"}, "tools": TOOLS},
            "responseFormat",
            "together with tools",
        ),
        (
            {"responseFormat": {"type": "json_object"}, "tools": TOOLS, "toolChoice": "required"},
            "responseFormat",
            "together with tools",
        ),
        ({"toolChoice": "required"}, "toolChoice", "no callable function"),
        (
            {"toolChoice": "required", "tools": [5, {}, {"function": {"name": 5}}]},
            "toolChoice",
            "no callable function",
        ),
        ({"toolChoice": "sometimes", "tools": TOOLS}, "toolChoice", 'must be "auto"'),
        ({"toolChoice": 5, "tools": TOOLS}, "toolChoice", 'must be "auto"'),
        ({"toolChoice": {"function": 5}, "tools": TOOLS}, "toolChoice", 'must be "auto"'),
        ({"toolChoice": {"function": {"name": "none"}}, "tools": TOOLS}, "toolChoice", 'no function "none"'),
        (
            {"toolChoice": "required", "tools": [UNKNOWN]},
            "toolChoice",
            'of the parameters of "f", if in #/items is not supported',
        ),
        (
            {"toolChoice": "required", "tools": [{"function": {"name": "f", "parameters": [1]}}]},
            "toolChoice",
            "must be a schema",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_unsupported_formats_name_the_field(body: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(FormatError) as fault:
        format_of(body)
    assert str(fault.value).startswith(f"{field} cannot be enforced")
    assert reason in str(fault.value)

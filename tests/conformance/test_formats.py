"""Answers that have to fit a schema, and forced calls (docs/contract.md#formats), where it is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from .conftest import QUESTION
from .test_order import need
from .test_sampling import streamed, whole

if TYPE_CHECKING:
    from .target import Target

PLACE = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "kind": {"$ref": "#/$defs/kind"}},
    "required": ["number", "kind"],
    "additionalProperties": False,
    "$defs": {"kind": {"enum": ["parrot", "ledger"]}},
}
ENOUGH = 200
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "store", "parameters": PLACE}},
]


def held(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


@pytest.mark.parametrize("strict", [True, False, None])
def test_an_answer_fits_its_schema(target: Target, strict: bool | None) -> None:
    need(target, "formats")
    asked = {"responseFormat": held(PLACE, strict=strict), "maxTokens": ENOUGH}
    choice = whole(target, **asked)["choices"][0]
    if choice.get("finish_reason") != "length":
        Draft202012Validator(PLACE).validate(json.loads(choice["message"]["content"]))
    assert streamed(target, **asked)[0] == choice["message"]["content"]


def test_a_json_object_format_gives_an_object(target: Target) -> None:
    need(target, "formats")
    text, chunks = streamed(target, responseFormat={"type": "json_object"}, maxTokens=ENOUGH)
    assert text.startswith("{")
    if chunks[-1]["choices"][0]["finish_reason"] != "length":
        assert isinstance(json.loads(text), dict)


def test_a_text_format_allows_any_answer(target: Target) -> None:
    need(target, "formats")
    for free in (None, {"type": "text"}):
        assert streamed(target, responseFormat=free)[0] == streamed(target)[0]


def test_a_tool_call_is_forced(target: Target) -> None:
    need(target, "formats")
    choice = {"type": "function", "function": {"name": "store"}}
    found = whole(target, tools=TOOLS, toolChoice=choice, maxTokens=ENOUGH)["choices"][0]
    if found.get("finish_reason") != "length":
        (call,) = found["message"]["tool_calls"]
        assert call["function"]["name"] == "store"
        Draft202012Validator(PLACE).validate(json.loads(call["function"]["arguments"]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"responseFormat": 5},
        {"responseFormat": {"type": "yaml"}},
        {"responseFormat": {"type": "json_schema"}},
        {"responseFormat": held([])},
        {"responseFormat": held({"not": {}})},
        {"responseFormat": held({"type": "array", "uniqueItems": True})},
        {"responseFormat": held({"$ref": "https://example.com/schema"})},
        {"responseFormat": {"type": "json_object"}, "tools": TOOLS},
        {"toolChoice": "required"},
        {"toolChoice": "sometimes", "tools": TOOLS},
        {"toolChoice": {"type": "function", "function": {"name": "none"}}, "tools": TOOLS},
    ],
    ids=str,
)
def test_unsupported_formats_are_refused(target: Target, wrong: dict[str, Any]) -> None:
    need(target, "formats")
    body = {"messages": QUESTION, "baseModel": target.quick["model"], **wrong}
    answer = target.call("POST", "/v1/inference/chat", body)
    assert (answer.status, next(iter(wrong)) in answer.error) == (400, True)

"""Determines the schema required by a chat request's format or tool choice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import quoted

from .schemas import FormatError, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.contract.json_types import Json, JsonObject

RESPONSE: Final = "responseFormat"
CHOICE: Final = "toolChoice"
TOOLS: Final = "tools"
PARALLEL: Final = "parallelToolCalls"
UNFORCED: Final[tuple[object, ...]] = (None, "auto", "none")
FREE: Final[tuple[object, ...]] = (None, {}, {"type": "text"})


@dataclass(frozen=True)
class CallRules:
    """Which calls an answer may have: at least one if ``forced``, more than one if ``parallel``.

    ``strict``: a tool's schema must be enforced, so an unknown syntax of calls is refused.
    """

    forced: bool
    parallel: bool
    strict: bool


@dataclass(frozen=True)
class OutputFormat:
    """The JSON of a schema from `schemas.read`, and the request's field that requires it.

    With ``calls`` it is the schema of one call, and the answer has as many as they allow.
    """

    schema: str
    field: str
    calls: CallRules | None = None


def format_of(body: Mapping[str, object]) -> OutputFormat | None:
    """Return the answer's format; None for any text. Raises FormatError with a full sentence."""
    choice, response_format = body.get(CHOICE), body.get(RESPONSE)
    forced = choice not in UNFORCED
    if response_format not in FREE and body.get("tools") and choice != "none":
        raise FormatError(
            f"{RESPONSE} cannot be enforced together with tools, whose calls have their own form: remove one"
        )
    tools = body.get("tools")
    if not isinstance(tools, list):
        tools = []
    if forced:
        # Only a caller that says so expects several calls: a small model would never stop.
        several = choice == "required" and body.get(PARALLEL) is True
        rules, field = CallRules(forced=True, parallel=several, strict=False), CHOICE
    elif tools and choice != "none" and (any(map(_is_strict, tools)) or body.get(PARALLEL) is False):
        strict = any(map(_is_strict, tools))
        several = body.get(PARALLEL) is not False
        rules, field = CallRules(False, several, strict), TOOLS if strict else PARALLEL
        tools = [tool if _is_strict(tool) else _without_schema(tool) for tool in tools]
    elif response_format in FREE:
        return None
    else:
        rules, field = None, RESPONSE
    try:
        schema = _call(choice if forced else "required", tools) if rules else _response(response_format)
    except FormatError as fault:
        raise FormatError(f"{field} cannot be enforced: {fault}") from None
    return OutputFormat(json.dumps(schema, ensure_ascii=False, separators=(",", ":")), field, rules)


def _is_strict(tool: object) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and function.get("strict") is True


def _without_schema(tool: object) -> object:
    """Return a tool whose arguments may be any object."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return {"function": {"name": function.get("name")}} if isinstance(function, dict) else tool


def _response(response_format: object) -> Json:
    if not isinstance(response_format, dict):
        raise FormatError(f"it must be a JSON object, not {quoted(response_format)}")
    kind = response_format.get("type")
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        raise FormatError(f'its type must be "text", "json_object" or "json_schema", not {quoted(kind)}')
    json_schema = response_format.get("json_schema")
    schema = json_schema.get("schema") if isinstance(json_schema, dict) else None
    if not isinstance(json_schema, dict) or not isinstance(schema, dict):
        raise FormatError(f"json_schema.schema must be a JSON object, not {quoted(schema)}")
    if not isinstance(json_schema.get("strict"), bool | None):
        raise FormatError("json_schema.strict must be true or false")
    return read(schema)


def _call(choice: object, tools: Sequence[object]) -> Json:
    """Return the schema of a call of one of ``tools``, or of the named one; see ``modeling.tool_calls``."""
    functions = {}
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            functions[function["name"]] = function.get("parameters")
    if choice != "required":
        function = choice.get("function") if isinstance(choice, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str):
            raise FormatError(
                'it must be "auto", "none", "required" or {"type": "function", "function": {"name": …}}'
            )
        if name not in functions:
            raise FormatError(f"tools has no function {quoted(name)}")
        functions = {name: functions[name]}
    if not functions:
        raise FormatError("tools has no callable function")
    calls: list[Json] = [
        _call_schema(name, parameters, f"#/anyOf/{number}")
        for number, (name, parameters) in enumerate(functions.items())
    ]
    return {"type": "object", "anyOf": calls}


def _call_schema(name: str, parameters: object, pointer: str) -> Json:
    if not isinstance(parameters, dict | None):
        raise FormatError(f"the parameters of {quoted(name)} must be a schema, not {quoted(parameters)}")
    try:
        # A function's arguments are an object, whatever its schema says.
        json_schema = read(parameters or {}, f"{pointer}/properties/arguments/allOf/0")
        arguments: JsonObject = {"allOf": [json_schema, {"type": "object"}]}
    except FormatError as fault:
        raise FormatError(f"of the parameters of {quoted(name)}, {fault}") from None
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }

"""Determines the schema required by a chat request's format or tool choice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from arkor_dev.contract.rules import quoted

from .schemas import FormatError, read

RESPONSE: Final = "responseFormat"
CHOICE: Final = "toolChoice"
UNFORCED: Final[tuple[object, ...]] = (None, "auto", "none")
FREE: Final[tuple[object, ...]] = (None, {}, {"type": "text"})


@dataclass(frozen=True)
class OutputFormat:
    """The JSON of a schema from `schemas.read`, and the request's field that requires it."""

    schema: str
    field: str


def format_of(body: dict[str, Any]) -> OutputFormat | None:
    """Return the answer's format; None for any text. Raises FormatError with a full sentence."""
    choice, response_format = body.get(CHOICE), body.get(RESPONSE)
    forced = choice not in UNFORCED
    if response_format not in FREE and body.get("tools") and choice != "none":
        raise FormatError(
            f"{RESPONSE} cannot be enforced together with tools, whose calls have their own form: remove one"
        )
    if not forced and response_format in FREE:
        return None
    field = CHOICE if forced else RESPONSE
    try:
        schema = _call(choice, body.get("tools") or []) if forced else _response(response_format)
    except FormatError as fault:
        raise FormatError(f"{field} cannot be enforced: {fault}") from None
    return OutputFormat(json.dumps(schema, ensure_ascii=False, separators=(",", ":")), field)


def _response(response_format: Any) -> Any:
    kind = response_format.get("type")
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        raise FormatError(f'its type must be "text", "json_object" or "json_schema", not {quoted(kind)}')
    json_schema = response_format.get("json_schema")
    schema = json_schema.get("schema") if isinstance(json_schema, dict) else None
    if not isinstance(schema, dict):
        raise FormatError(f"json_schema.schema must be a JSON object, not {quoted(schema)}")
    if not isinstance(json_schema.get("strict"), bool | None):
        raise FormatError("json_schema.strict must be true or false")
    return read(schema)


def _call(choice: Any, tools: list[Any]) -> Any:
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
    calls = [
        _call_schema(name, parameters, f"#/anyOf/{number}")
        for number, (name, parameters) in enumerate(functions.items())
    ]
    return {"type": "object", "anyOf": calls}


def _call_schema(name: str, parameters: Any, pointer: str) -> Any:
    if not isinstance(parameters, dict | None):
        raise FormatError(f"the parameters of {quoted(name)} must be a schema, not {quoted(parameters)}")
    try:
        # A function's arguments are an object, whatever its schema says.
        json_schema = read(parameters or {}, f"{pointer}/properties/arguments/allOf/0")
        arguments = {"allOf": [json_schema, {"type": "object"}]}
    except FormatError as fault:
        raise FormatError(f"of the parameters of {quoted(name)}, {fault}") from None
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }

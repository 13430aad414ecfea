"""Chat as the feature ``formats`` has it, in the fake backend: checks, and the least answer that fits."""

from __future__ import annotations

import json
from typing import Any

from .fake_checks import wrong

REFUSED = ("not", "if", "uniqueItems", "contains", "unevaluatedProperties")
LEAST: dict[str, Any] = {
    "null": None,
    "boolean": False,
    "integer": 0,
    "number": 0,
    "string": "",
    "array": [],
    "object": {},
}


def check_format(body: dict[str, Any]) -> None:
    """Refuse what the contract does not allow."""
    wanted, choice = body.get("responseFormat"), body.get("toolChoice")
    if not isinstance(wanted, dict | None):
        wrong("responseFormat has to be an object.")
    kind = (wanted or {}).get("type", "text")
    if kind not in ("text", "json_object", "json_schema"):
        wrong("responseFormat has no such type.")
    if kind != "text" and body.get("tools") and choice != "none":
        wrong("responseFormat does not go with tools.")
    if kind == "json_schema":
        schema = ((wanted or {}).get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            wrong("responseFormat has no schema.")
        _check(schema, 0)
    if choice not in (None, "auto", "none") and not forced(body):
        wrong("toolChoice names no function.")


def _check(schema: Any, depth: int) -> None:
    if depth > 64:
        wrong("responseFormat is too deep.")
    if isinstance(schema, list):
        for each in schema:
            _check(each, depth + 1)
    elif isinstance(schema, dict):
        for keyword, inner in schema.items():
            if keyword in REFUSED:
                wrong(f"responseFormat cannot have {keyword}.")
            if keyword == "$ref" and not str(inner).startswith("#/"):
                wrong("responseFormat cannot refer to elsewhere.")
            _check(inner, depth + 1)


def instance_of(body: dict[str, Any]) -> str | None:
    """The least JSON that fits; None where any text does."""
    wanted = body.get("responseFormat") or {}
    if wanted.get("type", "text") == "text":
        return None
    schema = wanted["json_schema"]["schema"] if wanted["type"] == "json_schema" else {"type": "object"}
    return json.dumps(_least(schema, schema))


def _least(schema: Any, root: Any) -> Any:
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].split("/")[1:]:
            found = found[part]
        return _least(found, root)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        given = schema["properties"]
        return {name: _least(given.get(name, {}), root) for name in schema.get("required", ())}
    if schema.get("type") == "array":
        return [_least(schema.get("items", {}), root)] * schema.get("minItems", 0)
    return LEAST[schema.get("type", "null")]


def forced(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The call that is asked for, of the least arguments."""
    choice = body.get("toolChoice")
    if choice in (None, "auto", "none"):
        return []
    functions = [tool["function"] for tool in body.get("tools") or ()]
    if choice != "required":
        name = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
        functions = [each for each in functions if each["name"] == name]
    calls = []
    for each in functions[:1]:
        schema = each.get("parameters") or {"type": "object"}
        told = {"name": each["name"], "arguments": json.dumps(_least(schema, schema))}
        calls.append({"id": "call_1", "type": "function", "function": told})
    return calls

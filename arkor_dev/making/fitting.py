"""Checks a value against a JSON Schema of a few known keywords; others are refused by name.

A teacher with structured output returns values that fit. One without it may return anything, and a row must
not teach what its schema forbids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPTH: Final = 20
_TYPES: Final[dict[str, Any]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}  # fmt: skip
_IGNORED: Final = {"title", "description", "default", "examples", "$schema", "$comment", "$id"}
_KNOWN: Final = {
    "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems",
    "maxItems", "minLength", "maxLength", "minimum", "maximum", "anyOf",
}  # fmt: skip


def check_schema(schema: object, at: str = "the schema", depth: int = 0) -> None:
    """Raise BadRequestError for a schema that `fits` does not know; ``at`` names it."""
    if not isinstance(schema, dict) or depth > DEPTH:
        raise BadRequestError(f"{at} is not an object, or nested too deeply.")
    if unknown := sorted(set(schema) - _KNOWN - _IGNORED):
        known = ", ".join(sorted(_KNOWN))
        raise BadRequestError(f"{at} has {one_line(unknown[0], 60)}, which is not supported. Use: {known}.")
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            raise BadRequestError(f"{at} has an unknown type: {one_line(kind, 60)}.")
    for key, kind in (("properties", dict), ("required", list), ("enum", list), ("anyOf", list)):
        if key in schema and not isinstance(schema[key], kind):
            raise BadRequestError(f"{key} of {at} is not {'an object' if kind is dict else 'a list'}.")
    for key in ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"):
        if key in schema and (isinstance(schema[key], bool) or not isinstance(schema[key], int | float)):
            raise BadRequestError(f"{key} of {at} is not a number.")
    for name, inner in schema.get("properties", {}).items():
        check_schema(inner, f"{one_line(name, 60)} in {at}", depth + 1)
    for inner in schema.get("anyOf", []):
        check_schema(inner, f"anyOf in {at}", depth + 1)
    if "items" in schema:
        check_schema(schema["items"], f"items in {at}", depth + 1)
    if not isinstance(schema.get("additionalProperties", True), bool):
        check_schema(schema["additionalProperties"], f"additionalProperties in {at}", depth + 1)


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether ``value`` fits a schema that `check_schema` accepts."""
    kinds = schema.get("type")
    if kinds is not None and not any(
        _is(value, kind) for kind in (kinds if isinstance(kinds, list) else [kinds])
    ):
        return False
    if "enum" in schema and not any(_same(value, item) for item in schema["enum"]):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "anyOf" in schema and not any(fits(value, item) for item in schema["anyOf"]):
        return False
    if isinstance(value, dict):
        return _object_fits(value, schema)
    if isinstance(value, list):
        inner = schema.get("items", {})
        return _within(len(value), schema, "Items") and all(fits(item, inner) for item in value)
    if isinstance(value, str):
        return _within(len(value), schema, "Length")
    return isinstance(value, bool) or value is None or _within(value, schema, "imum")


def _object_fits(value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    return all(name in value for name in schema.get("required", [])) and all(
        fits(item, known[name]) if name in known else more if isinstance(more, bool) else fits(item, more)
        for name, item in value.items()
    )


def _within(size: float, schema: Mapping[str, Any], bound: str) -> bool:
    return bool(schema.get(f"min{bound}", size) <= size <= schema.get(f"max{bound}", size))


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    integral = kind == "integer" and isinstance(value, float) and value % 1 == 0
    return integral or isinstance(value, _TYPES[kind])


def _same(first: object, second: object) -> bool:
    return first == second and isinstance(first, bool) == isinstance(second, bool)

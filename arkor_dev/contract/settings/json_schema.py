"""A subset of JSON Schema (2020-12) in which an unknown keyword is an error.

Without references and formats. Supported keywords follow the standard.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TYPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    ),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems")
BOUNDS: Final = ("minimum", "maximum")
ANNOTATIONS: Final = ("$schema", "$id", "title", "description", "default", "examples", "$comment")
"""Annotations, which constrain nothing."""
WORDS: Final = (
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "pattern",
    *COUNTS, *BOUNDS, *ANNOTATIONS,
)  # fmt: skip
DEPTH: Final = 20
LIMIT: Final = 20_000
"""Longest schema, in characters."""
PATTERN: Final = 500
"""Longest regular expression, in characters."""


def schema_fault(schema: object, words: Sequence[str] = WORDS) -> str | None:
    """Return what is wrong with a schema of keywords ``words``, to follow "schema"; None if it is valid."""
    try:
        if len(json.dumps(schema)) > LIMIT:
            return f"has more than {LIMIT:,} characters"
    except (TypeError, ValueError, RecursionError):
        return "is not JSON"
    return _fault(schema, words, "", DEPTH)


def _fault(schema: object, words: Sequence[str], at: str, depth: int) -> str | None:
    where = f" at {at.removeprefix('.')}" if at else ""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return f"must be an object{where}"
    if not depth:
        return f"is nested more than {DEPTH} deep"
    for word, value in schema.items():
        if word not in words:
            return f"has {word[:60]!r}{where}, which is not supported. Supported are {', '.join(words)}"
        if not _fits(word, value):
            return f"has an invalid {word}{where}"
    inner = {f"{at}.{name}": part for name, part in schema.get("properties", {}).items()}
    inner |= {f"{at}.{word}": schema[word] for word in ("items", "additionalProperties") if word in schema}
    inner |= {f"{at}.anyOf[{index}]": part for index, part in enumerate(schema.get("anyOf", ()))}
    faults = (_fault(part, words, pointer, depth - 1) for pointer, part in inner.items())
    return next(filter(None, faults), None)


def _fits(word: str, value: object) -> bool:
    """Return whether ``value`` is valid for a keyword; nested schemas are checked elsewhere."""
    match word:
        case "type":
            names = value if isinstance(value, list) else [value]
            return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)
        case "properties":
            return isinstance(value, dict)
        case "required":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "enum" | "anyOf":
            return isinstance(value, list) and bool(value)
        case "pattern":
            return pattern_fault(value) is None
    if word in COUNTS:
        return type(value) is int and value >= 0
    if word in BOUNDS:
        return TYPES["number"](value) and math.isfinite(value)  # type: ignore[arg-type]
    return True


def pattern_fault(pattern: object) -> str | None:
    """Return what is wrong with a regular expression, or None."""
    if not isinstance(pattern, str) or not pattern or len(pattern) > PATTERN:
        return f"must be a regular expression of 1 to {PATTERN} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    return None


def valid(value: object, schema: Any) -> bool:
    """Return whether ``value``, parsed from JSON, conforms to a valid schema."""
    if isinstance(schema, bool):
        return schema
    types = schema.get("type")
    if types is not None:
        names = types if isinstance(types, list) else [types]
        if not any(TYPES[name](value) for name in names):
            return False
    if "enum" in schema and not any(_same(value, item) for item in schema["enum"]):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "anyOf" in schema and not any(valid(value, part) for part in schema["anyOf"]):
        return False
    if isinstance(value, dict):
        return _object(value, schema)
    if isinstance(value, list):
        counts = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf)
        return counts and all(valid(item, schema.get("items", True)) for item in value)
    if isinstance(value, str):
        counts = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
        return counts and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    if TYPES["number"](value):
        return bool(schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf))
    return True


def _object(value: dict[str, object], schema: dict[str, Any]) -> bool:
    if not all(name in value for name in schema.get("required", ())):
        return False
    known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    return all(valid(item, known.get(name, other)) for name, item in value.items())


def _same(first: object, second: object) -> bool:
    """Compare as JSON: true is not 1, and 1 equals 1.0."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    return bool(first == second)

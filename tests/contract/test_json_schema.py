"""The part of JSON Schema that answers can be held to: each word counts, and no other is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.contract.settings.json_schema import LIMIT, pattern_fault, schema_fault, valid

TICKET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["refund", "delivery"]},
        "order": {"type": "string", "pattern": "^A[0-9]{3}$"},
        "items": {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 3},
        "note": {"type": ["string", "null"], "maxLength": 5},
    },
    "required": ["kind", "order"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ({"kind": "refund", "order": "A123"}, True),
        ({"kind": "refund", "order": "A123", "items": [1, 2.0], "note": None}, True),
        ({"kind": "refund"}, False),
        ({"kind": "other", "order": "A123"}, False),
        ({"kind": "refund", "order": "xA123"}, False),
        ({"kind": "refund", "order": 123}, False),
        ({"kind": "refund", "order": "A123", "items": [0]}, False),
        ({"kind": "refund", "order": "A123", "items": [1.5]}, False),
        ({"kind": "refund", "order": "A123", "items": [True]}, False),
        ({"kind": "refund", "order": "A123", "items": [1, 2, 3, 4]}, False),
        ({"kind": "refund", "order": "A123", "note": "too long"}, False),
        ({"kind": "refund", "order": "A123", "more": 1}, False),
        ([], False),
        ("refund", False),
        (None, False),
    ],
)
def test_values_are_validated_against_a_schema(value: object, is_valid: bool) -> None:
    assert schema_fault(TICKET) is None
    assert valid(value, TICKET) is is_valid


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, [1, None], []),
        (False, [], [1, None]),
        ({}, [1, "x", None, []], []),
        ({"const": 1}, [1, 1.0], [True, "1", 2]),
        ({"const": {"a": [1, False]}}, [{"a": [1, False]}], [{"a": [1, 0]}, {"a": [1]}, {}]),
        ({"type": "number", "minimum": 0, "maximum": 2}, [0, 2, 1.5], [-1, 3, True, "1"]),
        ({"type": "boolean"}, [True, False], [0, 1, None]),
        ({"minLength": 2}, ["ab", 1], ["a"]),
        ({"additionalProperties": {"type": "null"}}, [{}, {"a": None}], [{"a": 1}]),
        ({"minItems": 1, "items": False}, [], [[], [1]]),
        ({"anyOf": [{"type": "null"}, {"minLength": 2}]}, [None, "ab"], ["a"]),
    ],
)
def test_keywords_follow_the_json_schema_standard(schema: Any, good: list[Any], bad: list[Any]) -> None:
    assert schema_fault(schema) is None
    assert [valid(value, schema) for value in good] == [True] * len(good)
    assert [valid(value, schema) for value in bad] == [False] * len(bad)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"format": "email"}, "has 'format', which is not supported"),
        ({"$ref": "#/x"}, "which is not supported"),
        ({"properties": {"a": {"oneOf": []}}}, "has 'oneOf' at a, which is not supported"),
        ({"properties": {"a": 7}}, "must be an object at a"),
        ({"properties": []}, "has an invalid properties"),
        ({"type": "text"}, "has an invalid type"),
        ({"type": []}, "has an invalid type"),
        ({"required": [1]}, "has an invalid required"),
        ({"enum": []}, "has an invalid enum"),
        ({"anyOf": [True, 7]}, "must be an object at anyOf[1]"),
        ({"minLength": -1}, "has an invalid minLength"),
        ({"minimum": "0"}, "has an invalid minimum"),
        ({"pattern": "("}, "has an invalid pattern"),
        ("object", "must be an object"),
        (deep(30), "is nested more than"),
        ({"title": "x" * LIMIT}, "has more than"),
        ({"const": {1, 2}}, "is not JSON"),
    ],
)
def test_unsupported_keywords_are_named(schema: Any, fault: str) -> None:
    assert fault in str(schema_fault(schema))


def test_invalid_patterns_are_refused() -> None:
    assert pattern_fault(r"^\d+$") is None
    for pattern in ("", "(", "x" * 501, 7, None, "(?P<a"):
        assert pattern_fault(pattern)

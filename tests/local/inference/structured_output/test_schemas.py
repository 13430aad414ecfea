"""Schemas of somebody else: what is enforced is kept, the rest is refused by its name, at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from arkor_dev.local.inference.structured_output.schemas import (
    CHARACTERS,
    DEPTH,
    PATTERN,
    SCHEMAS,
    VALUES,
    FormatError,
    read,
)


def refusal(schema: Any) -> str:
    began = time.thread_time()
    with pytest.raises(FormatError) as fault:
        read(schema)
    assert time.thread_time() - began < 5  # a hostile one takes milliseconds
    assert len(str(fault.value)) < 400
    return str(fault.value)


def nested(times: int, inner: Any = True) -> Any:
    for _ in range(times):
        inner = {"type": "array", "items": inner}
    return inner


def test_only_enforced_keywords_are_kept() -> None:
    kept: dict[str, Any] = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a"},
            "not": {"type": ["integer", "null"], "minimum": -1, "exclusiveMaximum": 7.5, "multipleOf": 2},
            "$ref": {"anyOf": [{"const": None}, {"enum": [1, "a", [True], {"b": None}]}]},
            "when": {"type": "string", "format": "date-time", "maxLength": 20},
            "list": {"type": "array", "items": {"$ref": "#/$defs/a~1b"}, "minItems": 0, "maxItems": 3},
        },
        "required": ["title", "not"],
        "additionalProperties": False,
        "$defs": {"a/b": {"prefixItems": [True, False]}},
    }
    noise = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/schema",
        "title": "T",
        "description": "D",
        "default": {"x": 1},
        "examples": [1],
        "x-guidance": {"lenient": True},
        "x-anything": {"not": {}},
        "uniqueItems": False,
    }
    assert read({**noise, **kept}) == kept
    found: Any = read(kept)
    assert list(found["properties"]) == list(kept["properties"])  # an answer has this order


def test_formats_with_unbounded_digits_are_bounded() -> None:
    for format_, most in (("date-time", 35), ("time", 24), ("duration", 60)):
        assert read({"format": format_}) == {"format": format_, "maxLength": most}
        assert read({"format": format_, "maxLength": 900}) == {"format": format_, "maxLength": most}
    assert read({"format": "date"}) == {"format": "date"}


def test_repeated_keywords_are_deduplicated() -> None:
    assert read({"type": ["string", "null"] * 10**5, "required": ["a"] * 1000}) == {
        "type": ["string", "null"],
        "required": ["a"],
    }


def test_references_are_rebased() -> None:
    found: Any = read(
        {"$defs": {"a": True}, "anyOf": [{"$ref": "#/$defs/a"}, {"type": "array", "items": {"$ref": "#"}}]},
        "#/x/0",
    )
    assert found["anyOf"] == [{"$ref": "#/x/0/$defs/a"}, {"type": "array", "items": {"$ref": "#/x/0"}}]


@pytest.mark.parametrize(
    "keyword",
    [
        *("not", "if", "then", "else", "contains", "minContains", "uniqueItems", "propertyNames"),
        *("dependencies", "dependentRequired", "dependentSchemas", "additionalItems"),
        *("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"),
    ],
)
def test_unenforced_keywords_are_refused_with_their_path(keyword: str) -> None:
    # ``false`` says as much as ``true`` for most of them: no item beside these, no name but those.
    for value in (True, *(() if keyword == "uniqueItems" else (False,))):
        text = refusal({"type": "object", "properties": {"a": {"items": {keyword: value}}}})
        assert f"{keyword} in #/properties/a/items is not supported" in text


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "https://example.com/a.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "other.json#/$defs/a"}, "nothing is fetched"),
        ({"$ref": "//127.0.0.1:1/a"}, "nothing is fetched"),
        ({"$ref": "#anchor"}, "nothing is fetched"),
        ({"$ref": 5}, "nothing is fetched"),
        ({"$ref": "#/$defs/none"}, "where there is no schema"),
        ({"$ref": "#/title", "title": {"type": "string"}}, "where there is no schema"),
        ({"$ref": "#"}, "refers only to itself"),
        ({"allOf": [{"$ref": "#"}]}, "refers only to itself"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, "refers only to itself"),
        (
            {
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"oneOf": [{"$ref": "#/$defs/a"}]}},
                "$ref": "#/$defs/a",
            },
            "refers only to itself",
        ),
        ({"properties": {"a": {"$id": "http://example.com/"}}}, "$id in #/properties/a"),
        (nested(DEPTH + 1), "deep"),
        (nested(90), "deep"),
        ({"properties": {f"p{n}": True for n in range(SCHEMAS)}}, "more than 1,000 schemas"),
        ({"anyOf": [True] * 10**6}, "more than 1,000 schemas"),
        ({"enum": list(range(VALUES + 1))}, "more than 2,000 values"),
        ({"enum": [[0] * 10**6]}, "more than 2,000 values"),
        ({"enum": ["x" * (CHARACTERS + 1)]}, "64,000 characters"),
        ({"properties": {"x" * 40_000: True, "y" * 40_000: True}}, "64,000 characters"),
        ({"required": ["x" * 40_000, "y" * 40_000]}, "64,000 characters"),
        ({"pattern": "a" * (PATTERN + 1)}, "1,000 characters"),
        ({"patternProperties": {"a" * (PATTERN + 1): True}}, "1,000 characters"),
        ({"pattern": 5}, "must have strings"),
        ({"maxLength": 10**9}, "whole number from 0"),
        ({"minItems": -1}, "whole number from 0"),
        ({"minItems": True}, "whole number from 0"),
        ({"maxItems": 1.5}, "whole number from 0"),
        ({"minimum": "1"}, "must be a number"),
        ({"minimum": 2**53}, "must be a number"),
        ({"const": 2**60 + 1}, "must be a number"),
        ({"const": 1e-300}, "too close to 0"),
        ({"exclusiveMinimum": True}, "must be a number"),
        ({"multipleOf": 0}, "must be from"),
        ({"multipleOf": -3}, "must be from"),
        ({"multipleOf": 1e-9}, "must be from"),
        ({"type": "strin"}, "must be one of null"),
        ({"type": []}, "must be one of null"),
        ({"type": [["string"]]}, "must be one of null"),
        ({"enum": []}, "one or more values"),
        ({"enum": "a"}, "one or more values"),
        ({"anyOf": []}, "one or more schemas"),
        ({"items": [True]}, "must be a schema"),
        ({"items": 5}, "must be a schema"),
        ({"properties": []}, "an object of schemas"),
        ({"$defs": {"a": 5}}, "must be a schema"),
        ({"required": "a"}, "must be a list"),
        ({"required": [5]}, "must have strings"),
        ({"format": "idn-email"}, "is not supported"),
        ({"format": ["date"]}, "is not supported"),
        ({"minProperties": 2}, "1 more than required"),
        ({"properties": {"€" * 5000: {"not": True}}}, "not in #/properties/€"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_impossible_schemas_are_refused(schema: Any, reason: str) -> None:
    assert reason in refusal(schema)


def test_recursive_schemas_are_kept() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    }
    assert read({"$defs": {"node": node}, "$ref": "#/$defs/node"})
    assert read(nested(DEPTH))
    assert read({"minProperties": 2, "required": ["a"]})

"""Rules and schemas: what fits, what is said of what does not, and where it stands."""

from __future__ import annotations

import math
from typing import Any, TypedDict

import pytest

from arkor_dev.contract.rules import FILLED, FLAG, Rule, quoted, text_line
from arkor_dev.contract.schema import Field, Schema, SchemaError, check, check_as

NUMBER = Rule("number", 0, 1, above=True)
WHOLE = Rule("whole", 1)
CHOICE = Rule("choice", choices=("a", "b"))


@pytest.mark.parametrize(
    ("rule", "words", "good", "bad"),
    [
        (
            NUMBER,
            "a number above 0, 1 at most",
            [1, 0.5, 1e-9],
            [0, 1.1, True, "1", math.nan, math.inf, -math.inf],
        ),
        (Rule("number", 0, 0.9, "a part"), "a part from 0 to 0.9", [0, 0.9], [-0.1, 1, None]),
        (Rule("whole", 0, 2048), "a whole number from 0 to 2,048", [0, 2048], [1.0, 2049, False, 10**400]),
        (WHOLE, "a whole number, 1 or more", [1, 10**9], [0, 1.5]),
        (FLAG, "true or false", [True, False], [0, 1, "true", None]),
        (CHOICE, 'one of "a", "b"', ["a"], ["c", ["a"], {"a": 1}, None]),
        (text_line(3), "one line of text, 3 characters at most", ["abc", "é"], ["", " ", "abcd", "a\nb", 3]),
        (FILLED, "text that is not blank", ["a\nb"], ["", " \n", 1]),
        (Rule("list", 1), "a list", [[1]], [[], {}, "ab"]),
        (Rule("object"), "a JSON object", [{}], [[], None]),
    ],
)
def test_a_rule_accepts_and_refuses_values(rule: Rule, words: str, good: list[Any], bad: list[Any]) -> None:
    assert rule.words == words
    assert [value for value in good if not rule.fits(value)] == []
    assert [value for value in bad if rule.fits(value)] == []


PERSON = Schema(Field("name", FILLED, needed=True), Field("age", WHOLE, null=True))
TEAM = Schema(
    Field("lead", Rule("object"), inner=PERSON),
    Field("people", Rule("list"), needed=True, inner=PERSON),
    Field("open", FLAG),
    also=lambda team: (
        "lead is missing: an open team has one" if team.get("open") and "lead" not in team else None
    ),
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "The team must be a JSON object, not []"),
        ({}, "people is missing: it must be a list"),
        ({"people": {}}, "people must be a list, not {}"),
        ({"people": [{"name": "a"}, 3]}, "people[1] must be a JSON object, not 3"),
        ({"people": [{"name": "a"}, {}]}, "people[1].name is missing: it must be text that is not blank"),
        (
            {"people": [], "lead": {"name": "a", "age": 0}},
            "lead.age must be a whole number, 1 or more, not 0",
        ),
        ({"people": [], "open": None}, "open must be true or false, not null"),
        ({"people": [], "open": True}, "lead is missing: an open team has one"),
    ],
)
def test_schema_errors_name_the_path(body: object, said: str) -> None:
    with pytest.raises(SchemaError) as fault:
        check(body, TEAM, "The team")
    assert str(fault.value) == said


def test_a_valid_body_is_returned_unchanged() -> None:
    body = {
        "people": [{"name": "a", "age": None, "later": 1}],
        "lead": {"name": "b"},
        "open": True,
        "later": [1],
    }
    assert check(body, TEAM) is body


class Named(TypedDict):
    name: str


def test_a_valid_body_is_returned_as_the_class_that_has_its_fields() -> None:
    schema = Schema(Field("name", FILLED, needed=True))
    body = {"name": "a", "later": 1}
    named = check_as(Named, body, schema)
    assert named is body
    with pytest.raises(SchemaError, match="name is missing"):
        check_as(Named, {}, schema)
    with pytest.raises(AssertionError, match="Named lacks age"):
        check_as(Named, {"name": "a"}, Schema(*schema.fields, Field("age", WHOLE)))


def test_quoted_values_are_short_and_on_one_line() -> None:
    assert quoted("a\nb\u202e") == '"a\\nb\\u202e"'
    assert quoted("x" * 10**6) == '"' + "x" * 56 + "…"


def test_a_password_in_an_address_is_not_quoted() -> None:
    assert quoted("s3://key:secret@bucket/jobs") == '"s3://…@bucket/jobs"'
    assert "secret" not in quoted(f"s3://key:secret{'x' * 90}@bucket")
    assert quoted("ray://head") == '"ray://head"'
    assert len(quoted(list(range(1000)))) == 58

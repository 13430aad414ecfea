"""The bodies of requests, declared field by field beside their handlers and checked in one way.

No library: what is needed of one is this page, and the core of arkor-dev rests on five packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .rules import Rule, quoted

if TYPE_CHECKING:
    from collections.abc import Callable


class SchemaError(ValueError):
    """Why a body is refused, as sentences for a person."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body. ``null`` may stand for nothing; ``inner`` is the schema of what it holds."""

    name: str
    rule: Rule
    needed: bool = False
    null: bool = False
    inner: Schema | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a body; ``also`` says what is wrong with them together, or None."""

    fields: tuple[Field, ...]
    also: Callable[[dict[str, Any]], str | None] = lambda _: None


def check(body: object, schema: Schema, name: str = "The body", prefix: str = "") -> dict[str, Any]:
    """``body``, an object that is as ``schema`` says; raises SchemaError with the first fault.

    Fields that no schema names pass: whoever is newer may know them. ``prefix`` stands before each field.
    """
    if not isinstance(body, dict):
        raise SchemaError(f"{name} must be a JSON object, not {quoted(body)}")
    for field in schema.fields:
        path, value = prefix + field.name, body.get(field.name)
        if field.name not in body or (field.null and value is None):
            if field.needed:
                raise SchemaError(f"{path} is missing: it must be {field.rule.words}")
            continue
        if not field.rule.fits(value):
            raise SchemaError(f"{path} must be {field.rule.words}, not {quoted(value)}")
        if field.inner is not None:
            parts = {path: value}
            if isinstance(value, list):
                parts = {f"{path}[{index}]": each for index, each in enumerate(value)}
            for place, part in parts.items():
                check(part, field.inner, place, f"{place}.")
    problem = schema.also(body)
    if problem is not None:
        raise SchemaError(prefix + problem)
    return body

"""Schemas of request bodies, declared field by field beside their handlers.

Not a library: this module is all that is needed, and the core depends on five packages only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .rules import Rule, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SchemaError(ValueError):
    """A body is invalid; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body. ``null`` allows null; ``inner`` is the schema of a nested object."""

    name: str
    rule: Rule
    needed: bool = False
    null: bool = False
    inner: Schema | None = None


class Schema:
    """The fields of a body; ``also`` checks them together and returns an error or None."""

    def __init__(self, *fields: Field, also: Callable[[dict[str, Any]], str | None] = lambda _: None) -> None:
        self.fields, self.also = fields, also


def any_of(*names: str) -> Callable[[dict[str, object]], str | None]:
    """Return a check that a body of changes has at least one of these fields."""
    words = f"{', '.join(names[:-1])} or {names[-1]}"
    return lambda body: None if set(names) & body.keys() else f"Nothing to change: set {words}"


def check(body: object, schema: Schema, name: str = "The body", prefix: str = "") -> dict[str, Any]:
    """Validate ``body`` by ``schema`` and return it. Raises SchemaError for the first error.

    Unknown fields pass: a newer client may know them. ``prefix`` precedes field names in errors.
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
                parts = {f"{path}[{index}]": item for index, item in enumerate(value)}
            for part_path, part in parts.items():
                check(part, field.inner, part_path, f"{part_path}.")
    problem = schema.also(body)
    if problem is not None:
        raise SchemaError(prefix + problem)
    return body


def check_as(shape: type[T], body: object, schema: Schema, name: str = "The body", prefix: str = "") -> T:
    """Validate ``body`` like `check` and return it as ``shape``, the TypedDict of its fields."""
    unknown = {field.name for field in schema.fields} - shape.__annotations__.keys()
    assert not unknown, f"{shape.__name__} lacks {', '.join(unknown)}"
    checked: Any = check(body, schema, name, prefix)  # a type checker cannot follow the schema
    shaped: T = checked
    return shaped

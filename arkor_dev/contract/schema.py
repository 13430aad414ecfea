"""What a value may be, said once: a rule checks it and names what is allowed, a schema is a rule a field.

The trainer's settings and the bodies of requests are checked by these rules on both sides of the wire, so a
person reads the same words wherever a value is refused.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Kind = Literal["whole", "number", "flag", "choice", "text", "list", "other"]

SHOWN_CHARACTERS = 60


class SchemaError(ValueError):
    """Why a body is refused, as sentences for a person."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value may be. ``noun`` is its name in an error, where the kind alone says too little.

    ``low`` and ``high`` bound a number, the characters of a text (one line, not blank), or the members of a
    list. ``above``: ``low`` itself is not allowed. ``test`` has the last word.
    """

    kind: Kind
    low: float = 0
    high: float = math.inf
    noun: str = ""
    above: bool = False
    choices: tuple[str, ...] = ()
    test: Callable[[Any], bool] | None = None

    def fits(self, value: object) -> bool:
        """Whether ``value`` is allowed. Infinity and NaN never are: every number has two bounds."""
        return self._is_kind(value) and (self.test is None or self.test(value))

    def _is_kind(self, value: object) -> bool:
        match self.kind:
            case "flag":
                return isinstance(value, bool)
            case "choice":
                return isinstance(value, str) and value in self.choices
            case "text":
                return (
                    isinstance(value, str)
                    and bool(value.strip())
                    and self.low <= len(value.strip())
                    and len(value) <= self.high
                    and value.isprintable()
                )
            case "list":
                return isinstance(value, list) and self.low <= len(value) <= self.high
            case "whole" | "number":
                kinds = int if self.kind == "whole" else (int, float)
                if isinstance(value, bool) or not isinstance(value, kinds):
                    return False
                return self.low <= value <= self.high and not (self.above and value == self.low)
            case "other":
                return True

    @property
    def words(self) -> str:
        """What is allowed, to stand behind "must be"."""
        match self.kind:
            case "flag":
                return self.noun or "true or false"
            case "choice":
                return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
            case "text":
                limit = "" if math.isinf(self.high) else f", {self.high:,} characters at most"
                return (self.noun or "one line of text") + limit
            case "whole" | "number":
                noun = self.noun or ("a whole number" if self.kind == "whole" else "a number")
                if math.isinf(self.high):
                    return f"{noun}, {self.low:,} or more"
                return noun + (
                    f" above {self.low:,}, {self.high:,} at most"
                    if self.above
                    else f" from {self.low:,} to {self.high:,}"
                )
        return self.noun or "a list"


def text_line(limit: int, noun: str = "") -> Rule:
    """One line of text that is not blank, at most ``limit`` characters."""
    return Rule("text", 1, limit, noun)


FLAG = Rule("flag")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body. A ``null`` is refused unless it is allowed to stand for nothing."""

    name: str
    rule: Rule
    needed: bool = False
    null: bool = False


def check(body: object, fields: Iterable[Field], what: str = "The body", prefix: str = "") -> dict[str, Any]:
    """``body``, an object whose ``fields`` are as they have to be; raises SchemaError with the first fault.

    Fields that no schema names pass: whoever is newer may know them. ``prefix`` stands before each name.
    """
    if not isinstance(body, dict):
        raise SchemaError(f"{what} must be a JSON object, not {quoted(body)}")
    for field in fields:
        name = f"{prefix}{field.name}"
        if field.name not in body or (field.null and body[field.name] is None):
            if field.needed:
                raise SchemaError(f"{name} is missing: it must be {field.rule.words}")
        elif not field.rule.fits(body[field.name]):
            raise SchemaError(f"{name} must be {field.rule.words}, not {quoted(body[field.name])}")
    return body


def quoted(value: object) -> str:
    """``value`` as JSON on one line, cut to what a sentence can hold."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return shortened(text if text.isprintable() else json.dumps(value, default=str))


def shortened(text: str) -> str:
    """``text``, cut to what a sentence can hold."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}…"

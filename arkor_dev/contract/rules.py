"""Rules for values: each checks a value and describes what is allowed.

Trainer settings and request bodies are checked by these rules on both sides of the wire, so error messages
are the same everywhere.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["whole", "number", "flag", "choice", "text", "list", "object", "other"]

SHOWN_CHARACTERS = 60
SECRET: Final = re.compile(r"//\S*@")
"""The part before the host in a URL, which may contain a user name and a password."""
KEY_VARIABLE: Final = re.compile(r"([A-Z][A-Z0-9_]{0,80}_)?API_KEY")
"""Environment variables of keys that the page or a project may name: other secrets must not be sent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for a value. ``noun`` names the value in an error if the kind alone is too vague.

    ``low`` and ``high`` bound a number, the characters of a text (one line, not blank), or the length of a
    list. List members must fit ``of``; some rules accept a single member without a list. A member in
    ``alone`` must be the only one. ``above`` excludes ``low`` itself. ``test`` has the last word.
    """

    kind: Kind
    low: float = 0
    high: float = math.inf
    noun: str = ""
    above: bool = False
    choices: tuple[str, ...] = ()
    of: Rule | None = None
    alone: tuple[str, ...] = ()
    test: Callable[[Any], bool] | None = None

    def fits(self, value: object) -> bool:
        """Return whether ``value`` is allowed. Infinity and NaN never are: every number has two bounds."""
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
                if not isinstance(value, list):
                    return self.of is not None and self.of.fits(value)
                if not self.low <= len(value) <= self.high:
                    return False
                if len(value) > 1 and any(member in self.alone for member in value):
                    return False
                return self.of is None or all(self.of.fits(member) for member in value)
            case "object":
                return isinstance(value, dict)
            case "whole" | "number":
                kinds = int if self.kind == "whole" else (int, float)
                if isinstance(value, bool) or not isinstance(value, kinds):
                    return False
                return self.low <= value <= self.high and not (self.above and value == self.low)
            case "other":
                return True

    @property
    def words(self) -> str:
        """Describe what is allowed, to follow "must be"."""
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
        return self.noun or ("a JSON object" if self.kind == "object" else "a list")


def text_line(limit: int, noun: str = "") -> Rule:
    """One line of text, not blank, of at most ``limit`` characters."""
    return Rule("text", 1, limit, noun)


def string(noun: str, test: Callable[[str], object] = lambda _: True) -> Rule:
    """Text of any form that passes ``test``."""
    return Rule("other", noun=noun, test=lambda value: isinstance(value, str) and bool(test(value)))


def filled(limit: int) -> Rule:
    """Text of any form, not blank, of at most ``limit`` characters."""
    return string(f"text of 1 to {limit:,} characters", lambda text: text.strip() and len(text) <= limit)


MANY: Final = 10_000_000


def integer(low: int, high: int = MANY) -> Rule:
    """An integer within the bounds, inclusive."""
    return Rule("whole", low, high)


def above_zero(high: float) -> Rule:
    """A positive number."""
    return Rule("number", 0, high, above=True)


FLAG = Rule("flag")
TEXT = string("text")
FILLED = string("text that is not blank", str.strip)


def counted(number: float, noun: str) -> str:
    """Return a number with its noun, such as ``1 row`` and ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def quoted(value: object) -> str:
    """Format ``value`` as JSON on one line, shortened, without passwords in URLs."""
    if isinstance(value, str):
        # Don't encode megabytes to show the first words.
        value = SECRET.sub("//…@", value[: 10 * SHOWN_CHARACTERS])[:SHOWN_CHARACTERS]
    text = json.dumps(value, ensure_ascii=False, default=str)
    return shortened(text if text.isprintable() else json.dumps(value, default=str))


def shortened(text: str) -> str:
    """Shorten ``text`` for use in a sentence."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}…"


WEIGHT: Final = Rule("number", 0, 100)
"""How often an epoch uses each training row of a source."""

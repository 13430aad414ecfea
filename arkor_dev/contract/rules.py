"""What a value may be, said once: a rule checks it and names what is allowed.

The trainer's settings and the bodies of requests are checked by these rules on both sides of the wire, so a
person reads the same words wherever a value is refused.
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
"""What stands before the host of an address: a name and a password, perhaps."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value may be. ``noun`` is its name in an error, where the kind alone says too little.

    ``low`` and ``high`` bound a number, the characters of a text (one line, not blank), or the members of a
    list; each of these fits ``of``, and where a rule has it, one member may stand alone; a member that is
    ``alone`` has none beside it. ``above``: ``low`` itself is not allowed. ``test`` has the last word.
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
        return self.noun or ("a JSON object" if self.kind == "object" else "a list")


def text_line(limit: int, noun: str = "") -> Rule:
    """One line of text that is not blank, at most ``limit`` characters."""
    return Rule("text", 1, limit, noun)


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


MANY: Final = 10_000_000


def whole(low: int, high: int = MANY) -> Rule:
    """A whole number, bounds included."""
    return Rule("whole", low, high)


def above_zero(high: float) -> Rule:
    """A number above zero."""
    return Rule("number", 0, high, above=True)


FLAG = Rule("flag")
TEXT = Rule("other", noun="text", test=lambda value: isinstance(value, str))
FILLED = Rule("other", noun="text that is not blank", test=_is_filled)


def quoted(value: object) -> str:
    """``value`` as JSON on one line, cut to what a sentence can hold, without an address's password."""
    if isinstance(value, str):
        # A text of megabytes is not encoded for its first words.
        value = SECRET.sub("//…@", value[: 10 * SHOWN_CHARACTERS])[:SHOWN_CHARACTERS]
    text = json.dumps(value, ensure_ascii=False, default=str)
    return shortened(text if text.isprintable() else json.dumps(value, default=str))


def shortened(text: str) -> str:
    """``text``, cut to what a sentence can hold."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}…"

"""A request to the teacher, its hash, and the items in its answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


TRIES: Final = 50
"""Maximum number of positions in an answer at which to look for its JSON."""
MOST_ITEMS: Final = 1000
"""Maximum number of items of an answer that are read."""
_ROWS: Final = re.compile(r'\{\s*"rows"\s*:\s*\[\s*')
_NEXT: Final = re.compile(r"\s*,?\s*")
PER_MESSAGE: Final = 64
"""Tokens that a chat template may add to a message, at most."""
PER_REQUEST: Final = 256


class UnreadableAnswerError(Exception):
    """The answer has no JSON with rows."""


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """A conversation for the teacher, the JSON Schema of its answer, and the answer's most tokens."""

    model: str
    messages: Sequence[dict[str, str]]
    schema: Mapping[str, object]
    max_tokens: int
    temperature: float

    def hash(self, teacher: str) -> str:
        """Return a hash of all that the answer depends on; ``teacher`` is its address."""
        fields = [teacher, self.model, list(self.messages), self.schema, self.max_tokens, self.temperature]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]

    def most_input(self) -> int:
        """Return an upper bound of the prompt's tokens: no text has more tokens than bytes.

        The schema counts too, since some servers write it into the prompt.
        """
        texts = [*(message["content"] for message in self.messages), json.dumps(self.schema)]
        return sum(len(text.encode()) for text in texts) + PER_MESSAGE * len(self.messages) + PER_REQUEST

    def likely_input(self) -> int:
        """Return about how many tokens the prompt has: four bytes each."""
        return sum(len(message["content"].encode()) for message in self.messages) // 4 + 30


def schema_of_one(properties: Mapping[str, object]) -> dict[str, object]:
    """Return the JSON Schema of an answer with one row, which has all of these ``properties``."""

    def of(fields: Mapping[str, object]) -> dict[str, object]:
        return {
            "type": "object",
            "properties": dict(fields),
            "required": list(fields),
            "additionalProperties": False,
        }

    return of({"rows": {"type": "array", "maxItems": 1, "items": of(properties)}})


def items_of(answer: str) -> list[object]:
    """Return the list ``rows`` of the JSON in an answer, which may have words or a fence around it.

    If it was cut off, return the items before the cut. Raises UnreadableAnswerError.
    """
    decoder = json.JSONDecoder()
    at = answer.rfind("</think>") + 1  # a reasoning model's thoughts may contain JSON, too
    for _ in range(TRIES):
        if (at := answer.find("{", at)) < 0:
            break
        try:
            value, _ = decoder.raw_decode(answer, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict) and isinstance(value.get("rows"), list):
            return list(value["rows"][:MOST_ITEMS])
        at += 1
    return _items_before_cut(answer)


def _items_before_cut(answer: str) -> list[object]:
    begun = _ROWS.search(answer, answer.rfind("</think>") + 1)
    if begun is None:
        raise UnreadableAnswerError
    decoder, at, items = json.JSONDecoder(), begun.end(), list[object]()
    with contextlib.suppress(ValueError, RecursionError):
        while len(items) < TRIES:
            item, at = decoder.raw_decode(answer, at)
            items.append(item)
            at = _NEXT.match(answer, at).end()  # type: ignore[union-attr] # it matches nothing, too
    if not items:
        raise UnreadableAnswerError
    return items

"""Edits JSON text value by value: what does not change keeps its bytes, its order and its spacing.

A changed value is written as the text around it is: the same spaces, non-ASCII characters as they are or
escaped, and a new member of a list laid out as its neighbour.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined] # not in the stubs
from typing import Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ATOM: Final = re.compile(r"[^\s,\]}]+")


@dataclass(slots=True)
class _Node:
    """A value in the text: its range, and the members of a list or an object with their ranges."""

    start: int
    end: int = 0
    kind: str = ""
    names: list[tuple[str, int]] = field(default_factory=list)
    """For an object: each member's name, and where the member begins."""
    members: list[_Node] = field(default_factory=list)


def rewritten(text: str, value: object) -> str:
    """Return the JSON ``text`` with the least change that makes it ``value``.

    ``text`` must be valid JSON. An object that names a key twice is written anew.
    """
    old = json.loads(text)
    start = _SPACE.match(text).end()  # type: ignore[union-attr] # it matches nothing, too
    node = _parsed(text, start)
    return text[:start] + _Style(text).changed(node, old, value) + text[node.end :]


def _parsed(text: str, at: int) -> _Node:
    """Return the value that begins at ``at`` of a valid JSON text."""
    node = _Node(at)
    opening = text[at]
    if opening == '"':
        node.end = scanstring(text, at + 1)[1]
    elif opening in "[{":
        node.kind = opening
        at = _skip_space(text, at + 1)
        while text[at] not in "]}":
            start = at
            if opening == "{":
                name, at = scanstring(text, at + 1)
                node.names.append((name, start))
                at = _skip_space(text, _skip_space(text, at) + 1)
            node.members.append(_parsed(text, at))
            at = _skip_space(text, node.members[-1].end)
            if text[at] == ",":
                at = _skip_space(text, at + 1)
        node.end = at + 1
    else:
        node.end = _ATOM.match(text, at).end()  # type: ignore[union-attr] # something is there
    return node


def _skip_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches nothing, too


class _Style:
    """How a text is written; changes of its values in that way."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ascii = text.isascii() and "\\u" in text
        colon, comma = re.search(r'":(\s*)', text), re.search(r'["\d\]}el],([ \t]*)', text)
        self.colon = ": " if colon is None or colon[1] else ":"
        self.comma = ", " if (comma is None and self.colon == ": ") or (comma and comma[1]) else ","

    def to_json(self, value: object) -> str:
        """Return a value as new text on one line."""
        return json.dumps(value, ensure_ascii=self.ascii, separators=(self.comma, self.colon))

    def changed(self, node: _Node, old: object, new: object) -> str:
        """Return the text of ``node``, whose value is ``old``, changed to ``new``."""
        if _equal_values(old, new):
            return self.text[node.start : node.end]
        if isinstance(old, dict) and isinstance(new, dict) and len(node.names) == len(old):
            return self._object(node, old, new)
        if isinstance(old, list) and isinstance(new, list):
            return self._list(node, old, new)
        return self.to_json(new)

    def _object(self, node: _Node, old: dict[str, object], new: dict[str, object]) -> str:
        parts = []
        for (name, start), member in zip(node.names, node.members, strict=True):
            if name in new:
                parts.append(self.text[start : member.start] + self.changed(member, old[name], new[name]))
        colon = self.colon
        if node.names:
            (name, start), member = node.names[0], node.members[0]
            colon = self.text[scanstring(self.text, start + 1)[1] : member.start]
        parts += [
            f"{self.to_json(name)}{colon}{self.to_json(value)}"
            for name, value in new.items()
            if name not in old
        ]
        return self._joined(node, [start for _, start in node.names], parts)

    def _list(self, node: _Node, old: list[object], new: list[object]) -> str:
        members = node.members
        fewer = min(len(old), len(new))
        first = next((at for at in range(fewer) if not _equal_values(old[at], new[at])), fewer)
        last = next(
            (n for n in range(fewer - first) if not _equal_values(old[-1 - n], new[-1 - n])), fewer - first
        )
        parts = [self.text[member.start : member.end] for member in members[:first]]
        for at in range(first, len(new) - last):
            # A new member is laid out as its neighbour is.
            index = at if at < len(old) - last else min(at, len(old) - 1)
            parts.append(self.changed(members[index], old[index], new[at]) if old else self.to_json(new[at]))
        parts += [self.text[member.start : member.end] for member in members[len(old) - last :]]
        return self._joined(node, [member.start for member in members], parts)

    def _joined(self, node: _Node, starts: list[int], parts: list[str]) -> str:
        """Return the parts between the brackets of ``node``, with its own spaces around and between."""
        opening, closing = self.text[node.start], self.text[node.end - 1]
        if not node.members:
            return opening + self.comma.join(parts) + closing
        before = self.text[node.start + 1 : starts[0]]
        after = self.text[node.members[-1].end : node.end - 1]
        between = self.comma if "\n" not in before else "," + before
        # As far as the old members are still there, also what is between each two of them.
        gaps = [
            self.text[member.end : start] for member, start in zip(node.members, starts[1:], strict=False)
        ]
        if gaps:
            between = gaps[0]
        if not parts:
            return opening + closing
        same_length = len(parts) == len(node.members)
        text = parts[0]
        for at, part in enumerate(parts[1:]):
            text += (gaps[at] if same_length else between) + part
        return opening + before + text + after + closing


def _equal_values(first: object, second: object) -> bool:
    """Return whether two JSON values are equal.

    Numbers are equal if they are in JavaScript, where 1.0 is 1 and long integers are rounded; true is not 1.
    """
    if _is_number(first) and _is_number(second):
        return float(first) == float(second)  # type: ignore[arg-type] # both are numbers
    if type(first) is not type(second):
        return False
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _equal_values(value, second[name]) for name, value in first.items()
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal_values, first, second))
    return first == second


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

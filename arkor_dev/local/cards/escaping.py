"""Text of any kind as text: nothing of it is markup in Markdown or HTML, nor a value's end in YAML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Scalar = str | int | float | bool

_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    r"\ufffe\uffff\ud800-\udfff]"
)
"""Controls, separators, what turns the direction of a text, and what is no character of a file."""
_MARKS: Final = re.compile(r"[\\`*_\[\]|~$]")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BEGINNING: Final = re.compile(r"^(?:[#+=-]|\d{1,9}(?=[.)](?:\s|$)))")
_LINKS: Final = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?=@)", re.IGNORECASE)
"""Where a bare address would become a link, or a name a mention."""


def seen(text: str) -> str:
    """``text`` without what cannot be seen, its line breaks as line feeds."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def inline(text: str, limit: int) -> str:
    """``text`` as one line of Markdown that says it, of at most ``limit`` characters before escaping."""
    return _escaped(cut(" ".join(seen(text[: 4 * limit]).split()), limit))


def quoted(text: str, limit: int) -> list[str]:
    """``text`` as the lines of a quotation in Markdown."""
    lines = [" ".join(line.split()) for line in cut(seen(text[: 4 * limit]).strip(), limit).split("\n")]
    told = [f"> {_escaped(line)}" if line else ">" for line in lines]
    # A break inside a paragraph would be a space.
    return [f"{line}\\" if line != ">" and after != ">" else line for line, after in _pairs(told)]


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(lines, [*lines[1:], ">"], strict=True))


def _escaped(line: str) -> str:
    line = _MARKS.sub(r"\\\g<0>", line)
    line = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], line)
    line = _LINKS.sub(r"\\", line)
    return _BEGINNING.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", line)


def cut(text: str, limit: int) -> str:
    """``text`` of at most ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def front_matter(value: Mapping[str, Any]) -> list[str]:
    """A mapping as lines of YAML; its keys are ours, of letters, digits, ``_`` and ``-``.

    It may hold scalars, lists and mappings. Every text is quoted, so that none is a date, a number or the end
    of anything.
    """
    lines = []
    for key, each in value.items():
        if isinstance(each, dict):
            lines += [f"{key}:", *(f"  {line}" for line in front_matter(each))]
        elif isinstance(each, list):
            lines += [f"{key}:", *_members(each)]
        else:
            lines.append(f"{key}: {scalar(each)}")
    return lines


def _members(members: Sequence[Any]) -> list[str]:
    lines = []
    for member in members:
        if isinstance(member, dict):
            first, *more = front_matter(member)
            lines += [f"- {first}", *(f"  {line}" for line in more)]
        else:
            lines.append(f"- {scalar(member)}")
    return lines


def scalar(value: Scalar) -> str:
    """One value in YAML; of a text its double-quoted form, on one line."""
    if isinstance(value, str):
        # JSON's quoting is YAML's, but for characters beyond 16 bits, which stand as they are.
        return json.dumps(" ".join(seen(value).split()), ensure_ascii=False)
    return json.dumps(value, allow_nan=False)

"""Escapes untrusted text: it must not become markup in Markdown or HTML, nor end a value in YAML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    r"\ufffe\uffff\ud800-\udfff]"
)
"""Controls, separators, bidirectional controls, and characters that are invalid in a file."""
_MARKS: Final = re.compile(r"[\\`*_\[\]|~$]")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BEGINNING: Final = re.compile(r"^(?:[#+=-]|\d{1,9}(?=[.)](?:\s|$)))")
_LINKS: Final = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?=@)", re.IGNORECASE)
"""Positions at which a plain address would become a link, or a name a mention."""


def visible(text: str) -> str:
    """Return ``text`` without invisible characters, and with its line breaks as line feeds."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def inline(text: str, limit: int) -> str:
    """Return ``text`` as one line of Markdown, of at most ``limit`` characters before escaping."""
    return _escaped(cut(" ".join(visible(text[: 4 * limit]).split()), limit))


def quoted(text: str, limit: int) -> list[str]:
    """Return ``text`` as a block quote in Markdown."""
    lines = [" ".join(line.split()) for line in cut(visible(text[: 4 * limit]).strip(), limit).split("\n")]
    block = [f"> {_escaped(line)}" if line else ">" for line in lines]
    # A line break within a paragraph would become a space.
    return [f"{line}\\" if line != ">" and after != ">" else line for line, after in _pairs(block)]


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(lines, [*lines[1:], ">"], strict=True))


def _escaped(line: str) -> str:
    line = _MARKS.sub(r"\\\g<0>", line)
    line = re.sub("[&<>]", lambda match: _ENTITIES[match[0]], line)
    line = _LINKS.sub(r"\\", line)
    return _BEGINNING.sub(lambda match: f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}", line)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def front_matter(value: Mapping[str, object]) -> list[str]:
    """Return a mapping as YAML; its keys are our own and consist of letters, digits, ``_`` and ``-``.

    It may contain scalars, lists and mappings. Every text is quoted, so that none is read as a date or a
    number, or ends the value.
    """
    lines = []
    for key, member in value.items():
        if isinstance(member, dict):
            lines += [f"{key}:", *(f"  {line}" for line in front_matter(member))]
        elif isinstance(member, list):
            lines += [f"{key}:", *_members(member)]
        else:
            lines.append(f"{key}: {scalar(member)}")
    return lines


def _members(members: Sequence[object]) -> list[str]:
    lines = []
    for member in members:
        if isinstance(member, dict):
            first, *further = front_matter(member)
            lines += [f"- {first}", *(f"  {line}" for line in further)]
        else:
            lines.append(f"- {scalar(member)}")
    return lines


def scalar(value: object) -> str:
    """Return one value in YAML; a text double-quoted on one line."""
    if isinstance(value, str):
        # YAML's quoting equals JSON's, except that characters above U+FFFF stay unescaped.
        return json.dumps(" ".join(visible(value).split()), ensure_ascii=False)
    return json.dumps(value, allow_nan=False)

"""Preserves the user's own text in a card when the card is rewritten.

Our part is between two markers, in the front matter and in the text; everything outside is the user's. A key
that they set in the front matter overrides ours. Without markers the whole card is the user's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

FRONT_BEGIN: Final = "# arkor-dev: these lines are generated; text outside them is kept"
FRONT_END: Final = "# arkor-dev: end"
BEGIN: Final = "<!-- arkor-dev: generated from provenance.json; text outside these two lines is kept -->"
END: Final = "<!-- arkor-dev: end -->"
_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_KEY: Final = re.compile(r"([\w-]+)[ \t]*:")


@dataclass(frozen=True, slots=True)
class UserText:
    """The user's lines of the front matter, and their text ``before`` and ``after`` our part."""

    front_matter: str = ""
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, text: str) -> UserText:
        """Return the user's part of the card ``text``."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        yaml, body = "", text
        if match := _FRONT_MATTER.match(text):
            yaml, body = match[1] or "", text[match.end() :]
        yaml = "\n".join(part.strip("\n") for part in _outside(yaml, FRONT_BEGIN, FRONT_END) if part)
        before, after = _outside(body, BEGIN, END)
        return cls(yaml.strip("\n"), before.strip("\n"), after.strip("\n"))

    def around(self, card: str) -> str:
        """Return a whole card: ours within the user's text. ``card``: front matter, empty line, text."""
        generated, _, body = card.partition("\n\n")
        keys = {match[1] for line in self.front_matter.split("\n") if (match := _KEY.match(line))}
        lines = [FRONT_BEGIN, *_without(generated.split("\n"), keys), FRONT_END]
        if self.front_matter:
            lines.append(self.front_matter)
        parts = [self.before, f"{BEGIN}\n{body.strip(chr(10))}\n{END}", self.after]
        text = "\n\n".join(part for part in parts if part)
        return "\n".join(["---", *lines, "---", "", text, ""])


EMPTY: Final = UserText()


def _outside(text: str, begin: str, end: str) -> tuple[str, str]:
    """Return the text before and after the lines ``begin`` to ``end``; without both, nothing is ours."""
    lines = text.split("\n")
    if begin in lines:
        first = lines.index(begin)
        if end in lines[first:]:
            last = lines.index(end, first)
            return "\n".join(lines[:first]), "\n".join(lines[last + 1 :])
    return "", "\n".join(line for line in lines if line not in (begin, end))


def _without(lines: list[str], keys: set[str]) -> list[str]:
    """Return our lines of the front matter except ``keys``, which the user has set."""
    kept_lines, dropping = [], False
    for line in lines:
        if match := _KEY.match(line):
            dropping = match[1] in keys
        if not dropping:
            kept_lines.append(line)
    return kept_lines

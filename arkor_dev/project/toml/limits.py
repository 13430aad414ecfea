"""Limits for a TOML document before it is parsed at all.

A project may come from anywhere, and ``tomllib`` accepts everything: one key of 25,000 parts costs it
gigabytes, and a number of 5,000 digits raises an undocumented error. So the text is scanned once, in linear
time, and what no person would write is refused, with its line. The text may be invalid; then the scan need
only terminate, and ``tomllib`` reports the rest.
"""

from __future__ import annotations

import re
from typing import Final

SIZE_LIMIT: Final = 256 * 1024
"""Size limit of a file, in bytes: a parser takes up to seven seconds for a megabyte of comments."""
PARTS: Final = 16
"""Maximum number of parts of a dotted key, and deepest nesting of brackets."""
ITEMS: Final = 5_000
"""Most keys, tables and array elements together."""
WORD: Final = 100
"""Longest number or bare key, in characters."""

_TOKEN: Final = re.compile(
    r"(?P<skip>[ \t\r]++|#[^\n]*+"
    r'|"""(?:[^"\\]++|\\.?|"(?!""))*+(?:"{3,5})?'
    r"|'''(?:[^']++|'(?!''))*+(?:'{3,5})?"
    r'|"(?:[^"\\\n]++|\\[^\n]?)*+"?'
    r"|'[^'\n]*+'?)"
    r"|(?P<word>[A-Za-z0-9_+:-]++)"
    r"|(?P<dot>\.)"
    r"|(?P<open>[\[{])"
    r"|(?P<close>[\]}])"
    r"|(?P<next>[=,]|\n++)"
    r"|(?P<other>[^\s#\"'A-Za-z0-9_+:.\[{\]}=,-]++|.)",
    re.DOTALL,
)


class TomlLimitError(Exception):
    """What is too large, and its 1-based ``line``."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def check_limits(text: str) -> None:
    """Raise TomlLimitError at the first place in ``text`` that exceeds a limit."""
    depth = items = parts = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind in ("skip", "other"):
            continue
        if kind == "word" and token.end() - token.start() > WORD:
            raise _at(token, f"a number or key of more than {WORD} characters")
        if kind == "dot":
            parts += 1
        elif kind != "word":
            parts = 0
            depth += (kind == "open") - (kind == "close")
            items += kind == "open" or token[0] in "=,"
        if parts >= PARTS:
            raise _at(token, f"a key of more than {PARTS} parts")
        if depth > PARTS:
            raise _at(token, f"brackets more than {PARTS} deep")
        if items > ITEMS:
            raise _at(token, f"more than {ITEMS:,} keys and values")


def _at(token: re.Match[str], text: str) -> TomlLimitError:
    return TomlLimitError(text, token.string.count("\n", 0, token.start()) + 1)

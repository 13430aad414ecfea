"""Positions of the keys of a TOML document, and the extent of their values.

``tomllib`` returns values without positions, but an error should name its line, and an edit should leave the
rest of the file unchanged. This scanner reads only keys, tables and the extent of values
(https://toml.io/en/v1.0.0), of a document that ``tomllib`` has already accepted as valid.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

Path = tuple[str | int, ...]

# Possessive throughout: backtracking would store a hundred bytes for each repetition.
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\r\n#]+")
# A multi-line string may have up to two quotes of its content right before the closing three.
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Header:
    """``[path]`` or ``[[path]]`` from ``start`` to ``end``; an array's header has its element's path."""

    path: Path
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class KeyValue:
    """``key = value``: the key from ``start`` to ``key_end``, the value from ``value`` to ``end``.

    ``braces`` is the position at which the inline table around it opens; None for a pair on its own line.
    """

    path: Path
    start: int
    key_end: int
    value: int
    end: int
    braces: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Every header and pair in the order of the file, the position at which each inline table opens, and the
    extent of each member of an array.
    """

    headers: list[Header]
    pairs: list[KeyValue]
    braces: dict[Path, int]
    members: dict[Path, tuple[int, int]]


def layout(text: str) -> Layout:
    """Return all positions, as offsets into ``text``."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.layout


def key_lines(text: str) -> dict[Path, int]:
    """Map the path of every key, table and array element to its 1-based line.

    A path is what one would index the parsed document with: ``("trainer", 0, "lora", "r")``. A table that is
    opened more than once (by its header and by a dotted key) has the line where it first appears.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.layout = Layout([], [], {}, {})
        self.arrays: dict[Path, int] = {}
        self._counted = (0, 1)

    def document(self) -> None:
        """Read every statement: a table header, an array-of-tables header, or a key with its value."""
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._dotted_key()
        self._skip(_SPACE)
        self.at += 2 if is_array else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._enter((*path, key), start)
        path = (*path, keys[-1])
        self._note(path, start)
        if is_array:
            self.arrays[path] = self.arrays.get(path, -1) + 1
            path = self._note((*path, self.arrays[path]), start)
        self.layout.headers.append(Header(path, start, self.at))
        return path

    def _enter(self, path: Path, start: int) -> Path:
        """Resolve a header: through an array of tables it means the array's latest element."""
        self._note(path, start)
        return (*path, self.arrays[path]) if path in self.arrays else path

    def _pair(self, table: Path, braces: int | None = None) -> None:
        start = self.at
        path = table
        for key in self._dotted_key():
            path = self._note((*path, key), start)
        key_end = start + len(self.text[start : self.at].rstrip(" \t"))
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        index, value = len(self.layout.pairs), self.at
        self._value(path)
        end = value + len(self.text[value : self.at].rstrip(" \t"))
        self.layout.pairs.insert(index, KeyValue(path, start, key_end, value, end, braces))

    def _dotted_key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.at] in "\"'":
                keys.append(_unquoted(self._take(_STRING)))
            else:
                keys.append(self._take(_BARE_KEY))
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self._sequence(path, "]")
        elif opening == "{":
            self._sequence(path, "}")
        else:
            self._take(_STRING if opening in "\"'" else _SCALAR)

    def _sequence(self, path: Path, closing: str) -> None:
        """Read an array or inline table: elements between commas, with comments and line breaks between."""
        braces = self.at if closing == "}" else None
        if braces is not None:
            self.layout.braces[path] = braces
        self.at += 1
        index = 0
        self._skip(_BLANK)
        while not self.text.startswith(closing, self.at):
            if braces is not None:
                self._pair(path, braces)
            else:
                member, start = (*path, index), self.at
                self._value(self._note(member, start))
                self.layout.members[member] = (start, start + len(self.text[start : self.at].rstrip(" \t")))
                index += 1
            self._skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip(_BLANK)
        self.at += 1

    def _note(self, path: Path, start: int) -> Path:
        if path not in self.lines:
            at, line = self._counted
            line += self.text.count("\n", at, start)
            self._counted = (start, line)
            self.lines[path] = line
        return path

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at offset {self.at}")
        self.at = match.end()
        return match.group()


def _unquoted(quoted: str) -> str:
    value: str = tomllib.loads(f"key = {quoted}")["key"]
    return value

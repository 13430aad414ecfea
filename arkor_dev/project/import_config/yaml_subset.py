"""Reads the part of YAML that training configurations use, within limits and without a library.

Block and flow mappings and lists, plain and quoted scalars, and block texts, resolved as PyYAML does (YAML
1.1: ``no`` is false), except that ``1e-4`` is a number. Anchors, tags, merge keys and several documents are
refused with their line, since no configuration needs them, and so is a key that is there twice, since one of
the two would be lost. JSON is read by the same functions. Every step moves forward, so the time is linear in
the text.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from typing import Final, NoReturn

from arkor_dev.contract.errors import BadRequestError

VALUES: Final = 20_000
"""Maximum number of values in one file."""
DEPTH: Final = 40

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE: Final = frozenset(
    word for text in ("yes", "true", "on") for word in (text, text.title(), text.upper())
)
_FALSE: Final = frozenset(
    word for text in ("no", "false", "off") for word in (text, text.title(), text.upper())
)
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_HEXADECIMAL: Final = re.compile(r"[-+]?0x[0-9a-fA-F_]+")
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DOUBLE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SINGLE: Final = re.compile(r"'(?:[^']|'')*+'")
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028",
    "P": "\u2029", "\n": "",
}  # fmt: skip
_PLAIN_KEY: Final = re.compile(r"(?:[^\s:#]|:(?=\S)|(?<=\S)#|[ \t]++(?![\s#]))++(?=[ \t]*+:(?:\s|$))")
_BLOCK_TEXT: Final = re.compile(r"([|>])([-+]?)([1-9]?)([-+]?)[ \t]*(?:#.*)?")
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
_FLOW_PLAIN: Final = re.compile(r"(?:[^\s,\[\]{}:#]|:(?![\s,\[\]{}])|(?<=\S)#|[ \t]++(?![\s,\[\]{}:#]))++")
_SPACE: Final = re.compile(r"(?:\s|(?<=\s)#[^\n]*)*+")
_ENDING: Final = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
_REFUSED: Final = {"&": "an anchor", "*": "an alias", "!": "a tag", "?": "a key of several lines"}
_RESERVED: Final = frozenset("@`%,]}")


class Section(dict[str, object]):
    """A mapping that knows the line of each of its keys, from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


def parse_yaml(text: str) -> Section:
    """Return the mapping in a YAML text, empty if there is none. Raises BadRequestError with the line."""
    return _Yaml(text).document()


def parse_json(text: str) -> Section:
    """Return the object in a JSON text. Raises BadRequestError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise BadRequestError(f"Not valid JSON ({fault}).") from None
    if not isinstance(value, dict):
        raise BadRequestError("The file is not a JSON object: it is not a training configuration.")
    return _Yaml(text).flow_document()


class _Yaml:
    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self._lines = self._text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._row = 0
        self._budget = VALUES

    # --- documents

    def document(self) -> Section:
        started = False
        while self._next() is not None and self._lines[self._row].startswith(("---", "%")):
            line = self._lines[self._row]
            if started or not re.fullmatch(r"---[ \t]*(?:#.*)?", line):
                self._fail("only one YAML document without directives is supported")
            started = True
            self._row += 1
        if self._next() is None:
            return Section()
        value = self._block(self._indent(self._row), 0)
        if self._next() is not None and not re.fullmatch(r"\.\.\.[ \t]*", self._lines[self._row]):
            line = self._lines[self._row]
            several = (
                "only one YAML document is supported" if line.startswith("---") else "unexpected indentation"
            )
            self._fail(several)
        if not isinstance(value, Section):
            raise BadRequestError("The file has no keys: it is not a training configuration.")
        return value

    def flow_document(self) -> Section:
        value, _ = self._flow(_SPACE.match(self._text, 0).end(), 0)  # type: ignore[union-attr] # matches nothing, too
        assert isinstance(value, Section)
        return value

    # --- lines

    def _fail(self, why: str, row: int | None = None) -> NoReturn:
        raise BadRequestError(
            f"Line {(self._row if row is None else row) + 1}: not readable as YAML ({why})."
        )

    def _next(self) -> int | None:
        """Go to the next line with content; return its row, or None at the end."""
        while self._row < len(self._lines):
            content = self._lines[self._row].strip()
            if content and not content.startswith("#"):
                return self._row
            self._row += 1
        return None

    def _indent(self, row: int) -> int:
        line = self._lines[row]
        indent = len(line) - len(line.lstrip(" "))
        if line[indent : indent + 1] == "\t":
            self._fail("a tab in the indentation", row)
        return indent

    def _count(self, depth: int) -> None:
        self._budget -= 1
        if self._budget < 0 or depth > DEPTH:
            raise BadRequestError(f"The file holds more than {VALUES:,} values, or nests too deeply.")

    # --- blocks: each starts at a line with content

    def _block(self, indent: int, depth: int) -> object:
        self._count(depth)
        line = self._lines[self._row]
        if _is_item(line, indent):
            return self._list(indent, depth)
        if self._key(indent) is not None:
            return self._mapping(indent, depth)
        value, _ = self._value(indent, indent, depth)
        return value

    def _list(self, indent: int, depth: int) -> list[object]:
        values = []
        while self._next() is not None and self._indent(self._row) == indent:
            line = self._lines[self._row]
            if not _is_item(line, indent):
                break
            rest = line[indent + 1 :]
            at = indent + 1 + len(rest) - len(rest.lstrip(" "))
            if not rest.strip() or rest.lstrip().startswith("#"):
                values.append(self._nested(indent + 1, depth))
            elif _is_item(line, at) or self._key(at) is not None:
                # What follows the dash starts a block of its own, as if the dash were a space.
                self._lines[self._row] = " " * at + line[at:]
                values.append(self._block(at, depth + 1))
            else:
                value, _ = self._value(at, indent + 1, depth + 1)
                values.append(value)
        if self._next() is not None and self._indent(self._row) > indent:
            self._fail("unexpected indentation")
        return values

    def _mapping(self, indent: int, depth: int) -> Section:
        section = Section()
        while self._next() is not None and self._indent(self._row) == indent:
            row = self._row
            found = self._key(indent)
            if found is None:
                if _is_item(self._lines[row], indent) or _ENDING.match(self._lines[row]):
                    break
                self._fail("a key and a colon are missing")
            key, at = found
            if key == "<<":
                self._fail("merge keys are not supported")
            if key in section:
                self._fail(f"{key[:60]} is also in line {section.lines[key]}")
            line = self._lines[row]
            rest = line[at:]
            at += len(rest) - len(rest.lstrip(" \t"))
            if not line[at:] or line[at] == "#":
                value = self._nested(indent + 1, depth, list_at=indent)
            else:
                value, _ = self._value(at, indent + 1, depth + 1)
            section[key], section.lines[key] = value, row + 1
        if self._next() is not None and self._indent(self._row) > indent:
            self._fail("unexpected indentation")
        return section

    def _nested(self, least: int, depth: int, list_at: int | None = None) -> object:
        """Return the block below the current line if it is indented, or a list at ``list_at``; else None."""
        self._row += 1
        if self._next() is None:
            return None
        indent = self._indent(self._row)
        if indent >= least or (indent == list_at and _is_item(self._lines[self._row], indent)):
            return self._block(indent, depth + 1)
        return None

    def _key(self, at: int) -> tuple[str, int] | None:
        """Return the key at a column of the current line, and where the colon ends; None if there is none."""
        line = self._lines[self._row]
        start = line[at : at + 1]
        if start in ('"', "'"):
            quoted = (_DOUBLE if start == '"' else _SINGLE).match(line, at)
            end = re.compile(r"[ \t]*:(?=\s|$)").match(line, quoted.end()) if quoted else None
            return (self._unquoted(quoted[0]), end.end()) if quoted and end else None
        if start in "[{|>" or start in _REFUSED or start in _RESERVED:
            return None
        match = _PLAIN_KEY.match(line, at)
        return (match[0], line.index(":", match.end()) + 1) if match else None

    # --- values

    def _value(self, at: int, least: int, depth: int) -> tuple[object, int]:
        """Return the value at a column of the current line, and go to the line after it."""
        self._count(depth)
        row, line = self._row, self._lines[self._row]
        start = line[at]
        if start in _REFUSED and not (start == "?" and line[at + 1 : at + 2].strip()):
            self._fail(f"{_REFUSED[start]} is not supported")
        if start in _RESERVED:
            self._fail(f"a value cannot start with {start}")
        if start in "|>":
            return self._block_text(at, least), row
        if start in "[{\"'":
            value, end = self._flow(self._starts[row] + at, depth)
            self._row = row + self._text.count("\n", self._starts[row], end)
            rest = self._text[end : self._starts[self._row + 1] - 1]
            if rest.strip() and not re.match(r"[ \t]+#", rest):
                self._fail("unexpected text after the value")
            self._row += 1
            return value, row
        parts = [_COMMENT.sub("", line[at:], count=1).strip()]
        complete = "#" in line[at:] and parts[0] != line[at:].strip()
        self._row += 1
        while not complete and self._continues(least):
            part = self._lines[self._row].strip()
            parts.append(_COMMENT.sub("", part, count=1).strip())
            complete = parts[-1] != part
            self._row += 1
        if len(parts) == 1:
            if re.search(r":(?:\s|$)", parts[0]):
                self._fail("a colon in a value needs quotes", row)
            return _resolved(parts[0]), row
        return " ".join(parts), row

    def _continues(self, least: int) -> bool:
        """Return whether the current line continues a plain value: more indented, and no comment."""
        if self._row >= len(self._lines):
            return False
        line = self._lines[self._row]
        if not line.strip() or line.lstrip().startswith("#") or self._indent(self._row) < least:
            return False
        if self._key(self._indent(self._row)) is not None:
            self._fail("unexpected indentation")
        return True

    def _block_text(self, at: int, least: int) -> str:
        header = _BLOCK_TEXT.fullmatch(self._lines[self._row].rstrip(), at)
        if header is None:
            self._fail("the head of a block of text")
        style, given, chomp = header[1], header[3], header[2] or header[4]
        self._row += 1
        indent = least - 1 + int(given) if given else 0
        lines: list[str] = []
        while self._row < len(self._lines):
            line = self._lines[self._row]
            if not line.strip():
                lines.append("")
            else:
                own = len(line) - len(line.lstrip(" "))
                indent = indent or max(own, least)
                if own < indent:
                    break
                lines.append(line[indent:])
            self._row += 1
        ending = len(lines)
        while ending and not lines[ending - 1]:
            ending -= 1
        body = "\n".join(lines[:ending]) if style == "|" else _folded(lines[:ending])
        if chomp == "-" or not ending:
            return body
        return body + "\n" * (1 + (len(lines) - ending if chomp == "+" else 0))

    def _flow(self, at: int, depth: int) -> tuple[object, int]:
        """Return the flow value at a position of the text, and where it ends."""
        self._count(depth)
        text = self._text
        match text[at : at + 1]:
            case '"':
                return self._quoted(_DOUBLE, at)
            case "'":
                return self._quoted(_SINGLE, at)
            case "[":
                return self._flow_list(at + 1, depth)
            case "{":
                return self._flow_mapping(at + 1, depth)
        plain = _FLOW_PLAIN.match(text, at)
        if plain is None or text[at] in _REFUSED or text[at] in _RESERVED:
            self._fail_at(at, "an unexpected character in [] or {}")
        return _resolved(plain[0].strip()), plain.end()

    def _quoted(self, pattern: re.Pattern[str], at: int) -> tuple[str, int]:
        match = pattern.match(self._text, at)
        if match is None:
            self._fail_at(at, "a quote that does not end")
        return self._unquoted(match[0]), match.end()

    def _flow_list(self, at: int, depth: int) -> tuple[list[object], int]:
        values: list[object] = []
        while True:
            at = self._space(at)
            if self._text[at : at + 1] == "]":
                return values, at + 1
            value, at = self._flow(at, depth + 1)
            values.append(value)
            at = self._separator(at, "]")

    def _flow_mapping(self, at: int, depth: int) -> tuple[Section, int]:
        section = Section()
        while True:
            at = self._space(at)
            if self._text[at : at + 1] == "}":
                return section, at + 1
            row = self._flow_row(at)
            key, at = self._flow(at, depth + 1)
            at = self._space(at)
            value = None
            if self._text[at : at + 1] == ":":
                at = self._space(at + 1)
                if self._text[at : at + 1] not in (",", "}"):
                    value, at = self._flow(at, depth + 1)
            name = key if isinstance(key, str) else json.dumps(key)
            if name in section:
                self._fail_at(at, f"{name[:60]} is also in line {section.lines[name]}")
            section[name], section.lines[name] = value, row + 1
            at = self._separator(at, "}")

    def _separator(self, at: int, end: str) -> int:
        at = self._space(at)
        if self._text[at : at + 1] == ",":
            return at + 1
        if self._text[at : at + 1] != end:
            self._fail_at(at, f"a comma or {end} is missing")
        return at

    def _space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _flow_row(self, at: int) -> int:
        """Return the row of a position."""
        return bisect_right(self._starts, at) - 1

    def _fail_at(self, at: int, why: str) -> NoReturn:
        self._fail(why, min(self._flow_row(at), len(self._lines) - 1))

    def _unquoted(self, text: str) -> str:
        body = text[1:-1]
        if "\n" in body:
            lines = body.split("\n")
            body = _folded([lines[0].rstrip(), *(line.strip() for line in lines[1:-1]), lines[-1].lstrip()])
        if text[0] == "'":
            return body.replace("''", "'")

        def char(match: re.Match[str]) -> str:
            digits = match[1] or match[2] or match[3]
            if digits:
                code = int(digits, 16)
                return chr(code) if code <= 0x10FFFF else "\ufffd"
            if match[4] not in _ESCAPES:
                self._fail(f"an unknown escape \\{match[4]}")
            return _ESCAPES[match[4]]

        # Two escapes of a pair, as JSON writes characters beyond 16 bits, are one character.
        plain = _ESCAPE.sub(char, body)
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _is_item(line: str, at: int) -> bool:
    return line[at : at + 1] == "-" and line[at + 1 : at + 2] in ("", " ", "\t")


def _folded(lines: list[str]) -> str:
    """Join lines by spaces; an empty line is a line break, and more indented lines keep theirs."""
    parts: list[str] = []
    last, breaks = "", 0
    for number, line in enumerate(lines):
        if not line:
            breaks += 1
            continue
        if number:
            is_text = not (line.startswith((" ", "\t")) or last.startswith((" ", "\t")))
            parts.append("\n" * (breaks + (not is_text)) or " ")
        parts.append(line)
        last, breaks = line, 0
    return "".join(parts)


def _resolved(text: str) -> object:
    """Return what a plain scalar means."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    digits = text.replace("_", "")
    try:
        if _WHOLE.fullmatch(text):
            return int(digits)
        if _NUMBER.fullmatch(text):
            return float(digits)
        if _HEXADECIMAL.fullmatch(text):
            return int(digits, 16)
    except ValueError:  # thousands of digits
        return text
    if _SPECIAL.fullmatch(text):
        return math.nan if text[1:].lower() == "nan" else math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return text

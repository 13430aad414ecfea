"""Changing settings of one trainer in the text of ``arkor.toml``, leaving everything else unchanged.

Comments, order, spacing, quotes and line ends stay. A new key goes below the last of those that precede it in
the table of settings, or below the comment in which ``arkor-dev init`` shows it. Nothing here is trusted: the
result is parsed again, and must say exactly what was requested.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_left
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import settings

from .positions import Header, KeyValue, layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arkor_dev.contract.settings.setting import Setting

    from .positions import Layout, Path


_BARE = re.compile(r"[A-Za-z0-9_-]+")
SMALL = 1e-3
"""Smaller numbers are written with an exponent: ``2e-4``."""


def to_toml(value: object, before: str = "") -> str:
    """Return a flag, number, text, list or table as TOML; ``before`` is the text that it replaces."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value, before)
        case str():
            return _text(value, before)
        case list():
            return f"[{', '.join(to_toml(item, before.lstrip('[ ')) for item in value)}]"
        case dict():
            pairs = ", ".join(f"{_key(key)} = {to_toml(item)}" for key, item in value.items())
            return f"{{ {pairs} }}"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key, "")


def _number(value: float, before: str) -> str:
    if value == 0 or (abs(value) >= SMALL and "e" not in before.lower()):
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)  # infinity and NaN are not valid settings
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{exponent + len(rest)}"


def _text(value: str, before: str) -> str:
    if before.startswith("'") and "'" not in value and value.isprintable():
        return f"'{value}'"
    # A basic string has the escapes of JSON, but DEL must be escaped, too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_COMMENT: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|(?P<comment>#[^\r\n]*+)",
    re.DOTALL,
)
_FIRST: Final = ("name", "model", "dataset")
"""A trainer's first keys; every other key that is not a setting follows them."""
_TABLES: Final = float("inf")


class EditError(Exception):
    """The text is written in a way that cannot be edited here without changing something else."""


def edit(text: str, trainer: int, changes: Mapping[str, object]) -> str:
    """Return ``text`` with changes by field in its trainer of that number; None removes a setting.

    ``text`` is a valid document. A setting that exists under an alias keeps that key. Raises EditError if the
    result would not be exactly what was requested.
    """
    rows = settings.by_field()
    edits = [(rows[field], value) for field, value in changes.items()]
    result = text
    for row, value in edits:
        result = _Editor(result, trainer).change(row, value)
    if not _has_result(result, text, trainer, edits) or _comments(result) != _comments(text):
        raise EditError
    return result


def add_to_dataset(text: str, trainer: int, path: str) -> str:
    """Return ``text`` with a file added after all others to the ``dataset`` of its trainer of that number.

    Raises EditError if the result would not be exactly that: for a separate table, for example.
    """
    pairs = layout(text).pairs
    pair = next((pair for pair in pairs if pair.path == ("trainer", trainer, "dataset")), None)
    if pair is None:
        raise EditError
    document = tomllib.loads(text)
    block = document["trainer"][trainer]
    dataset = block["dataset"]
    block["dataset"] = [*dataset, path] if isinstance(dataset, list) else [dataset, path]
    for value in _longer(text[pair.value : pair.end], to_toml(path), in_list=isinstance(dataset, list)):
        with suppress(EditError):
            return _checked(f"{text[: pair.value]}{value}{text[pair.end :]}", text, document)
    raise EditError


def set_dataset(text: str, trainer: int, path: str) -> str:
    """Return ``text`` with the file ``path`` as the ``dataset`` of that trainer. Raises EditError."""
    document = tomllib.loads(text)
    document["trainer"][trainer]["dataset"] = path
    return _with_value(text, ("trainer", trainer, "dataset"), path, document)


def set_columns(text: str, trainer: int, part: int, columns: Mapping[str, str]) -> str:
    """Return ``text`` with ``columns`` for one source of the ``dataset`` of its trainer of that number.

    ``part`` counts the sources of a list from 0. Raises EditError if the result would not be exactly that.
    """
    # A column without a name is a number.
    mapped = {target: int(column) if column.isdecimal() else column for target, column in columns.items()}
    return _with_source_key(text, trainer, part, "columns", lambda _: mapped)


def set_path(text: str, trainer: int, part: int, path: str) -> str:
    """Return ``text`` with a new file for one source; see `set_columns`."""
    return _with_source_key(text, trainer, part, "path", lambda _: path)


def set_weights(text: str, trainer: int, weights: Sequence[float]) -> str:
    """Return ``text`` with the weights of all sources, in their order; see `set_columns`."""
    dataset = tomllib.loads(text)["trainer"][trainer]["dataset"]
    parts = dataset if isinstance(dataset, list) else [dataset]
    if len(parts) != len(weights):
        raise EditError
    for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        if weight != (part.get("weight", 1) if isinstance(part, dict) else 1):
            text = _with_source_key(text, trainer, number, "weight", partial(_given, weight))
    return text


def _given(weight: float, _: object) -> object:
    return weight


def set_excluded(text: str, trainer: int, part: int, entries: Sequence[str], *, excluded: bool) -> str:
    """Return ``text`` with ``entries`` added to one source's ``exclude``, or removed; see `set_columns`."""
    changed_entries = set(entries)

    def changed(old_entries: object) -> object:
        old = old_entries if isinstance(old_entries, list) else []
        kept_entries = [entry for entry in old if entry not in changed_entries]
        return [*kept_entries, *dict.fromkeys(entries)] if excluded else kept_entries

    return _with_source_key(text, trainer, part, "exclude", changed)


def _with_source_key(
    text: str, trainer: int, part: int, key: str, changed: Callable[[object], object]
) -> str:
    """Return ``text`` with a new value of ``key`` in a source's table, made from the current one."""
    document = tomllib.loads(text)
    holder = document["trainer"][trainer]
    path: Path = ("trainer", trainer, "dataset")
    at: str | int = "dataset"
    if isinstance(holder["dataset"], list):
        holder, at, path = holder["dataset"], part, (*path, part)
        if part >= len(holder):
            raise EditError
    elif part:
        raise EditError
    item = holder[at]
    table = item if isinstance(item, dict) else {"path": item}
    value = changed(table.get(key))
    holder[at] = value if key == "path" and item is not table else {**table, key: value}
    if not value and value != 0:  # an inline table omits it
        del holder[at][key]
    try:
        return _with_value(text, path, holder[at], document)
    except EditError:
        holder[at] = {**table, key: value}
        return _with_line(text, path, key, value, document)


def _with_value(text: str, at: Path, value: object, expected: dict[str, object]) -> str:
    """Return ``text`` with a new value in place of one that is written as a whole."""
    toml_layout = layout(text)
    pair = next((pair for pair in toml_layout.pairs if pair.path == at), None)
    span = (pair.value, pair.end) if pair else toml_layout.members.get(at)
    if span is None:
        raise EditError
    start, end = span
    return _checked(f"{text[:start]}{to_toml(value, text[start:end])}{text[end:]}", text, expected)


def _with_line(text: str, at: Path, name: str, value: object, expected: dict[str, object]) -> str:
    """Return ``text`` with the key ``name`` of a source that has its own table or dotted keys."""
    pairs = [pair for pair in layout(text).pairs if pair.path[:-1] == at and pair.braces is None]
    pair_found = next((pair for pair in pairs if pair.path[-1] == name), None)
    if pair_found is not None:
        return _with_value(text, pair_found.path, value, expected)
    if not pairs:
        raise EditError
    last = pairs[-1]
    start = text.rfind("\n", 0, last.start) + 1
    key = text[last.start : last.key_end]
    line = f"{text[start : last.start]}{key[: key.rfind('.') + 1]}{name} = {to_toml(value)}"
    end = text.find("\n", last.end)
    end = len(text) if end < 0 else end
    end -= text[end - 1 : end] == "\r"
    line_end = "\r\n" if "\r\n" in text else "\n"
    return _checked(f"{text[:end]}{line_end}{line}{text[end:]}", text, expected)


def _checked(result: str, before: str, expected: dict[str, object]) -> str:
    """Return ``result`` if it says what was requested and has every comment of the original."""
    try:
        equal = _equal_values(tomllib.loads(result), expected)
    except (ValueError, RecursionError):
        raise EditError from None
    if not equal or _comments(result) != _comments(before):
        raise EditError
    return result


def _longer(value: str, member: str, *, in_list: bool) -> Iterator[str]:
    """Yield ways to write a list with one more member; parsing shows which of them is right."""
    if not in_list:
        yield f"[{value}, {member}]"
        return
    inside = value[:-1]
    head = inside.rstrip()
    last = head.rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    gap = f"\n{indent}" if "\n" in head else " "
    yield f"{head},{gap}{member}{inside[len(head) :]}]"
    yield f"{head}{gap}{member},{inside[len(head) :]}]"  # it ends with a comma, and still will
    # A comment follows the last member.
    yield f"{head}\n{indent}{member},{inside[len(head) :]}]"
    yield f"{head}\n{indent}, {member}{inside[len(head) :]}]"


@dataclass(slots=True)
class _Insertion:
    """The position of a new line: after that of ``at``, with ``indent``, spaced like the pair ``like``."""

    at: int
    indent: str
    like: KeyValue | None


class _Editor:
    """One change in one text."""

    def __init__(self, text: str, trainer: int) -> None:
        self.text = text
        self.layout: Layout = layout(text)
        self.at: Path = ("trainer", trainer)

    def change(self, row: Setting, value: object) -> str:
        """Return the text with the setting's value, or without it."""
        paths = [(*self.at, *key.split(".")) for key in (row.key, *row.aliases)]
        pair = next((pair for pair in self.layout.pairs if pair.path in paths), None)
        if pair is None:
            return self.text if value is None else self._insert(row.key, value)
        if value is not None:
            return self._replace(pair, value)
        return self._take_line(pair) if pair.braces is None else self._take_from_braces(pair)

    # --- a key that is there --------------------------------------------------------------------------------

    def _replace(self, pair: KeyValue, value: object) -> str:
        before, statement = self.text[pair.value : pair.end], self._statement(pair).start
        start, indent = self._line_start(statement), self._indent(statement)
        lifted = [f"{indent}{comment}{self._line_end(start)}" for comment in _comments(before).elements()]
        head, between = self.text[:start], self.text[start : pair.value]
        return f"{head}{''.join(lifted)}{between}{to_toml(value, before)}{self.text[pair.end :]}"

    def _take_line(self, pair: KeyValue) -> str:
        """Remove the line; a comment after the value, or in it, becomes its own line."""
        start, end = self._line_start(pair.start), self._next_line(pair.end)
        comments = _comments(self.text[pair.value : end]).elements()
        indent, line_end = self.text[start : pair.start], self._line_end(start)
        comment_lines = "".join(f"{indent}{comment}{line_end}" for comment in comments)
        if not self.text[start:end].endswith("\n"):  # the last line, without a line end
            comment_lines = comment_lines.removesuffix(line_end)
            if not comment_lines:
                start = len(self.text[:start].rstrip("\r\n"))
        return self.text[:start] + comment_lines + self.text[end:]

    def _take_from_braces(self, pair: KeyValue) -> str:
        """Remove the pair with one of its commas."""
        head, rest = self.text[: pair.start], self.text[pair.end :]
        after = rest.lstrip(" \t")
        if after.startswith(","):
            return head + after[1:].lstrip(" \t")
        before = head.rstrip(" \t")
        return before[:-1].rstrip(" \t") + rest if before.endswith(",") else head + after

    # --- a new key ------------------------------------------------------------------------------------------

    def _insert(self, key: str, value: object) -> str:
        table, _, name = key.rpartition(".")
        # In its own table, or else under a dotted key, which needs none.
        for path, inner in [((*self.at, *table.split(".")), name), (self.at, key)]:
            if path in self.layout.braces:
                return self._into_braces(self.layout.braces[path], f"{inner} = {to_toml(value)}")
            header = next((header for header in self.layout.headers if header.path == path), None)
            if header is not None:
                return self._line(self._insertion(header, inner), inner, value)
        raise EditError

    def _into_braces(self, opening: int, pair: str) -> str:
        inside = [entry for entry in self.layout.pairs if entry.braces == opening]
        if inside:
            end = inside[-1].end
            return f"{self.text[:end]}, {pair}{self.text[end:]}"
        return f"{self.text[: opening + 1]} {pair} {self.text[opening + 1 :].lstrip(' ')}"

    def _insertion(self, header: Header, key: str) -> _Insertion:
        """Return the place below the comment that shows the key, the last pair before it, or the header."""
        after = [next_header.start for next_header in self.layout.headers if next_header.start > header.start]
        end = min(after, default=len(self.text))
        pairs = [pair for pair in self._lines() if header.end <= pair.start < end]
        like = next(iter(reversed(pairs)), None)
        depth = len(header.path)
        commented = re.compile(rf"^([ \t]*)#+[ \t]*{re.escape(key)}[ \t]*=[^\n]*$", re.MULTILINE)
        for match in reversed(list(commented.finditer(self.text, header.end, end))):
            above = bisect_left(pairs, match.start(), key=lambda pair: pair.start) - 1
            if above < 0 or pairs[above].end <= match.start():  # not inside a multi-line text
                return _Insertion(match.end(), match[1], like)
        first = key.partition(".")[0]
        before = [pair for pair in pairs if pair.path[depth] == first]  # of the same table, under dotted keys
        before = before or [pair for pair in pairs if _rank(str(pair.path[depth])) < _rank(first)]
        if not before:
            return _Insertion(header.end, self._indent(header.start), like)
        return _Insertion(before[-1].end, self._indent(before[-1].start), before[-1])

    def _line(self, insertion: _Insertion, key: str, value: object) -> str:
        at = self._next_line(insertion.at)
        line_end = self._line_end(self._line_start(insertion.at))
        line = f"{insertion.indent}{key}{self._equals(insertion.like, key)}{to_toml(value)}"
        if self.text[:at].endswith("\n"):
            return f"{self.text[:at]}{line}{line_end}{self.text[at:]}"
        return f"{self.text}{line_end}{line}"  # the file ends without a line end, and still will

    def _equals(self, like: KeyValue | None, key: str) -> str:
        """Return the equals sign, spaced like the neighbour's and in its column if possible."""
        if like is None:
            return " = "
        before, _, right = self.text[like.key_end : like.value].partition("=")
        if len(before) > 1 and not before.strip(" "):
            before = " " * max(1, like.key_end - like.start + len(before) - len(key))
        return f"{before}={right}"

    # --- lines ----------------------------------------------------------------------------------------------

    def _lines(self) -> list[KeyValue]:
        return [pair for pair in self.layout.pairs if pair.braces is None]

    def _statement(self, pair: KeyValue) -> KeyValue:
        """Return the pair on its own lines that contains this one."""
        return next(statement for statement in reversed(self._lines()) if statement.start <= pair.start)

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _next_line(self, at: int) -> int:
        index = self.text.find("\n", at)
        return len(self.text) if index < 0 else index + 1

    def _indent(self, start: int) -> str:
        return self.text[self._line_start(start) : start]

    def _line_end(self, start: int) -> str:
        """Return the end of the line that begins there, or of the one before if it has none."""
        at = self.text.find("\n", start)
        at = self.text.rfind("\n") if at < 0 else at
        return "\r\n" if at > 0 and self.text[at - 1] == "\r" else "\n"


def _rank(key: str) -> float:
    """Return a key's rank in the order of the table of settings; tables come last."""
    if key in settings.tables():
        return _TABLES
    if key in _FIRST:
        return _FIRST.index(key)
    positions = [position for position, row in enumerate(settings.SETTINGS) if key in row.names]
    return len(_FIRST) + (positions[0] if positions else -0.5)


def _comments(text: str) -> Counter[str]:
    """Count each comment, in the order of first appearance."""
    comments = (match["comment"] for match in _COMMENT.finditer(text))
    return Counter(comment.rstrip() for comment in comments if comment is not None)


def _has_result(text: str, before: str, trainer: int, changes: list[tuple[Setting, object]]) -> bool:
    """Return whether ``text`` says what ``before`` did, with the changes and nothing else."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    expected = tomllib.loads(before)
    block = expected["trainer"][trainer]
    for row, value in changes:
        target_table = block.setdefault(row.table, {}) if row.table else block
        name = next((name for name in row.names if name in target_table), row.name)
        if value is None:
            target_table.pop(name, None)
        else:
            target_table[name] = value
    for target in (block, document["trainer"][trainer]):
        for table in settings.tables():
            if target.get(table) == {}:
                del target[table]  # an empty table is equivalent to none
    return _equal_values(document, expected)


def _equal_values(first: object, second: object) -> bool:
    """Return whether both are equal in type, too: 1 is not 1.0 and not true, and NaN is NaN."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal_values(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal_values, first, second))
    return type(first) is type(second) and repr(first) == repr(second)

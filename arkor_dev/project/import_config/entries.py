"""Reads configuration files into entries: a key, its value, and its line for messages.

The files are hostile. Here, once, their sizes and types are checked: whatever comes out is plain data of
whole text.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import MIB, read_small

from .yaml_subset import DEPTH, Section, parse_json, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

LIMIT: Final = 4 * MIB
_DOTTED: Final = re.compile(r"""(?:\.[ \t]*+["']?[\w\-]*+["']?[ \t]*+){50}""")
"""A key of 50 parts: ``tomllib`` takes a time that grows by the square of their number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a configuration; ``line`` counts from 1. In a script, ``group`` is the function called."""

    key: str
    value: object
    line: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that a script computes when it runs, as its source text."""

    source: str


def read_text(path: Path) -> str:
    """Return the text of a configuration file. Raises BadRequestError, also for a FIFO and a large file."""
    try:
        return read_small(path, LIMIT).decode()
    except FileNotFoundError:
        raise BadRequestError(f"{path} does not exist.") from None
    except OSError as fault:
        raise BadRequestError(f"{path} cannot be read: {fault.strerror or fault}.") from None
    except ValueError:
        raise BadRequestError(f"{path} is not a text file.") from None


def from_yaml(text: str) -> list[Entry]:
    """Return the keys of a YAML mapping. Raises BadRequestError."""
    return entries_of(parse_yaml(text))


def from_json(text: str) -> list[Entry]:
    """Return the keys of a JSON object. Raises BadRequestError."""
    return entries_of(parse_json(text))


def from_toml(text: str) -> list[Entry]:
    """Return the keys of a TOML file. Raises BadRequestError."""
    if _DOTTED.search(text):
        raise BadRequestError("The file nests too deeply.")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:
        raise BadRequestError(f"Not valid TOML ({fault}).") from None
    return entries_of(_with_lines(values, text))


def _with_lines(values: dict[str, object], text: str) -> Section:
    """Return what ``tomllib`` reads, with the line of each key of a table, as far as it is written
    plainly."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"[ \t]*\[+[ \t]*([\w.\-]+)[ \t]*\]", line):
            table = f"{header[1]}."
            lines.setdefault(header[1], number)
        elif key := re.match(r"[ \t]*([\w.\-]+)[ \t]*=", line):
            lines.setdefault(table + key[1], number)

    def section(value: dict[str, object], prefix: str, line: int, depth: int) -> Section:
        if depth > DEPTH:
            raise BadRequestError("The file nests too deeply.")
        made = Section()
        for key, item in value.items():
            own = lines.get(prefix + key, line)
            made[key] = section(item, f"{prefix}{key}.", own, depth + 1) if isinstance(item, dict) else item
            made.lines[key] = own
        return made

    return section(values, "", 1, 0)


def flattened(entries: list[Entry]) -> list[Entry]:
    """Return entries with those of their sections in place of these, as ``training.learning_rate``."""
    flat: list[Entry] = []
    for entry in entries:
        if isinstance(entry.value, Section) and entry.value:
            inner = flattened(entries_of(entry.value, entry.line))
            flat += [replace(one, key=f"{entry.key}.{one.key}") for one in inner]
        else:
            flat.append(entry)
    return flat


def entries_of(section: Section, line: int = 0) -> list[Entry]:
    """Return the keys of a section; ``line`` is for those without a line of their own."""
    for value in (section, *section.lines):
        require_plain(value)
    return [Entry(key, value, section.lines.get(key, line)) for key, value in section.items()]


def require_plain(value: object) -> None:
    """Raise BadRequestError for what no setting is: half a character or a NUL in a text, infinity, NaN."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, float) and not math.isfinite(item):
            raise BadRequestError(f"{item} is not a number that a setting can have.")
        elif isinstance(item, str):
            whole = item.encode(errors="replace").decode()
            if whole != item or "\0" in item:
                raise BadRequestError(f"{whole[:60]!r} is not text: it has half a character, or a NUL.")

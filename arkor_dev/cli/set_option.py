"""``--set key=value`` overrides settings by their keys in ``arkor.toml``, with values in TOML.

``--changes FILE`` does by their fields in a job's config, as JSON.
"""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.changes import problem
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.limits import TomlLimitError, check_limits
from arkor_dev.project.toml.problems import ABBREVIATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arkor_dev.contract.settings.setting import Setting

LONGEST: Final = 4000
"""Longest value, in characters."""
MOST_BYTES: Final = 2**20
"""Largest file of changes, in bytes."""
STANDARD_INPUT: Final = "-"


def parse_settings(texts: Iterable[str]) -> dict[str, object]:
    """Parse the changes by field; the last value of a key counts. ``key=`` removes a setting of the file.

    Text needs no quotes. Raises BadRequestError for an unknown key, with a suggestion, and for an invalid
    value, with its bounds.
    """
    rows = {key: row for row in SETTINGS for key in (row.key, *row.aliases)}
    changes: dict[str, object] = {}
    for text in texts:
        key, equals, value_text = (part.strip() for part in text.partition("="))
        if not equals:
            raise BadRequestError(f"--set needs a key and a value: --set key=value, not {quoted(text)}")
        if key not in rows:
            raise BadRequestError(f"unknown setting {_short_key(key)}. {_hint(key)}")
        changes[rows[key].field] = _value(rows[key], value_text)
    if wrong := problem(changes):
        raise BadRequestError(wrong)  # two settings that exclude each other
    return changes


def read_changes(name: str) -> dict[str, object]:
    """Read changes by field from a JSON file, or from standard input for ``-``; null removes a setting.

    Raises BadRequestError for a file that cannot be read and for invalid changes.
    """
    where = "Standard input" if name == STANDARD_INPUT else one_line(name, 300)
    try:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        changes = strict_json.parse(data) if len(data) <= MOST_BYTES else None
    except OSError as fault:
        raise BadRequestError(f"{where} cannot be read: {fault.strerror}.") from None
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"{where} {fault}. --changes takes a JSON object of settings.") from None
    if not isinstance(changes, dict):
        raise BadRequestError(f"{where} is not a JSON object of settings, of {MOST_BYTES:,} bytes at most.")
    if wrong := problem(changes, ""):
        raise BadRequestError(f"{where}: {wrong}.")
    return changes


def _value(row: Setting, text: str) -> object:
    if not text and not row.required:
        return None
    if len(text) <= LONGEST:
        for value in _readings(row, text):
            if row.fits(value):
                return value
    parsed_value = next(_readings(row, text[:LONGEST]))
    raise BadRequestError(f"{row.key} = {quoted(parsed_value)} is invalid; expected {row.rule.words}")


def _readings(row: Setting, text: str) -> Iterator[object]:
    """Yield the meanings of a text: a TOML value, a list without brackets, or the text itself."""
    yield from toml_values(text)
    if row.rule.kind == "list" and "," in text:
        yield from toml_values(f"[{text}]")
        yield [member.strip() for member in text.split(",")]
    else:
        yield text


def toml_values(text: str) -> list[object]:
    """Parse ``text`` as a single TOML value; empty if it is not one."""
    try:
        check_limits(text)
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, TomlLimitError, RecursionError):
        return []  # an unquoted word is not TOML
    return [parsed["value"]] if len(parsed) == 1 else []  # a line break would start another key


def _hint(key: str) -> str:
    """Suggest the nearest key, also for names in other libraries or on the wire, or without the table."""
    spellings = {_bare(name): row.key for row in SETTINGS for name in (row.field, row.name, row.key)}
    for short, name in ABBREVIATIONS.items():
        if _bare(name) in spellings:
            spellings[_bare(short)] = spellings[_bare(name)]
    close = difflib.get_close_matches(_bare(key), spellings, n=1)
    if close:
        return f"Did you mean {spellings[close[0]]}?"
    return f"There are: {', '.join(row.key for row in SETTINGS)}"


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name[:100].lower())


def _short_key(key: str) -> str:
    return key if key.isprintable() and 0 < len(key) <= 60 else quoted(key)

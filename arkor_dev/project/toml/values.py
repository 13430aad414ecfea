"""Values as TOML text, in the style in which the file had them before."""

from __future__ import annotations

import json
import re
from decimal import Decimal

_BARE = re.compile(r"[A-Za-z0-9_-]+")
SMALL = 1e-3
"""Below this, numbers are written with an exponent: ``2e-4``."""


def written(value: object, before: str = "") -> str:
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
            return f"[{', '.join(written(each, before.lstrip('[ ')) for each in value)}]"
        case dict():
            pairs = ", ".join(f"{_key(key)} = {written(each)}" for key, each in value.items())
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

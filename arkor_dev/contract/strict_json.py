r"""Strict JSON parsing for requests: accepts only what every other program can read, too.

Python's parser accepts ``NaN``, turns ``1e999`` into infinity and ``"\ud800"`` into a lone surrogate, has
integers that no float can hold, and nests as deep as its stack allows; such values would fail later,
on a disk, a command line or in another parser. Studio and the local backend refuse them alike, so this module
belongs to neither, and imports no other module of the package.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

DEPTH: Final = 100
"""Deepest nesting of lists and objects."""
_LONG: Final = re.compile(rb"(?<![0-9])[0-9]{309}")
"""Digits of an integer that may be too large for a float."""
_TOO_DEEP: Final = f"is nested more than {DEPTH} deep"


class StrictJSONError(ValueError):
    """Why a text is invalid, to follow its name in a sentence: ``is not JSON``."""


def parse(body: bytes) -> Any:
    """Parse ``body``, in UTF-8. Raises StrictJSONError."""
    try:
        whole = _whole if _LONG.search(body) else None
        value = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite, parse_int=whole)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise StrictJSONError("is not JSON") from None
    except ValueError:
        raise StrictJSONError("has an invalid or too large number") from None
    except RecursionError:
        raise StrictJSONError(_TOO_DEEP) from None
    # Both checks are for rare cases: the bytes show at a glance that most bodies are fine.
    if body.count(b"[") + body.count(b"{") > DEPTH and _is_deeper(value):
        raise StrictJSONError(_TOO_DEEP)
    if b"\\ud" in body.lower() and not _is_whole(value):
        raise StrictJSONError("contains a lone surrogate (\\ud800 to \\udfff)")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _is_deeper(value: object) -> bool:
    level = [value]
    for _ in range(DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, dict):
                inner.extend(item.values())
        if not inner:
            return False
        level = inner
    return any(isinstance(item, list | dict) for item in level)


def _is_whole(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True

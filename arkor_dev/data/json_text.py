"""One row's JSON, and the position of its errors."""

from __future__ import annotations

import json

from .rows import RowError


def parsed(raw: bytes, line: int | None = None) -> object:
    """Parse the bytes of one row. Raises RowError with the position of the error.

    The position is a column, or for a row that begins at ``line`` of a file with rows over several lines, a
    line and a column.
    """
    text = decoded(raw)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({_message(text, error, line)})", "json") from None
    except ValueError:
        raise RowError("not readable JSON: it has a number with thousands of digits", "json") from None
    except RecursionError:
        raise RowError("not readable JSON: nested too deeply", "json") from None


def decoded(raw: bytes) -> str:
    """Return the text of a row. Raises RowError if it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            f"not UTF-8 (byte {error.start + 1} is 0x{raw[error.start]:02x}); save the file as UTF-8",
            "encoding",
        ) from None


def _message(text: str, error: json.JSONDecodeError, line: int | None) -> str:
    """Return the error and its position, in the same words on every Python: 3.13 reports a trailing comma."""
    before, message, at = text[: error.pos].rstrip(), error.msg.removesuffix(" at"), error.pos
    if message.startswith("Illegal trailing comma"):
        before = text[: error.pos + 1]
        message, at = "a comma with nothing behind it", len(before) - 1
    elif before.endswith(",") and text[error.pos : error.pos + 1] in ("}", "]"):
        message, at = "a comma with nothing behind it", len(before) - 1
    column = at - text.rfind("\n", 0, at)
    if line is None:
        return f"{message} at column {column}"
    below = text.count("\n", 0, at)
    position = f"column {column}" if below else f"character {column} of the row"
    return f"{message} at line {line + below}, {position}"

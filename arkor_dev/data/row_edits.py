"""Rows of a text file as bytes: what must be replaced to change, add or remove some, in every format.

Nothing else of the file changes: not its byte order mark, line ends, spaces, quotes or the order of keys.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Final

from .exclusions import row_hash
from .json_edit import rewritten
from .json_lines import BYTE_ORDER_MARK
from .json_list import JsonRows
from .json_text import decoded, parsed
from .messages import from_text
from .rows import MAX_ROW, RowError
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .containers import Container

    Replacement = tuple[int, int, bytes]
    """Offset and size of the bytes to be replaced, and what replaces them."""
    Read = Callable[[int, int], bytes]

_BLANK: Final = b" \t\r\n\f\v"
_NEEDS_QUOTES: Final = re.compile(r'[",;\t\r\n]|^\s|\s$')


@dataclass(frozen=True, slots=True)
class RowEdit:
    """An edit of a row: new bytes (``body``) or its removal (``remove``), and rows to add ``after`` it."""

    body: bytes | None = None
    remove: bool = False
    after: tuple[bytes, ...] = ()


def body_of(container: Container, offset: int, raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Split the bytes of a record into what is before the row, the row itself, and its line end."""
    if isinstance(container, JsonRows):
        return b"", raw, b""
    mark = BYTE_ORDER_MARK if offset == 0 and raw.startswith(BYTE_ORDER_MARK) else b""
    rest = raw[len(mark) :]
    if isinstance(container, Table):
        body = rest.removesuffix(b"\n").removesuffix(b"\r") if rest.endswith(b"\n") else rest
        return mark, body, rest[len(body) :]
    body = rest.strip(_BLANK)
    start = rest.index(body)
    return mark + rest[:start], body, rest[start + len(body) :]


def hash_of(container: Container, body: bytes) -> int:
    """Return the `row_hash` of a row with these bytes; 0 for one that cannot be read."""
    if isinstance(container, Table):
        try:
            cells = next(
                csv.reader(StringIO(decoded(body), newline=""), delimiter=container.delimiter, strict=True)
            )
        except (csv.Error, RowError, StopIteration):
            return 0
        return row_hash(cells)
    return row_hash(body)


def value_of(container: Container, body: bytes) -> dict[str, object]:
    """Return the row's record. Raises RowError if it is not a readable object."""
    if isinstance(container, Table):
        cells = [_unquoted(cell) for cell in _cells(container, decoded(body))]
        return {name: cell for name, cell in zip(container.header, cells, strict=False) if name}
    value = parsed(body)
    if not isinstance(value, dict):
        raise RowError(f"must be a JSON object, not {type(value).__name__}", "keys")
    return value


def with_record(container: Container, body: bytes, record: Mapping[str, object]) -> bytes:
    """Return the row's bytes with the least change that makes it ``record``. Raises RowError.

    Numbers that differ only in how they are written, such as 1.0 and 1, count as equal.
    """
    if isinstance(container, Table):
        new = _with_cells(container, decoded(body), record)
    else:
        value_of(container, body)
        new = rewritten(decoded(body), record)
    return _checked(new)


def with_text(container: Container, text: str) -> bytes:
    """Return the bytes of a row that a person has written as ``text``. Raises RowError if it is invalid."""
    text = text.strip("\r\n" if isinstance(container, Table) else None)
    if not isinstance(container, JsonRows) and not isinstance(container, Table) and "\n" in text:
        raise RowError("a row of JSON Lines must be on one line", "json")
    body = _checked(text)
    if isinstance(container, Table):
        if hash_of(container, body) == 0:
            raise RowError("not a row of this table: check its quotes", "table")
        value_of(container, body)
    else:
        value_of(container, body)
    return body


def replacements(
    container: Container,
    offsets: Sequence[int],
    sizes: Sequence[int],
    edits: Mapping[int, RowEdit],
    read: Read,
) -> list[Replacement]:
    """Return what ``edits`` of rows (from 0) replace, in order, for records at ``offsets`` of ``sizes``.

    A row that is removed has nothing added after it.
    """
    if isinstance(container, JsonRows):
        return _in_json(container, offsets, sizes, edits, read)
    result: list[Replacement] = []
    for at, edit in sorted(edits.items()):
        offset, size = offsets[at], sizes[at]
        before, body, end = body_of(container, offset, read(offset, size))
        mark = BYTE_ORDER_MARK if before.startswith(BYTE_ORDER_MARK) else b""
        if edit.remove:
            result.append((offset + len(mark), size - len(mark), b""))
            continue
        if edit.body is not None:
            result.append((offset + len(before), len(body), edit.body))
        if edit.after:
            line_end = b"\r\n" if end.endswith(b"\r\n") else b"\n"
            if end.endswith(b"\n"):
                result.append((offset + size, 0, b"".join(added + line_end for added in edit.after)))
            else:  # the last line, which has no end
                if at > 0 and read(offsets[at] - 2, 2) == b"\r\n":
                    line_end = b"\r\n"
                result.append((offset + size, 0, b"".join(line_end + added for added in edit.after)))
    return result


def _in_json(
    container: JsonRows,
    offsets: Sequence[int],
    sizes: Sequence[int],
    edits: Mapping[int, RowEdit],
    read: Read,
) -> list[Replacement]:
    result: list[Replacement] = []
    for at, edit in sorted(edits.items()):
        offset, end = offsets[at], offsets[at] + sizes[at]
        if edit.body is not None:
            result.append((offset, sizes[at], edit.body))
        if edit.after:
            between = _between(container, offsets, sizes, at, read)
            result.append((end, 0, b"".join(between + body for body in edit.after)))
    removed = sorted(at for at, edit in edits.items() if edit.remove)
    while removed:
        first = last = removed.pop(0)
        while removed and removed[0] == last + 1:
            last = removed.pop(0)
        start, end = offsets[first], offsets[last] + sizes[last]
        if last + 1 < len(offsets):
            end = offsets[last + 1]
        elif first:
            start = offsets[first - 1] + sizes[first - 1]
        result.append((start, end - start, b""))
    # What is added after a row comes before the removal of those behind it.
    return sorted(result, key=lambda body: (body[0], body[1] > 0))


def _between(container: JsonRows, offsets: Sequence[int], sizes: Sequence[int], at: int, read: Read) -> bytes:
    """Return what separates a row from the next one."""
    if len(offsets) > 1:
        index = at if at + 1 < len(offsets) else at - 1
        end = offsets[index] + sizes[index]
        if container.in_list:
            return read(end, offsets[index + 1] - end)
        return read(end, offsets[index + 1] - end) or b"\n"
    start = max(0, offsets[at] - 256)
    before = read(start, offsets[at] - start)
    blank = before[len(before.rstrip(_BLANK)) :]
    return b"," + (blank or b" ") if container.in_list else b"\n"


def _checked(text: str) -> bytes:
    try:
        body = text.encode()
    except UnicodeEncodeError:
        raise RowError("contains a lone surrogate (\\ud800 to \\udfff)") from None
    if len(body) > MAX_ROW - 2:
        raise RowError(f"longer than {MAX_ROW // 2**20} MiB; split it into smaller rows", "size")
    return body


def _cells(container: Table, text: str) -> list[str]:
    """Return the cells of a row as they are written, with their quotes."""
    delimiter = container.delimiter
    cell = re.compile(rf'"(?:[^"]|"")*"|[^{re.escape(delimiter)}]*')
    cells, at = [], 0
    while True:
        match = cell.match(text, at)
        assert match is not None  # it matches nothing, too
        cells.append(match[0])
        at = match.end()
        if at >= len(text) or text[at] != delimiter:
            if at < len(text):
                raise RowError("a quote inside a cell that is not quoted", "table")
            return cells
        at += 1


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _with_cells(container: Table, text: str, record: Mapping[str, object]) -> str:
    header = container.header
    if unknown := next((name for name in record if name not in header), None):
        raise RowError(f"the table has no column {unknown[:80]!r}", "keys")
    cells = _cells(container, text)
    for at, name in enumerate(header):
        if not name:
            continue
        old = _unquoted(cells[at]) if at < len(cells) else ""
        new = _as_cell(old, record.get(name))
        if new == old:
            continue
        cells += [""] * (at + 1 - len(cells))
        if "\0" in new:
            raise RowError("a cell of a table cannot hold a NUL character", "encoding")
        quoted = cells[at].startswith('"') or container.delimiter in new or _NEEDS_QUOTES.search(new)
        cells[at] = '"' + new.replace('"', '""') + '"' if quoted else new
    if cells == [""]:  # it would be a blank line
        cells = ['""']
    return container.delimiter.join(cells)


def _as_cell(old: str, value: object) -> str:
    """Return a value as a cell; a list or an object is JSON text, as in the cell before."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict) and isinstance(from_text(old), list | dict):
        return rewritten(old, value)
    return json.dumps(value, ensure_ascii=False)

"""A file with one JSON list of rows, or rows spread over several lines, read in chunks.

Rows are separated only by brackets and quotes, so that a file larger than the memory can be read and an
invalid row leaves the others readable.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, BinaryIO, Final

from .containers import MOST_PASSED, OversizedFileError, Record, blank, endless, too_long
from .json_lines import BYTE_ORDER_MARK
from .json_text import parsed
from .rows import MAX_ROW, DataError, RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 2**18
MOST_OPEN: Final = 100_000
"""Maximum number of brackets that are open: as many take a fraction of a second to find."""
_BETWEEN: Final = re.compile(rb'["\[\]{},]')
_INSIDE: Final = re.compile(rb'["\[\]{}]')
_TEXT: Final = re.compile(rb'[^"\\]*(?:\\[\s\S][^"\\]*)*')


class JsonRows:
    """Rows inside one list (``in_list``), or in sequence without one.

    A list may be ``wrapped``: the first member of an object that contains nothing else of size.
    """

    unit = "row"

    def __init__(self, file: BinaryIO, limit: int, *, in_list: bool, wrapped: bool = False) -> None:
        self._file, self._limit = file, limit
        self.in_list, self._wrapped = in_list, wrapped
        self.words = "JSON" if in_list else "JSON objects over several lines"

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """See ``Container.scan``; the raw record is its bytes and its first line.

        From another position than the first, lines are counted from there.
        """
        splitter = _Splitter(self._file, offset, self._limit, in_list=self.in_list, wrapped=self._wrapped)
        try:
            for start, raw, at_line, size in splitter.parts():
                yield Record(start, line, size, too_long() if raw is None else (raw, at_line))
                line += 1
        except DataError as fault:
            yield Record(offset, 0, 0, fault)

    def value(self, record: Record) -> object:
        """See ``Container.value``."""
        assert isinstance(record.raw, tuple)
        raw, line = record.raw
        if not raw:
            raise RowError(f"nothing between two commas at line {line}", "json")
        return parsed(raw, line)

    def close(self) -> None:
        """See ``Container.close``."""
        self._file.close()


class _Splitter:
    """Finds where each row begins and ends; holds at most one row and one chunk."""

    def __init__(self, file: BinaryIO, offset: int, limit: int, *, in_list: bool, wrapped: bool) -> None:
        file.seek(offset)
        self.file, self.limit = file, limit
        self.in_list, self.wrapped = in_list, wrapped
        self.buffer = b""
        self.offset = offset
        """Offset of ``buffer`` in the file."""
        self.start = 0
        """In ``buffer``: where the row begins."""
        self.at = 0
        """In ``buffer``: everything before was scanned."""
        self.line = 1
        """Line of ``start``."""
        self.let_go = 0
        """Bytes of the row that were dropped because it is too long."""

    def parts(self) -> Iterator[tuple[int, bytes | None, int, int]]:
        """Yield offset, bytes (None: too long), line and size of each row."""
        base = 1 if self.in_list else 0
        if self.offset == 0:
            self._begin()
        depth = base
        while True:
            between = self.in_list and depth == base
            match = (_BETWEEN if between else _INSIDE).search(self.buffer, self.at)
            if match is None:
                self.at = len(self.buffer)
                if self._read_more():
                    continue
                break
            token, self.at = match[0], match.end()
            if token == b'"':
                self._pass_text()
            elif token in b"[{":
                depth += 1
                if depth > MOST_OPEN:
                    raise DataError(f"not JSON: more than {MOST_OPEN:,} brackets are never closed")
            elif token == b",":
                yield self._row(self.at - 1)
                self._next(self.at)
            elif depth > base:
                depth -= 1
                if depth == 0:
                    yield self._row(self.at)
                    self._next(self.at)
            elif self.in_list and token == b"]":
                end = self.at - 1
                # Ignore a trailing comma, although JSON forbids it.
                if self.let_go or self.buffer[self.start : end].strip():
                    yield self._row(end)
                self._next(self.at)
                self._end()
                return
            else:
                line = self.line + self.buffer.count(b"\n", self.start, self.at)
                raise DataError(f"not JSON: a {token.decode()} too many at line {line}")
        if depth > base or self.in_list:
            unclosed = "the list is" if depth == base else "a bracket is"
            raise DataError(f"not JSON: {unclosed} never closed; the file may be truncated")
        if self.buffer[self.start :].strip():
            yield self._row(len(self.buffer))

    def _begin(self) -> None:
        while not self.buffer.removeprefix(BYTE_ORDER_MARK).strip() and self._read_more():
            pass
        if self.in_list:
            self.at = self.buffer.index(b"[") + 1
        elif self.buffer.startswith(BYTE_ORDER_MARK):
            self.at = len(BYTE_ORDER_MARK)
        self._next(self.at)

    def _end(self) -> None:
        if self.wrapped:
            while len(self.buffer) - self.start <= PIECE and self._read_more():
                pass
            try:
                json.loads(b'{"":0' + self.buffer[self.start :])
            except (ValueError, RecursionError):
                raise DataError("not JSON: there is text after the end of the list") from None
            return
        end = self.offset + self.start
        while not self.buffer[self.start :].strip():
            self._next(len(self.buffer))
            if self.offset + self.start - end > MAX_ROW:
                raise blank(f"line {self.line}")
            if not self._read_more():
                return
        raise DataError("not JSON: there is text after the end of the list")

    def _pass_text(self) -> None:
        """Skip past the closing quote of the current text."""
        while True:
            match = _TEXT.match(self.buffer, self.at)
            assert match is not None  # it may match nothing, too
            self.at = match.end()
            if self.buffer.startswith(b'"', self.at):
                self.at += 1
                return
            if not self._read_more():
                raise DataError("not JSON: a string is never closed; the file may be truncated")

    def _row(self, end: int) -> tuple[int, bytes | None, int, int]:
        size = self.let_go + end - self.start
        if size > MAX_ROW:
            return self.offset + self.start - self.let_go, None, self.line, size
        raw = self.buffer[self.start : end]
        blank = len(raw) - len(raw.lstrip())
        stripped = raw.strip()
        line = self.line + raw.count(b"\n", 0, blank)
        return self.offset + self.start + blank, stripped, line, len(stripped)

    def _next(self, start: int) -> None:
        self.line += self.buffer.count(b"\n", self.start, start)
        self.start, self.let_go = start, 0

    def _read_more(self) -> bool:
        piece = self.file.read(PIECE)
        if self.offset + len(self.buffer) > self.limit:
            raise OversizedFileError(self.limit)
        if self.at - self.start > MAX_ROW:
            self.line += self.buffer.count(b"\n", self.start, self.at)
            self.let_go += self.at - self.start
            self.start = self.at
            if self.let_go > MOST_PASSED:
                raise endless(f"the row that reaches line {self.line}")
        self.buffer = self.buffer[self.start :] + piece
        self.offset += self.start
        self.at -= self.start
        self.start = 0
        return bool(piece)

"""Tables as text: CSV and TSV, whose first line names the columns."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, BinaryIO, Final

from .containers import MOST_PASSED, OversizedFileError, Record, blank, endless, too_long
from .forms import COLUMNS as OURS
from .json_lines import BYTE_ORDER_MARK
from .json_text import decoded
from .rows import MAX_ROW, DataError, RowError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

NAMES: Final = {",": "CSV", ";": "CSV with semicolons", "\t": "TSV"}
COLUMNS: Final = 1000
NAME: Final = 40
"""Longest column name, in characters; a sentence is longer."""
WORDS: Final = 4
"""Maximum number of words of a column name."""


class Table:
    """A file of cells, as spreadsheets write it; a quoted cell may contain line breaks.

    ``mapped`` are the requested columns. If they are numbers that the first line does not name, it is a row
    like all others, and its columns are numbered from 1.
    """

    unit = "line"

    def __init__(self, file: BinaryIO, limit: int, delimiter: str, mapped: Collection[str] = ()) -> None:
        self._file, self._limit = file, limit
        self.delimiter, self._mapped = delimiter, frozenset(mapped)
        self.words = NAMES[delimiter]
        self._header: list[str] | None = None
        self._first = (0, 1)
        """Offset and line after the header."""

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """See ``Container.scan``; the raw record is its cells."""
        passed = 0
        try:
            if self._header is None:
                self._read_header()
            if offset == 0:
                offset, line = self._first
            for record in self._records(offset, line):
                if record.raw:
                    yield record
                    passed = 0
                elif (passed := passed + record.size) > MAX_ROW:
                    raise blank(f"line {record.line}")
        except DataError as fault:
            yield Record(offset, 0, 0, fault)

    def value(self, record: Record) -> object:
        """See ``Container.value``."""
        assert isinstance(record.raw, list)
        cells, header = record.raw, self._header or []
        if len(cells) > len(header):
            raise RowError(
                f"has {len(cells)} cells, and the first line names {len(header)} columns; "
                'write a cell that holds the delimiter in quotes, as in "a, b"',
                "table",
            )
        return {name: cell for name, cell in zip(header, cells, strict=False) if name}

    def to_line(self, cells: Sequence[str]) -> str:
        """Return a row as in the file, except for spaces and needless quotes."""
        text = StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="").writerow(cells)
        return text.getvalue()

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns, once ``scan`` has begun."""
        return self._header or ()

    def close(self) -> None:
        """See ``Container.close``."""
        self._file.close()

    def _read_header(self) -> None:
        first = next(self._records(0, 1), None)
        if first is None:
            self._header = []
            return
        if isinstance(first.raw, RowError):
            raise DataError(f"the first line has no names of columns: {first.raw}")
        assert isinstance(first.raw, list)
        header = [_clean_name(cell.strip()) for cell in first.raw]
        names = [name for name in header if name]
        if len(header) > COLUMNS:
            raise DataError(f"more than {COLUMNS:,} columns")
        numbers = [str(number) for number in range(1, len(header) + 1)]
        if self._mapped and self._mapped <= set(numbers) - set(names):
            self._header = numbers
            self.words += " without names of columns"
            return
        if not {*OURS, *self._mapped} & set(names) and (cell := next(filter(_is_message, names), None)):
            raise DataError(_without_names(cell, self.delimiter))
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two columns are called {repeated[:80]!r}; rename one of them")
        self._header = header
        lines = _Lines(self._file, 0, 1, self._limit)
        for _ in csv.reader(lines, delimiter=self.delimiter, strict=True):
            break
        self._first = (lines.offset, lines.line)

    def _records(self, offset: int, line: int) -> Iterator[Record]:
        csv.field_size_limit(MAX_ROW)
        lines = _Lines(self._file, offset, line, self._limit)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        read_twice = 0
        while True:
            lines.begin()
            start, number = lines.offset, lines.line
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, RowError) as fault:
                if isinstance(fault, DataError):
                    raise
                yield Record(start, number, lines.offset - start, _reason(fault, lines))
                # An unclosed quote makes one cell of everything that follows: continue at the next line.
                end = lines.offset
                lines.back(start, number)
                read_twice += max(0, end - lines.offset)
                if read_twice > MOST_PASSED:
                    raise DataError(
                        f"so many quotes are never closed that nothing after line {number} was read; close "
                        "each quote"
                    ) from None
                reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
                continue
            yield Record(start, number, lines.offset - start, cells)


def _clean_name(column: str) -> str:
    """Return a column's name; ours are recognised in capitals, too."""
    return column.lower() if column.lower() in OURS else column


def _is_message(cell: str) -> bool:
    """Return whether it looks like a message rather than the name of a column."""
    return len(cell) > NAME or len(cell.split()) > WORDS or cell.endswith((".", "?", "!"))


def _without_names(cell: str, delimiter: str) -> str:
    short = cell if len(cell) <= NAME else f"{cell[:NAME]}…"
    names = {"\t": "prompt, a tab and completion"}.get(delimiter, f"prompt{delimiter}completion")
    return (
        f"the first line must name the columns and seems to be a row ({short!r}); write one above it, such "
        f"as {names}, or give their numbers in arkor.toml: columns = {{ prompt = 1, completion = 2 }}"
    )


def _reason(error: Exception, lines: _Lines) -> RowError:
    if isinstance(error, RowError):
        if error.kind != "size" or lines.passed == 1:
            return error
    elif "expected after" in str(error):
        return RowError('a quote inside a quoted cell; write it twice, as in "say ""hi"""', "table")
    elif "new-line character" in str(error):
        return RowError("its lines end with CR alone; save the table with LF or CRLF", "table")
    elif "unexpected end" not in str(error):
        return RowError(f"not a row of a table ({error})", "table")
    return RowError("a quote that is never closed", "table")


class _Lines:
    """The text lines of a file from a position on, for ``csv``; ``offset`` and ``line`` of the next."""

    def __init__(self, file: BinaryIO, offset: int, line: int, limit: int) -> None:
        self.file, self.offset, self.line, self.limit = file, offset, line, limit
        self.record_start = offset
        self.passed = 0
        """How many lines the row has so far."""
        file.seek(offset)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self.file.readline(MAX_ROW + 1)
        if not raw:
            raise StopIteration
        at_start = self.offset == 0
        self.offset += len(raw)
        self.line += raw.endswith(b"\n")
        self.passed += 1
        if self.offset > self.limit:
            raise OversizedFileError(self.limit)
        if self.offset - self.record_start > MAX_ROW:
            raise too_long()
        if b"\0" in raw:
            raise RowError("contains NUL characters; save the table as UTF-8", "encoding")
        return decoded(raw.removeprefix(BYTE_ORDER_MARK) if at_start else raw)

    def begin(self) -> None:
        """Mark the beginning of a row."""
        self.record_start, self.passed = self.offset, 0

    def back(self, start: int, line: int) -> None:
        """Skip to the line after the one that begins at ``start``."""
        self.file.seek(start)
        self.offset, self.line = start, line + 1
        while piece := self.file.readline(MAX_ROW):
            self.offset += len(piece)
            if self.offset > self.limit:
                raise OversizedFileError(self.limit)
            if self.offset - start > MOST_PASSED:
                raise endless(f"line {line}")
            if piece.endswith(b"\n"):
                break

"""JSON Lines: one JSON object per line."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from .containers import Record, blank, lines_in, too_long
from .json_text import parsed
from .rows import MAX_ROW, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines:
    """A file with one JSON object per line. Blank lines do not count."""

    unit = "line"
    words = "JSON Lines"

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._limit = file, limit

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """See ``Container.scan``."""
        passed = 0
        try:
            for at, number, raw, size in lines_in(self._file, offset, line, self._limit):
                if raw is None:
                    yield Record(at, number, size, too_long())
                    continue
                if at == 0:
                    raw = raw.removeprefix(BYTE_ORDER_MARK)
                if raw.strip():
                    yield Record(at, number, size, raw)
                    passed = 0
                elif (passed := passed + size) > MAX_ROW:
                    raise blank(f"line {number}")
        except DataError as fault:
            yield Record(offset, 0, 0, fault)

    def value(self, record: Record) -> object:
        """See ``Container.value``."""
        assert isinstance(record.raw, bytes)
        return parsed(record.raw)

    def close(self) -> None:
        """See ``Container.close``."""
        self._file.close()

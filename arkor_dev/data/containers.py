"""What all formats of a file have in common: records at places, one after another or any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Protocol

from .rows import MAX_ROW, DataError, RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 16 * 2**30
"""Of one file, unpacked: a few kilobytes of gzip can unpack to what no disk holds."""


MOST_PASSED: Final = 16 * MAX_ROW
"""Bytes of a file that are read for rows that are too long; what lies behind more is not looked for."""


class Record(NamedTuple):
    """One record as it lies in its file, not parsed yet; ``raw`` is a RowError where it cannot be.

    ``offset`` is where to read it again, ``line`` its line or row for a person, ``size`` its bytes.
    """

    offset: int
    line: int
    size: int
    raw: Any


class Container(Protocol):
    """One file in one format. ``unit`` is what its records are counted in: ``line`` or ``row``."""

    unit: str
    words: str

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """The records from a record's place on, by default from the first. A DataError in one is the last."""

    def value(self, record: Record) -> object:
        """What a record says, as JSON would; raises RowError with the reason alone."""

    def close(self) -> None:
        """Close the file."""


class TooLargeError(DataError):
    """The file goes on past what is to be read of it."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"is larger than {limit // 2**30} GiB when unpacked; split it")


def lines_in(
    file: BinaryIO, offset: int, line: int, limit: int
) -> Iterator[tuple[int, int, bytes | None, int]]:
    """Each line from a place on: its offset, number, bytes (None when they are too many) and size."""
    file.seek(offset)
    while piece := file.readline(MAX_ROW + 1):
        size = len(piece)
        if offset + size > limit:
            raise TooLargeError(limit)
        yield offset, line, piece if size <= MAX_ROW else None, size
        offset += size
        begun = offset
        while not piece.endswith(b"\n") and (piece := file.readline(MAX_ROW)):
            offset += len(piece)
            if offset > limit:
                raise TooLargeError(limit)
            if offset - begun > MOST_PASSED:
                raise endless(f"line {line}")
        line += 1


def endless(what: str) -> DataError:
    """What to say of a row that goes on for so long that its end is not looked for."""
    return DataError(
        f"{what} is longer than {MOST_PASSED // 2**20} MiB, so nothing behind it was read; end each row, and "
        "close each quote"
    )


def too_long() -> RowError:
    """What to say of a row that is longer than any may be."""
    return RowError(f"longer than {MAX_ROW // 2**20} MiB; split it into smaller rows", "size")

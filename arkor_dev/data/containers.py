"""The interface of all file formats: records at positions, in sequence or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol

from .rows import MAX_ROW, DataError, RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 16 * 2**30
"""Size limit of one unpacked file: a few kilobytes of gzip can unpack to more than any disk holds."""


MOST_PASSED: Final = 16 * MAX_ROW
"""Maximum number of bytes read to find the end of an overlong row."""


Raw = bytes | list[str] | tuple[bytes, int] | RowError
"""What is stored of a record: its bytes, with the number of its line in a JSON list, or a table's cells."""


class Record(NamedTuple):
    """One unparsed record of a file; ``raw`` is a RowError if it cannot be read.

    ``offset`` is where to read it again, ``line`` its line or row for display, ``size`` its bytes.
    """

    offset: int
    line: int
    size: int
    raw: Raw


class Container(Protocol):
    """One file in one format. ``unit`` is what its records are counted in: ``line`` or ``row``."""

    unit: str
    words: str

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """Yield the records from a record's position on, by default from the first. A DataError ends them."""

    def value(self, record: Record) -> object:
        """Return a record's content as JSON values. Raises RowError with only the reason."""

    def close(self) -> None:
        """Close the file."""


class SlowError(DataError):
    """Reading takes longer than it may."""


class OversizedFileError(DataError):
    """The file exceeds the size limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"is larger than {limit // 2**30} GiB when unpacked; split it")


def lines_in(
    file: BinaryIO, offset: int, line: int, limit: int
) -> Iterator[tuple[int, int, bytes | None, int]]:
    """Yield each line from a position on: its offset, number, bytes (None if too many) and size."""
    file.seek(offset)
    while piece := file.readline(MAX_ROW + 1):
        size = len(piece)
        if offset + size > limit:
            raise OversizedFileError(limit)
        yield offset, line, piece if size <= MAX_ROW else None, size
        offset += size
        start = offset
        while not piece.endswith(b"\n") and (piece := file.readline(MAX_ROW)):
            offset += len(piece)
            if offset > limit:
                raise OversizedFileError(limit)
            if offset - start > MOST_PASSED:
                raise endless(f"line {line}")
        line += 1


def endless(unit: str) -> DataError:
    """Return the error for a row so long that its end was not found."""
    return DataError(
        f"{unit} is longer than {MOST_PASSED // 2**20} MiB, so nothing after it was read; end each row, "
        "and close each quote"
    )


def blank(unit: str) -> DataError:
    """Return the error for so many blank lines that nothing after them was looked for."""
    return DataError(
        f"more than {MAX_ROW // 2**20} MiB of blank lines before {unit}, so nothing after it was read; "
        "remove them"
    )


def too_long() -> RowError:
    """Return the error for a row beyond the length limit."""
    return RowError(f"longer than {MAX_ROW // 2**20} MiB; split it into smaller rows", "size")

"""The process that reads one Parquet file: its rows as JSON, a few at a time, in bounded memory.

A kilobyte of Parquet can hold gigabytes: a value shared by thousands of rows is stored once. The file's own
sizes do not reveal that, so this process has a memory limit, and reads fewer rows at once if they are large.
The library is large and is imported nowhere else.

Standard input has one request per line: the number of the first row, from 0, and how many rows. An answer has
one line per row (``=`` and its JSON, or ``!`` if it is too long), then ``.``, or ``$`` at the end of the
file, or ``e`` and why it cannot be read further. It may have fewer rows than requested, but never none.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa
from pyarrow import parquet

from .memory_limit import limit_memory
from .rows import MAX_ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY: Final = 2**30
"""Memory limit for reading, in bytes, besides the library itself."""
ANSWER: Final = 2 * MAX_ROW
"""Size after which an answer ends, in bytes."""
SIZES: Final = (1, 8, 64, 256)
"""Rows read at once; more if they have been small."""
BATCH: Final = 32 * 2**20
"""Bytes of rows read at once if their sizes are known in advance."""
MOST: Final = 8 * MAX_ROW
"""Largest row, in the library's form, that is converted to JSON; numbers are shorter there."""


class ParquetReader:
    """One file, readable from any row on."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = parquet.ParquetFile(file, buffer_size=2**20, pre_buffer=False)
        self._next = 0
        self._rows: Iterator[bytes | None] = iter(())

    def answer(self, first: int, count: int) -> Iterator[bytes]:
        if first != self._next:
            self._next, self._rows = first, iter(())
        size = 0
        for _ in range(count):
            row = self._row()
            if row == b"":
                yield b"$\n"
                return
            self._next += 1
            yield b"!\n" if row is None else b"=" + row + b"\n"
            size += len(row or b"")
            if size > ANSWER:
                break
        yield b".\n"

    def _row(self) -> bytes | None:
        """Return the next row's JSON; None for one that is too long, nothing at the end of the file."""
        for level in (len(SIZES), 1):
            try:
                row = next(self._rows, b"")
                if row == b"":
                    rows = self._read(self._next, level)
                    self._rows = rows if level > 1 else islice(rows, SIZES[-1])
                    row = next(self._rows, b"")
            except (MemoryError, pa.ArrowMemoryError):
                self._rows = iter(())  # this many rows do not fit: try the next one alone
            else:
                return row
        raise MemoryError

    def _read(self, first: int, levels: int) -> Iterator[bytes | None]:
        """Yield the rows from ``first`` on, by the first ``levels`` of the sizes, up to the next one due."""
        about, group, before = self._file.metadata, 0, 0
        while group < about.num_row_groups and before + about.row_group(group).num_rows <= first:
            before += about.row_group(group).num_rows
            group += 1
        level, at = 0, first
        while group < about.num_row_groups:
            size, skip = SIZES[level], at - before
            for number, batch in enumerate(self._file.iter_batches(size, [group], use_threads=False)):
                if batch.num_rows <= skip:
                    skip -= batch.num_rows
                    continue
                for row in _rows(batch.slice(skip)):
                    at += 1
                    yield row
                skip = 0
                row_bytes = batch.nbytes // max(1, batch.num_rows)
                fits = max((n for n in range(levels) if row_bytes * SIZES[n] <= BATCH), default=0)
                if fits != level and (fits < level or number >= 1 or size == 1):
                    level = fits if fits < level else level + 1
                    break
            else:
                before += about.row_group(group).num_rows
                group += 1


def _rows(batch: pa.RecordBatch) -> Iterator[bytes | None]:
    """Yield the JSON of each row of a batch; None for one that is too long."""
    shared = any("dictionary" in str(kind) for kind in batch.schema.types)
    if batch.nbytes <= MAX_ROW and not shared:
        yield from map(_json, batch.to_pylist())
        return
    for number in range(batch.num_rows):
        row = batch.slice(number, 1)
        try:
            yield None if any(map(_too_large, row.columns)) else _json(*row.to_pylist())
        except MemoryError:
            yield None


def _too_large(column: pa.Array) -> bool:
    """Return whether one row's ``column`` is certainly too long; a shared dictionary does not count."""
    flat = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return "dictionary" not in str(column.type) and column.nbytes > (MAX_ROW + 64 if flat else MOST)


def _json(value: dict[str, object]) -> bytes | None:
    try:
        text = json.dumps(value, ensure_ascii=False, default=lambda _: None).encode(errors="surrogatepass")
    except RecursionError:
        return None
    return text if len(text) <= MAX_ROW else None


def main() -> None:
    """Answer requests until standard input ends; the file is the given descriptor."""
    pa.set_cpu_count(1)
    limit_memory(MEMORY)
    out, reading, row = sys.stdout.buffer, None, 0
    for line in sys.stdin.buffer:
        first, count = map(int, line.split())
        row = first + 1
        try:
            if reading is None:
                reading = ParquetReader(os.fdopen(int(sys.argv[1]), "rb"))
            for reply in reading.answer(first, count):
                out.write(reply)
                row += 1
        except (MemoryError, pa.ArrowMemoryError):
            out.write(b"e row %d needs more than %d MiB of memory\n" % (row, MEMORY // 2**20))
        except Exception as error:  # noqa: BLE001 - the library raises what its parts raise
            out.write(b"e cannot be read as Parquet: " + " ".join(str(error).split()).encode()[:400] + b"\n")
        out.flush()


if __name__ == "__main__":
    main()

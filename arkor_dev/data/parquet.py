"""Parquet, by pyarrow: only where that is installed, and only imported for a file of this kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

from .containers import Record
from .rows import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_GROUP: Final = 2 * 2**30
"""Bytes of one row group, unpacked: it is read as a whole."""
BATCH: Final = 256


class Parquet:
    """A Parquet file. A record's offset is its number among the file's rows, from 0."""

    unit = "row"
    words = "Parquet"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._table: Any = None

    def scan(self, offset: int = 0, line: int = 1) -> Iterator[Record]:
        """As ``Container.scan``; the raw record is an object already, and its size the mean one."""
        del line
        try:
            yield from self._records(offset)
        except DataError as fault:
            yield Record(offset, 0, 0, fault)

    def value(self, record: Record) -> object:
        """As ``Container.value``."""
        return record.raw

    def close(self) -> None:
        """As ``Container.close``."""
        self._file.close()

    def _records(self, offset: int) -> Iterator[Record]:
        try:
            import pyarrow.parquet as library
        except ImportError:
            raise DataError("needs one more package: pip install 'arkor-dev[parquet]'") from None
        number = 0
        try:
            if self._table is None:
                self._table = library.ParquetFile(self._file)
            table = self._table
            for group in range(table.metadata.num_row_groups):
                about = table.metadata.row_group(group)
                if number + about.num_rows <= offset:
                    number += about.num_rows
                    continue
                if about.total_byte_size > MAX_GROUP:
                    raise DataError(f"a row group of more than {MAX_GROUP // 2**30} GiB")
                size = about.total_byte_size // max(1, about.num_rows)
                for batch in table.iter_batches(BATCH, row_groups=[group]):
                    if number + batch.num_rows <= offset:
                        number += batch.num_rows
                        continue
                    for value in batch.to_pylist():
                        if number >= offset:
                            yield Record(number, number + 1, size, value)
                        number += 1
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - the library raises what its parts raise
            raise DataError(f"cannot be read as Parquet: {error}") from None

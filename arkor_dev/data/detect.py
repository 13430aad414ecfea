"""Which format a file has, by its content; its name decides only where the content does not."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from arkor_dev.contract.regular_files import open_regular

from .forms import COLUMNS
from .json_lines import BYTE_ORDER_MARK, JsonLines
from .json_list import JsonRows
from .parquet import Parquet
from .rows import DataError
from .table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from .containers import Container

HEAD: Final = 2**16
SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Of the files in a folder that are data; each may be followed by .gz."""
GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
_WRAPPED: Final = re.compile(rb'\{\s*"(?:data|rows|train|examples|items|instances)"\s*:\s*\[')
"""How a file begins that is one object with the list of rows in it."""
_WORD: Final = re.compile(r"[\w .-]+")


def is_parquet(path: Path) -> bool:
    """Whether the file is read by a library that is large, and written for files that one trusts."""
    with open_regular(path) as file:
        return file.read(len(PARQUET)) == PARQUET


def open_container(path: Path, limit: int) -> tuple[Container, bool]:
    """The file in its format, and whether gzip has packed it; raises DataError, and OSError of ``open``.

    Past ``limit`` bytes, unpacked, its reading ends with a TooLargeError.
    """
    file: BinaryIO = open_regular(path)
    try:
        head = file.read(HEAD)
        packed = head.startswith(GZIP)
        if packed:
            file.seek(0)
            file = cast("BinaryIO", io.BufferedReader(_Unpacked(file)))
            head = file.read(HEAD)
        file.seek(0)
        name = path.name.removesuffix(".gz").lower()
        return _container(file, head, name, limit, packed=packed), packed
    except BaseException:
        file.close()
        raise


class _Unpacked(gzip.GzipFile):
    """The content of a gzip file, which is closed with it; what is wrong with it is a DataError."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._packed = file

    def close(self) -> None:
        super().close()
        self._packed.close()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        try:
            return super().read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise DataError("cannot be unpacked further: the file is damaged or cut off") from None


def _container(file: BinaryIO, head: bytes, name: str, limit: int, *, packed: bool) -> Container:
    if head.startswith(PARQUET):
        if packed:
            raise DataError("is a Parquet file inside gzip; unpack it, since Parquet packs its own")
        return Parquet(file)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("is written in UTF-16; save the file as UTF-8")
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"["):
        return JsonRows(file, limit, listed=True)
    if _WRAPPED.match(text):
        return JsonRows(file, limit, listed=True, wrapped=True)
    if text.startswith(b"{"):
        return JsonRows(file, limit, listed=False) if _is_spread(text) else JsonLines(file, limit)
    delimiter = _delimiter(text.split(b"\n", 1)[0].decode(errors="replace"), name)
    return JsonLines(file, limit) if delimiter is None else Table(file, limit, delimiter)


def _is_spread(text: bytes) -> bool:
    """Whether the first object goes on over several lines: the second line begins with a key of it."""
    first, _, rest = text.partition(b"\n")
    return not first.rstrip().endswith(b"}") and rest.lstrip().startswith(b'"')


def _delimiter(line: str, name: str) -> str | None:
    """What stands between the columns that the first line names; None where it names none."""
    bare = re.sub(r'"[^"]*"', "", line)
    delimiter = max("\t;,", key=bare.count)
    named = name.endswith((".csv", ".tsv", ".tab"))
    if delimiter not in bare:
        fits = named or line.strip().strip('"').lower() in COLUMNS
        return ("\t" if name.endswith((".tsv", ".tab")) else ",") if fits else None
    cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
    is_header = any(cell.lower() in COLUMNS for cell in cells)
    looks_so = not name.endswith((".jsonl", ".json", ".ndjson")) and all(map(_WORD.fullmatch, cells))
    return delimiter if named or is_header or looks_so else None

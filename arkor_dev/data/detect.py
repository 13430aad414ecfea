"""Which format a file has, by its content; its name decides only where the content does not."""

from __future__ import annotations

import io
import re
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

from arkor_dev.contract.regular_files import open_regular

from .forms import COLUMNS
from .json_lines import BYTE_ORDER_MARK, JsonLines
from .json_list import JsonRows
from .parquet import Parquet
from .rows import DataError
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .containers import Container

HEAD: Final = 2**16
SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Of the files in a folder that are data; each may be followed by .gz."""
GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
GZIP_BITS: Final = 31
"""Tells zlib to read gzip's frame, and to compare its checksum."""
PIECE: Final = 2**14
RESTART_EVERY: Final = 2**20
"""Bytes, unpacked, between two places of a gzip file that are kept; more where it is long."""
RESTARTS: Final = 256
"""Of one file at most: each takes some 40 KiB."""
_WRAPPED: Final = re.compile(rb'\{\s*"(?:data|rows|train|examples|items|instances)"\s*:\s*\[')
"""How a file begins that is one object with the list of rows in it."""
_WORD: Final = re.compile(r"[\w .-]+")


def is_parquet(path: Path) -> bool:
    """Whether the file is read by a library that is large, and written for files that one trusts."""
    with open_regular(path) as file:
        return file.read(len(PARQUET)) == PARQUET


def open_container(
    path: Path, limit: int, restarts: Restarts | None = None, mapped: Collection[str] = ()
) -> tuple[Container, bool]:
    """The file in its format, and whether gzip has packed it; raises DataError, and OSError of ``open``.

    Past ``limit`` bytes, unpacked, its reading ends with a TooLargeError. Where gzip has packed it, places
    to go on from are kept in ``restarts``; whoever opens it again gives the same. ``mapped`` are the columns
    that are asked for by name, or by number in a table whose first line names none.
    """
    file: BinaryIO = open_regular(path)
    try:
        head = file.read(HEAD)
        packed = head.startswith(GZIP)
        if packed:
            unpacked = _Unpacked(file, Restarts() if restarts is None else restarts)
            file = cast("BinaryIO", io.BufferedReader(unpacked, HEAD))
            head = file.read(HEAD)
        file.seek(0)
        name = path.name.removesuffix(".gz").lower()
        return _container(file, head, name, limit, mapped, packed=packed), packed
    except BaseException:
        file.close()
        raise


class _Restart(NamedTuple):
    """Where unpacking can go on: at which byte unpacked, at which of the packed file, and zlib's state."""

    at: int
    packed: int
    state: Any


class Restarts:
    """Places from which a gzip file can be unpacked on, found while it is walked through.

    Without them every look at a far row would unpack all that is before it.
    """

    def __init__(self) -> None:
        self._places: list[_Restart] = []
        self._every = RESTART_EVERY

    def is_due(self, at: int) -> bool:
        """Whether so far none is near before ``at``."""
        return at >= (self._places[-1].at if self._places else 0) + self._every

    def add(self, at: int, packed: int, state: Any) -> None:
        """Keep a place, which is behind all others, and a copy of zlib's state there."""
        self._places.append(_Restart(at, packed, state.copy()))
        if len(self._places) > RESTARTS:
            del self._places[::2]
            self._every *= 2

    def before(self, at: int) -> _Restart:
        """The nearest place that is not behind ``at``; the beginning where there is none."""
        place = bisect_right(self._places, at, key=lambda each: each.at)
        return self._places[place - 1] if place else _Restart(0, 0, zlib.decompressobj(GZIP_BITS))


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, which is closed with it; what is wrong with it is a DataError."""

    def __init__(self, file: BinaryIO, restarts: Restarts) -> None:
        self._file, self._restarts = file, restarts
        self._go_to(restarts.before(0))

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Unpack as far as ``offset``; from the end nothing can be counted."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of what is packed is not known")
        offset += self._at if whence == io.SEEK_CUR else 0
        start = self._restarts.before(offset)
        if offset < self._at or start.at > self._at:
            self._go_to(start)
        while self._at < offset and self._unpack(min(HEAD, offset - self._at)):
            pass
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._unpack(len(view))
        view[: len(data)] = data
        return len(data)

    def _go_to(self, start: _Restart) -> None:
        self._at, self._state, self._next = start.at, start.state.copy(), b""
        self._file.seek(start.packed)

    def _unpack(self, size: int) -> bytes:
        """The next bytes, ``size`` at most; none at the end."""
        try:
            while not self._state.eof or self._begins_again():
                packed = self._next or self._state.unconsumed_tail or self._file.read(PIECE)
                self._next = b""
                if data := self._state.decompress(packed, size):
                    self._at += len(data)
                    if self._restarts.is_due(self._at) and not self._state.eof:
                        self._restarts.add(self._at, self._file.tell(), self._state)
                    return bytes(data)
                if not packed and not self._state.eof:
                    break
            else:
                return b""
        except zlib.error:
            pass
        raise DataError("cannot be unpacked further: the file is damaged or cut off")

    def _begins_again(self) -> bool:
        """Whether another gzip file follows in this one; zeros may stand between them."""
        rest = self._state.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._file.read(PIECE)):
                return False
        self._state, self._next = zlib.decompressobj(GZIP_BITS), rest
        return True


def _container(
    file: BinaryIO, head: bytes, name: str, limit: int, mapped: Collection[str], *, packed: bool
) -> Container:
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
    return JsonLines(file, limit) if delimiter is None else Table(file, limit, delimiter, mapped)


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

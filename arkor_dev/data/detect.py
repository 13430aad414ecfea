"""Detects a file's format by its content; its name decides only if the content does not."""

from __future__ import annotations

import io
import re
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from arkor_dev.contract.regular_files import open_regular

from .forms import COLUMNS
from .json_lines import BYTE_ORDER_MARK, JsonLines
from .json_list import JsonRows
from .parquet import SECONDS, Parquet
from .rows import DataError
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .containers import Container

HEAD: Final = 2**16
SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Suffixes of data files in a folder; each may be followed by .gz."""
GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
GZIP_BITS: Final = 31
"""Makes zlib read gzip's frame, and compare its checksum."""
PIECE: Final = 2**14
RESTART_EVERY: Final = 2**20
"""Unpacked bytes between two stored restart points of a gzip file; more in a long file."""
RESTARTS: Final = 256
"""Maximum number of restart points of one file: each takes some 40 KiB."""
_WRAPPED: Final = re.compile(rb'\{\s*"(?:data|rows|train|examples|items|instances|runs)"\s*:\s*\[')
"""The beginning of a file that is one object with the list of rows in it."""
_WORD: Final = re.compile(r"[\w .-]+")


def is_parquet(path: Path) -> bool:
    """Return whether the file needs a large library that is written for trusted files."""
    with open_regular(path) as file:
        return file.read(len(PARQUET)) == PARQUET


def open_container(
    path: Path,
    limit: int,
    restarts: RestartPoints | None = None,
    mapped: Collection[str] = (),
    seconds: float = SECONDS,
) -> tuple[Container, bool]:
    """Open the file in its format; return it, and whether gzip has packed it. Raises DataError, and OSError.

    Beyond ``limit`` unpacked bytes, reading ends with a TooLargeError. For a gzip file, points where
    unpacking can restart are stored in ``restarts``; pass the same object when opening it again. ``mapped``
    are the columns requested by name, or by number in a table whose first line names none. An answer of the
    process that reads Parquet may take ``seconds``.
    """
    file: BinaryIO = open_regular(path)
    try:
        head = file.read(HEAD)
        packed = head.startswith(GZIP)
        if packed:
            unpacked = _Unpacked(file, RestartPoints() if restarts is None else restarts)
            file = cast("BinaryIO", io.BufferedReader(unpacked, HEAD))
            head = file.read(HEAD)
        file.seek(0)
        name = path.name.removesuffix(".gz").lower()
        return _container(file, head, name, limit, mapped, seconds, packed=packed), packed
    except BaseException:
        file.close()
        raise


class _Restart(NamedTuple):
    """A point where unpacking can restart: the unpacked and the packed offset, and zlib's state."""

    at: int
    packed: int
    state: zlib._Decompress


class RestartPoints:
    """Restart points of a gzip file, so that access to a far row need not unpack everything before it."""

    def __init__(self) -> None:
        self._points: list[_Restart] = []
        self._every = RESTART_EVERY

    def is_due(self, at: int) -> bool:
        """Return whether no point is near before ``at`` so far."""
        return at >= (self._points[-1].at if self._points else 0) + self._every

    def add(self, at: int, packed: int, state: zlib._Decompress) -> None:
        """Store a point, which is after all others, with a copy of zlib's state there."""
        self._points.append(_Restart(at, packed, state.copy()))
        if len(self._points) > RESTARTS:
            del self._points[::2]
            self._every *= 2

    def before(self, at: int) -> _Restart:
        """Return the nearest point that is not after ``at``; the beginning if there is none."""
        index = bisect_right(self._points, at, key=lambda point: point.at)
        return self._points[index - 1] if index else _Restart(0, 0, zlib.decompressobj(GZIP_BITS))


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, which is closed with it; errors of the format are DataErrors."""

    def __init__(self, file: BinaryIO, restarts: RestartPoints) -> None:
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
        """Unpack up to ``offset``; offsets relative to the end are not supported."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the size of the unpacked file is unknown")
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
        """Return the next bytes, at most ``size``; none at the end."""
        try:
            while not self._state.eof or self._has_next_member():
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
        raise DataError("cannot be unpacked further: the file is damaged or truncated")

    def _has_next_member(self) -> bool:
        """Return whether another gzip file follows in this one; zeros may be between them."""
        rest = self._state.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._file.read(PIECE)):
                return False
        self._state, self._next = zlib.decompressobj(GZIP_BITS), rest
        return True


def _container(
    file: BinaryIO,
    head: bytes,
    name: str,
    limit: int,
    mapped: Collection[str],
    seconds: float,
    *,
    packed: bool,
) -> Container:
    if head.startswith(PARQUET):
        if packed:
            raise DataError("is a Parquet file inside gzip; unpack it, since Parquet packs its own")
        return Parquet(file, limit, seconds)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("is written in UTF-16; save the file as UTF-8")
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"["):
        return JsonRows(file, limit, in_list=True)
    if _WRAPPED.match(text):
        return JsonRows(file, limit, in_list=True, wrapped=True)
    if text.startswith(b"{"):
        return JsonRows(file, limit, in_list=False) if _is_spread(text) else JsonLines(file, limit)
    delimiter = _delimiter(text.split(b"\n", 1)[0].decode(errors="replace"), name)
    return JsonLines(file, limit) if delimiter is None else Table(file, limit, delimiter, mapped)


def _is_spread(text: bytes) -> bool:
    """Return whether the first object spans several lines, so that the second line starts with a key."""
    first, _, rest = text.partition(b"\n")
    return not first.rstrip().endswith(b"}") and rest.lstrip().startswith(b'"')


def _delimiter(line: str, name: str) -> str | None:
    """Return the delimiter between the columns that the first line names; None if it names none."""
    bare = re.sub(r'"[^"]*"', "", line)
    delimiter = max("\t;,", key=bare.count)
    by_suffix = name.endswith((".csv", ".tsv", ".tab"))
    if delimiter not in bare:
        fits = by_suffix or line.strip().strip('"').lower() in COLUMNS
        return ("\t" if name.endswith((".tsv", ".tab")) else ",") if fits else None
    cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
    is_header = any(cell.lower() in COLUMNS for cell in cells)
    looks_so = not name.endswith((".jsonl", ".json", ".ndjson")) and all(map(_WORD.fullmatch, cells))
    return delimiter if by_suffix or is_header or looks_so else None

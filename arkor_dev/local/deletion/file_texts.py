"""Reads the texts of files that anyone may have written, archives included, within limits.

All is read in pieces. What cannot be read as text is noted, not raised: the rest of an archive is still read.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from typing import IO, TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Texts = Iterator[Iterator[str]]

MOST_UNPACKED: Final = 1 << 30
"""Bytes that are read of a file and of all that is packed in it, together."""
WHOLE: Final = 32 << 20
"""Maximum bytes of what must be in memory at once: a JSON document, a line, an archive in an archive."""
DEPTH: Final = 2
"""How deep packed files may lie in one another; ``.tar.gz`` is one level."""
MEMBERS: Final = 10_000
PIECE: Final = 1 << 16
LATE: Final = "the time was over"
COMPRESSED: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file)),
    ".bz2": lambda file: cast("IO[bytes]", bz2.BZ2File(file)),
    ".xz": lambda file: cast("IO[bytes]", lzma.LZMAFile(file)),  # noqa: SIM115 - its caller closes it
}
UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UnreadableFileError(ValueError):
    """A file cannot be searched; the message says why."""


class FileTexts:
    """The texts of one file. ``missed`` names what could not be read, by its path in the file."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self._left = MOST_UNPACKED

    def read(self, name: str, file: IO[bytes], depth: int = 0) -> Texts:
        """Yield the texts, each in pieces, by the file's name: of archives, those of their members.

        Errors of its format are raised. A text must be read before the next one.
        """
        name = name.lower().replace(".tgz", ".tar.gz")
        stem, _, last = name.rpartition(".")
        if unpack := COMPRESSED.get(f".{last}"):
            _check_depth(depth)
            with unpack(file) as unpacked:
                if stem.endswith(".tar"):
                    yield from self._tar(unpacked, depth)
                else:
                    yield from self.read(stem, unpacked, depth + 1)
        elif last == "tar":
            _check_depth(depth)
            yield from self._tar(file, depth)
        elif last == "zip":
            _check_depth(depth)
            yield from self._zip(file if file.seekable() else io.BytesIO(self._whole(file)), depth)
        elif last in ("jsonl", "ndjson"):
            yield from self._lines(file)
        elif last == "json":
            yield from map(iter, map(_single, strings_of(self._whole(file).decode(errors="replace"))))
        else:
            yield self._pieces(file)

    def _tar(self, file: IO[bytes], depth: int) -> Texts:
        # As a stream without detection of a compression: only what is read counts, skipped members too.
        with tarfile.open(fileobj=_Counted(self, file), mode="r|") as archive:
            for number, member in enumerate(archive):
                if number >= MEMBERS:
                    self.missed.append(f"members after the first {MEMBERS:,}")
                    return
                if stream := archive.extractfile(member) if member.isfile() else None:
                    yield from self._member(member.name, stream, depth)

    def _zip(self, file: IO[bytes], depth: int) -> Texts:
        with zipfile.ZipFile(file) as packed:
            entries = packed.namelist()
            for entry in entries[:MEMBERS]:
                if entry.endswith("/"):
                    continue
                try:
                    stream = packed.open(entry)
                except Exception as fault:  # noqa: BLE001 - such as for a password or an unknown method
                    self._miss(entry, fault)
                    continue
                with stream:
                    yield from self._member(entry, stream, depth)
            if len(entries) > MEMBERS:
                self.missed.append(f"members after the first {MEMBERS:,}")

    def _member(self, name: str, stream: IO[bytes], depth: int) -> Texts:
        missed, self.missed = self.missed, []
        try:
            yield from self.read(name, stream, depth + 1)
        except _SpentError:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, others may be readable
            self._miss("", fault)
        self.missed = [*missed, *(f"{name}: {one}" for one in self.missed)]

    def _miss(self, name: str, fault: Exception) -> None:
        self.missed.append(f"{name}: {reason(fault)}" if name else reason(fault))

    def _lines(self, file: IO[bytes]) -> Texts:
        while line := file.readline(WHOLE + 1):
            self.spend(len(line))
            if len(line) > WHOLE:
                raise UnreadableFileError("a line is too long")
            yield from map(iter, map(_single, strings_of(line.decode(errors="replace"))))

    def _pieces(self, file: IO[bytes]) -> Iterator[str]:
        """Yield a text in pieces; one that is not text is noted, though words in it are still found."""
        piece = self._piece(file)
        encoding = "utf-16" if piece.startswith(UTF16) else "utf-8"
        decoder, strange = codecs.getincrementaldecoder(encoding)(), piece.startswith(b"%PDF")
        while True:
            state = decoder.getstate()
            try:
                # A text may hold U+FFFD itself, so only an error says that this is none.
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError:
                decoder, strange = codecs.getincrementaldecoder(encoding)("replace"), True
                decoder.setstate(state)
                text = decoder.decode(piece, final=not piece)
            strange |= "\0" in text
            yield text
            if not piece:
                break
            piece = self._piece(file)
        if strange:
            self.missed.append("not text")

    def _piece(self, file: IO[bytes]) -> bytes:
        """Read the next piece; an error is noted here, since those who take the pieces read no files."""
        try:
            piece = file.read(PIECE)
        except _SpentError:
            raise
        except Exception as fault:  # noqa: BLE001 - damaged, with a password, or whatever
            self._miss("", fault)
            return b""
        self.spend(len(piece))
        return piece

    def _whole(self, file: IO[bytes]) -> bytes:
        content = file.read(WHOLE + 1)
        self.spend(len(content))
        if len(content) > WHOLE:
            raise UnreadableFileError("too large to be read at once")
        return content

    def spend(self, size: int) -> None:
        """Count bytes that were read. Raises when they are too many."""
        self._left -= size
        if self._left < 0:
            raise _SpentError("too large")


class _SpentError(UnreadableFileError):
    """Nothing more of this file may be read."""


class _Counted(io.RawIOBase):
    """A file whose reading counts."""

    def __init__(self, texts: FileTexts, file: IO[bytes]) -> None:
        self._texts, self._file = texts, file

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(min(size, WHOLE) if size >= 0 else WHOLE)
        self._texts.spend(len(content))
        return content


def reason(fault: Exception) -> str:
    """Return why a file cannot be read, in a few words."""
    match fault:
        case UnreadableFileError() | NotImplementedError():
            return str(fault)
        case RuntimeError() if "password" in str(fault) or "encrypted" in str(fault):
            return "it has a password"
        case RecursionError() | MemoryError():
            return "too large"
        case OSError(strerror=str(text)):
            return text
    return "it is damaged"


def _check_depth(depth: int) -> None:
    if depth >= DEPTH:
        raise UnreadableFileError("packed too deeply")


def _single(text: str) -> tuple[str]:
    return (text,)


def strings_of(text: str) -> Iterator[str]:
    """Yield the strings of a JSON value and of JSON in them, keys included; of anything else, the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
            # A string may be JSON itself, such as the arguments of a call.
            if value[:1] in ("{", "["):
                with contextlib.suppress(ValueError, RecursionError):
                    waiting.append(json.loads(value))
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value

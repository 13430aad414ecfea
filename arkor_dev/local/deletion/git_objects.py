"""Reads the objects of a Git repository: what its commits, stashes and deleted branches still have.

Anyone may have made the repository, and its configuration can name commands. None of them is run for a list
of the objects that are here: there are no hooks, filters, text conversion or index, and a missing object is
not fetched.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from arkor_dev.local.workers.process import passed

from .file_texts import LATE, PIECE, WHOLE, FileTexts, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST: Final = (
    "--no-replace-objects", "-c", "protocol.allow=never", "-c", "core.fsmonitor=false",
    "cat-file", "--batch", "--batch-all-objects", "--unordered",
)  # fmt: skip
ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
TEXTS: Final = frozenset({b"blob", b"commit", b"tag"})
HEADER: Final = 200
ENDS: Final = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"PK\x03\x04": ".zip"}
"""Names' ends of compressed files, by how these begin."""


class GitObject(NamedTuple):
    """The id of an object and its ``content``; None if it is larger than ``WHOLE``."""

    id: str
    content: bytes | None

    def texts(self, texts: FileTexts) -> Iterator[Iterator[str]]:
        """Yield its texts like those of a file, whose name is not known. Raises UnreadableFileError."""
        if self.content is None:
            raise UnreadableFileError("too large")
        start = self.content[:PIECE].lstrip()
        end = next((end for mark, end in ENDS.items() if start.startswith(mark)), "")
        names = [f"a{end}"]
        if start.startswith((b"{", b"[")):
            names = ["a.json", "a.jsonl"]
        elif end and end != ".zip":
            names.append(f"a.jsonl{end}")
        for name in names:
            yield from texts.read(name, io.BytesIO(self.content))


def objects_of(repository: Path, seconds: float) -> Iterator[GitObject]:
    """Yield the files, commits and tags in the repository whose ``.git`` is in the folder ``repository``.

    Raises UnreadableFileError if not all of them can be read in so many seconds, after those that can.
    """
    git = shutil.which("git")
    if git is None:
        raise UnreadableFileError("Git is not installed")
    # Only this folder's repository, not one of a folder above it.
    environment = {**passed(), **ENVIRONMENT, "GIT_CEILING_DIRECTORIES": str(repository.resolve().parent)}
    with subprocess.Popen(
        [git, "-C", str(repository.resolve()), *LIST],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        assert process.stdout
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            damaged = False
            while header := process.stdout.readline(HEADER):
                if header.endswith(b" missing\n"):  # there, but unreadable
                    damaged = True
                elif found := _object(header, process.stdout):
                    yield found
            if process.wait() or damaged:
                raise UnreadableFileError("it is damaged" if damaged else "Git can't read it")
        except UnreadableFileError:
            if late.is_set():
                raise UnreadableFileError(LATE) from None
            raise
        finally:
            timer.cancel()
            process.kill()


def _object(header: bytes, output: IO[bytes]) -> GitObject | None:
    """Read an object; return None for one of another type."""
    try:
        name, kind, count = header.split()
        size = int(count)
    except ValueError:
        raise UnreadableFileError("it is damaged") from None
    content = None
    if kind in TEXTS and size <= WHOLE:
        content = output.read(size)
    else:
        for start in range(0, size, PIECE):
            output.read(min(PIECE, size - start))
    if output.read(1) != b"\n":
        raise UnreadableFileError("it is damaged")
    return GitObject(name.decode(), content) if kind in TEXTS else None

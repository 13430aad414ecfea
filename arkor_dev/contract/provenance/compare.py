"""Compares a folder with its statement: changed, missing and additional files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .statement import BESIDE, FILES_LIMIT, is_safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .statement import Resource, Statement

State = Literal["same", "differs", "missing", "unreadable", "link", "unexpected", "absent"]
WORDS: Final[dict[State, str]] = {
    "same": "matches its hash",
    "differs": "does not match its hash",
    "missing": "is missing",
    "unreadable": "cannot be read",
    "link": "is a link, or inside one",
    "unexpected": "was added after the folder was written",
    "absent": "is absent, and optional",
}
SOUND: Final = ("same", "absent")
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


LARGE: Final = 1 << 30
SHARE: Final = 1000
"""A file of `LARGE` bytes or more is hollow if less than this share of it is allocated on disk (as 1/n)."""
EXTENTS: Final = 10_000
"""Maximum number of data extents of a sparse file that are examined."""


class FileState(NamedTuple):
    name: str
    state: State


def compare(folder: Path, statement: Statement, only: str | None = None) -> list[FileState]:
    """Return the state of each file of ``folder``, or of the file ``only`` alone.

    Follows no links. A file of another size is not read, as it may be endless.
    """
    subjects = {resource["name"]: resource for resource in statement["subject"]}
    if only is not None:
        return [FileState(only, _look(folder, subjects[only]) if only in subjects else "unexpected")]
    states = [FileState(name, _look(folder, resource)) for name, resource in subjects.items()]
    return [*states, *(FileState(name, "unexpected") for name in _unlisted(folder, set(subjects)))]


def _look(folder: Path, resource: Resource) -> State:
    parts, notes = resource["name"].split("/"), resource.get("annotations", {})
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            return "link"
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        return "absent" if notes.get("optional") is True else "missing"
    except OSError:
        return "unreadable"
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        return "unreadable"
    with os.fdopen(handle, "rb") as file:
        if notes.get("bytes") != state.st_size or _is_hollow(handle, state.st_size):
            return "differs"
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "unreadable"
    return "same" if digest == resource["digest"]["sha256"] else "differs"


def _is_hollow(handle: int, size: int) -> bool:
    """Return whether a large file is almost all holes: terabytes of zeros. False if unknown."""
    if size < LARGE:
        return False
    data_bytes = end = 0
    try:
        for _ in range(EXTENTS):
            begin = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, begin, os.SEEK_HOLE)
            data_bytes += end - begin
            if data_bytes * SHARE > size:
                return False
    except OSError as error:
        return error.errno == errno.ENXIO  # past the last data
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return True


def _unlisted(folder: Path, known: set[str]) -> Iterator[str]:
    """Yield files of ``folder`` that are not in the statement; stop after the first few."""
    count = 0
    for at, folders, files in os.walk(folder):  # follows no links
        relative = os.path.relpath(at, folder)
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]  # noqa: PTH114, PTH118
        folders.sort()
        for file in sorted([*files, *links]):
            name = file if relative == "." else f"{relative}/{file}"
            if name in known or (relative == "." and name in BESIDE):
                continue
            count += 1
            if count > FILES_LIMIT:
                return
            yield name if is_safe(name) else ascii(name)

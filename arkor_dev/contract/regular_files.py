"""Opens files of a project or a home folder without blocking and without unbounded reads.

Opening a FIFO blocks, a device may never end, and a file may exceed the memory. So a file is opened
non-blocking, checked through its descriptor (the name may refer to another file a moment later) and read up
to a limit. Studio and the local backend both read user files, so this module belongs to neither, and imports
no other module of the package.

Even a regular file may be on a disk that does not respond: call these off the event loop.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

MIB: Final = 1024 * 1024
DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers for a full disk or quota."""
DEPTH_LIMIT: Final = 20
"""Maximum number of path components of a relative name."""
# O_NONBLOCK: a FIFO opens at once. O_NOCTTY: a terminal does not become our controlling terminal.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS: Final = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_PART: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")


class NotRegularError(OSError):
    """Not a regular file, or one past the limit; ``strerror`` says which."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading bytes, following links. Raises NotRegularError, or OSError."""
    return _regular(os.open(path, _FLAGS), path)


def read_small(path: Path, limit: int = MIB) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises NotRegularError, also for a larger file, and the OSErrors of ``open`` and ``read``.
    """
    with open_regular(path) as file:
        return _bounded(file, path, limit)


def is_safe_name(name: object) -> bool:
    """Return whether ``name`` is a relative path, separated by slashes, that stays in its folder."""
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return len(parts) <= DEPTH_LIMIT and all(
        _PART.fullmatch(part) and part not in (".", "..") for part in parts
    )


@contextmanager
def folder_of(folder: Path, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder of the file ``name`` below ``folder``; yield its descriptor and the file's base name.

    Neither ``folder`` nor a part of ``name`` may be a link. ``make`` creates missing folders. Raises
    NotRegularError for a link and for a name that leads outside, and ``open``'s OSErrors.
    """
    if not is_safe_name(name):
        raise NotRegularError(errno.EINVAL, "not the name of a file in this folder", str(folder))
    *parts, last = name.split("/")
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    handle = _folder(str(folder), None)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            inner = _folder(part, handle)
            os.close(handle)
            handle = inner
        yield handle, last
    finally:
        os.close(handle)


def open_inside(folder: Path, name: str) -> BufferedReader:
    """Open ``name`` below ``folder``, following no link. Raises like `folder_of` and `open_regular`."""
    with folder_of(folder, name) as (inside, last):
        try:
            handle = os.open(last, _FLAGS | os.O_NOFOLLOW, dir_fd=inside)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotRegularError(errno.ELOOP, "a link", str(folder / name)) from None
            raise
    return _regular(handle, folder / name)


def read_inside(folder: Path, name: str, limit: int = MIB) -> bytes:
    """Return the content of the regular file ``name`` below ``folder``, of at most ``limit`` bytes.

    Raises like `open_inside`, and NotRegularError for a larger file.
    """
    with open_inside(folder, name) as file:
        return _bounded(file, folder / name, limit)


def _folder(name: str, at: int | None) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except OSError as error:
        # For a link to a folder, Linux reports ENOTDIR, macOS ELOOP.
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotRegularError(error.errno, "a link, or inside one", name) from None
        raise


def _regular(handle: int, path: Path) -> BufferedReader:
    """Wrap the descriptor if it is a regular file; else close it and raise."""
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise NotRegularError(errno.EINVAL, f"{kind}, not a regular file", str(path))
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _bounded(file: BufferedReader, path: Path, limit: int) -> bytes:
    # The size is only a hint: files in /proc report 0, and a file may grow.
    if os.fstat(file.fileno()).st_size <= limit:
        content = file.read(limit + 1)
        if len(content) <= limit:
            return content
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // 1024} KiB"
    raise NotRegularError(errno.EFBIG, f"larger than {size}", str(path))


def sha256_of(path: Path) -> str:
    """Return a file's hash in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

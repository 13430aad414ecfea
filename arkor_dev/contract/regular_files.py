"""Files from a project or a home, opened so that whatever lies there can neither block nor flood us.

A FIFO blocks whoever opens it, a device may never end, and a file may be larger than the memory. So a file
is opened without waiting, looked at through the descriptor (its name may mean another file a moment later)
and read up to a limit. Studio and the local backend both read what a person puts into a folder, so this
module belongs to neither and imports nothing of the package.

Even a regular file may lie on a disk that does not answer: call these off the event loop.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

MIB: Final = 1024 * 1024
# O_NONBLOCK: a FIFO opens at once. O_NOCTTY: a terminal does not become ours.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS: Final = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class NotRegularError(OSError):
    """What lies there is no regular file, or one past the limit; ``strerror`` says which."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading bytes; links are followed.

    Raises NotRegularError for anything else, and the OSErrors of ``open``.
    """
    handle = os.open(path, _FLAGS)
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


def read_small(path: Path, limit: int = MIB) -> bytes:
    """The whole content of a regular file of at most ``limit`` bytes.

    Raises NotRegularError, also when the file is larger, and the OSErrors of ``open`` and ``read``.
    """
    with open_regular(path) as file:
        # The size is a first look: a file of /proc has none, and one that grows has another.
        if os.fstat(file.fileno()).st_size <= limit:
            content = file.read(limit + 1)
            if len(content) <= limit:
                return content
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // 1024} KiB"
    raise NotRegularError(errno.EFBIG, f"larger than {size}", str(path))

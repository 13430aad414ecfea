"""The file of made rows, ``data/made/<name>.jsonl`` of the project: lines are only added. These calls block.

It is opened again for each write, since the Data page may have replaced it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, ConflictError, TooLargeError, unwritten
from arkor_dev.contract.regular_files import MIB

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.json_types import JsonObject

FOLDERS: Final = ("data", "made")
LARGEST: Final = 256 * MIB
_NO_LINK: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class MadeFile:
    """The file that a making run adds rows to."""

    def __init__(self, project: Path, name: str) -> None:
        self._project, self._name = project, f"{name}.jsonl"

    @property
    def path(self) -> str:
        """Its path in the project, for a ``dataset``."""
        return "/".join((*FOLDERS, self._name))

    def rows(self) -> list[JsonObject]:
        """Return the rows so far. A last line that was cut off by a power cut is removed."""
        try:
            with self._opened(make=False) as handle:
                content = self._read(handle)
                end = content.rfind(b"\n") + 1
                if content[end:].strip() and not _row(content[end:]):
                    os.ftruncate(handle, end)
        except FileNotFoundError:
            return []
        return [row for line in content.split(b"\n") if (row := _row(line))]

    def add(self, lines: Sequence[bytes]) -> None:
        """Add lines by one write, flushed to disk. Raises InternalError, and BadRequestError for a link."""
        with self._opened(make=True) as handle:
            size = os.fstat(handle).st_size
            begun = size and os.pread(handle, 1, size - 1) != b"\n"
            data = (b"\n" if begun else b"") + b"".join(lines)
            try:
                if os.write(handle, data) < len(data):
                    os.ftruncate(handle, size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            except OSError as fault:
                raise unwritten(self.path, fault) from None

    def _read(self, handle: int) -> bytes:
        if os.fstat(handle).st_size > LARGEST:
            raise TooLargeError(f"{self.path} has more than {LARGEST // MIB} MiB: choose another name.")
        parts = []
        while part := os.read(handle, MIB):
            parts.append(part)
        return b"".join(parts)

    @contextlib.contextmanager
    def _opened(self, *, make: bool) -> Iterator[int]:
        with contextlib.ExitStack() as stack:
            try:
                folder = os.open(self._project, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, folder)
                for name in FOLDERS:
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(name, 0o755, dir_fd=folder)
                    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=folder)
                    stack.callback(os.close, folder)
                flags = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | _NO_LINK | (os.O_CREAT if make else 0)
                handle = os.open(self._name, flags, 0o644, dir_fd=folder)
                stack.callback(os.close, handle)
            except FileNotFoundError:
                raise
            except OSError as fault:
                text = (
                    f"{self.path} cannot be written: {fault.strerror}. It must not be, or lie in, a symlink."
                )
                raise BadRequestError(text) from None
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise BadRequestError(f"{self.path} is not a regular file.")
            yield handle


def line_of(row: Mapping[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@contextlib.contextmanager
def only_one(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of a making run while the block runs. Raises ConflictError if another process has it."""
    handle = os.open(folder / f"making-{name}.lock", os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConflictError(f"{name} is being made by another Studio or command. Wait for it.") from None
    finally:
        os.close(handle)


def _row(line: bytes) -> JsonObject | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None

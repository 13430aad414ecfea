"""Notices that a project was edited: its ``arkor.toml``, the files that it names, or its TypeScript sources.

The state of these files (inode, size, times) decides whether anything changed. Linux's notifications only say
when to look, so neither a flood of them nor a lost one does harm, and where there are none (other systems,
network file systems) the files are polled. Folders are watched, since editors replace a file by renaming.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterator

FILE: Final = "arkor.toml"
REVIEWS: Final = "data/reviews.jsonl"
POLL: Final = 2.0
QUIET: Final = 0.15
"""Seconds after a notification until the files are inspected: an editor saves in several steps."""
SHARE: Final = 20
"""Inspecting many files takes at most one part in so many of the time."""
LONGEST: Final = 5.0
MOST_FOLDERS: Final = 256
MOST_FILES: Final = 2000
PATH: Final = 1000
"""Longest path, in characters."""
_EVENTS: Final = (
    0x002 | 0x008 | 0x040 | 0x080 | 0x100 | 0x200
)  # written, closed, moved from and to, made, deleted
_DIRECTORIES_ONLY: Final = 0x01000000


class ProjectWatch:
    """Watches one project while `run` runs."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._written: tuple[bytes, tuple[str, ...]] = b"", ()
        self._changed = asyncio.Event()
        self.closed = False
        self.edits = 0
        """The number of edits so far."""

    async def changed(self, since: int, seconds: float) -> bool:
        """Wait at most so long for an edit since ``edits`` was ``since``; return whether it came."""
        if self.edits == since and not self.closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        return self.edits != since

    def close(self) -> None:
        """Let nobody wait any longer."""
        self.closed = True
        self._changed.set()

    async def files_state(self) -> bytes:
        """Return a digest of the state of ``arkor.toml`` and the files that it names."""
        return await asyncio.to_thread(lambda: self._files(set()))

    async def settled(self) -> bool:
        """Wait if ``arkor.toml`` was written a moment ago, perhaps in part; return whether it was not."""
        try:
            written = (await asyncio.to_thread(os.stat, self._project / FILE)).st_mtime
        except OSError:
            return True
        if abs(time.time() - written) >= QUIET:
            return True
        await asyncio.sleep(QUIET)
        return False

    async def run(self) -> None:
        """Watch until cancelled."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        with contextlib.ExitStack() as stack:
            notifications = -1
            with contextlib.suppress(OSError, AttributeError):
                notifications = _inotify()
                stack.callback(os.close, notifications)
                loop.add_reader(notifications, _drain, notifications, woken)
                stack.callback(loop.remove_reader, notifications)
            before: bytes | None = None
            while True:
                woken.clear()
                began = time.monotonic()
                state = await asyncio.to_thread(self._look, notifications)
                cost = time.monotonic() - began
                if before not in (None, state):
                    self.edits += 1
                    self._changed.set()
                    self._changed = asyncio.Event()
                before = state
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(POLL, SHARE * cost)):
                        await woken.wait()
                await asyncio.sleep(max(QUIET, min(LONGEST, SHARE * cost)) if woken.is_set() else 0)

    def _look(self, notifications: int) -> bytes:
        """Return a digest of everything watched, and request notifications about its folders."""
        folders = {str(self._project)}
        state = self._files(folders)
        from .node_tools import is_typescript, repository_of  # not needed for the page's first byte
        from .source_state import source_state

        with contextlib.suppress(OSError):
            if not os.path.lexists(self._project / FILE) and is_typescript(self._project):
                root = repository_of(self._project)
                state += source_state(root) or b""
                folders.update(_below(root))
        if notifications >= 0:
            for folder in sorted(folders)[:MOST_FOLDERS]:
                _libc().inotify_add_watch(notifications, os.fsencode(folder), _EVENTS | _DIRECTORIES_ONLY)
        return state

    def _files(self, folders: set[str]) -> bytes:
        """Return a digest of the state of the project's files; add their folders to ``folders``."""
        written = repr(_facts(self._project / FILE)).encode()
        digest, root, left = (
            hashlib.blake2b(written, digest_size=16),
            self._project.resolve(),
            MOST_FILES,
        )
        for name in self._names(written):
            path = Path(os.path.realpath(root / name))
            if root not in path.parents:
                continue
            found: Iterator[Path] = iter((path,))
            with contextlib.suppress(OSError):
                if path.is_dir():
                    folders.update(_below(path))
                    found = _files_below(path)
                elif path.parent.is_dir():
                    folders.add(str(path.parent))
            for file in found:
                digest.update(f"{str(file)!r} {_facts(file)}\n".encode())
                if (left := left - 1) == 0:
                    return digest.digest()
        return digest.digest()

    def _names(self, written: bytes) -> tuple[str, ...]:
        """Return the texts of ``arkor.toml``, any of which may be a path; while it is not valid, the last.

        ``written`` tells one version of the file from another.
        """
        if self._written[0] != written:
            import tomllib  # not needed for the page's first byte, like the modules below

            from arkor_dev.contract.regular_files import read_small

            from .toml.limits import SIZE_LIMIT, TomlLimitError, check_limits

            with contextlib.suppress(OSError, TomlLimitError, ValueError, RecursionError):
                check_limits(text := read_small(self._project / FILE, SIZE_LIMIT).decode())
                names = dict.fromkeys((REVIEWS, *_texts(tomllib.loads(text))))
                self._written = written, tuple(names)[:MOST_FILES]
        return self._written[1]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str) and len(value) <= PATH and value.isprintable():
        yield value


def _facts(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name != "node_modules" and not name.startswith("."))
        yield folder, sorted(name for name in names if not name.startswith("."))


def _below(root: Path) -> Iterator[str]:
    """Yield a folder and those below it, without hidden ones and dependencies."""
    return (folder for folder, _ in islice(_walk(root), MOST_FOLDERS))


def _files_below(root: Path) -> Iterator[Path]:
    return (Path(folder) / name for folder, names in _walk(root) for name in names)


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None)


def _inotify() -> int:
    """Return a descriptor for notifications. Raises OSError; on other systems, AttributeError."""
    descriptor: int = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError("the limit of this user's notifications is reached")
    return descriptor


def _drain(descriptor: int, woken: asyncio.Event) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 1 << 16)
    woken.set()

"""Stores a job's files at an address, through fsspec, with this machine's own credentials.

Stores do not separate users: anybody with write access can make the files useless, but do no further harm,
because every file is verified by its hash.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from arkor_dev.local.cluster.protocol import KEPT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fsspec import AbstractFileSystem

PACKAGES: Final = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""The package that each protocol needs besides fsspec."""
OWN: Final = "arkor-dev"
MARK: Final = "used-"
"""Name prefix of an empty file; a Unix time follows, since few protocols report when a file changed."""
MARK_SECONDS: Final = 24 * 3600
BLOCK: Final = 16 << 20
"""Bytes read or written at once, and so held in memory."""


SECRETS: Final = ((r"//\S*@", "//…@"), (r"\?\S+", "?…"), (r"=\S{8,}", "=…"))
"""Parts of an error that may be a password or signature: before a host, in a query, after a name."""


def store_error(fault: Exception) -> str:
    """Return a store's error on one line, without anything that may be a secret."""
    text = " ".join(str(fault).split())
    for pattern, replacement in SECRETS:
        text = re.sub(pattern, replacement, text)
    return f"{type(fault).__name__}: {text}"[:300] if text else type(fault).__name__


class RemoteStore:
    """The files of ``job`` at ``address``. Every call raises OSError with the store's reason if it fails.

    ``writes`` checks that files can be written, and removes files that no job has used for a week.
    """

    def __init__(self, address: str, job: str, *, writes: bool) -> None:
        self._job = job
        self._marked = 0.0
        protocol = address.partition("://")[0]
        names = dict.fromkeys(("fsspec", PACKAGES[protocol]))
        if missing := [name for name in names if importlib.util.find_spec(name) is None]:
            raise OSError(
                f"this Python has no {' and no '.join(missing)}, which {protocol}:// needs: "
                f"pip install {' '.join(missing)}"
            )
        with self._translate_errors():
            from fsspec.core import url_to_fs

            self._fs, path = url_to_fs(address, skip_instance_cache=True)
            self._own = f"{path.rstrip('/')}/{OWN}"
            self._folder = f"{self._own}/{job}"
        if writes:
            self.touch()
            threading.Thread(target=_sweep, args=(address, job), name="old files", daemon=True).start()
        else:
            self._list()

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as fault:
            raise OSError(store_error(fault)) from fault

    @contextlib.contextmanager
    def _store(self) -> Iterator[AbstractFileSystem]:
        """Yield the fsspec file system."""
        with self._translate_errors():
            self._fs.invalidate_cache()  # other machines change the files
            yield self._fs

    def touch(self) -> None:
        """Mark the files as in use. Raises OSError if the store is read-only."""
        now = time.time()
        if now - self._marked < MARK_SECONDS:
            return
        old_marks = [name for name in self._list() if _time_of(name) is not None]
        with self._store() as store:
            store.pipe_file(f"{self._folder}/{MARK}{int(now)}", b"\n")
        self._marked = now
        for name in old_marks:
            if name != f"{MARK}{int(now)}":
                with contextlib.suppress(OSError):
                    self.remove(name)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the files in bytes, by name; -1 for anything but a file."""
        return {name: size for name, size in self._list().items() if _time_of(name) is None}

    def _list(self) -> dict[str, int]:
        with self._store() as store:
            try:
                entries = store.ls(self._folder, detail=True)
            except FileNotFoundError:
                return {}
            sizes = {}
            for entry in entries:
                name = entry["name"].rstrip("/").rpartition("/")[2]
                size = entry.get("size")
                sizes[name] = size if entry["type"] == "file" and type(size) is int else -1
        sizes.pop(self._job, None)  # some protocols list the folder itself
        return sizes

    def write(self, name: str, path: Path, step: Callable[[], None]) -> None:
        """Copy a file into the store, where it appears once it is complete. Calls ``step`` per block."""
        target = f"{self._folder}/{name}"
        try:
            with (
                self._store() as store,
                path.open("rb") as source,
                store.open(target, "wb", block_size=BLOCK) as file,
            ):
                while block := source.read(BLOCK):
                    file.write(block)
                    step()
        except BaseException:  # closing the file has stored what was written so far
            with contextlib.suppress(OSError):
                self.remove(name)
            raise

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of the store."""
        with self._store() as store, store.open(f"{self._folder}/{name}", "rb", block_size=BLOCK) as file:
            yield file

    def remove(self, name: str) -> None:
        with self._store() as store:
            store.rm_file(f"{self._folder}/{name}")

    def sweep(self) -> None:
        """Remove the files of jobs that were unused for a week."""
        jobs: dict[str, list[str]] = {}
        with self._store() as store:
            for path in store.find(self._own):
                *_, own, job, name = f"//{path}".split("/")
                if own == OWN:
                    jobs.setdefault(job, []).append(name)
            for job, names in jobs.items():
                last = max(_time_of(name) or 0 for name in names)
                if job != self._job and 0 < last < time.time() - KEPT_SECONDS:
                    with contextlib.suppress(Exception):  # the next sweep tries again
                        self._remove_job(store, job, names)

    def _remove_job(self, store: AbstractFileSystem, job: str, names: list[str]) -> None:
        for name in sorted(
            names, key=lambda name: _time_of(name) or 0
        ):  # the mark goes last: without it a job is never swept
            store.rm_file(f"{self._own}/{job}/{name}")


def _sweep(address: str, job: str) -> None:
    """Sweep over a separate connection, in the background."""
    with contextlib.suppress(OSError):
        RemoteStore(address, job, writes=False).sweep()


def _time_of(name: str) -> int | None:
    """Return the Unix time in a mark's name; None for other names."""
    match = re.fullmatch(rf"{MARK}([0-9]{{1,12}})", name)
    return int(match[1]) if match else None

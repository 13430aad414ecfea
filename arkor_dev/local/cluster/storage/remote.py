"""A job's files in a store that has an address, through fsspec, with what this machine has to be let in.

Stores know no owner: whoever may write there can make what lies there useless, and no more.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import re
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from arkor_dev.local.cluster.away.leftovers import KEPT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PACKAGES: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "oci": "ocifs",
    "oss": "ossfs",
    "webhdfs": "requests",
    "smb": "smbprotocol",
    "sftp": "paramiko",
    "ftp": "fsspec",
}
"""What each protocol needs, beside fsspec."""
FOLDERS: Final = ("webhdfs", "smb", "sftp", "ftp")
"""Protocols that have folders, and files while they are written; in the others a file appears whole."""
OWN: Final = "arkor-dev"
MARK: Final = "used-"
"""A file of this name with the time behind it, in seconds: few protocols tell when a file has changed."""
MARK_SECONDS: Final = 24 * 3600
IDLE_SECONDS: Final = 20.0
"""Servers with folders hang up on a connection that nothing comes through: after this there is a new one."""
PIECE: Final = 16 << 20
"""Bytes that are read, written and held at once."""


SECRETS: Final = ((r"//\S*@", "//…@"), (r"\?\S+", "?…"), (r"=\S{8,}", "=…"))
"""What stands before a host, in a query, or behind a name: a password or a signature, perhaps."""


def told(fault: Exception) -> str:
    """Why a store refuses, on a line, without what may be a secret of this machine."""
    text = " ".join(str(fault).split())
    for pattern, instead in SECRETS:
        text = re.sub(pattern, instead, text)
    return f"{type(fault).__name__}: {text}"[:300] if text else type(fault).__name__


class Remote:
    """The files of ``job`` at ``address``. Every call raises OSError with the reason where the store refuses.

    With ``writes`` it is tried whether files may be put there, and what jobs have left for a week goes.
    """

    def __init__(self, address: str, job: str, *, writes: bool) -> None:
        self._address, self._job = address, job
        self._protocol = address.partition("://")[0]
        self._has_folders = self._protocol in FOLDERS
        self._marked = 0.0
        names = dict.fromkeys(("fsspec", PACKAGES[self._protocol]))
        if missing := [name for name in names if importlib.util.find_spec(name) is None]:
            raise OSError(
                f"this Python has no {' and no '.join(missing)}, which {self._protocol}:// needs: "
                f"pip install {' '.join(missing)}"
            )
        self._connect()
        if writes:
            if self._has_folders:
                self._make_folder()
            self.touch()
            threading.Thread(target=_sweep, args=(address, job), name="old files", daemon=True).start()
        else:
            self._list()

    def _connect(self) -> None:
        with self._told():
            from fsspec.core import url_to_fs

            self._fs, path = url_to_fs(self._address, skip_instance_cache=True)
            self._own = f"{path.rstrip('/')}/{OWN}"
            self._folder = f"{self._own}/{self._job}"
            self._used = time.monotonic()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as fault:
            raise OSError(told(fault)) from fault

    @contextlib.contextmanager
    def _store(self) -> Iterator[Any]:
        """The store, by fsspec."""
        if self._has_folders and time.monotonic() - self._used > IDLE_SECONDS:
            self._connect()
        self._used = -math.inf  # after a fault nobody knows what a connection is about
        with self._told():
            self._fs.invalidate_cache()  # other machines change what lies there
            yield self._fs
        self._used = time.monotonic()

    def _make_folder(self) -> None:
        for further in (True, False):
            try:
                with self._store() as store:
                    store.makedirs(self._folder, exist_ok=True)
                return
            except OSError:  # another machine may have been quicker
                if not further:
                    raise

    def touch(self) -> None:
        """Say that it is in use. Raises OSError where it may be read alone."""
        now = time.time()
        if now - self._marked < MARK_SECONDS:
            return
        before = [name for name in self._list() if _time_of(name) is not None]
        with self._store() as store:
            store.pipe_file(f"{self._folder}/{MARK}{int(now)}", b"\n")
        self._marked = now
        for name in before:
            if name != f"{MARK}{int(now)}":
                with contextlib.suppress(OSError):
                    self.remove(name)

    def sizes(self) -> dict[str, int]:
        """What lies there, by name, in bytes; -1 for what is no file."""
        return {name: size for name, size in self._list().items() if _time_of(name) is None}

    def _list(self) -> dict[str, int]:
        with self._store() as store:
            try:
                entries = store.ls(self._folder, detail=True)
            except FileNotFoundError:
                return {}
            found = {}
            for entry in entries:
                name = entry["name"].rstrip("/").rpartition("/")[2]
                size = entry.get("size")
                found[name] = size if entry["type"] == "file" and type(size) is int else -1
        found.pop(self._job, None)  # some tell of the folder itself
        return found

    def write(self, name: str, path: Path, step: Callable[[], None]) -> None:
        """Keep a file of this machine there; where that fails nothing of it stays, or a shorter file."""
        target = f"{self._folder}/{name}"
        place = f"{self._folder}/{secrets.token_hex(8)}.part" if self._has_folders else target
        try:
            with self._store() as store:
                with path.open("rb") as source, store.open(place, "wb", block_size=PIECE) as file:
                    while piece := source.read(PIECE):
                        file.write(piece)
                        step()
                if self._has_folders:
                    with contextlib.suppress(Exception):  # some do not put a file in another one's place
                        store.rm_file(target)
                    store.mv(place, target)
        except BaseException:
            with contextlib.suppress(OSError), self._store() as store:
                store.rm_file(place)
            raise

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a file there."""
        with self._store() as store, store.open(f"{self._folder}/{name}", "rb", block_size=PIECE) as file:
            yield file

    def remove(self, name: str) -> None:
        """Remove a file there."""
        with self._store() as store:
            store.rm_file(f"{self._folder}/{name}")

    def sweep(self) -> None:
        """Remove what jobs have left for a week."""
        jobs: dict[str, list[str]] = {}
        with self._store() as store:
            for path in store.find(self._own):
                *_, own, job, name = f"//{path}".split("/")
                if own == OWN:
                    jobs.setdefault(job, []).append(name)
            for job, names in jobs.items():
                last = max(_time_of(name) or 0 for name in names)
                if job != self._job and 0 < last < time.time() - KEPT_SECONDS:
                    with contextlib.suppress(Exception):  # what is left is found again
                        self._remove_job(store, job, names)

    def _remove_job(self, store: Any, job: str, names: list[str]) -> None:
        for name in sorted(names, key=lambda name: _time_of(name) or 0):  # the time goes last
            store.rm_file(f"{self._own}/{job}/{name}")
        if self._has_folders:
            store.rmdir(f"{self._own}/{job}")


def _sweep(address: str, job: str) -> None:
    """Sweep through a connection of its own; nobody waits for that."""
    with contextlib.suppress(OSError):
        Remote(address, job, writes=False).sweep()


def _time_of(name: str) -> int | None:
    """When a job was in use, in seconds, by the name of a file of its; None where it says nothing of that."""
    found = re.fullmatch(rf"{MARK}([0-9]{{1,12}})", name)
    return int(found[1]) if found else None

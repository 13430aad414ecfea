"""The node's side of shared storage: which of the job's files it has, and how many were copied from it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .shared import COPY_SECONDS, SHARED_FOLDERS, SharedFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.local.cluster.protocol import ListedFile

    from .watchdog import Step

STORE_PACKAGES: Final = ("fsspec", "s3fs", "gcsfs", "adlfs")
"""Packages for stores with an address; a node reports which of them are installed."""


class NodeStorage:
    """The files of the job in the folder ``job``; calls ``keep_alive`` every few seconds while waiting."""

    def __init__(self, job: Path, keep_alive: Step = lambda: None) -> None:
        self._job, self._keep_alive = job, keep_alive
        self._shared: SharedFiles | None = None
        self._names: dict[str, str] = {}
        self._seconds_left = COPY_SECONDS
        self.hits = 0

    def use(self, root: str) -> bytes:
        """Use ``root``, a folder or an address; return why that fails, or an empty string."""
        try:
            self._shared = SharedFiles.open(root, self._job.name, self._keep_alive)
        except OSError as fault:
            return str(fault).encode()
        return b""

    def fetch(self, sha256: str, size: int, home: Path, target: Path) -> bool:
        """Copy the file of that hash and ``size`` to ``target`` through ``home``; return whether it was
        copied.

        All files together have a time limit; after that the remaining ones count as missing.
        """
        if self._shared is None or self._seconds_left <= 0:
            return False
        part, start = home / f"{sha256}.part", time.monotonic()
        is_found = self._shared.fetch(sha256, size, part, self._seconds_left)
        self._seconds_left -= time.monotonic() - start
        if is_found:
            part.replace(target)
            self.hits += 1
        return is_found

    def put(self, entries: Sequence[ListedFile], home: Path) -> None:
        """Store the shared files among ``entries``, which are below ``home``, and remove older ones.

        Errors, such as a full disk, are ignored: the files also go through the driver.
        """
        if self._shared is None:
            return
        new = {
            entry["name"]: entry["sha256"]
            for entry in entries
            if entry["name"].split("/")[0] in SHARED_FOLDERS
        }
        names = {**self._names, **new}
        self._names = {name: sha for name, sha in names.items() if (self._job / name).exists()}
        self._shared.put({sha: home / name for name, sha in new.items()}, set(self._names.values()))

    def note_placed(self, name: str, sha256: str) -> None:
        """Note a file from which the job resumes, by its name in the job's folder on the node."""
        below = f"data/jobs/{self._job.name}/"
        if name.startswith(below) and name.removeprefix(below).split("/")[0] in SHARED_FOLDERS:
            self._names[name.removeprefix(below)] = sha256
